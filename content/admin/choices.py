"""What the writer of a form may choose for references: titles of entries that they may see, and nothing of the rest.

Whatever is asked here is answered with one statement for all collections together, however many fields ask.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, Case, CharField, F, Q, QuerySet, TextField, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.template.loader import get_template
from django.utils.timesince import timesince

from accounts.access import Action, Principal
from accounts.canonical import Json
from content import fields
from content.admin.pages import address
from content.fields.base import Card, FieldSpec
from content.models import Collection, DraftDocument, Entry, PublishedDocument, Visit
from content.rows import flag, rows_of
from content.schema import AsksSchema, CollectionSpec, Schema

MAX_OFFERED = 20
MAX_VISITED = 6
MAX_WORDS = 8
HIDDEN = "An entry that you can’t see"
REFERENCES = frozenset({"reference", "references"})

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STATE = Case(When(trashed=True, then=Value("trashed")), default=F("status"), output_field=CharField())
_COLUMNS = ("entry_id", "collection_id", "locale", "_title", "_state", "updated_at", "_drafts")


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that may be referred to, as far as the principal may see it."""

    id: UUID
    collection: CollectionSpec
    title: str
    states: tuple[tuple[str, str], ...]  # (locale, state), the default locale first
    updated_at: datetime
    opens: bool  # whether there is a form to show
    is_named: bool  # whether its title is one that somebody wrote

    @property
    def status(self) -> str:
        """The state in the default locale, else in the first one."""
        return self.states[0][1]

    @property
    def url(self) -> str:
        """The address of its form, "" when only what is public may be read."""
        return address("change", self.collection.key, self.id) if self.opens else ""

    @property
    def age(self) -> str:
        """How long ago it has changed, in one unit."""
        return timesince(self.updated_at, depth=1)

    def card(self) -> Card:
        """Return what forms and the picker show of it."""
        html = get_template("admin/content/entry_card.html").render({"entry": self})
        return Card(str(self.id), self.title, html, self.url)


@dataclass
class Choices(AsksSchema):
    """Answers what building a form asks (`content.fields.FormContext`).

    `present` are the stored values that the form shows, by field id; `typed` is what was sent.
    """

    schema: Schema
    principal: Principal
    collection: CollectionSpec | None = None
    present: Mapping[str, Json] = field(default_factory=dict)
    typed: QueryDict | None = None
    _newest: dict[UUID, list[tuple[str, str]]] = field(default_factory=dict)
    _found: dict[UUID, Found | None] | None = None

    def reference_collections(self, field: FieldSpec) -> Sequence[str]:
        """Return the keys of the collections that the writer may choose from."""
        return [item.key for item in self._targets((field,)) if may_refer_to(self.principal, item)]

    def reference_choices(self, field: FieldSpec) -> Sequence[tuple[str, str]]:
        """Return (id, title) of the newest entries of the field's collections."""
        targets = self._targets((field,))
        if any(target.id not in self._newest for target in targets):
            every = [*targets, *self._targets(self.collection.fields if self.collection else ())]
            wanted = {item.id: item for item in every if item.id not in self._newest}
            self._newest |= _offered(self.schema, self.principal, list(wanted.values()))
        return [choice for target in targets for choice in self._newest[target.id]]

    def reference_cards(self, ids: Sequence[str]) -> Sequence[Card]:
        """Return the entries with these ids in order; of what may not be seen, nothing but the id."""
        known = self.entries(UUID(item) for item in ids if _ID.fullmatch(item))
        cards = []
        for item in ids:
            found = known.get(UUID(item)) if _ID.fullmatch(item) else None
            cards.append(found.card() if found else Card(item, HIDDEN))
        return cards

    def entries(self, ids: Iterable[UUID]) -> dict[UUID, Found]:
        """Return those of the entries that may be seen; the first question looks up all that the form shows."""
        wanted = set(ids)
        if self._found is None:
            self._found = {}
            wanted |= self._present_ids()
        if missing := wanted - self._found.keys():
            seen = entries_of(self.schema, self.principal, missing)
            self._found |= {entry_id: seen.get(entry_id) for entry_id in missing}
        return {entry_id: entry for entry_id in wanted if (entry := self._found[entry_id]) is not None}

    def titles(self, ids: Iterable[UUID]) -> dict[UUID, str]:
        """Return the titles of those entries that may be seen."""
        return {entry_id: entry.title for entry_id, entry in self.entries(ids).items()}

    def _targets(self, specs: tuple[FieldSpec, ...]) -> list[CollectionSpec]:
        ids = self.schema.target_collections(specs)
        return [item for item in self.schema.collections if item.id in ids and item.has_entries]

    def _present_ids(self) -> set[UUID]:
        found = {
            target
            for spec in (self.collection.fields if self.collection else ())
            if (value := self.present.get(str(spec.id))) is not None
            for target in fields.get(spec.type).references(value, spec, self.schema)
        }
        if self.typed is not None:
            sent = (str(value) for _, values in self.typed.lists() for value in values)
            found |= {UUID(value) for value in sent if _ID.fullmatch(value)}
        return found


def may_refer_to(principal: Principal, collection: CollectionSpec) -> bool:
    """Tell whether there may be anything in the collection that the principal can see, and so refer to."""
    return collection.has_entries and any(
        principal.grant(action, on=collection.resource) for action in (Action.READ_DRAFT, Action.READ)
    )


def may_create(principal: Principal, collection: CollectionSpec) -> bool:
    """Tell whether the principal can make a new entry and see it afterwards, so that it can be chosen."""
    return collection.kind == Collection.Kind.MANY and all(
        principal.grant(action, on=collection.resource) for action in (Action.CREATE, Action.READ_DRAFT)
    )


def search(
    schema: Schema, principal: Principal, collections: Sequence[CollectionSpec], words: str, state: str = ""
) -> list[Found]:
    """Return entries in whose title every word stands, at most MAX_OFFERED: titles that begin so first, then by time.

    Without words: what the principal had open lately and what has changed lately.
    """
    terms = words.split()[:MAX_WORDS]
    branches: list[QuerySet[Any]] = []
    for collection in collections:
        for documents in _visible(principal, collection, state=state):
            if not terms:
                branches += _by_time(schema, collection, documents)
            elif collection.title_field is not None:
                branches.append(_titled(documents, words, terms)[: MAX_OFFERED * len(schema.locales)])
    rows = _together(branches)
    start = words.casefold()
    rows.sort(
        key=lambda row: (row[3].casefold().startswith(start), row[5]) if terms else row[5], reverse=True
    )
    visited = [] if terms else _visited(principal, collections)
    best = list(dict.fromkeys(row[0] for row in rows))[:MAX_OFFERED]
    wanted = list(dict.fromkeys([*visited, *best]))
    seen = entries_of(schema, principal, wanted, among=collections, trashed=False)
    found = [seen[entry_id] for entry_id in wanted if entry_id in seen]
    if (
        state
    ):  # of an entry that is both changed and public, only the former is its state to those who see drafts
        found = [entry for entry in found if state in dict(entry.states).values()]
    return found[:MAX_OFFERED]


def entries_of(
    schema: Schema,
    principal: Principal,
    ids: Iterable[UUID],
    *,
    among: Iterable[CollectionSpec] | None = None,
    trashed: bool = True,
) -> dict[UUID, Found]:
    """Return those of the entries that the principal may see, of any collection or among some."""
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    named: Iterable[CollectionSpec]
    if among is None:
        present = set(Entry.objects.filter(pk__in=wanted).values_list("collection_id", flat=True))
        named = [item for item in schema.collections if item.id in present]
    else:
        named = among
    branches = [
        documents.filter(entry__in=wanted)
        for collection in named
        for documents in _visible(principal, collection, trashed=trashed)
    ]
    grouped: dict[UUID, list[tuple[Any, ...]]] = {}
    for row in _together(branches):
        grouped.setdefault(row[0], []).append(row)
    return {entry_id: _entry(schema, rows) for entry_id, rows in grouped.items()}


def titles_of(schema: Schema, principal: Principal, ids: Iterable[UUID]) -> dict[UUID, str]:
    """Return the titles of those entries that the principal may see."""
    return {entry_id: entry.title for entry_id, entry in entries_of(schema, principal, ids).items()}


def untitled(entry_id: UUID) -> str:
    """Return what an entry without a title is called: the end of its id."""
    return f"Untitled ({str(entry_id)[-6:]})"


def _entry(schema: Schema, rows: list[tuple[Any, ...]]) -> Found:
    """Put together what is seen of one entry: drafts tell its state, what is public only where they are hidden."""
    default = schema.default_locale.code
    collection = schema.by_id[rows[0][1]]
    ordered = sorted(rows, key=lambda row: (not row[6], row[2] != default, row[2]))
    drafts = [row for row in ordered if row[6]]
    states = {row[2]: row[4] for row in drafts or ordered}
    title = next((row[3] for row in sorted(ordered, key=lambda row: row[2] != default) if row[3]), "")
    return Found(
        rows[0][0],
        collection,
        title or untitled(rows[0][0]),
        tuple(states.items()),
        max(row[5] for row in ordered),
        bool(drafts),
        bool(title),
    )


def _offered(
    schema: Schema, principal: Principal, collections: Sequence[CollectionSpec]
) -> dict[UUID, list[tuple[str, str]]]:
    """Return (id, title) of the newest entries of each collection, all in one statement."""
    branches = [
        branch
        for collection in collections
        for documents in _visible(principal, collection)
        for branch in _by_time(schema, collection, documents)
    ]
    grouped: dict[UUID, dict[UUID, list[tuple[Any, ...]]]] = {item.id: {} for item in collections}
    for row in sorted(_together(branches), key=lambda row: row[5], reverse=True):
        grouped[row[1]].setdefault(row[0], []).append(row)
    found = {
        collection_id: [_entry(schema, rows) for rows in list(entries.values())[:MAX_OFFERED]]
        for collection_id, entries in grouped.items()
    }
    return {
        collection_id: [(str(entry.id), entry.title) for entry in entries]
        for collection_id, entries in found.items()
    }


def _by_time(
    schema: Schema, collection: CollectionSpec, documents: "QuerySet[Any]"
) -> "Iterator[QuerySet[Any]]":
    """Yield the newest documents of each locale, as the index has them."""
    for locale in schema.locales if collection.localized else [schema.default_locale]:
        yield documents.filter(locale=locale.code).order_by("-updated_at", "-entry_id")[:MAX_OFFERED]


def _titled(documents: "QuerySet[Any]", words: str, terms: list[str]) -> "QuerySet[Any]":
    """Return the documents in whose title every term stands, those that begin with the words first."""
    # Drafts hold their title in a column of its own, found sooner than in `data`. What `data` says decides: the column
    # may be of another field for the moment in which the schema changes.
    quick = "title" if documents.model is DraftDocument else "_title"
    for term in terms:
        documents = documents.filter(**{f"{quick}__icontains": term}).filter(_title__icontains=term)
    ranked: QuerySet[Any] = documents.annotate(_begins=flag(Q(**{f"{quick}__istartswith": words})))
    return ranked.order_by("-_begins", "-updated_at", "-entry_id")


def _together(branches: "list[QuerySet[Any]]") -> list[tuple[Any, ...]]:
    rows = [branch.values_list(*_COLUMNS) for branch in branches]
    if not rows:
        return []
    first, *rest = rows
    return list(first.union(*rest, all=True) if rest else first)


def _visited(principal: Principal, collections: Sequence[CollectionSpec]) -> list[UUID]:
    """Return the ids of entries that the principal had open lately; whether they may still be seen is not said."""
    if principal.user_id is None:
        return []
    visits = Visit.objects.filter(
        user_id=principal.user_id, entry__collection__in=[item.id for item in collections]
    )
    return list(visits.order_by("-seen_at").values_list("entry_id", flat=True)[:MAX_VISITED])


def _visible(
    principal: Principal, collection: CollectionSpec, *, trashed: bool = False, state: str = ""
) -> "list[QuerySet[Any]]":
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
        is_drafts = model is DraftDocument
        if is_drafts:
            documents = documents if trashed else documents.filter(trashed=False)
            documents = documents.filter(status=state) if state else documents
        elif state not in {"", DraftDocument.Status.PUBLISHED}:
            continue
        documents = documents.annotate(
            _state=_STATE if is_drafts else Value("published", output_field=CharField()),
            _drafts=Value(is_drafts, output_field=BooleanField()),
        )
        if title is None or not grant.allows(title):
            sources.append(documents.annotate(_title=Value("", output_field=TextField())))
            continue
        # Rows whose own clause hides the title are left out, or their order and presence would tell of it.
        holding = grant.holding(title)
        text = Coalesce(KeyTextTransform(str(title.id), "sealed"), Value(""), output_field=TextField())
        sources.append(documents.filter(rows_of(holding, collection)).annotate(_title=text))
        if is_drafts and any(not clause.rows for clause in holding):
            break  # every draft is seen with its title, so what is public adds none
    return sources
