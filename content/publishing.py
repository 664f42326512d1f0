"""Publishing makes documents: a version is resolved once, and one document is written for each configured locale."""

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping

from django.db import transaction
from django.utils import timezone

from accounts.access import Action, Principal
from accounts.canonical import Json
from accounts.errors import EntryIncompleteError, InvalidInputError, NotFoundError, Problem
from accounts.log import record
from accounts.models import Generation
from content import documents, fields
from content.conditions import asked_for
from content.fields.base import FieldError, moved
from content.models import DraftDocument, Entry, PublishedDocument, PublishedSearch, Reference, Version
from content.schema import CollectionSpec
from content.writing import (
    Writing,
    allowed_fields,
    clauses_for,
    lock,
    require_rows,
    require_seen,
    subject_of,
)


@transaction.atomic
def publish(entry_id: object, *, writing: Writing, locales: AnyOf[str] | None = None) -> Entry:
    """Make the newest version public in these locales (default: all that have content).

    Raises `EntryIncompleteError` with everything that is missing, each with its field; then nothing has changed.
    """
    collection = writing.collection
    entry = lock(entry_id, writing)
    require_seen(entry, Action.PUBLISH, writing)
    version = entry.versions.get(number=entry.latest_number)
    chosen = _chosen(documents.locales_of(version.data), locales, writing)
    if entry.trashed_at is not None:
        raise NotFoundError
    held = require_rows(entry, Action.PUBLISH, writing, chosen)
    problems = [
        problem
        for locale in chosen
        for problem in missing(collection, documents.in_locale(version.data, locale), writing, locale, chosen)
    ]
    if problems:
        held = (*held, *clauses_for(entry, Action.READ_DRAFT, writing, chosen))
        raise EntryIncompleteError(
            errors=_shown(problems, {spec.key for spec in allowed_fields(held, collection)})
        )
    now = timezone.now()
    for draft in DraftDocument.objects.filter(entry=entry, locale__in=chosen):
        draft.status = DraftDocument.Status.PUBLISHED
        draft.published_number = version.number
        draft.published_at = draft.published_at or now
        draft.last_published_at = now
        draft.save(update_fields=["status", "published_number", "published_at", "last_published_at"])
    write_documents(entry, collection, writing)
    _record("entry.published", entry, chosen, writing.by, {"version": version.number})
    Generation.objects.bump(f"content:{collection.id}")
    return entry


@transaction.atomic
def unpublish(entry_id: object, *, writing: Writing, locales: AnyOf[str] | None = None) -> Entry:
