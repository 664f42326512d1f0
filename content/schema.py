"""The schema as it is read: frozen, and cached by its generation. Changing it is `content.modeling`."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from uuid import UUID

from django.db.models import Q

from accounts.access import SENSITIVE, DataClass, Operator, Resource
from accounts.canonical import Scalar
from accounts.directory import CollectionLabel, FieldLabel, Input
from accounts.models import Generation
from content import fields
from content.conditions import Condition
from content.fields.base import ComponentSpec, FieldError, FieldSpec, Kind
from content.forms.modelling import at_least_personal
from content.forms.options import FormOptions
from content.models.schema import Collection, Field, Locale

GENERATION = "schema"


@dataclass(frozen=True, slots=True)
class LocaleSpec:
    """A locale and where it falls back to."""

    code: str
    name: str
    fallback: tuple[str, ...]
    direction: str
    is_default: bool

    @property
    def chain(self) -> tuple[str, ...]:
        """Return the locale itself, then the ones that may stand in for it, in order."""
        return (self.code, *(code for code in self.fallback if code != self.code))


@dataclass(frozen=True, slots=True)
class Retention:
    """When entries are erased for good: so many days after they were created, last saved, or put into the trash."""

    after_days: int
    of: str  # created, updated or trashed

    def as_json(self) -> dict[str, str | int]:
        return {"after_days": self.after_days, "of": self.of}


@dataclass(frozen=True)
class CollectionSpec:
    """A collection with its live fields, in order."""

    id: UUID
    key: str
    name: str
    kind: str
    localized: bool
    fields: tuple[FieldSpec, ...]
    description: str = field(default="", compare=False)  # says nothing about content
    retention: Retention | None = field(default=None, compare=False)
    form: FormOptions | None = None  # of kind `form`

    @cached_property
    def by_key(self) -> dict[str, FieldSpec]:
        return {item.key: item for item in self.fields}

    @cached_property
    def by_id(self) -> dict[UUID, FieldSpec]:
        return {item.id: item for item in self.fields}

    @cached_property
    def sensitive_ids(self) -> frozenset[str]:
        """The ids of the fields whose values are sealed where they are written."""
        return frozenset(str(item.id) for item in self.fields if item.is_sensitive)

    @cached_property
    def slug_field(self) -> FieldSpec | None:
        """The field that names an entry in URLs: the first slug."""
        return next((item for item in self.fields if item.type == "slug" and not item.is_sealed), None)

    @cached_property
    def title_field(self) -> FieldSpec | None:
        """The field that names an entry for people: the first text, else the first of any kind of words.

        Never one whose values are sealed: titles stand in lists, on cards and in choices.
        """
        kinds = ("text", "slug", "email", "url", "long_text")
        found = (item for kind in kinds for item in self.fields if item.type == kind and not item.is_sealed)
        return next(found, None)

    @property
    def resource(self) -> Resource:
        return Resource(self.id)

    @property
    def has_entries(self) -> bool:
        return self.kind in {Collection.Kind.MANY, Collection.Kind.SINGLE}


@dataclass(frozen=True)
class Schema:
    """All collections and locales at one generation."""

    collections: tuple[CollectionSpec, ...]
    locales: tuple[LocaleSpec, ...]
    gone_sensitive: frozenset[str] = (
        frozenset()
    )  # ids of removed fields whose values old versions hold sealed

    @cached_property
    def by_key(self) -> dict[str, CollectionSpec]:
        return {collection.key: collection for collection in self.collections}

    @cached_property
    def by_id(self) -> dict[UUID, CollectionSpec]:
        return {collection.id: collection for collection in self.collections}

    @cached_property
    def locale_by_code(self) -> dict[str, LocaleSpec]:
        return {locale.code: locale for locale in self.locales}

    @cached_property
    def default_locale(self) -> LocaleSpec:
        return next(locale for locale in self.locales if locale.is_default)

    def having(self, spec: CollectionSpec) -> "Schema":
        """Return the schema with one collection as it shall be."""
        others = tuple(item for item in self.collections if item.id != spec.id)
        return replace(self, collections=(*others, spec))

    def locale_of(self, collection: CollectionSpec, code: str) -> str:
        """Return the locale under which a collection's documents are kept for readers of `code`."""
        return code if collection.localized else self.default_locale.code

    @cached_property
    def components(self) -> dict[str, ComponentSpec]:
        """The components, by key and by id as text."""
        found = [item for item in self.collections if item.kind == Collection.Kind.COMPONENT]
        specs = [ComponentSpec(item.id, item.key, item.name, item.fields, item.description) for item in found]
        return {name: spec for spec in specs for name in (str(spec.id), spec.key)}

    def component(self, key_or_id: str) -> ComponentSpec | None:
        """Return a component by key or id."""
        return self.components.get(key_or_id)

    def collection_id(self, key: str) -> UUID | None:
        """Return the id of a collection that is no component."""
        found = self.by_key.get(key)
        return found.id if found and found.kind != Collection.Kind.COMPONENT else None

    def collection_key(self, collection_id: UUID) -> str | None:
        """Return the key of a collection that is no component."""
        found = self.by_id.get(collection_id)
        return found.key if found and found.kind != Collection.Kind.COMPONENT else None

    def target_collections(self, specs: Iterator[FieldSpec] | tuple[FieldSpec, ...]) -> frozenset[UUID]:
        """Return the collections that these fields can refer to, through components and blocks as well."""
        found: set[UUID] = set()
        seen: set[UUID] = set()
        stack = list(specs)
        while stack:
            spec = stack.pop()
            if spec.id in seen:
                continue
            seen.add(spec.id)
            found.update(getattr(spec.options, "collections", None) or ())
            for component_id in getattr(spec.options, "components", ()) or ():
                component = self.component(str(component_id))
                stack.extend(component.fields if component else ())
        return frozenset(found)


def spec_of(row: Field) -> FieldSpec:
    """Return a field's row as field types see it."""
    field_type = fields.get(row.type)
    return FieldSpec(
        id=row.id,
        key=row.key,
        type=row.type,
        label=row.label,
        help=row.help,
        group=row.group,
        required=row.required,
        localized=row.localized,
        unique=row.unique,
        filterable=row.filterable or row.type == "slug",  # a slug names its entry in URLs
        default=row.default,
        data_class=row.data_class,
        is_sealed=row.is_sealed,
        options=field_type.load_options(row.options),
        condition=Condition.load(row.condition) if row.condition else None,
    )


def read(using: str = "default") -> Schema:
    """Read the whole schema from a database: three queries."""
    by_collection: dict[UUID, list[FieldSpec]] = {}
    gone: set[str] = set()
    kept = Q(removed_at=None) | Q(data_class__in=SENSITIVE)
    for row in Field.objects.using(using).filter(kept).order_by("position", "id"):
        if row.removed_at is not None:
            gone.add(str(row.id))
            continue
        by_collection.setdefault(row.collection_id, []).append(spec_of(row))
    collections = tuple(
        CollectionSpec(
            row.id,
            row.key,
            row.name,
            row.kind,
            row.localized,
            tuple(by_collection.get(row.id, ())),
            row.description,
            Retention(row.retention["after_days"], row.retention["of"]) if row.retention else None,
            FormOptions.load(row.form or {}) if row.kind == Collection.Kind.FORM else None,
        )
        for row in Collection.objects.using(using).order_by("name", "id")
    )
    locales = tuple(
        LocaleSpec(row.code, row.name, tuple(row.fallback), row.direction, row.is_default)
        for row in Locale.objects.using(using).order_by("-is_default", "code")
    )
    plain = Schema(collections, locales)
    effective = tuple(_with_effective_classes(item, plain) for item in collections)
    return Schema(effective, locales, frozenset(gone))


def _with_effective_classes(collection: CollectionSpec, schema: Schema) -> CollectionSpec:
    """A component is as sensitive as the most sensitive thing that it holds; a field of a form personal at least.

    What is sealed can't be found by.
    """
    is_form = collection.form is not None
    return replace(
        collection, fields=tuple(_effective(item, schema, is_form=is_form) for item in collection.fields)
    )


def _effective(spec: FieldSpec, schema: Schema, *, is_form: bool) -> FieldSpec:
    data_class = fields.get(spec.type).data_class(spec, schema)
    if is_form:
        data_class = at_least_personal(data_class)
    is_sealed = spec.is_sealed or data_class in SENSITIVE
    return replace(
        spec,
        data_class=data_class,
        is_sealed=is_sealed,
        filterable=spec.filterable and not is_sealed,
        unique=spec.unique and not is_sealed,
    )


class AsksSchema:
    """What field types ask of any context: components and collections, of the schema that it holds."""

    __slots__ = ()
    schema: Schema

    def component(self, key_or_id: str) -> ComponentSpec | None:
        return self.schema.component(key_or_id)

    def collection_id(self, key: str) -> UUID | None:
        return self.schema.collection_id(key)

    def collection_key(self, collection_id: UUID) -> str | None:
        return self.schema.collection_key(collection_id)


_cached: dict[str, tuple[int, Schema]] = {}


def current(using: str = "default", *, generation: int | None = None) -> Schema:
    """Return the schema at its present generation; one small query when the caller does not know that already."""
    if generation is None:
        found = (
            Generation.objects.using(using).filter(name=GENERATION).values_list("value", flat=True).first()
        )
        generation = found or 0
    cached = _cached.get(using)
    if cached is None or cached[0] != generation:
        cached = (generation, read(using))
        _cached[using] = cached
    return cached[1]


_EQUAL = (Operator.EQ, Operator.NE, Operator.IN, Operator.NIN)
_ORDER = (Operator.LT, Operator.LTE, Operator.GT, Operator.GTE)
_WORDS = (Operator.CONTAINS, Operator.STARTS_WITH)
_INPUTS: dict[str, Input] = {
    "boolean": "boolean", "choice": "choice", "choices": "choice", "date": "date", "datetime": "datetime"
}  # fmt: skip


class SchemaDirectory:
    """Translates keys and ids for policies and scopes (`accounts.directory.Directory`)."""

    def __init__(self) -> None:
        self.schema = current()

    def collections(self) -> tuple[CollectionLabel, ...]:
        return tuple(
            CollectionLabel(item.id, item.key, item.name, tuple(map(_label_of, item.fields)))
            for item in self.schema.collections
            if item.kind != Collection.Kind.COMPONENT
        )

    def locales(self) -> tuple[tuple[str, str], ...]:
        return tuple((item.code, item.name) for item in self.schema.locales)

    def collection_id(self, key: str) -> UUID | None:
        return self.schema.collection_id(key)

    def collection_key(self, collection_id: UUID) -> str | None:
        return self.schema.collection_key(collection_id)

    def field_id(self, collection_id: UUID, key: str) -> UUID | None:
        found = self.schema.by_id.get(collection_id)
        field = found.by_key.get(key) if found else None
        return field.id if field else None

    def field_key(self, collection_id: UUID, field_id: UUID) -> str | None:
        field = self._field(collection_id, field_id)
        return field.key if field else None

    def field_data_class(self, collection_id: UUID, field_id: UUID) -> DataClass | None:
        field = self._field(collection_id, field_id)
        return DataClass(field.data_class) if field else None

    def filter_problem(self, collection_id: UUID, field_id: UUID, operator: str, value: object) -> str | None:  # noqa: ARG002 (the protocol's)
        field = self._field(collection_id, field_id)
        if field is None:
            return "There is no such field."
        kind = fields.get(field.type).kind
        if field.is_sealed:
            return f"The field is {field.data_class}: its values are sealed, so nothing can be compared with them."
        if kind is Kind.NONE:
            return f"A field of type {field.type} can't be compared."
        if kind is Kind.LIST and operator not in {"eq", "ne", "in", "nin", "exists"}:
            return f"A list can't be compared with {operator}."
        return None

    def condition_value(self, collection_id: UUID, field_id: UUID, text: str) -> Scalar:
        field = self._field(collection_id, field_id)
        if field is None:
            raise ValueError("There is no such field.")
        try:
            value = fields.get(field.type).filter_value(text)
        except FieldError as error:
            raise ValueError(error.problems[0].detail) from error
        if value == "":
            raise ValueError("A value is missing.")
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else str(value)
        return value

    def _field(self, collection_id: UUID, field_id: UUID) -> FieldSpec | None:
        found = self.schema.by_id.get(collection_id)
        return found.by_id.get(field_id) if found else None


def _label_of(spec: FieldSpec) -> FieldLabel:
    kind = fields.get(spec.type).kind
    operators = {
        Kind.NONE: (),
        Kind.LIST: (*_EQUAL, Operator.EXISTS),
        Kind.NUMBER: (*_EQUAL, *_ORDER, Operator.EXISTS),
        Kind.TEXT: (*_EQUAL, *_WORDS, *_ORDER, Operator.EXISTS),
    }[Kind.NONE if spec.is_sealed else kind]
    if spec.is_sealed:
        pass
    elif spec.type in ("boolean", "choice", "reference", "color"):
        operators = (*_EQUAL, Operator.EXISTS)
    elif spec.type in ("date", "datetime"):
        operators = (*_EQUAL, *_ORDER, Operator.EXISTS)
    choices = getattr(spec.options, "choices", None) or ()
    return FieldLabel(
        id=spec.id,
        key=spec.key,
        name=spec.name,
        data_class=spec.data_class,
        operators=operators,
        input="number" if kind is Kind.NUMBER else _INPUTS.get(spec.type, "text"),
        choices=tuple((str(item.value), str(item.label)) for item in choices),
    )
