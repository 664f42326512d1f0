"""What component, components and blocks share: values made of fields, within a depth and a number of parts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from accounts.access import DataClass
from accounts.canonical import Json
from accounts.errors import Problem, placed
from content.conditions import asked_for
from content.fields.base import (
    Card,
    ComponentSpec,
    FieldError,
    FieldSpec,
    Schema,
    get,
    nullable,
)

MAX_DEPTH = 5
MAX_PARTS = 200
MAX_PROBLEMS = 100

_CLASSES = list(DataClass)  # from the least to the most sensitive
Values = Mapping[str, Json]


@dataclass(frozen=True)
class Inside:
    """The caller's context as it is seen inside a component. Below MAX_DEPTH there are no components any more, so
    that whatever walks through a schema comes to an end."""

    outside: Any  # a Context, ReadContext or FormContext
    depth: int = 1
    parts: list[int] = field(default_factory=lambda: [MAX_PARTS])

    @classmethod
    def of(cls, ctx: Schema) -> "Inside":
        return cls(ctx.outside, ctx.depth + 1, ctx.parts) if isinstance(ctx, Inside) else cls(ctx)

    def component(self, key_or_id: str) -> ComponentSpec | None:
        found: ComponentSpec | None = self.outside.component(key_or_id) if self.depth < MAX_DEPTH else None
        return found

    def collection_id(self, key: str) -> UUID | None:
        found: UUID | None = self.outside.collection_id(key)
        return found

    def collection_key(self, collection_id: UUID) -> str | None:
        found: str | None = self.outside.collection_key(collection_id)
        return found

    def reference_problem(self, entry_id: UUID, collections: frozenset[UUID]) -> str | None:
        found: str | None = self.outside.reference_problem(entry_id, collections)
        return found

    def reference(self, entry_id: UUID) -> Json:
        found: Json = self.outside.reference(entry_id)
        return found

    def reference_choices(self, field: FieldSpec) -> Sequence[tuple[str, str]]:
        found: Sequence[tuple[str, str]] = self.outside.reference_choices(field)
        return found

    def reference_cards(self, ids: Sequence[str]) -> Sequence[Card]:
        found: Sequence[Card] = self.outside.reference_cards(ids)
        return found

    def reference_collections(self, field: FieldSpec) -> Sequence[str]:
        found: Sequence[str] = self.outside.reference_collections(field)
        return found

    def take_part(self) -> None:
        """Count one part; raise FieldError when there are too many in the whole value."""
        self.parts[0] -= 1
        if self.parts[0] < 0:
            raise FieldError.at((), "too-many", f"At most {MAX_PARTS} parts, the nested ones included.")


def components_of(ids: Iterable[UUID], ctx: Schema) -> list[ComponentSpec]:
    """Return the components with these ids that (still) exist."""
    return [found for item in ids if (found := ctx.component(str(item))) is not None]


def clean_part(value: object, component: ComponentSpec, ctx: Inside) -> dict[str, Json]:
    """Return `{field id: canonical value}` of an input by field key (or id, as canonical values are)."""
    ctx.take_part()
    if not isinstance(value, Mapping):
        raise FieldError.at((), "invalid-type", "An object is expected.")
    known = {name: spec for spec in component.fields for name in (spec.key, str(spec.id))}
    problems: list[Problem] = []
    cleaned: dict[str, Json] = {}
    for name, item in value.items():
        spec = known.get(name) if isinstance(name, str) else None
        if spec is None:
            detail = f"{component.name} has no such field."
            problems.append(Problem.at((str(name)[:100],), "unknown-field", detail))
            continue
        if str(spec.id) in cleaned:
            problems.append(Problem.at((spec.key,), "duplicate", "This field is there twice."))
            continue
        try:
            found = get(spec.type).clean(item, spec, ctx)
        except FieldError as error:
            problems += error.under(spec.key).problems
            continue
        if found is not None:
            cleaned[str(spec.id)] = found
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise FieldError(problems[:MAX_PROBLEMS])
    # In the order of the fields, so that equal values are equal bytes.
    return {str(spec.id): cleaned[str(spec.id)] for spec in component.fields if str(spec.id) in cleaned}


def filled(component: ComponentSpec, value: Values) -> dict[str, Json]:
    """Return the values that count: defaults put in, and only fields whose condition holds."""
    values = {
        str(spec.id): found
        for spec in component.fields
        if (found := value.get(str(spec.id), spec.default)) is not None
    }
    asked = asked_for(component.fields, values)
    return {str(s.id): values[str(s.id)] for s in component.fields if s.id in asked and str(s.id) in values}


def missing_in_part(component: ComponentSpec, value: Values, ctx: Inside) -> list[Problem]:
    """Return what a part lacks to be published."""
    values = filled(component, value)
    asked = asked_for(component.fields, values)
    return [
        problem
        for spec in component.fields
        if spec.id in asked
        for problem in placed(get(spec.type).missing(values.get(str(spec.id)), spec, ctx), spec.key)
    ]


def resolve_part(component: ComponentSpec, value: Values, ctx: Inside) -> dict[str, Json]:
    """Return the delivered form of a part, by field id."""
    values = filled(component, value)
    return {
        str(spec.id): get(spec.type).resolve(values[str(spec.id)], spec, ctx)
        for spec in component.fields
        if str(spec.id) in values
    }


def shape_part(component: ComponentSpec, value: Values, ctx: Inside, *, draft: bool) -> dict[str, Json]:
    """Return what the API shows of a part: every field by key. A draft shows what is there, so that it can be sent
    back."""
    return {
        spec.key: (get(spec.type).shape_draft if draft else get(spec.type).shape)(
            value.get(str(spec.id)), spec, ctx
        )
        for spec in component.fields
        if not draft or value.get(str(spec.id)) is not None
    }


def prune_part(component: ComponentSpec, value: Values, ctx: Inside) -> dict[str, Json]:
    """Return a canonical part without fields that are gone."""
    kept = {
        str(spec.id): get(spec.type).prune(value[str(spec.id)], spec, ctx)
        for spec in component.fields
        if str(spec.id) in value
    }
    return {name: item for name, item in kept.items() if item is not None}


def references_in_part(component: ComponentSpec, value: Values, ctx: Inside) -> Iterator[UUID]:
    """Yield the entries that a part refers to."""
    for spec in component.fields:
        yield from get(spec.type).references(value.get(str(spec.id)), spec, ctx)


def search_text_of_part(component: ComponentSpec, value: Values, ctx: Inside) -> str:
    """Return the words of a delivered part."""
    texts = (get(spec.type).search_text(value.get(str(spec.id)), spec, ctx) for spec in component.fields)
    return "\n".join(text for text in texts if text)


def diff_text_of_part(component: ComponentSpec, value: Values, ctx: Inside) -> str:
    """Return a canonical part in plain words: its name, then a line or more for each field."""
    lines = [component.name]
    for spec in component.fields:
        text = get(spec.type).diff_text(value.get(str(spec.id)), spec, ctx)
        if text:
            lines.append(f"  {spec.name}: " + text.replace("\n", "\n    "))
    return "\n".join(lines)


def json_schema_of_part(component: ComponentSpec, ctx: Inside, *, typed: bool) -> dict[str, Any]:
    """Return the JSON Schema of what `shape_part` shows."""
    properties: dict[str, Any] = {"_component": {"const": component.key}} if typed else {}
    for spec in component.fields:
        properties[spec.key] = nullable(get(spec.type).json_schema(spec, ctx))
    return {"type": "object", "title": component.name, "properties": properties, "required": list(properties)}


def most_sensitive(own: str, components: Iterable[ComponentSpec], ctx: Inside) -> str:
    """Return the most sensitive data class of a field and everything that it holds."""
    found = [own, *(get(spec.type).data_class(spec, ctx) for part in components for spec in part.fields)]
    return max(found, key=lambda item: _CLASSES.index(DataClass(item)))
