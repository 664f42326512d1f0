"""Filters of a list, in the words of the API in the address and in the words of people on the page."""

from dataclasses import dataclass
from uuid import UUID

from django.http import QueryDict

from accounts.access import Action, Operator
from accounts.errors import InvalidInputError
from content import fields
from content.admin.choices import Choices
from content.admin.desk import Desk
from content.admin.list_columns import readable
from content.admin.pages import BadAddressError
from content.fields.base import FieldSpec, Kind
from content.parameters import Filter, parse
from content.query import REFERENCES, TIMES, operators_of
from content.schema import CollectionSpec

WORDS = {
    Operator.EQ: "is",
    Operator.NE: "is not",
    Operator.CONTAINS: "contains",
    Operator.STARTS_WITH: "starts with",
    Operator.LT: "is less than",
    Operator.LTE: "is at most",
    Operator.GT: "is more than",
    Operator.GTE: "is at least",
    Operator.IN: "is one of",
    Operator.NIN: "is none of",
    Operator.EXISTS: "has a value",
}
MOMENTS = {
    Operator.LT: "is before",
    Operator.LTE: "is not after",
    Operator.GT: "is after",
    Operator.GTE: "is not before",
}
SYSTEM = {"_updated_at": "Updated", "_published_at": "Published at"}
STATUS = "_status"
STATES = {"draft": "Draft", "changed": "Changed", "published": "Published"}
LISTS = frozenset({Operator.IN, Operator.NIN, Operator.EXISTS})
INPUTS = {"integer": "number", "date": "date"}


@dataclass(frozen=True, slots=True)
class Builder:
    """The form that adds a filter for one field: operators in words, and what a value is typed into."""

    name: str
    label: str
    operators: list[tuple[str, str]]
    input: str
    choices: list[tuple[str, str]]
    is_moment: bool = False


def split(given: QueryDict) -> tuple[QueryDict, tuple[Filter, ...]]:
    """Part an address into its other parameters and its filters, read as the API reads them."""
    rest, own = QueryDict(mutable=True), QueryDict(mutable=True)
    for name, values in given.lists():
        (own if name.startswith("filter[") else rest).setlist(name, values)
    try:
        return rest, parse(own, allowed=frozenset({"filter"})).filters
    except InvalidInputError as error:
        raise BadAddressError from error


def offered(desk: Desk, collection: CollectionSpec) -> list[tuple[str, str]]:
    """Return (name, label) of everything that the person may filter by."""
    return [
        (spec.key, spec.name)
        for spec in readable(desk, collection)
        if spec.filterable and fields.get(spec.type).kind is not Kind.NONE
    ] + [(STATUS, "State"), *SYSTEM.items()]


def builder(desk: Desk, collection: CollectionSpec, name: str) -> Builder:
    """Return the form for a field; hidden and unknown ones are the same strange address."""
    label = dict(offered(desk, collection)).get(name)
    if label is None:
        raise BadAddressError
    if name == STATUS:
        said = [(item.value, WORDS[item]) for item in (Operator.EQ, Operator.NE)]
        return Builder(name, label, said, "text", list(STATES.items()))
    spec = collection.by_key.get(name)
    is_moment = spec is None or spec.type == "datetime"  # asked for by day
    words = WORDS | MOMENTS if is_moment or (spec and spec.type == "date") else WORDS
    # A list of values is for the address; the form asks for one.
    allowed = {Operator.LT, Operator.GTE} if is_moment or spec is None else operators_of(spec) - LISTS
    operators = [(item.value, words[item]) for item in words if item in allowed]
    operators += [("exists:true", "has a value"), ("exists:false", "is empty")]
    kind = "date" if is_moment or spec is None else INPUTS.get(spec.type, "text")
    return Builder(name, label, operators, kind, _choices(desk, spec), is_moment)


def _choices(desk: Desk, spec: FieldSpec | None) -> list[tuple[str, str]]:
    if spec is None:
        return []
    if spec.type == "boolean":
        return [("true", "Yes"), ("false", "No")]
    if spec.type in REFERENCES:
        return list(Choices(desk.schema, desk.principal).reference_choices(spec))
    return [(item.value, item.label) for item in getattr(spec.options, "choices", ())]


def in_words(collection: CollectionSpec, item: Filter, titles: dict[UUID, str]) -> str:
    """Return a filter as a sentence; the gate has let it through, so its field may be named."""
    spec = collection.by_key.get(item.path[0])
    label = spec.name if spec is not None else SYSTEM.get(item.path[0], "State")
    if len(item.path) > 1:
        label = f"{label} › {item.path[1].replace('_', ' ')}"
        spec = None
    if item.operator is Operator.EXISTS:
        return f"{label} {'has a value' if item.raw == 'true' else 'is empty'}"
    is_moment = item.path[0] in TIMES or (spec is not None and spec.type in {"date", "datetime"})
    words = (WORDS | MOMENTS if is_moment else WORDS)[item.operator]
    named = STATES if item.path == (STATUS,) else dict(_named(spec))
    listed = item.raw.split(",") if item.operator in {Operator.IN, Operator.NIN} else [item.raw]
    if spec is not None and spec.type in REFERENCES:
        named = {str(entry_id): title for entry_id, title in titles.items()}
        listed = [value if value in named else "an entry" for value in listed]
    return f"{label} {words} “{', '.join(named.get(value, value) for value in listed)}”"


def _named(spec: FieldSpec | None) -> list[tuple[str, str]]:
    if spec is not None and spec.type == "boolean":
        return [("true", "Yes"), ("false", "No")]
    return [(item.value, item.label) for item in getattr(getattr(spec, "options", None), "choices", ())]


def referred(collection: CollectionSpec, filters: tuple[Filter, ...]) -> dict[UUID, FieldSpec]:
    """Return the ids that filters name in references, with the field of each."""
    found = {}
    for item in filters:
        spec = collection.by_key.get(item.path[0])
        if spec is None or spec.type not in REFERENCES or len(item.path) > 1:
            continue
        for raw in item.raw.split(","):
            try:
                found[UUID(raw)] = spec
            except ValueError:
                continue
    return found


def is_usable(desk: Desk, collection: CollectionSpec, item: Filter) -> bool:
    """Tell whether the person may filter by this, through a reference too."""
    if len(item.path) == 1:
        return item.path[0] in dict(offered(desk, collection))
    spec = next((spec for spec in readable(desk, collection) if spec.key == item.path[0]), None)
    return spec is not None and any(below.key == item.path[1] for below in _below(desk, spec))


def stored(desk: Desk, collection: CollectionSpec, filters: tuple[Filter, ...]) -> list[list[str]]:
    """Return filters as a saved view keeps them: `[field ids or name, operator, value]`, a path as `id.id`.

    A path through a reference to several collections may mean a field in each; the ids of all are kept, as `id.id|id`.
    """
    kept = []
    for item in filters:
        spec = collection.by_key.get(item.path[0])
        name = str(spec.id) if spec else item.path[0]
        if spec is not None and len(item.path) > 1:
            below = sorted(str(found.id) for found in _below(desk, spec) if found.key == item.path[1])
            if not below:
                continue
            name = f"{name}.{'|'.join(below)}"
        kept.append([name, item.operator, item.raw])
    return kept


def restored(desk: Desk, collection: CollectionSpec, kept: list[list[str]]) -> tuple[dict[str, str], bool]:
    """Return the parameters of a view's filters that the person may use, and whether any was left out."""
    grant = desk.principal.grant(Action.READ_DRAFT, on=collection.resource)
    by_id = {str(spec.id): spec for spec in collection.fields if grant.allows(spec)}
    found = {}
    for name, operator, raw in kept:
        first, _, rest = name.partition(".")
        spec = by_id.get(first)
        if spec is not None and rest:
            keys = {below.key for below in _below(desk, spec) if str(below.id) in rest.split("|")}
            if len(keys) == 1:  # renamed in one of several collections, the path would mean something else
                found[f"filter[{spec.key}.{keys.pop()}][{operator}]"] = raw
        elif spec is not None and spec.filterable:
            found[f"filter[{spec.key}][{operator}]"] = raw
        elif name in SYSTEM or name == STATUS:
            found[f"filter[{name}][{operator}]"] = raw
    return found, len(found) < len(kept)


def _below(desk: Desk, spec: FieldSpec) -> list[FieldSpec]:
    """Return the fields that a path through a reference may name, as far as the person may read them."""
    if spec.type not in REFERENCES:
        return []
    targets = (desk.schema.by_id.get(item) for item in desk.schema.target_collections((spec,)))
    return [
        below
        for target in targets
        if target is not None
        for below in target.fields
        if below.filterable and desk.principal.grant(Action.READ_DRAFT, on=target.resource).allows(below)
    ]
