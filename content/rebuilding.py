"""Making documents again after a change of the schema or the locales; resumable, a batch of entries at a time."""

from uuid import UUID

from django.db import transaction

from accounts.access import system
from accounts.models import Generation
from content import schema
from content.models import DraftDocument, Entry, Rebuild
from content.publishing import write_documents
from content.writing import Writing

BATCH = 100


def rebuild_later(collection_id: UUID, reason: str) -> Rebuild:
    """Note that the documents of a collection have to be made again. The worker does it after the commit."""
    live = DraftDocument.objects.filter(collection_id=collection_id, published_number__isnull=False)
    return Rebuild.objects.create(
        collection_id=collection_id, reason=reason, total=live.values("entry_id").distinct().count()
    )


def work_through() -> int:
    """Do all rebuilds that wait; returns how many entries were made again."""
    made = 0
    while (count := _batch()) is not None:
        made += count
    return made


@transaction.atomic
def _batch() -> int | None:
    """Do one batch of the oldest rebuild; None when there is nothing to do."""
    waiting = Rebuild.objects.exclude(state=Rebuild.State.DONE).order_by("created_at")
    rebuild = waiting.select_for_update(skip_locked=True).first()
    if rebuild is None:
        return None
    present = schema.current()
    writing = Writing(present, present.by_id[rebuild.collection_id], system("rebuild"))
    live = DraftDocument.objects.filter(collection_id=rebuild.collection_id, published_number__isnull=False)
    entries = Entry.objects.filter(pk__in=live.values("entry_id")).order_by("pk")
    if rebuild.last_entry is not None:
        entries = entries.filter(pk__gt=rebuild.last_entry)
    batch = list(entries.select_for_update()[:BATCH])
    for entry in batch:
        write_documents(entry, writing.collection, writing)
    rebuild.state = Rebuild.State.RUNNING if len(batch) == BATCH else Rebuild.State.DONE
    rebuild.done += len(batch)
    if batch:
        rebuild.last_entry = batch[-1].pk
    rebuild.save(update_fields=["state", "done", "last_entry"])
    Generation.objects.bump(f"content:{rebuild.collection_id}")
    return len(batch)
