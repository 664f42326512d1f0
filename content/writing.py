"""What every act on entries shares: who writes what under which schema, the lock, the rows of the grant."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from accounts.access import Action, Clause, Principal, system
from accounts.canonical import Json
from accounts.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError, Problem
from accounts.log import Subject
from content import documents
from content.fields.base import FieldSpec
from content.models import DraftDocument, Entry, PublishedDocument, Reference, UniqueValue, Version
from content.rows import clause_rows, flag, rows_of
from content.schema import AsksSchema, CollectionSpec, Schema, current

_SCHEMA_LOCKS = 0x71_6B_73_63  # "qksc": the first half of every such lock


@dataclass(frozen=True)
class Writing(AsksSchema):
    """One principal's work on the entries of one collection (`content.fields.Context` for the field types)."""

    schema: Schema
    collection: CollectionSpec
    by: Principal
    _references: dict[tuple[UUID, frozenset[UUID]], str | None] = field(default_factory=dict)

    @classmethod
    def on(cls, key: str, *, by: Principal) -> Self:
        """Start work on a collection by key; one whose drafts the principal may not see does not exist."""
        schema = current()
        found = schema.by_key.get(key)
        rights = (Action.READ_DRAFT, Action.CREATE, Action.UPDATE, Action.READ)
        if (
            found is None
            or not found.has_entries
            or not any(by.grant(right, on=found.resource) for right in rights)
        ):
            raise NotFoundError
        return cls(schema, found, by)

    @property
    def unrestricted(self) -> Self:
        """The same work with the system's eyes: for checks of what is already stored."""
        return replace(self, by=system("check of stored content"), _references={})

    def reference_problem(self, entry_id: UUID, collections: frozenset[UUID]) -> str | None:
        """Return why an entry can't be referred to; the same words for a hidden and for a missing one."""
        asked = (entry_id, collections)
        if asked not in self._references:
            self._references[asked] = (
                None
                if self._can_refer_to(entry_id, collections)
                else ("There is no such entry that you can refer to here.")
            )
        return self._references[asked]

    def _can_refer_to(self, entry_id: UUID, collections: frozenset[UUID]) -> bool:
        found = Entry.objects.filter(pk=entry_id).values_list("collection_id", flat=True).first()
        if found is None or (collections and found not in collections) or found not in self.schema.by_id:
            return False
        target = self.schema.by_id[found]
        draft = rows_of(self.by.grant(Action.READ_DRAFT, on=target.resource), target)
        if DraftDocument.objects.filter(draft, entry_id=entry_id).exists():
            return True
        public = rows_of(self.by.grant(Action.READ, on=target.resource), target)
        return PublishedDocument.objects.filter(public, entry_id=entry_id).exists()

    def visible_collection_of(self, entry_id: UUID) -> str | None:
        """Return the collection's key of an entry that the principal may refer to, None for any other."""
        if self.reference_problem(entry_id, frozenset()) is not None:
            return None
        found = Entry.objects.filter(pk=entry_id).values_list("collection_id", flat=True).first()
        return self.schema.by_id[found].key if found else None

    # What follows from a version

    def note_references(
        self, entry: Entry, values: Mapping[str, Mapping[str, Json]], *, published: bool
    ) -> None:
        """Note who refers to whom; what was purged meanwhile is left out. `values` are by locale."""
        found = {
            (field_id, target, locale)
            for locale, data in values.items()
            for field_id, target in documents.references(self.collection.fields, data, self.schema)
        }
        existing = set(
            Entry.objects.filter(pk__in={target for _, target, _ in found}).values_list("pk", flat=True)
        )
        Reference.objects.bulk_create(
            Reference(source=entry, target_id=target, field_id=field_id, locale=locale, published=published)
            for field_id, target, locale in sorted(found)
            if target in existing
        )

    def claim_unique_values(self, entry: Entry, versions: Iterable[Version]) -> None:
        """Claim what must be unique in the newest version and in what is published; raise with each field otherwise."""
        wanted: set[tuple[UUID, str, str]] = set()
        for version in versions:
            wanted |= documents.claims(self.collection, version.data)
        held = {(c.field_id, c.locale, c.digest): c.pk for c in UniqueValue.objects.filter(entry=entry)}
        UniqueValue.objects.filter(pk__in=[pk for claim, pk in held.items() if claim not in wanted]).delete()
        new = sorted(wanted - held.keys())
        if not new:
            return
        try:
            with transaction.atomic():
                UniqueValue.objects.bulk_create(
                    UniqueValue(entry=entry, field_id=field_id, locale=locale, digest=digest)
                    for field_id, locale, digest in new
                )
        except IntegrityError:
            taken = self.taken(new, entry)
            raise InvalidInputError(
                errors=[
                    Problem.at((spec.key,), "not-unique", f"Another entry has this {spec.name} already.")
                    for spec in self.collection.fields
                    if spec.id in taken
                ]
            ) from None

    def taken(self, claims: Iterable[tuple[UUID, str, str]], entry: Entry | None) -> set[UUID]:
        """Return the fields whose value another entry has claimed."""
        same = Q(pk__in=[])
        for field_id, locale, digest in claims:
            same |= Q(field_id=field_id, locale=locale, digest=digest)
        others = UniqueValue.objects.filter(same)
        if entry is not None:
            others = others.exclude(entry=entry)
        return set(others.values_list("field_id", flat=True))


def subject_of(entry: Entry) -> Subject:
    """Return an entry as the log names it."""
    return Subject("entry", str(entry.pk), entry.collection_id)


def hold_schema(writing: Writing) -> None:
    """Keep the collection from being remodelled until this transaction ends, and see that it was not meanwhile.

    Writers share the lock, `content.modeling` takes it alone; so no save writes values into fields that just moved.
    """
    share_schema(writing.collection.id)
    if current().by_id.get(writing.collection.id) != writing.collection:
        raise ConflictError("The collection was changed at this moment. Try again.", code="schema-changed")


def share_schema(collection_id: UUID) -> None:
    """Keep a collection from being remodelled until this transaction ends; what it was a moment ago may be over."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", schema_lock(collection_id))


def schema_lock(collection_id: UUID) -> tuple[int, int]:
    """Return the advisory lock of a collection's schema, as PostgreSQL takes it: two signed 32-bit numbers."""
    return _SCHEMA_LOCKS, int.from_bytes(collection_id.bytes[-4:], "big", signed=True)


def lock(entry_id: object, writing: Writing) -> Entry:
    """Lock an entry of the collection, or raise `NotFoundError`; ids of other collections are missing here."""
    hold_schema(writing)
    try:
        return Entry.objects.select_for_update().get(
            pk=UUID(str(entry_id)), collection_id=writing.collection.id
        )
    except (ValueError, Entry.DoesNotExist):
        raise NotFoundError from None


def clauses_for(entry: Entry, action: Action, writing: Writing, locales: Iterable[str]) -> tuple[Clause, ...]:
    """Return the clauses of the grant that hold every one of these rows of the entry (all its rows when none is named).

    Evaluated by the database, by the same conditions as every read.
    """
    grant = writing.by.grant(action, on=entry.resource)
    if all(not clause.rows for clause in grant.clauses):
        return grant.clauses
    drafts = DraftDocument.objects.filter(entry=entry)
    chosen = set(locales)
    if chosen and drafts.filter(locale__in=chosen).exists():
        drafts = drafts.filter(locale__in=chosen)
    flags: dict[str, Any] = {
        f"_f{i}": flag(clause_rows(clause, writing.collection)) for i, clause in enumerate(grant.clauses)
    }
    rows: list[dict[str, Any]] = [dict(row) for row in drafts.values(**flags)]
    return tuple(
        clause for i, clause in enumerate(grant.clauses) if rows and all(row[f"_f{i}"] for row in rows)
    )


def require_seen(entry: Entry, action: Action, writing: Writing) -> None:
    """Refuse as missing, before a word is said, unless some row of the entry is open to the action or to reading."""
    drafts = DraftDocument.objects.filter(entry=entry)
    for right in (action, Action.READ_DRAFT):
        rows = rows_of(writing.by.grant(right, on=entry.resource), writing.collection)
        if drafts.filter(rows).exists():
            writing.by.require(action, on=entry.resource)
            return
    raise NotFoundError


def require_rows(
    entry: Entry, action: Action, writing: Writing, locales: Iterable[str]
) -> tuple[Clause, ...]:
    """Return the clauses that hold these rows, or refuse: as missing when the principal can't even see the entry."""
    held = clauses_for(entry, action, writing, locales)
    if not held:
        if not clauses_for(entry, Action.READ_DRAFT, writing, locales):
            raise NotFoundError
        raise NotAllowedError(f"You may not {action.value.replace('_', ' ')} this entry.")
    return held


def allowed_fields(clauses: Iterable[Clause], collection: CollectionSpec) -> set[FieldSpec]:
    """Return the fields that any of these clauses holds. The clauses must all hold the row that is meant."""
    chosen = tuple(clauses)
    return {spec for spec in collection.fields if any(clause.fields.allows(spec) for clause in chosen)}
