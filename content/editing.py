"""Editing: each save makes an immutable version and brings the working state up to date, in one transaction."""

import json
from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import transaction
from django.db.models import Case, When
from django.utils import timezone

from accounts.access import Action, Clause
from accounts.canonical import Json
from accounts.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PreconditionRequiredError,
    Problem,
    StaleVersionError,
)
from accounts.log import record
from content import documents, fields, witnesses
from content.documents import SHARED, VersionData
from content.fields.base import FieldError, FieldSpec
from content.fields.slug import MAX_SLUG, SlugField, SlugOptions
from content.models import Collection, DraftDocument, DraftSearch, Entry, Reference, Version
from content.publishing import withdraw
from content.rows import flag, rows_of
from content.schema import CollectionSpec, Schema
from content.sealing import sealed_values, sealed_version
from content.witnesses import Vanishing
from content.writing import (
    Writing,
    allowed_fields,
    clauses_for,
    hold_schema,
    lock,
    require_rows,
    subject_of,
)

MAX_MESSAGE = 300
MAX_SLUG_TRIES = 50
MAX_REFERRERS = 50


@transaction.atomic
def create(
    values: Mapping[str, object],
    *,
    writing: Writing,
    locale: str | None = None,
    message: str = "",
    entry_id: UUID | None = None,
) -> Entry:
    """Create an entry with its first version. `values` are inputs by field key.

    Raises `InvalidInputError` naming each field, `NotAllowedError` for a field that may be read but not written.
    """
    collection = writing.collection
    grant = writing.by.require(Action.CREATE, on=collection.resource)
    hold_schema(writing)
    if collection.kind == Collection.Kind.SINGLE:
        Collection.objects.select_for_update().get(pk=collection.id)
        if Entry.objects.filter(collection_id=collection.id, trashed_at=None).exists():
            raise ConflictError("A single has one entry, and it exists already.")
    locale = content_locale(writing, locale)
    writable = {spec for clause in grant.clauses for spec in allowed_fields([clause], collection)}
    cleaned = clean(values, writing, writable=writable)
    for clause in grant.clauses:
        for field_id, preset in clause.presets:
            spec = collection.by_id.get(field_id)
            if spec is not None and cleaned.get(spec) is None:
                cleaned |= clean({spec.key: json.loads(preset)}, writing, writable={spec})
    for spec in collection.fields:
        if spec not in cleaned and spec.default is not None:
            cleaned[spec] = spec.default
    new = Entry(collection_id=collection.id, created_by_id=writing.by.user_id)
    if entry_id is not None:
        new.pk = entry_id
    new.save(force_insert=True)
    data = merged({SHARED: {}, locale: {}}, cleaned, locale, writing)
    save_version(new, data, writing=writing, message=message)
    _authorise_result(new, Action.CREATE, writing, locale, [collection.by_key[key] for key in values])
    record(
        "entry.created", actor=writing.by, subject=subject_of(new), locale=locale, detail=_named(cleaned, 1)
    )
    return new


@transaction.atomic
def save(
    entry_id: object,
    values: Mapping[str, object],
    *,
    writing: Writing,
    base: int | None,
    locale: str | None = None,
    message: str = "",
) -> Entry:
    """Save changed fields as a new version. `base` is the version that the writer started from.

    Raises `PreconditionRequiredError` without a base and `StaleVersionError` for an old one; nothing is overwritten.
    A save that changes nothing makes no version, unless it wrote what the writer may not read: that would be a guess.
    """
    collection = writing.collection
    locale = content_locale(writing, locale)
    entry = lock(entry_id, writing)
    held = require_rows(entry, Action.UPDATE, writing, [locale])
    if entry.trashed_at is not None:
        raise ConflictError("The entry is in the trash. Restore it first.")
    require_base(entry, base)
    cleaned = clean(values, writing, writable=allowed_fields(held, collection))
    shared = {spec for spec in cleaned if place_of(spec, collection, locale) == SHARED}
    if not shared <= allowed_fields(clauses_for(entry, Action.UPDATE, writing, []), collection):
        raise NotAllowedError("These values are the same in every locale, and you may not write them in all.")
    latest = entry.versions.get(number=entry.latest_number)
    data = merged(latest.data, cleaned, locale, writing, entry)
    unseen = _written_unseen(entry, writing, locale)
    blindly = _touched_by(unseen & cleaned.keys(), entry, locale, writing) if unseen else None
    if data == latest.data and not blindly:
        return entry
    version = save_version(entry, data, writing=writing, message=message, blindly=blindly)
    _authorise_result(entry, Action.UPDATE, writing, locale, [collection.by_key[key] for key in values])
    record(
        "entry.updated",
        actor=writing.by,
        subject=subject_of(entry),
        locale=locale,
        detail=_named(cleaned, version.number),
    )
    return entry


@transaction.atomic
def restore_version(
    entry_id: object,
    number: int,
    *,
    writing: Writing,
    base: int | None,
    message: str = "",
    only: tuple[FieldSpec, str] | None = None,
) -> Entry:
    """Make an old version's content the newest version again, or `only` one field of it in one locale.

    Fields that are gone from the schema stay gone. What the principal may neither read nor write stays as it is:
    refusing would tell whether that version differs in it.
    """
    collection = writing.collection
    entry = lock(entry_id, writing)
    held = require_rows(entry, Action.RESTORE, writing, [])
    if entry.trashed_at is not None:
        raise ConflictError("The entry is in the trash. Restore it first.")
    require_base(entry, base)
    old = entry.versions.filter(number=number).first()
    if old is None:
        raise NotFoundError
    latest = entry.versions.get(number=entry.latest_number)
    data = documents.placed(collection, old.data, writing.schema)
    present = documents.placed(collection, latest.data, writing.schema)
    if only is not None:
        data = _with_one(present, data, only[0], place_of(only[0], collection, only[1]))
    readable = allowed_fields(clauses_for(entry, Action.READ_DRAFT, writing, []), collection)
    for spec in set(collection.fields) - readable - allowed_fields(held, collection):
        for place in data:
            data = _with_one(data, present, spec, place)
    hidden = _written_unseen(entry, writing, None)
    unseen = hidden & allowed_fields(held, collection) & ({only[0]} if only else hidden)
    blindly = {*documents.locales_of(data), *documents.locales_of(present)} if unseen else None
    if hidden and blindly is None:
        blindly = set()
    if data == present and not blindly:
        return entry
    changed = [spec for spec in collection.fields if spec in unseen or any(
        data.get(locale, {}).get(str(spec.id)) != present.get(locale, {}).get(str(spec.id))
        for locale in {*data, *present}
    )]  # fmt: skip
    if not set(changed) <= allowed_fields(held, collection):
        raise NotAllowedError("That version differs in fields that you may not write.")
    version = save_version(
        entry,
        data,
        writing=writing,
        # It names no field: whoever reads the history may not know of it. The time line names it to who may.
        message=message
        or (f"A field of version {number} restored" if only else f"Version {number} restored"),
        blindly=blindly,
    )
    _authorise_result(entry, Action.RESTORE, writing, None, changed)
    for locale in documents.locales_of(data):
        keys: list[Json] = [spec.key for spec in changed]
        detail: dict[str, Json] = {
            "version": version.number,
            "restored_version": number,
            "fields": keys,
        }
        record("entry.updated", actor=writing.by, subject=subject_of(entry), locale=locale, detail=detail)
    return entry


def _written_unseen(entry: Entry, writing: Writing, locale: str | None) -> set[FieldSpec]:
    """Return the personal and secret fields that the principal may write and not read in a locale (None: in all).

    Of others the same is told to everybody: an account that may only write sends the same twice, and makes no version.
    """
    locales = [locale] if locale is not None else []
    seen = allowed_fields(clauses_for(entry, Action.READ_DRAFT, writing, locales), writing.collection)
    rights = (Action.UPDATE, Action.RESTORE)
    written = [clause for right in rights for clause in writing.by.grant(right, on=entry.resource).clauses]
    return {spec for spec in allowed_fields(written, writing.collection) - seen if spec.is_sensitive}


def _touched_by(specs: Iterable[FieldSpec], entry: Entry, locale: str, writing: Writing) -> set[str]:
    """Return the locales whose drafts show what is written into these fields of one locale."""
    places = {place_of(spec, writing.collection, locale) for spec in specs}
    if SHARED not in places:
        return places
    return {locale, *DraftDocument.objects.filter(entry=entry).values_list("locale", flat=True)}


def _with_one(present: VersionData, old: VersionData, spec: FieldSpec, place: str) -> VersionData:
    """Return the present data with one value put back as it was."""
    result: VersionData = {key: dict(values) for key, values in present.items()}
    values = result.setdefault(place, {})
    value = old.get(place, {}).get(str(spec.id))
    values.pop(str(spec.id), None)
    if value is not None:
        values[str(spec.id)] = value
    return result


@transaction.atomic
def trash(entry_id: object, *, writing: Writing, confirm: bool = False) -> Entry:
    """Move an entry to the trash; what is public of it is withdrawn.

    Raises `ConflictError` with the visible referrers when others refer to it, unless confirmed.
    """
    entry = lock(entry_id, writing)
    require_rows(entry, Action.DELETE, writing, [])
    if entry.trashed_at is not None:
        return entry
    if not confirm:
        refuse_if_referred_to(entry, writing)
    live = DraftDocument.objects.filter(entry=entry, published_number__isnull=False).values_list(
        "locale", flat=True
    )
    withdraw(entry, list(live), writing)
    entry.trashed_at = timezone.now()
    entry.save(update_fields=["trashed_at"])
    DraftDocument.objects.filter(entry=entry).update(trashed=True)
    _record_each("entry.trashed", entry, writing)
    return entry


@transaction.atomic
def restore(entry_id: object, *, writing: Writing) -> Entry:
    """Take an entry out of the trash, as a draft."""
    entry = lock(entry_id, writing)
    require_rows(entry, Action.RESTORE, writing, [])
    if entry.trashed_at is None:
        return entry
    if writing.collection.kind == Collection.Kind.SINGLE:
        others = Entry.objects.filter(collection_id=writing.collection.id, trashed_at=None)
        if others.exclude(pk=entry.pk).exists():
            raise ConflictError("A single has one entry, and it exists already.")
    entry.trashed_at = None
    entry.save(update_fields=["trashed_at"])
    DraftDocument.objects.filter(entry=entry).update(trashed=False)
    _record_each("entry.restored", entry, writing)
    return entry


@transaction.atomic
def purge(entry_id: object, *, writing: Writing, confirm: bool = False) -> None:
    """Erase an entry with every version. Cannot be undone; only the log knows that it was there."""
    entry = lock(entry_id, writing)
    require_rows(entry, Action.PURGE, writing, [])
    if not confirm:
        refuse_if_referred_to(entry, writing)
    drafts = DraftDocument.objects.filter(entry=entry)
    every = tuple(drafts.values_list("locale", flat=True))
    witnesses.call(Vanishing(writing.collection, entry.pk, every, is_erased=True))
    live = drafts.filter(published_number__isnull=False).values_list("locale", flat=True)
    withdraw(entry, list(live), writing)
    _record_each("entry.deleted", entry, writing)
    entry.delete()


def refuse_if_referred_to(entry: Entry, writing: Writing) -> None:
    """Raise `ConflictError` that says who refers to the entry, by fields that the principal may read there."""
    found = Entry.objects.filter(references__target=entry, trashed_at=None).exclude(pk=entry.pk)
    if not found.exists():
        return
    sources = found.annotate(by_fields=ArrayAgg("references__field_id"))
    shown: list[Json] = []
    default = writing.schema.default_locale.code
    for source in sources.order_by("pk").iterator(chunk_size=200):
        if len(shown) == MAX_REFERRERS:
            break
        spec = writing.schema.by_id[source.collection_id]
        grant = writing.by.grant(Action.READ_DRAFT, on=spec.resource)
        by = [spec.by_id[field_id] for field_id in source.by_fields if field_id in spec.by_id]
        told = {clause: None for item in by for clause in grant.holding(item)}
        titled = rows_of(grant.holding(spec.title_field) if spec.title_field else (), spec)
        drafts = DraftDocument.objects.filter(rows_of(tuple(told), spec), entry=source).order_by(
            Case(When(locale=default, then=0), default=1), "locale"
        )
        draft = drafts.annotate(is_titled=flag(titled)).values("title", "is_titled").first()
        if draft is not None:
            title = draft["title"] if draft["is_titled"] else ""
            shown.append({"_id": str(source.pk), "_collection": spec.key, "title": title})
    raise ConflictError(
        "Other entries refer to this one. Change them first, or confirm.",
        code="referenced",
        referrers=shown,
    )


def content_locale(writing: Writing, locale: str | None) -> str:
    """Return the locale to write in; an unknown one is refused, another than the default where nothing is localized."""
    default = writing.schema.default_locale.code
    if locale is None:
        return default
    if locale not in writing.schema.locale_by_code:
        raise InvalidInputError(
            errors=[Problem.at(("locale",), "unknown-locale", "There is no such locale.")]
        )
    if not writing.collection.localized and locale != default:
        raise InvalidInputError(
            errors=[
                Problem.at(
                    ("locale",),
                    "not-localized",
                    f"This collection is not localized; leave it out, or use {default}.",
                )
            ]
        )
    return locale


def require_base(entry: Entry, base: int | None) -> None:
    """Compare the version that the writer started from with the newest one."""
    if base is None:
        raise PreconditionRequiredError
    if base != entry.latest_number:
        raise StaleVersionError(entry_id=entry.pk)


def clean(
    values: Mapping[str, object], writing: Writing, *, writable: set[FieldSpec]
) -> dict[FieldSpec, Json]:
    """Return canonical values by field, or raise with every fault. What may not be read does not exist."""
    problems: list[Problem] = []
    cleaned: dict[FieldSpec, Json] = {}
    readable = {
        spec
        for action in (Action.READ_DRAFT, Action.READ)
        for spec in writing.collection.fields
        if writing.by.grant(action, on=writing.collection.resource).allows(spec)
    }
    for key, value in values.items():
        spec = writing.collection.by_key.get(key)
        if spec is None or (spec not in writable and spec not in readable):
            problems.append(Problem.at((key,), "unknown-field", "There is no such field."))
        elif spec not in writable:
            raise NotAllowedError(
                "You may not write this field.",
                errors=[Problem.at((key,), "not-allowed", "You may not write this field.")],
            )
        else:
            try:
                cleaned[spec] = fields.get(spec.type).clean(value, spec, writing)
            except FieldError as error:
                problems += error.under(key).problems
    if problems:
        raise InvalidInputError(errors=problems)
    return cleaned


def merged(
    data: VersionData,
    cleaned: Mapping[FieldSpec, Json],
    locale: str,
    writing: Writing,
    entry: Entry | None = None,
) -> VersionData:
    """Return a version's data with these values put in, and slugs made where there are none yet."""
    result: VersionData = {key: dict(values) for key, values in data.items()}
    result.setdefault(SHARED, {})
    result.setdefault(locale, {})
    for spec, value in cleaned.items():
        place = result[place_of(spec, writing.collection, locale)]
        if value is None:
            place.pop(str(spec.id), None)
        else:
            place[str(spec.id)] = value
    for spec in writing.collection.fields:
        if spec.type == "slug":
            _fill_slug(spec, result, locale, writing, entry)
    return result


def place_of(spec: FieldSpec, collection: CollectionSpec, locale: str) -> str:
    """Return under which key of a version's data a field's value stands."""
    return locale if spec.localized and collection.localized else SHARED


def _fill_slug(
    spec: FieldSpec, data: VersionData, locale: str, writing: Writing, entry: Entry | None
) -> None:
    """Make a slug from its source field when it is empty, free of what others have claimed."""
    place = place_of(spec, writing.collection, locale)
    slug_type = fields.get("slug")
    if data[place].get(str(spec.id)) is not None or not isinstance(slug_type, SlugField):
        return
    source = writing.collection.by_key.get(slug_type.options(spec).from_key or "")
    if source is None or source.is_sensitive:
        return
    text = data[place_of(source, writing.collection, locale)].get(str(source.id))
    base = slug_type.suggest(fields.get(source.type).as_text(text), spec)
    if base is None:
        return
    found = free_slug(base, spec, place, writing, entry)
    if found is not None:
        data[place][str(spec.id)] = found


def free_slug(base: str, spec: FieldSpec, place: str, writing: Writing, entry: Entry | None) -> str | None:
    """Return the slug, with a number behind it where other entries have claimed it; None when too many have."""
    options = spec.options
    high = options.max_length if isinstance(options, SlugOptions) else MAX_SLUG
    base = base[: high - 4].rstrip("-")
    for number in range(1, MAX_SLUG_TRIES):
        candidate = base if number == 1 else f"{base}-{number}"
        if not writing.taken([(spec.id, place, documents.digest_of(candidate))], entry):
            return candidate
    return None


def save_version(
    entry: Entry,
    data: VersionData,
    *,
    writing: Writing,
    message: str = "",
    blindly: AnyOf[str] | None = None,
) -> Version:
    """Insert the next version and bring drafts, references and claims up to date. Needs the entry's lock.

    `blindly`: as in `write_drafts`.
    """
    if len(message) > MAX_MESSAGE:
        raise InvalidInputError(
            errors=[Problem.at(("message",), "max-length", f"At most {MAX_MESSAGE} characters.")]
        )
    number = entry.latest_number + 1
    sealed = sealed_version(data, entry, writing.collection, writing.schema)
    version = Version.objects.create(
        entry=entry,
        number=number,
        sealed=sealed,
        author_id=writing.by.user_id,
        author_label=writing.by.label[:200],
        message=message,
        sha256=documents.hash_of_version(entry.pk, number, sealed),
        created_at=timezone.now(),  # by the clock that the log's events are dated by: people see both in one line
    )
    entry.latest_number = number
    Entry.objects.filter(pk=entry.pk).update(latest_number=number)
    write_drafts(entry, version, writing, blindly=blindly)
    return version


def write_drafts(
    entry: Entry, version: Version, writing: Writing, *, blindly: AnyOf[str] | None = None
) -> None:
    """Bring the working state of every locale in line with the newest version; what stays the same costs no writing.

    `blindly`: None for a writer who may read all that they may write, else the locales in which they wrote what they
    may not read. Those count as changed, and what counted so before still does: that it is again just what is public,
    or was there, would confirm a guess.
    """
    collection, schema = writing.collection, writing.schema
    existing = {draft.locale: draft for draft in DraftDocument.objects.filter(entry=entry)}
    for draft in existing.values():
        draft.entry = entry  # its key is known
    numbers = {draft.published_number for draft in existing.values() if draft.published_number is not None}
    published = {old.number: old for old in entry.versions.filter(number__in=numbers)}
    writing.claim_unique_values(entry, [version, *published.values()])
    newest, public = version.data, {old.number: old.data for old in published.values()}
    plain: dict[str, dict[str, Json]] = {}  # the values of each draft by locale
    present = version.locales
    now = timezone.now()
    same: list[DraftDocument] = []
    changed: list[DraftDocument] = []
    new: list[DraftDocument] = []
    for locale in sorted({*present, *existing}):
        values = _without_gone(documents.in_locale(newest, locale), collection, schema)
        draft = existing.get(locale) or DraftDocument(
            entry=entry,
            collection_id=collection.id,
            locale=locale,
            content_locale=locale,
            created_by=entry.created_by_id,
        )
        if locale not in present and draft.published_number is None:
            continue
        sealed = sealed_values(values, entry, collection, schema)
        before = (draft.sealed, draft.title, draft.refs, draft.status)
        is_told = locale not in (blindly or ())
        if locale not in existing or not is_told or (draft.sealed != sealed and draft.data != values):
            draft.updated_at = now
        draft.sealed, plain[locale] = sealed, values
        draft.version_number = version.number
        draft.title = documents.title_of(collection, values)
        draft.refs = sorted({target for _, target in documents.references(collection.fields, values, schema)})
        if draft.published_number is not None:
            shown = documents.in_locale(public[draft.published_number], locale)
            is_same = _without_gone(shown, collection, schema) == values
            if blindly is not None:
                is_same = is_same and is_told and draft.status == DraftDocument.Status.PUBLISHED
            draft.status = DraftDocument.Status.PUBLISHED if is_same else DraftDocument.Status.CHANGED
        if locale not in existing:
            new.append(draft)
        else:
            after = (draft.sealed, draft.title, draft.refs, draft.status)
            (same if before == after and is_told else changed).append(draft)
    drafts = [*same, *changed, *new]
    unchanged = DraftDocument.objects.filter(pk__in=[draft.pk for draft in same])
    DraftSearch.objects.filter(document__entry=entry).exclude(document__in=unchanged).delete()
    DraftDocument.objects.filter(entry=entry).exclude(
        pk__in=[draft.pk for draft in drafts if draft.pk]
    ).delete()
    columns = ["sealed", "version_number", "title", "refs", "status", "updated_at"]
    unchanged.update(version_number=version.number)
    DraftDocument.objects.bulk_update(changed, columns)
    DraftDocument.objects.bulk_create(new)
    DraftSearch.objects.bulk_create(
        DraftSearch(document=draft, field_id=field_id, vector=vector)
        for draft in (*changed, *new)
        for field_id, vector in documents.words(
            collection, documents.resolve(collection, plain[draft.locale], schema), schema, draft.locale
        )
    )
    Reference.objects.filter(source=entry, published=False).delete()
    writing.note_references(entry, {draft.locale: plain[draft.locale] for draft in drafts}, published=False)


def _without_gone(values: Mapping[str, Json], collection: CollectionSpec, schema: Schema) -> dict[str, Json]:
    """Return values without what was written into sensitive parts that are gone: only old versions keep that."""
    if not schema.gone_sensitive:
        return dict(values)
    kept = dict(values)
    for spec in collection.fields:
        value = kept.get(str(spec.id))
        if value is not None and (pruned := fields.get(spec.type).prune(value, spec, schema)) != value:
            kept[str(spec.id)] = pruned
    return {key: value for key, value in kept.items() if value is not None}


def _authorise_result(
    entry: Entry, action: Action, writing: Writing, locale: str | None, written: list[FieldSpec]
) -> None:
    """Ask again about what the entry has become: a write may not carry a row out of, or into, other rights."""
    held: tuple[Clause, ...] = clauses_for(entry, action, writing, [locale] if locale else [])
    if not held or not set(written) <= allowed_fields(held, writing.collection):
        raise NotAllowedError("You may not save the entry with these values.")


def _named(cleaned: Mapping[FieldSpec, Json], number: int) -> dict[str, Json]:
    keys: list[Json] = [*sorted(spec.key for spec in cleaned)]
    return {"version": number, "fields": keys}


def _record_each(event: str, entry: Entry, writing: Writing) -> None:
    locales = DraftDocument.objects.filter(entry=entry).order_by("locale").values_list("locale", flat=True)
    for locale in locales:
        detail: dict[str, Json] = {"version": entry.latest_number}
        record(event, actor=writing.by, subject=subject_of(entry), locale=locale, detail=detail)
