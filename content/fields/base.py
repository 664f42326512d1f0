"""What a field type is: the interface that everything else uses, and the registry of all types.

A value has three forms. *Input* is what a client or a form sends (it speaks keys). *Canonical* is what a
version stores (ids, one spelling for each value). *Delivered* is what a published document stores, made from
the canonical value by `resolve`; `shape` turns it into the answer of the API (keys again).

Problems carry pointers relative to the value, `""` being the value itself; whoever holds the value puts its
own place in front with `FieldError.under`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar
from uuid import UUID

from django import forms
from django.utils.safestring import SafeString

from accounts.access import SENSITIVE, DataClass
from accounts.canonical import Json
from accounts.errors import Problem, placed
from content.conditions import Condition


class FieldError(Exception):
    """A value, or an option, was refused. `problems` names each place, relative to the value."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(f"{item.pointer}: {item.detail}" for item in self.problems))

    @classmethod
    def at(cls, path: Iterable[str | int], code: str, detail: str) -> Self:
        """Build an error of one problem."""
        return cls([Problem.at(path, code, detail)])

    def under(self, *path: str | int) -> Self:
        """Return the same error with `path` put in front of every pointer."""
        return type(self)(placed(self.problems, *path))


FAMILIES = ("Words", "Numbers and time", "Choices", "Links", "Parts", "Other")


class Kind(StrEnum):
    """How a filter compares values: as text (`COLLATE "C"`), as numbers, as lists of texts, not at all."""

    TEXT = "text"
    NUMBER = "number"
    LIST = "list"
    NONE = "none"


class OptionContext(Protocol):
    """What building the inputs of a field's options may ask on behalf of who models."""

    def offered(self, *, components: bool) -> Sequence[tuple[str, str]]:
        """Return (key, name) of the components, or of the other collections, that they may know of."""


class Option(Protocol):
    """One option of a field type: reads it from a client (keys) or from storage (ids), and writes it back."""

    def parse(self, raw: object, ctx: "Schema") -> Any:
        """Return the option's value; raise FieldError with pointers relative to the option."""

    def load(self, stored: Json) -> Any:
        """Return the option's value from its stored form."""

    def store(self, value: Any) -> Json:
        """Return the form kept in the database; names of other things are ids."""

    def show(self, value: Any, ctx: "Schema") -> Json:
        """Return the form that clients see; names of other things are keys."""

    def form_field(self, ctx: OptionContext) -> forms.Field:
        """Return its input: shows what `show` returned, and gives what `parse` reads, None for nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a field; subclasses add members made by `option()`. Immutable and hashable by design."""


def option(kind: Option, default: Any = None, *, name: str = "", label: str = "", help: str = "") -> Any:  # noqa: A002 (Django's word)
    """Declare a member of an Options dataclass, read by `kind`; `name` where Python reserves it.

    `label` and `help` are what people read who model a collection.
    """
    return dataclasses.field(
        default=default, metadata={"option": kind, "name": name, "label": label, "help": help}
    )


@dataclass(frozen=True, slots=True)
class OptionMember:
    """An option as people meet it: its name in the API, its label, its help, and what reads it."""

    name: str
    label: str
    help: str
    default: Any
    kind: Option


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What a type may know of its field."""

    id: UUID
    key: str
    type: str
    label: str = ""
    help: str = ""
    group: str = ""
    required: bool = False
    localized: bool = False
    unique: bool = False
    filterable: bool = False
    default: Json = dataclasses.field(default=None, hash=False)
    data_class: str = DataClass.PUBLIC
    is_sealed: bool = dataclasses.field(
        default=False, compare=False
    )  # its values lie sealed, or may do so yet
    options: Options = Options()
    condition: Condition | None = None

    @property
    def name(self) -> str:
        """What people call the field."""
        return self.label or self.key.replace("_", " ").capitalize()

    @property
    def is_sensitive(self) -> bool:
        """Whether its values are personal or secret: sealed, masked, and found by nothing."""
        return self.data_class in SENSITIVE


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """A collection of kind `component`, as a field type sees it."""

    id: UUID
    key: str
    name: str
    fields: tuple[FieldSpec, ...]
    description: str = ""


class Schema(Protocol):
    """What is known of other collections. Removed ones are None."""

    def component(self, key_or_id: str) -> ComponentSpec | None:
        """Return the component with this key, or this id as text."""

    def collection_id(self, key: str) -> UUID | None:
        """Return the id of the collection with this key (components excluded)."""

    def collection_key(self, collection_id: UUID) -> str | None:
        """Return the key of a collection (components excluded)."""


class Context(Schema, Protocol):
    """What cleaning may ask on behalf of the writer."""

    def reference_problem(self, entry_id: UUID, collections: frozenset[UUID]) -> str | None:
        """Return None when the entry exists, the writer sees it and its collection is allowed (empty: any).

        Otherwise a sentence that must be the same for a hidden and for a missing entry.
        """


class ReadContext(Schema, Protocol):
    """What shaping may ask on behalf of the reader."""

    def reference(self, entry_id: UUID) -> Json:
        """Return `{"_id", "_collection"}`, the document when expanded, None when the reader can't see it."""


@dataclass(frozen=True, slots=True)
class Card:
    """An entry that a form refers to: its title, that with its state as markup, and where its own form is."""

    id: str
    title: str
    html: SafeString | str = ""
    url: str = ""


class FormContext(Schema, Protocol):
    """What building the admin's form may ask on behalf of the writer."""

    def reference_choices(self, field: FieldSpec) -> Sequence[tuple[str, str]]:
        """Return (entry id, title) of the newest entries that the writer may choose for a reference field."""

    def reference_cards(self, ids: Sequence[str]) -> Sequence[Card]:
        """Return the entries with these ids in order, those too that the writer can't see."""

    def reference_collections(self, field: FieldSpec) -> Sequence[str]:
        """Return the keys of the collections that the writer may choose from for a reference field."""


O = TypeVar("O", bound=Options)  # noqa: E741 -- the customary short name of a type variable


class FieldType(Generic[O]):
    """One type of field. Subclasses are stateless; `register` makes the one instance.

    Methods that take a canonical or delivered value get None for "nothing" and must bear it.
    """

    key: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    icon: ClassVar[str]
    family: ClassVar[str]  # of `FAMILIES`: under which heading people find it
    kind: ClassVar[Kind] = Kind.NONE
    sortable: ClassVar[bool] = False  # only kinds TEXT and NUMBER
    can_be_unique: ClassVar[bool] = False
    converts_to: ClassVar[frozenset[str]] = frozenset()
    options_class: type[O]

    # Options

    def options(self, field: FieldSpec) -> O:
        """Return the field's options; a spec built without any gets the defaults."""
        if isinstance(field.options, self.options_class):
            return field.options
        if type(field.options) is Options:
            return self.options_class()
        raise TypeError(f"{field.key} has {type(field.options).__name__}, not {self.options_class.__name__}")

    def parse_options(self, raw: object, ctx: Schema) -> O:
        """Read a client's options object; unknown keys and nonsense are refused, each with its place."""
        if raw is None:
            raw = {}
        if not isinstance(raw, Mapping):
            raise FieldError.at((), "invalid-type", "Options must be an object.")
        members = _members(self.options_class)
        problems = [
            Problem.at((str(name)[:100],), "unknown-option", f"There is no such option of {self.key}.")
            for name in raw
            if name not in members
        ]
        values: dict[str, Any] = {}
        for name, (attribute, kind) in members.items():
            if raw.get(name) is not None:
                try:
                    values[attribute] = kind.parse(raw[name], ctx)
                except FieldError as error:
                    problems += error.under(name).problems
        if problems:
            raise FieldError(problems)
        options = self.options_class(**values)
        problems = list(self.option_problems(options, ctx))
        if problems:
            raise FieldError(problems)
        return options

    def option_problems(self, options: O, ctx: Schema) -> Iterator[Problem]:
        """Yield what is wrong with options that are each right, e.g. a minimum above the maximum."""
        yield from ()

    def store_options(self, options: O) -> dict[str, Json]:
        """Return what the database keeps: only what differs from the default, other collections by id."""
        return {name: kind.store(value) for name, kind, value in self._chosen(options)}

    def load_options(self, stored: Mapping[str, Json]) -> O:
        """Return the options kept in the database. Unknown names, of a later release, are left alone."""
        members = _members(self.options_class)
        known = {
            members[name][0]: members[name][1].load(value)
            for name, value in stored.items()
            if name in members
        }
        return self.options_class(**known)

    def options_json(self, options: O, ctx: Schema) -> dict[str, Json]:
        """Return what clients see: only what differs from the default, other collections by key."""
        return {name: kind.show(value, ctx) for name, kind, value in self._chosen(options)}

    def option_members(self) -> list[OptionMember]:
        """Return the options that the type has, in their order."""
        return [
            OptionMember(
                name=item.metadata["name"] or item.name,
                label=item.metadata["label"] or item.name.replace("_", " ").capitalize(),
                help=item.metadata["help"],
                default=item.default,
                kind=item.metadata["option"],
            )
            for item in dataclasses.fields(self.options_class)
        ]

    def _chosen(self, options: O) -> Iterator[tuple[str, Option, Any]]:
        plain = self.options_class()
        for name, (attribute, kind) in _members(self.options_class).items():
            value = getattr(options, attribute)
            if value != getattr(plain, attribute):
                yield name, kind, value

    def named_collections(self, options: O) -> frozenset[UUID]:
        """Return the ids of the collections and components that the options name ("used by", circles)."""
        return frozenset()

    # Values

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        """Return the canonical value of an input; None, "" and [] become None. Raises FieldError only.

        Everything is checked but `required`: drafts may be incomplete. A canonical value is a fixed point.
        """
        raise NotImplementedError

    def missing(self, value: Json, field: FieldSpec, ctx: Schema) -> list[Problem]:
        """Return what the canonical value still lacks to be published."""
        if value is None and field.required:
            return [Problem.at((), "required", f"{field.name} is required.")]
        return []

    def prune(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        """Return an old version's canonical value without what the schema no longer knows, for a restore."""
        return value

    def resolve(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        """Return the delivered form of a canonical value. Ids stay ids; HTML is sanitized (again)."""
        return value

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        """Return what the API shows of a delivered value."""
        return value

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        """Return what the management API shows of a canonical value; `clean` takes it back unchanged."""
        return value

    def references(self, value: Json, field: FieldSpec, ctx: Schema) -> Iterator[UUID]:
        """Yield the ids of the entries that a canonical or delivered value refers to."""
        yield from ()

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        """Return the words of a delivered value that a full-text search should find."""
        return ""

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        """Return a canonical value in plain words, one thought a line, for a diff by words."""
        return self.as_text(value)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of what `shape` returns; null is added by `nullable`."""
        raise NotImplementedError

    def data_class(self, field: FieldSpec, ctx: Schema) -> str:
        """Return the data class to decide access by: components are as sensitive as what they hold."""
        return field.data_class

    # Filters

    def filter_value(self, raw: str) -> str | Decimal:
        """Return a query parameter's text as it is compared (TEXT, LIST: str; NUMBER: Decimal), or raise."""
        raise FieldError.at((), "not-filterable", f"A field of type {self.key} cannot be compared.")

    # Forms

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        """Return the Django form field of the admin; never `required`, since drafts may be incomplete."""
        raise NotImplementedError

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        """Return the form field's initial value for a canonical value."""
        return value

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        """Return the input for `clean` from the form field's cleaned value."""
        return value

    # Conversion to another type

    def convertible(self, to: "FieldType[Any]") -> bool:
        """Tell whether values may be converted at all; a single value may still refuse."""
        return to.key == self.key or to.key in self.converts_to

    def as_text(self, value: Json) -> str:
        """Return a canonical value as text, `""` for nothing."""
        return "" if value is None else str(value)

    def from_text(self, text: str) -> object:
        """Return the input that a text stands for (conversion, import of plain text); raise FieldError."""
        return text

    def convert(self, value: Json, to: "FieldType[Any]", field: FieldSpec, ctx: Context) -> Json:
        """Return a canonical value of this type as one of `to`, or raise FieldError rather than lose any.

        `field` is the new field.
        """
        if value is None or to.key == self.key:
            return to.clean(value, field, ctx)
        if not self.convertible(to):
            raise FieldError.at((), "not-convertible", f"{self.label} cannot become {to.label}.")
        return to.clean(to.from_text(self.as_text(value)), field, ctx)


def _members(options_class: type[Options]) -> dict[str, tuple[str, Option]]:
    """Return public name → (attribute, option) of an Options class."""
    return {
        item.metadata["name"] or item.name: (item.name, item.metadata["option"])
        for item in dataclasses.fields(options_class)
    }


REGISTRY: dict[str, FieldType[Any]] = {}

T = TypeVar("T", bound=type[FieldType[Any]])


def register(field_type: T) -> T:
    """Put one instance of the type into the registry (a class decorator)."""
    if field_type.key in REGISTRY:
        raise ValueError(f"Two field types are called {field_type.key}.")
    REGISTRY[field_type.key] = field_type()
    return field_type


def get(key: str) -> FieldType[Any]:
    """Return the type with this key, or raise KeyError."""
    return REGISTRY[key]


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema that also allows null, as every delivered value may be absent."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    if not schema:
        return {}
    return {"anyOf": [schema, {"type": "null"}]}
