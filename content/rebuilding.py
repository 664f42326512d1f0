"""Making documents again after a change of the schema or the locales; resumable, a batch of entries at a time."""

import logging
from uuid import UUID

from django.db import transaction
from django.db.models import TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Left

from accounts.access import system
from accounts.keyring import KeyRingError
from accounts.log import Subject, record
from accounts.models import Generation
from content import documents, indexing, schema
from content.editing import write_drafts
from content.models import DraftDocument, Entry, Field, Rebuild
from content.publishing import write_documents
from content.schema import CollectionSpec
from content.sealing import reseal
from content.writing import Writing

logger = logging.getLogger("quillkeep.content")
BATCH = 100


def rebuild_later(collection_id: UUID, reason: str) -> Rebuild:
    """Note that the documents of a collection have to be made again. The worker does it after the commit."""
    live = DraftDocument.objects.filter(collection_id=collection_id, published_number__isnull=False)
    return Rebuild.objects.create(
        collection_id=collection_id, reason=reason, total=live.values("entry_id").distinct().count()
    )


def reseal_later(collection_id: UUID, reason: str) -> Rebuild:
    """Note that versions, drafts and documents have to be sealed or opened as the schema says now."""
    entries = Entry.objects.filter(collection_id=collection_id)
    return Rebuild.objects.create(
        collection_id=collection_id, reason=reason, reseals=True, total=entries.count()
    )


def name_drafts(collection: CollectionSpec) -> None:
    """Call drafts by the field that names them now; the one that did before may be hidden from who sees this one."""
    title = collection.title_field
    text = Coalesce(
        KeyTextTransform(str(title.id) if title else "", "sealed"), Value(""), output_field=TextField()
    )
    DraftDocument.objects.filter(collection_id=collection.id).update(
        title=Left(text, documents.MAX_TITLE) if title else ""
    )


def work_through() -> int:
    """Do all rebuilds that wait; returns how many entries were made again."""
    made = 0
    while (count := _batch()) is not None:
        made += count
    return made


def _make_again(entry: Entry, writing: Writing, *, reseals: bool) -> int:
    """Write an entry's documents anew, with its versions and drafts where those are resealed; returns how many were."""
    replaced = 0
    if reseals:
        replaced = reseal(entry, writing.collection, writing.schema)
        write_drafts(entry, entry.versions.get(number=entry.latest_number), writing)
    write_documents(entry, writing.collection, writing)
    return replaced


def _open_fields(done: Rebuild) -> None:
    """Let fields be found by again, now that none of their values is sealed any more."""
    others = Rebuild.objects.filter(collection_id=done.collection_id, reseals=True)
    if others.exclude(state=Rebuild.State.DONE).exists():
        return
    Field.objects.filter(collection_id=done.collection_id, is_sealed=True).update(is_sealed=False)
    indexing.plan(done.collection_id)
    name_drafts(schema.read().by_id[done.collection_id])
    Generation.objects.bump(schema.GENERATION)


@transaction.atomic
def _batch() -> int | None:
    """Do one batch of the oldest rebuild; None when there is nothing to do."""
    waiting = Rebuild.objects.exclude(state=Rebuild.State.DONE).order_by("created_at")
    rebuild = waiting.select_for_update(skip_locked=True).first()
    if rebuild is None:
        return None
    present = schema.current()
    writing = Writing(present, present.by_id[rebuild.collection_id], system("rebuild"))
    entries = Entry.objects.filter(collection_id=rebuild.collection_id).order_by("pk")
    if not rebuild.reseals:
        live = DraftDocument.objects.filter(
            collection_id=rebuild.collection_id, published_number__isnull=False
        )
        entries = entries.filter(pk__in=live.values("entry_id"))
    if rebuild.last_entry is not None:
        entries = entries.filter(pk__gt=rebuild.last_entry)
    batch = list(entries.select_for_update()[:BATCH])
    replaced = 0
    for entry in batch:
        try:
            with transaction.atomic():
                replaced += _make_again(entry, writing, reseals=rebuild.reseals)
        except KeyRingError:  # its key is gone from the ring: the others don't wait for that
            logger.exception("The sealed values of entry %s can't be opened; it stays as it is.", entry.pk)
    rebuild.state = Rebuild.State.RUNNING if len(batch) == BATCH else Rebuild.State.DONE
    rebuild.done += len(batch)
    if batch:
        rebuild.last_entry = batch[-1].pk
    rebuild.save(update_fields=["state", "done", "last_entry"])
    if replaced:
        record(
            "versions.resealed",
            actor=writing.by,
            subject=Subject("collection", str(rebuild.collection_id), rebuild.collection_id),
            detail={"entries": len(batch), "versions": replaced, "until": str(batch[-1].pk)},
        )
    if rebuild.reseals and rebuild.state == Rebuild.State.DONE:
        _open_fields(rebuild)
    Generation.objects.bump(f"content:{rebuild.collection_id}")
    return len(batch)
