"""Publishing makes documents: a version is resolved once, and one document is written for each configured locale."""

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.access import Action, Principal
from accounts.canonical import Json
from accounts.errors import (
    EntryIncompleteError,
    InvalidInputError,
    NotFoundError,
    Problem,
    StaleVersionError,
    placed,
)
from accounts.log import record
from accounts.models import Generation
from content import documents, fields, witnesses
from content.conditions import asked_for
from content.fields.base import FieldError
from content.models import DraftDocument, Entry, PublishedDocument, PublishedSearch, Reference
from content.schema import CollectionSpec
from content.sealing import sealed_values
from content.witnesses import Vanishing
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
def publish_together(
    entry_id: UUID, others: Mapping[UUID, Writing], *, writing: Writing, locales: AnyOf[str], base: int
) -> None:
    """Publish an entry and others that it refers to: all of them or none. `base` is the version that was looked at.

    The others become public in those of the locales that they have content in, else in all of theirs. Raises what
    `publish` raises, and `StaleVersionError` when somebody has saved the entry since.
    """
    work = {**others, entry_id: writing}
    for name in sorted(
        work
    ):  # in the order of ids, so that two who publish the same can't wait for each other
        if name == entry_id:
            publish(name, writing=writing, locales=locales, base=base)
            continue
        present = set(DraftDocument.objects.filter(entry=name).values_list("locale", flat=True))
        publish(name, writing=work[name], locales=sorted(present & set(locales)) or None)


@transaction.atomic
def publish(
    entry_id: object, *, writing: Writing, locales: AnyOf[str] | None = None, base: int | None = None
) -> Entry:
    """Make the newest version public in these locales (default: all that have content).

    Raises `EntryIncompleteError` with everything that is missing, each with its field; then nothing has changed. With
    a `base`, raises `StaleVersionError` when the newest version is another one, so that nobody publishes unseen text.
    """
    collection = writing.collection
    entry = lock(entry_id, writing)
    require_seen(entry, Action.PUBLISH, writing)
    if base is not None and base != entry.latest_number:
        raise StaleVersionError(entry_id=entry.pk)
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
    drafts = list(DraftDocument.objects.filter(entry=entry, locale__in=chosen))
    if all(
        draft.status == DraftDocument.Status.PUBLISHED and draft.published_number == version.number
        for draft in drafts
    ):
        return entry  # a second click: what is public as it stands stays so, silently
    now = timezone.now()
    for draft in drafts:
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
    """Take the entry back from the public in these locales (default: all). What is not public stays so, silently."""
    entry = lock(entry_id, writing)
    require_seen(entry, Action.UNPUBLISH, writing)
    live = list(
        DraftDocument.objects.filter(entry=entry, published_number__isnull=False).values_list(
            "locale", flat=True
        )
    )
    known = DraftDocument.objects.filter(entry=entry).values_list("locale", flat=True)
    chosen = [locale for locale in _chosen(list(known), locales, writing) if locale in live]
    require_rows(entry, Action.UNPUBLISH, writing, chosen)
    withdraw(entry, chosen, writing)
    return entry


def withdraw(entry: Entry, locales: Iterable[str], writing: Writing) -> None:
    """Unpublish without asking: for those who have asked already (unpublish, trash). Needs the entry's lock."""
    chosen = list(locales)
    if not chosen:
        return
    witnesses.call(Vanishing(writing.collection, entry.pk, tuple(chosen)))
    drafts = DraftDocument.objects.filter(entry=entry, locale__in=chosen)
    public = dict(drafts.values_list("locale", "published_number"))
    drafts.update(
        status=DraftDocument.Status.DRAFT, published_number=None, published_at=None, last_published_at=None
    )
    write_documents(entry, writing.collection, writing)
    for (
        locale
    ) in chosen:  # each of the version that was public: the newest may be a draft that nobody was to know of
        _record("entry.unpublished", entry, [locale], writing.by, {"version": public[locale]})
    Generation.objects.bump(f"content:{writing.collection.id}")


def missing(
    collection: CollectionSpec, values: Mapping[str, Json], writing: Writing, locale: str, locales: AnyOf[str]
) -> list[Problem]:
    """Return everything that keeps these values from being published, each with its field."""
    problems: list[Problem] = []
    asked = asked_for(collection.fields, values)
    for spec in collection.fields:
        if spec.id not in asked:
            continue
        field_type = fields.get(spec.type)
        value = values.get(str(spec.id), spec.default)
        found = field_type.missing(value, spec, writing)
        if value is not None:
            try:  # the schema may have become stricter since this was written
                field_type.clean(value, spec, writing.unrestricted)
            except FieldError as error:
                found = [*found, *error.problems]
        problems += placed(found, spec.key)
    if len(locales) < 2:
        return problems
    return [Problem(item.code, f"{item.detail} ({locale})", item.pointer) for item in problems]


def write_documents(entry: Entry, collection: CollectionSpec, writing: Writing) -> None:
    """Write the published documents of an entry anew, from the versions that its drafts name as published."""
    schema = writing.schema
    PublishedSearch.objects.filter(document__entry=entry).delete()
    PublishedDocument.objects.filter(entry=entry).delete()
    Reference.objects.filter(source=entry, published=True).delete()
    live = {
        draft.locale: draft
        for draft in DraftDocument.objects.filter(entry=entry, published_number__isnull=False)
    }
    if not live or entry.trashed_at is not None:
        return
    numbers = {draft.published_number or 0 for draft in live.values()}
    data = {version.number: version.data for version in entry.versions.filter(number__in=numbers)}
    resolved = {
        locale: documents.resolve(
            collection, documents.in_locale(data[draft.published_number or 0], locale), schema
        )
        for locale, draft in live.items()
    }
    sealed = {locale: sealed_values(values, entry, collection, schema) for locale, values in resolved.items()}
    rows: list[PublishedDocument] = []
    readers = schema.locales if collection.localized else (schema.default_locale,)
    for locale in readers:
        source = next((code for code in locale.chain if code in live), None)
        if source is None:
            continue
        draft = live[source]
        targets = {target for _, target in documents.references(collection.fields, resolved[source], schema)}
        rows.append(
            PublishedDocument(
                entry=entry,
                collection_id=collection.id,
                locale=locale.code,
                content_locale=source,
                version_number=draft.published_number or 0,
                sealed=sealed[source],
                refs=sorted(targets),
                created_by=draft.created_by,
                published_at=draft.published_at,
                updated_at=draft.last_published_at or draft.updated_at,
            )
        )
    PublishedDocument.objects.bulk_create(rows)
    PublishedSearch.objects.bulk_create(
        PublishedSearch(document=row, field_id=field_id, vector=vector)
        for row in rows
        for field_id, vector in documents.words(
            collection, resolved[row.content_locale], schema, row.content_locale
        )
    )
    writing.note_references(entry, {code: resolved[code] for code in live}, published=True)


def _shown(problems: Iterable[Problem], keys: AnyOf[str]) -> list[Problem]:
    """Return the problems as they may be told: those of hidden fields as one, without a name."""
    listed = list(problems)
    told = [problem for problem in listed if (problem.pointer or "").split("/")[1] in keys]
    if len(told) < len(listed):
        told.append(
            Problem.at((), "hidden-field", "A field that you can't see keeps this from being published.")
        )
    return told


def _chosen(present: list[str], locales: AnyOf[str] | None, writing: Writing) -> list[str]:
    if locales is None:
        return present
    known = writing.schema.locale_by_code
    problems = [
        Problem.at(
            ("locales", index),
            "unknown-locale" if locale not in known else "no-content",
            "There is no such locale." if locale not in known else "The entry has no content in this locale.",
        )
        for index, locale in enumerate(locales)
        if locale not in present
    ]
    if problems:
        raise InvalidInputError(errors=problems)
    return sorted(set(locales))


def _record(
    event: str, entry: Entry, locales: Iterable[str], by: Principal, detail: Mapping[str, Json]
) -> None:
    for locale in locales:
        record(event, actor=by, subject=subject_of(entry), locale=locale, detail=dict(detail))
