"""The gate: client-supplied names become SQL here and nowhere else, for published documents and drafts alike.

Every name (filter, sort, search, fields, expand, slug) is looked up in the collection's fields and in the principal's
grant. What is unknown and what may not be read give the same answer. A field that is used restricts the result to
rows whose clause holds that field. Everything is read in one statement, references included.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.search import SearchQuery, SearchRank
from django.db.models import (
    Case,
    Exists,
    F,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Coalesce, Greatest, JSONArray, JSONObject
from django.db.models.lookups import Exact, IsNull

from accounts.access import Action, Clause, Grant, Operator, Principal
from accounts.canonical import Json
from accounts.errors import NotFoundError
from content import cursors, fields
from content.fields.base import FieldError, FieldSpec, Kind
from content.languages import search_config
from content.models.sealing import DataKey
from content.ordering import Key, after
from content.parameters import MAX_VALUE_LENGTH, MAX_VALUES, Filter, Parameters, Tree, refuse
from content.rows import (
    HasElement,
    OverlapsKeys,
    clause_rows,
    compare,
    compare_field,
    flag,
    rows_of,
    value_of,
)
from content.schema import CollectionSpec, Schema

REFERENCES = frozenset({"reference", "references"})
TIMES = {"_published_at": "published_at", "_updated_at": "updated_at"}
SAME = frozenset({Operator.EQ, Operator.NE, Operator.IN, Operator.NIN, Operator.EXISTS})
ORDERED = SAME | {Operator.LT, Operator.LTE, Operator.GT, Operator.GTE}
UNORDERED_TYPES = frozenset({"boolean", "choice", "reference", "color"})
MOMENT_TYPES = frozenset({"date", "datetime"})
MAX_TERMS = 8
MAX_KEPT = 500  # statements that a thread keeps

Built = TypeVar("Built")
_ready = threading.local()


def operators_of(spec: FieldSpec) -> frozenset[Operator]:
    """Return the operators that make sense for a field."""
    kind = fields.get(spec.type).kind
    if kind is Kind.LIST:
        return SAME | {Operator.CONTAINS}
    if spec.type in UNORDERED_TYPES:
        return SAME
    if kind is Kind.NUMBER or spec.type in MOMENT_TYPES:
        return ORDERED
    return frozenset(Operator)


@dataclass(frozen=True, slots=True)
class Plane:
    """Where documents are read from, and which right that needs."""

    model: Any  # a concrete model of Document
    words: Any  # its SearchRow
    using: str
    action: Action
    drafts: bool


@dataclass(frozen=True)
class Page:
    """Rows of one list as they came from the database, for `content.shaping`."""

    rows: list[dict[str, Any]]
    selection: "Selection"
    next_cursor: str | None
    total: int | None


@dataclass
class Selection:
    """What of the documents is wanted, checked against the grant: field names (None: all) and what to expand."""

    fields: Tree | None
    expand: Tree

    @property
    def key(self) -> str:
        """Return what tells it from others."""
        return f"{self.fields} {self.expand}"


@dataclass(frozen=True, slots=True)
class Ready:
    """A query that is put together but for what the client filters by."""

    documents: QuerySet[Any]  # the rows
    columns: QuerySet[Any]  # the same with what is shown of them, in order


@dataclass
class Reader:
    """One principal's way to documents in one locale of one plane. Makes one statement for each question."""

    plane: Plane
    schema: Schema
    principal: Principal
    locale: str
    _grants: dict[UUID, Grant] = field(default_factory=dict)

    @classmethod
    def of(cls, plane: Plane, schema: Schema, principal: Principal, locale: str | None) -> "Reader":
        """Build a reader; an unknown locale is a 400."""
        if locale is not None and locale not in schema.locale_by_code:
            raise refuse("locale", "unknown-locale", "There is no such locale.")
        return cls(plane, schema, principal, locale or schema.default_locale.code)

    def grant(self, collection_id: UUID) -> Grant:
        """Return what the principal may read of a collection."""
        if collection_id not in self._grants:
            self._grants[collection_id] = self.principal.grant(
                self.plane.action, on=self.schema.by_id[collection_id].resource
            )
        return self._grants[collection_id]

    def collection(self, key: str) -> CollectionSpec:
        """Return a collection by key; what the principal may not read is as missing as what does not exist."""
        found = self.schema.by_key.get(key)
        if found is None or not found.has_entries or not self.grant(found.id):
            raise NotFoundError
        return found

    # Whole questions

    def page(self, collection: CollectionSpec, parameters: Parameters) -> Page:
        """Return one page of a list. At most limit rows; `next_cursor` is None at the end."""
        selection = self.select(collection, parameters)
        rows_wanted = self._conditions(collection, parameters)
        binding = self._binding(collection, parameters)
        ready, keys = self._list(collection, selection, parameters)
        total = ready.documents.filter(*rows_wanted).count() if parameters.count else None
        wanted = parameters.limit + 1
        ordered = ready.columns.filter(*rows_wanted)
        if parameters.cursor is None:
            rows = list(ordered[parameters.offset : parameters.offset + wanted])
        else:
            values = self._cursor_values(keys, cursors.read(parameters.cursor, binding=binding))
            rows = list(ordered.filter(after(keys, values))[:wanted])
            first = keys[0]
            if len(rows) < wanted and first.nullable and not first.descending and values[0] is not None:
                # Rows without a value come last; asked for separately, so that the index serves the rest.
                rows += list(ordered.filter(IsNull(first.expression, True))[: wanted - len(rows)])
        more = len(rows) > parameters.limit
        rows = rows[: parameters.limit]
        cursor = None
        if more:
            cursor = cursors.write(
                [key.dump(rows[-1][f"_k{i}"]) for i, key in enumerate(keys)], binding=binding
            )
        return Page(rows, selection, cursor, total)

    def one(
        self, collection: CollectionSpec, name: str, parameters: Parameters
    ) -> tuple[dict[str, Any], Selection]:
        """Return the row of one document, by id or by slug, or raise `NotFoundError`."""
        selection = self.select(collection, parameters)
        try:
            wanted = Q(entry_id=UUID(name))
        except ValueError:
            slug = collection.slug_field
            if (
                slug is None
                or not self.grant(collection.id).allows(slug)
                or len(name) > MAX_VALUE_LENGTH
                or "\x00" in name
            ):
                raise NotFoundError from None
            holding = rows_of(self.grant(collection.id).holding(slug), collection)
            wanted = holding & compare_field(slug, Operator.EQ, name)
        return self._only(wanted, collection, selection, trashed=None), selection

    def single(self, collection: CollectionSpec, parameters: Parameters) -> tuple[dict[str, Any], Selection]:
        """Return the row of a single's one document, or raise `NotFoundError`."""
        selection = self.select(collection, parameters)
        return self._only(Q(), collection, selection, trashed=False), selection

    def documents(self, collection: CollectionSpec, *, trashed: bool | None = False) -> QuerySet[Any]:
        """Return the documents of a collection that the principal may see in this locale; `trashed` None: both."""
        documents = self.in_any_locale(collection).filter(
            locale=self.schema.locale_of(collection, self.locale)
        )
        if self.plane.drafts and trashed is not None:
            documents = documents.filter(trashed=trashed)
        return documents

    def in_any_locale(self, collection: CollectionSpec) -> QuerySet[Any]:
        """Return the documents of a collection that the principal may see."""
        documents: QuerySet[Any] = self.plane.model.objects.using(self.plane.using)
        return documents.filter(rows_of(self.grant(collection.id), collection), collection_id=collection.id)

    def _only(
        self, wanted: Q, collection: CollectionSpec, selection: Selection, *, trashed: bool | None
    ) -> dict[str, Any]:
        def build() -> QuerySet[Any]:
            documents = self.documents(collection, trashed=trashed)
            documents = self._used(documents, collection, selection.expand)
            # A slug may stand for two entries: one in this locale, one that falls back to it. The former is meant.
            own = flag(Q(content_locale=self.schema.locale_of(collection, self.locale)))
            return self._columns(documents, collection, selection, ()).order_by(own.desc(), "entry_id")

        ready = self._kept(("one", collection.id, selection.key, trashed), build)
        row = ready.filter(wanted).first()
        if row is None:
            raise NotFoundError
        return dict(row)

    # The names that a client sends

    def select(self, collection: CollectionSpec, parameters: Parameters) -> Selection:
        """Check the names of `fields` and `expand`. Naming a field of a reference expands it."""
        expand = Tree.of(_paths(parameters.expand))
        if parameters.fields is not None:
            self._check_fields([collection], parameters.fields, "fields")
            _expand_named(parameters.fields, expand)
        self._check_expand([collection], expand, "expand")
        return Selection(parameters.fields, expand)

    def _check_fields(self, collections: list[CollectionSpec], names: Tree, parameter: str) -> None:
        for name, below in names.items():
            found = self._readable(collections, name)
            if not found and not (
                name.startswith("_") and name in {"_id", *TIMES, "_locale", "_version", "_collection"}
            ):
                raise refuse(parameter, "unknown-field", f"There is no field {name!r} here.")
            if below:
                targets = self._targets_of([spec for _, spec in found])
                if not targets:
                    raise refuse(
                        parameter, "unknown-field", f"There is no field {name!r} here with fields of its own."
                    )
                self._check_fields(targets, below, parameter)

    def _check_expand(self, collections: list[CollectionSpec], names: Tree, parameter: str) -> None:
        for name, below in names.items():
            found = [item for item in self._readable(collections, name) if item[1].type in REFERENCES]
            if not found:
                raise refuse(parameter, "unknown-expand", f"There is no reference {name!r} here.")
            self._check_expand(self._targets_of([spec for _, spec in found]), below, parameter)

    def _readable(
        self, collections: Iterable[CollectionSpec], name: str
    ) -> list[tuple[CollectionSpec, FieldSpec]]:
        return [
            (collection, spec)
            for collection in collections
            if (spec := collection.by_key.get(name)) is not None and self.grant(collection.id).allows(spec)
        ]

    def _targets_of(self, specs: Iterable[FieldSpec]) -> list[CollectionSpec]:
        """Return the collections that the fields refer to and the principal may read."""
        return [
            self.schema.by_id[item]
            for item in sorted(self.schema.target_collections(tuple(specs)))
            if item in self.schema.by_id and self.grant(item)
        ]

    # Filters, search, order

    def _conditions(self, collection: CollectionSpec, parameters: Parameters) -> list[Q]:
        """Return what the filters and the search ask of each row."""
        found: list[Q] = []
        # At most one statement more, and only for a list in the order of publishing.
        by_id = not (self.plane.drafts or parameters.sorts or parameters.search or parameters.count)
        for item in parameters.filters:
            found.append(self._filter(collection, item, by_id=by_id))
            by_id = by_id and len(item.path) == 1
        if parameters.search is not None:
            found += self._searched(collection, parameters.search)
        return found

    def _used(
        self, documents: QuerySet[Any], collection: CollectionSpec, names: Iterable[str]
    ) -> QuerySet[Any]:
        grant = self.grant(collection.id)
        for name in names:
            documents = documents.filter(rows_of(grant.holding(collection.by_key[name]), collection))
        return documents

    def _filter(self, collection: CollectionSpec, item: Filter, *, by_id: bool) -> Q:
        unknown = refuse(item.parameter, "unknown-filter", "There is no such filter here.")
        name = item.path[0]
        if len(item.path) == 1 and name in TIMES:
            return self._compare_system(TIMES[name], "datetime", item)
        if len(item.path) == 1 and name == "_status" and self.plane.drafts:
            return self._compare_status(item)
        found = self._readable([collection], name)
        if not found:
            raise unknown
        spec = found[0][1]
        holding = rows_of(self.grant(collection.id).holding(spec), collection)
        if len(item.path) == 1:
            if not spec.filterable or fields.get(spec.type).kind is Kind.NONE:
                raise unknown
            compared = self._compare(spec, item)
            return holding & (self._refers(spec, item, compared) if spec.type in REFERENCES else compared)
        if spec.type not in REFERENCES:
            raise unknown
        targets = [
            (target, below)
            for target, below in self._readable(self._targets_of([spec]), item.path[1])
            if below.filterable and fields.get(below.type).kind is not Kind.NONE
        ]
        if not targets:
            raise unknown
        return holding & self._through(spec, targets, item, by_id=by_id)

    def _through(
        self, spec: FieldSpec, targets: list[tuple[CollectionSpec, FieldSpec]], item: Filter, *, by_id: bool
    ) -> Q:
        """Follow one reference: the targets are only those that the principal may read, with the field it may read.

        `by_id` asks for the targets first, in a statement of its own: with their ids in hand, PostgreSQL finds the
        newest documents by the index, where with a subquery it walks through all of them.
        """
        rows = Q(pk__in=[])
        for target, below in targets:
            found = self.documents(target).filter(
                rows_of(self.grant(target.id).holding(below), target), self._compare(below, item)
            )
            if by_id and spec.type == "reference" and len(targets) == 1:
                near = [str(item) for item in found.values_list("entry_id", flat=True)[: MAX_VALUES + 1]]
                if len(near) <= MAX_VALUES:
                    rows |= (
                        compare(value_of(spec), Operator.EQ, near[0])
                        if len(near) == 1
                        else compare(value_of(spec), Operator.IN, tuple(near))
                    )
                    continue
            ids = found.annotate(_text=Cast("entry_id", KeyTextTransform("x", "sealed").output_field)).values(
                "_text"
            )
            if spec.type == "reference":
                rows |= Q(_InSubquery(value_of(spec), ids))
            else:
                rows |= Q(OverlapsKeys(KeyTransform(str(spec.id), "sealed"), ArraySubquery(ids)))
        return rows

    def _refers(self, spec: FieldSpec, item: Filter, compared: Q) -> Q:
        """Compare with what is shown of a reference: a target that the principal may not see counts as none.

        Otherwise `exists` and `eq` would tell of drafts and hidden entries that a document refers to.
        """
        shown = self.plane.model.objects.using(self.plane.using).filter(
            self._visible(self._targets_of([spec])), Q(HasElement(OuterRef("refs"), F("entry_id")))
        )
        # `refs` holds the targets of every field; these are of this one.
        target = Cast("entry_id", TextField())
        held = KeyTransform(str(spec.id), OuterRef("sealed"))
        shown = shown.filter(OverlapsKeys(held, Func(target, template="ARRAY[%(expressions)s]")))
        if item.operator is Operator.EXISTS:
            return Q(Exists(shown)) if _boolean(item) else ~Q(Exists(shown))
        wanted = [UUID(raw) for raw in _listed(item) if raw]
        found = Q(Exists(shown.filter(entry_id__in=wanted)))
        return ~found if item.operator in {Operator.NE, Operator.NIN} else compared & found

    def _compare(self, spec: FieldSpec, item: Filter) -> Q:
        allowed = operators_of(spec)
        if item.operator not in allowed:
            shown = ", ".join(operator for operator in Operator if operator in allowed)
            raise refuse(item.parameter, "unknown-operator", f"This field can be compared with {shown}.")
        field_type = fields.get(spec.type)
        if item.operator is Operator.EXISTS:
            return compare_field(spec, item.operator, _boolean(item))
        if item.operator in {Operator.CONTAINS, Operator.STARTS_WITH} and field_type.kind is Kind.TEXT:
            return compare_field(spec, item.operator, item.raw)
        operator = Operator.EQ if item.operator is Operator.CONTAINS else item.operator
        try:
            if operator in {Operator.IN, Operator.NIN}:
                return compare_field(
                    spec, operator, tuple(field_type.filter_value(raw) for raw in _listed(item))
                )
            return compare_field(spec, operator, field_type.filter_value(item.raw))
        except FieldError as error:
            raise refuse(item.parameter, "invalid-value", error.problems[0].detail) from None

    def _compare_system(self, column: str, type_key: str, item: Filter) -> Q:
        if item.operator is Operator.EXISTS:
            return Q(**{f"{column}__isnull": not _boolean(item)})
        if item.operator not in ORDERED:
            raise refuse(
                item.parameter,
                "unknown-operator",
                "A time can be compared with eq, ne, in, nin, lt, lte, gt, gte.",
            )
        try:
            values = [str(fields.get(type_key).filter_value(raw)) for raw in _listed(item)]
        except FieldError as error:
            raise refuse(item.parameter, "invalid-value", error.problems[0].detail) from None
        if not all(values):
            raise refuse(item.parameter, "invalid-value", "A time such as 2026-01-31T12:00:00Z.")
        moments = [datetime.fromisoformat(value) for value in values]
        many = item.operator in {Operator.IN, Operator.NIN}
        return compare(F(column), item.operator, tuple(moments) if many else moments[0])

    def _compare_status(self, item: Filter) -> Q:
        states = {"draft", "changed", "published", "scheduled", "trashed"}
        values = _listed(item)
        if item.operator not in {Operator.EQ, Operator.NE, Operator.IN, Operator.NIN}:
            raise refuse(
                item.parameter, "unknown-operator", "A status can be compared with eq, ne, in and nin."
            )
        if not set(values) <= states:
            raise refuse(item.parameter, "invalid-value", f"A status is one of {', '.join(sorted(states))}.")
        if values == ["trashed"] and item.operator is Operator.EQ:
            return Q(trashed=True)
        chosen = Q(status__in=values)
        return ~chosen if item.operator in {Operator.NE, Operator.NIN} else chosen

    def _searched(self, collection: CollectionSpec, words: str) -> Iterator[Q]:
        """Every term must stand in a field that the row's own clauses let the principal read (CVE-2025-30352)."""
        for term in _terms(words):
            query = self._search_query([term])
            rows = Q(pk__in=[])
            for clause in self.grant(collection.id).clauses:
                found = self.plane.words.objects.using(self.plane.using).filter(
                    field_id__in=_held(clause, collection), vector=query
                )
                rows |= clause_rows(clause, collection) & Q(pk__in=found.values("document_id"))
            yield rows

    def _rank(self, collection: CollectionSpec, words: str) -> Any:
        """The rank counts only what the row's clauses show, or the order would tell of the rest."""
        query = self._search_query(_terms(words))
        ranks = []
        for clause in self.grant(collection.id).clauses:
            found = (
                self.plane.words.objects.using(self.plane.using)
                .filter(document=OuterRef("pk"), field_id__in=_held(clause, collection))
                .values("document")
                .annotate(total=Sum(SearchRank(F("vector"), query)))
                .values("total")
            )
            ranks.append(
                Case(
                    When(
                        clause_rows(clause, collection),
                        then=Cast(Coalesce(Subquery(found), 0.0) * Value(1_000_000.0), IntegerField()),
                    ),
                    default=Value(0),
                    output_field=IntegerField(),
                )
            )
        return ranks[0] if len(ranks) == 1 else Greatest(*ranks)

    def _search_query(self, terms: list[str]) -> Any:
        """Any of the terms, in any language that documents of this locale may be in after fallback."""
        chain = self.schema.locale_by_code[self.locale].chain
        configs = sorted(
            {search_config(code) for code in chain} | {search_config(self.schema.default_locale.code)}
        )
        queries = [
            SearchQuery(term, config=config, search_type="phrase") for term in terms for config in configs
        ]
        combined: Any = queries[0]
        for query in queries[1:]:
            combined = combined | query
        return combined

    def _order(self, collection: CollectionSpec, parameters: Parameters) -> tuple[Key, ...]:
        keys: list[Key] = []
        grant = self.grant(collection.id)
        for sort in parameters.sorts:
            if sort.name in TIMES:
                nullable = self.plane.drafts and sort.name == "_published_at"
                keys.append(Key(F(TIMES[sort.name]), sort.descending, "time", nullable))
                continue
            spec = collection.by_key.get(sort.name)
            if (
                spec is None
                or not grant.allows(spec)
                or not spec.filterable
                or not fields.get(spec.type).sortable
            ):
                raise refuse("sort", "unknown-sort", f"There is no key {sort.name!r} to sort by.")
            kind = "number" if fields.get(spec.type).kind is Kind.NUMBER else "text"
            keys.append(Key(value_of(spec), sort.descending, kind))
        if not keys and parameters.search is not None:
            keys.append(Key(self._rank(collection, parameters.search), True, "rank", False))
        if not keys:
            keys.append(Key(F("updated_at" if self.plane.drafts else "published_at"), True, "time", False))
        return (*keys, Key(F("entry_id"), keys[0].descending, "id", False))

    def _cursor_values(self, keys: Sequence[Key], values: list[Json]) -> list[Any]:
        return [key.load(value) for key, value in zip(keys, values, strict=True)]

    def _binding(self, collection: CollectionSpec, parameters: Parameters) -> str:
        """A cursor holds for this query and this grant, and dies with either."""
        query: list[Any] = [
            self.plane.model.__name__,
            str(collection.id),
            self.locale,
            sorted([item.parameter, item.raw] for item in parameters.filters),
            [[sort.name, sort.descending] for sort in parameters.sorts],
            parameters.search,
            sorted(_paths(parameters.expand)),
        ]
        digests: list[Json] = [self.grant(item).digest() for item in sorted(self._grants)]
        return cursors.binding_of(query, digests)

    # Columns

    def _list(
        self, collection: CollectionSpec, selection: Selection, parameters: Parameters
    ) -> tuple["Ready", tuple[Key, ...]]:
        """Return the rows of a list in their order, before filters, and the keys of that order."""
        trashed = any(
            item.path == ("_status",) and item.operator is Operator.EQ and item.raw == "trashed"
            for item in parameters.filters
        )

        def build() -> tuple[Ready, tuple[Key, ...]]:
            keys = self._order(collection, parameters)
            documents = self.documents(collection, trashed=trashed)
            sorts = [sort.name for sort in parameters.sorts if sort.name not in TIMES]
            documents = self._used(documents, collection, [*selection.expand, *sorts])
            columns = self._columns(documents, collection, selection, keys)
            return Ready(documents, columns.order_by(*(key.order() for key in keys))), keys

        if parameters.search is not None:
            return build()  # the words are part of the order
        return self._kept(("list", collection.id, selection.key, parameters.sorts, trashed), build)

    def _kept(self, name: tuple[object, ...], build: "Callable[[], Built]") -> "Built":
        """Return what `build` makes, made once for a schema, a locale and the principal's rights.

        Putting a statement together takes longer than running it. A thread keeps its own: Django changes a query
        while it compiles it.
        """
        kept: dict[object, tuple[Schema, Any]] = _ready.__dict__.setdefault("kept", {})
        key = (name, id(self.schema), self.plane, self.locale, self.principal.rights)
        found = kept.get(key)
        if found is None or found[0] is not self.schema:
            found = (self.schema, build())
            if len(kept) >= MAX_KEPT:
                kept.clear()
            kept[key] = found
        built: Built = found[1]
        return built

    def _columns(
        self, documents: QuerySet[Any], collection: CollectionSpec, selection: Selection, keys: Sequence[Key]
    ) -> QuerySet[Any]:
        grant = self.grant(collection.id)
        extra: dict[str, Any] = {f"_k{i}": key.expression for i, key in enumerate(keys)}
        if len(grant.clauses) > 1:
            extra |= {f"_f{i}": flag(clause_rows(c, collection)) for i, c in enumerate(grant.clauses)}
        chosen = self._chosen(collection, selection.fields)
        extra["_data"] = F("sealed") if selection.fields is None else _part_of_data(chosen)
        # A draft that is shown as it would be published needs all that conditions look at.
        is_whole = self.plane.drafts and selection.fields is None
        if any(spec.is_sealed for spec in (collection.fields if is_whole else chosen)):
            extra["_key"] = self._wrapped_key()
        targets = self._target_rows(chosen, selection.expand)
        if targets is not None:
            extra["_targets"] = targets
        if self.plane.drafts:
            extra["_states"] = self._states(collection)
        names = ["entry_id", "content_locale", "version_number", "published_at", "updated_at"]
        return documents.values(*names, **extra)

    def _wrapped_key(self) -> Subquery:
        """The wrapped key of a document's sealed values, None for an entry without."""
        keys = DataKey.objects.using(self.plane.using).filter(entry_id=OuterRef("entry_id"))
        return Subquery(keys.values("wrapped"))

    def _states(self, collection: CollectionSpec) -> ArraySubquery:
        """The state of an entry in each locale that the principal may see."""
        siblings = self.plane.model.objects.using(self.plane.using).filter(
            rows_of(self.grant(collection.id), collection), entry_id=OuterRef("entry_id")
        )
        state = JSONObject(locale="locale", status="status", trashed="trashed")
        return ArraySubquery(siblings.order_by("locale").annotate(_state=state).values("_state"))

    def _chosen(self, collection: CollectionSpec, names: Tree | None) -> tuple[FieldSpec, ...]:
        grant = self.grant(collection.id)
        readable = (spec for spec in collection.fields if grant.allows(spec))
        return tuple(spec for spec in readable if names is None or spec.key in names)

    def _target_rows(self, specs: Iterable[FieldSpec], expand: Tree) -> ArraySubquery | None:
        """Return the readable targets of a document's references as JSON, deeper ones inside as far as expanded."""
        targets = self._targets_of(specs)
        if not targets:
            return None
        found = self.plane.model.objects.using(self.plane.using).filter(
            Q(HasElement(OuterRef("refs"), F("entry_id"))), self._visible(targets)
        )
        members: dict[str, Any] = {"id": F("entry_id"), "collection": F("collection_id")}
        if expand:
            members |= {
                "content_locale": F("content_locale"),
                "version_number": F("version_number"),
                "published_at": F("published_at"),
                "updated_at": F("updated_at"),
                "data": F("sealed"),
            }
            if any(spec.is_sealed for target in targets for spec in self._chosen(target, None)):
                members["key"] = self._wrapped_key()
            flags = [
                When(
                    collection_id=target.id,
                    then=JSONArray(
                        *(flag(clause_rows(clause, target)) for clause in self.grant(target.id).clauses)
                    ),
                )
                for target in targets
                if len(self.grant(target.id).clauses) > 1
            ]
            if flags:
                members["flags"] = Case(*flags, default=Value(None))
            below = Tree.of(path for name in expand.values() for path in _paths(name))
            deeper = self._target_rows([spec for t in targets for spec in self._chosen(t, None)], below)
            if deeper is not None:
                members["targets"] = deeper
        return ArraySubquery(found.annotate(_target=JSONObject(**members)).values("_target"))

    def _visible(self, targets: Iterable[CollectionSpec]) -> Q:
        """Return the documents of these collections that the principal may see as targets, in this locale."""
        visible = Q(pk__in=[])
        for target in targets:
            visible |= Q(
                collection_id=target.id, locale=self.schema.locale_of(target, self.locale)
            ) & rows_of(self.grant(target.id), target)
        return visible & Q(trashed=False) if self.plane.drafts else visible


class _InSubquery(Exact):
    """`text IN (SELECT …)` with a subquery on the right."""

    lookup_name = "in_subquery"
    prepare_rhs = False

    def __init__(self, lhs: Any, rhs: QuerySet[Any]) -> None:
        super().__init__(lhs, Subquery(rhs))

    def get_rhs_op(self, connection: Any, rhs: str) -> str:  # noqa: ARG002 (Django's signature)
        return f"IN {rhs}"


def _part_of_data(chosen: Iterable[FieldSpec]) -> Any:
    return JSONObject(**{str(spec.id): KeyTransform(str(spec.id), "sealed") for spec in chosen})


def _held(clause: Clause, collection: CollectionSpec) -> list[UUID]:
    """Return the fields to search in; what is sealed has no words, and may have had some a moment ago."""
    return [spec.id for spec in collection.fields if clause.fields.allows(spec) and not spec.is_sealed]


def _paths(tree: Tree) -> list[str]:
    """Return every path of a tree, shorter ones first."""
    found = []
    for name, below in tree.items():
        found.append(name)
        found += [f"{name}.{path}" for path in _paths(below)]
    return found


def _expand_named(names: Tree, expand: Tree) -> None:
    for name, below in names.items():
        if below:
            _expand_named(below, expand.setdefault(name, Tree()))


def _listed(item: Filter) -> list[str]:
    values = item.raw.split(",") if item.operator in {Operator.IN, Operator.NIN} else [item.raw]
    if len(values) > MAX_VALUES:
        raise refuse(item.parameter, "too-many", f"At most {MAX_VALUES} values.")
    return values


def _boolean(item: Filter) -> bool:
    if item.raw not in {"true", "false"}:
        raise refuse(item.parameter, "invalid-value", "Use true or false.")
    return item.raw == "true"


def _terms(words: str) -> list[str]:
    """Split a search into terms; what stands in quotation marks is one term."""
    parts = words.split('"')
    terms = [
        term for i, part in enumerate(parts) for term in ([part.strip()] if i % 2 else part.split()) if term
    ]
    return terms[:MAX_TERMS] or [words]
