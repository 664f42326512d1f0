"""Erasing what was kept long enough, by what its collection says: every version goes, and the key of its values."""

import logging
import time
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from accounts.access import system
from accounts.errors import DomainError, NotFoundError
from content import editing, schema
from content.models import DraftDocument, Entry, Version
from content.schema import CollectionSpec, Retention
from content.writing import Writing, lock

logger = logging.getLogger("quillkeep.content")

BATCH: Final = 200
ROUND: Final = 240.0  # seconds, after which the next run goes on
WORDS: Final = {
    "created": "it was created",
    "updated": "it was last saved",
    "trashed": "it was moved to the trash",
}


def due(collection: CollectionSpec, retention: Retention) -> Q:
    """Return the entries of a collection that were kept long enough by now."""
    before = timezone.now() - timedelta(days=retention.after_days)
    mine = Q(collection_id=collection.id)
    if retention.of == "trashed":
        return mine & Q(trashed_at__lt=before)
    if retention.of == "created":
        return mine & Q(created_at__lt=before)
    later = DraftDocument.objects.filter(entry=OuterRef("pk"), updated_at__gte=before)
    return mine & Q(created_at__lt=before) & ~Q(Exists(later))


def due_at(entry: Entry, latest: Version, retention: Retention | None) -> datetime | None:
    """Return when an entry is erased as things stand, None for never."""
    if retention is None:
        return None
    since = {"created": entry.created_at, "updated": latest.created_at, "trashed": entry.trashed_at}
    start = since[retention.of]
    return start + timedelta(days=retention.after_days) if start is not None else None


def erase_due() -> int:
    """Erase what is due, each entry in a transaction of its own; returns how many went. Referrers don't keep it.

    An entry that can't be erased keeps no other: it is told to the log of the server, and tried again the next time.
    """
    present = schema.current()
    ends_at = time.monotonic() + ROUND
    return sum(
        _erase_due_of(
            collection, collection.retention, Writing(present, collection, system("retention")), ends_at
        )
        for collection in present.collections
        if collection.retention is not None and collection.has_entries
    )


def _erase_due_of(collection: CollectionSpec, retention: Retention, writing: Writing, ends_at: float) -> int:
    erased, position = 0, None
    while time.monotonic() < ends_at:
        found = Entry.objects.filter(due(collection, retention)).order_by("pk")
        if position is not None:
            found = found.filter(pk__gt=position)
        batch = list(found.values_list("pk", flat=True)[:BATCH])
        for entry_id in batch:
            try:
                erased += _erase(entry_id, retention, writing)
            except NotFoundError:
                pass  # somebody else has erased it
            except (DomainError, DatabaseError) as error:
                if getattr(error, "code", "") == "schema-changed":
                    return erased  # of the others too: the next run reads the collection anew
                logger.exception("The entry %s is kept for too long: it can't be erased.", entry_id)
        if len(batch) < BATCH:
            break
        position = batch[-1]
    return erased


@transaction.atomic
def _erase(entry_id: UUID, retention: Retention, writing: Writing) -> int:
    """Erase an entry, unless somebody brought it back or saved it in this moment."""
    lock(entry_id, writing)
    if not Entry.objects.filter(due(writing.collection, retention), pk=entry_id).exists():
        return 0
    editing.purge(entry_id, writing=writing, confirm=True)
    return 1
