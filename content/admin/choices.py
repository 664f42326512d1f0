"""What the writer of a form may choose for references: titles of entries that they may see, and nothing of the rest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, TextField, Value
from django.db.models.fields.json import KeyTextTransform

from accounts.access import Action, Principal
from accounts.canonical import Json
from content import fields
from content.fields.base import ComponentSpec, FieldSpec
from content.models import DraftDocument, Entry, PublishedDocument
from content.rows import rows_of
from content.schema import CollectionSpec, Schema

MAX_OFFERED = 500
HIDDEN = "An entry that you can’t see"
REFERENCES = frozenset({"reference", "references"})


@dataclass
class Choices:
    """Answers what building a form asks (`content.fields.FormContext`). `present` are the values that it shows."""

    schema: Schema
    principal: Principal
    collection: CollectionSpec | None = None
    present: Mapping[str, Json] = field(default_factory=dict)
    _offered: dict[UUID, list[tuple[str, str]]] = field(default_factory=dict)
    _titles: dict[UUID, str] | None = None

    def component(self, key_or_id: str) -> ComponentSpec | None:
        return self.schema.component(key_or_id)

    def collection_id(self, key: str) -> UUID | None:
        return self.schema.collection_id(key)

    def collection_key(self, collection_id: UUID) -> str | None:
        return self.schema.collection_key(collection_id)

    def reference_choices(self, field: FieldSpec) -> Sequence[tuple[str, str]]:
        """Return (id, title) of the newest entries of the field's collections, and of what the form shows already."""
        targets = self.schema.target_collections((field,))
        found = [choice for target in sorted(targets) for choice in self._newest(target)]
        known = {entry_id for entry_id, _ in found}
        titles = self.titles()
        shown = {
            str(entry_id): titles.get(entry_id, HIDDEN)
            for entry_id in self._present_ids()
            if str(entry_id) not in known and self._is_of(field, entry_id)
        }
        return [*found, *shown.items()]

    def titles(self) -> dict[UUID, str]:
        """Return the titles of the entries that the present values refer to, as far as they may be seen."""
        if self._titles is None:
            self._titles = titles_of(self.schema, self.principal, self._present_ids())
        return self._titles

    def has_more(self, collection_id: UUID) -> bool:
        """Tell whether a collection has (or may have) more entries than are offered."""
        return len(self._offered.get(collection_id, ())) >= MAX_OFFERED

    def _newest(self, collection_id: UUID) -> list[tuple[str, str]]:
        if collection_id not in self._offered:
            collection = self.schema.by_id.get(collection_id)
            self._offered[collection_id] = (
                found_entries(self.schema, self.principal, collection, "", MAX_OFFERED) if collection else []
            )
        return self._offered[collection_id]

    def _present_ids(self) -> list[UUID]:
        return sorted(self._holders())

    def _holders(self) -> dict[UUID, set[FieldSpec]]:
        """Return the entries that the present values refer to, and the fields of the form that do."""
        found: dict[UUID, set[FieldSpec]] = {}
        for spec in self.collection.fields if self.collection else ():
            value = self.present.get(str(spec.id))
            if value is not None:
                for target in fields.get(spec.type).references(value, spec, self.schema):
                    found.setdefault(target, set()).add(spec)
        return found

    def _is_of(self, spec: FieldSpec, entry_id: UUID) -> bool:
        """Tell whether a present reference may stand in this field; one inside a component may stand in any of it."""
        holders = self._holders().get(entry_id, set())
        return spec in holders or any(holder.type not in REFERENCES for holder in holders)


def found_entries(
    schema: Schema, principal: Principal, collection: CollectionSpec, words: str, limit: int
) -> list[tuple[str, str]]:
    """Return (id, title) of entries that the principal may refer to, newest first; `words` stand in the title."""
    if words and collection.title_field is None:
        return []
    default = schema.default_locale.code
    found: dict[UUID, tuple[str, bool]] = {}
    for documents in _visible(principal, collection):
        chosen = documents.filter(_title__icontains=words) if words else documents
        rows = chosen.order_by("-updated_at", "entry_id").values_list("entry_id", "locale", "_title")
        for entry_id, locale, text in rows[: limit * 2]:
            if entry_id not in found or (locale == default and not found[entry_id][1]):
                found[entry_id] = (text or untitled(entry_id), locale == default)
    return [(str(entry_id), text) for entry_id, (text, _) in list(found.items())[:limit]]


def titles_of(schema: Schema, principal: Principal, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the titles of those entries that the principal may see."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    default = schema.default_locale.code
    collections = dict(Entry.objects.filter(pk__in=wanted).values_list("pk", "collection_id"))
    found: dict[UUID, str] = {}
    for collection_id in sorted(set(collections.values())):
        collection = schema.by_id.get(collection_id)
        mine = [entry_id for entry_id in wanted if collections.get(entry_id) == collection_id]
        for documents in reversed(_visible(principal, collection) if collection else []):
            rows = documents.filter(entry__in=mine).values_list("entry_id", "locale", "_title")
            for entry_id, _, text in sorted(rows, key=lambda row: bool(row[1] == default)):
                found[entry_id] = text or found.get(entry_id) or untitled(entry_id)
    return found


def untitled(entry_id: UUID) -> str:
    """Return what an entry without a title is called: the end of its id."""
    return f"Untitled ({str(entry_id)[-6:]})"


def _visible(principal: Principal, collection: CollectionSpec) -> "list[QuerySet[Any]]":
    """Return the documents that may be referred to, drafts and what is public, each with a title that may be read."""
    title = collection.title_field
    sources: list[QuerySet[Any]] = []
    for action, model in ((Action.READ_DRAFT, DraftDocument), (Action.READ, PublishedDocument)):
        grant = principal.grant(action, on=collection.resource)
        if not grant:
            continue
        documents: QuerySet[Any] = model._default_manager.filter(  # noqa: SLF001 (Django's API)
            rows_of(grant, collection), collection_id=collection.id
        )
        if model is DraftDocument:
            documents = documents.filter(trashed=False)
        if title is None or not grant.allows(title):
            sources.append(documents.annotate(_title=Value("", output_field=TextField())))
            continue
        # Rows whose own clause hides the title are left out, or their order and presence would tell of it.
        held = rows_of(grant.holding(title), collection)
        sources.append(documents.filter(held).annotate(_title=KeyTextTransform(str(title.id), "data")))
    return sources
