"""A list of any of the named components: what pages are built of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms

from accounts.canonical import Json
from accounts.errors import Problem, placed
from content.fields import nesting
from content.fields.base import (
    ComponentSpec,
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Options,
    ReadContext,
    Schema,
    option,
    register,
)
from content.fields.forms import common
from content.fields.lists import too_few
from content.fields.nested_forms import NestedField
from content.fields.nesting import MAX_PARTS, Inside
from content.fields.options import Named, Whole


@dataclass(frozen=True, slots=True)
class BlocksOptions(Options):
    components: tuple[UUID, ...] = option(
        Named(components=True), (), label="Components", help="Which ones people may add."
    )
    min: int | None = option(Whole(0, MAX_PARTS), label="At least", help="So many to publish.")
    max: int = option(Whole(1, MAX_PARTS), MAX_PARTS, label="At most")


@register
class BlocksField(FieldType[BlocksOptions]):
    """Canonical and delivered are `[{"_component": component id, component field id: value}]`; shown with keys."""

    key = "blocks"
    label = "Blocks"
    description = "A list of different components, in your order."
    icon = "layers"
    family = "Parts"
    options_class = BlocksOptions

    def option_problems(self, options: BlocksOptions, ctx: Schema) -> Iterator[Problem]:
        if not options.components:
            yield Problem.at(("components",), "required", "Name the components to choose from.")
        if options.min is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is above the maximum.")

    def named_collections(self, options: BlocksOptions) -> frozenset[UUID]:
        return frozenset(options.components)

    def _allowed(self, field: FieldSpec, ctx: Schema) -> list[ComponentSpec]:
        return nesting.components_of(self.options(field).components, ctx)

    def _parts(
        self, value: Json, field: FieldSpec, ctx: Schema
    ) -> Iterator[tuple[ComponentSpec, dict[str, Json]]]:
        """Yield the parts of a canonical or delivered value whose component still is one of the field's."""
        allowed = {str(item.id): item for item in self._allowed(field, ctx)}
        for part in value if isinstance(value, list) else ():
            component = allowed.get(str(part.get("_component"))) if isinstance(part, dict) else None
            if component is not None and isinstance(part, dict):
                yield component, part

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "" or value == []:
            return None
        if not isinstance(value, list):
            raise FieldError.at((), "invalid-type", "A list is expected.")
        most = self.options(field).max
        if len(value) > most:
            raise FieldError.at((), "too-many", f"At most {most} (there are {len(value):,}).")
        allowed = {name: item for item in self._allowed(field, ctx) for name in (item.key, str(item.id))}
        inside = Inside.of(ctx)
        problems: list[Problem] = []
        cleaned: list[Json] = []
        for index, part in enumerate(value):
            name = part.get("_component") if isinstance(part, Mapping) else None
            component = allowed.get(name) if isinstance(name, str) else None
            if component is None:
                detail = f"One of {', '.join(sorted({item.key for item in allowed.values()})) or 'none'}."
                problems.append(Problem.at((index, "_component"), "unknown-component", detail))
                continue
            try:
                values = nesting.clean_part(
                    {k: v for k, v in part.items() if k != "_component"}, component, inside
                )
            except FieldError as error:
                problems += error.under(index).problems
                continue
            cleaned.append({"_component": str(component.id), **values})
        if problems:
            raise FieldError(problems[: nesting.MAX_PROBLEMS])
        return cleaned

    def missing(self, value: Json, field: FieldSpec, ctx: Schema) -> list[Problem]:
        if not isinstance(value, list) or not value:
            return super().missing(None, field, ctx)
        inside = Inside.of(ctx)
        return too_few(value, self.options(field).min) + [
            problem
            for index, (component, part) in enumerate(self._parts(value, field, ctx))
            for problem in placed(nesting.missing_in_part(component, part, inside), index)
        ]

    def prune(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        inside = Inside.of(ctx)
        return [
            {"_component": str(component.id), **nesting.prune_part(component, part, inside)}
            for component, part in self._parts(value, field, ctx)
        ] or None

    def resolve(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        inside = Inside.of(ctx)
        return [
            {"_component": str(component.id), **nesting.resolve_part(component, part, inside)}
            for component, part in self._parts(value, field, ctx)
        ]

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self._shape(value, field, ctx, draft=False)

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self._shape(value, field, ctx, draft=True)

    def _shape(self, value: Json, field: FieldSpec, ctx: ReadContext, *, draft: bool) -> Json:
        inside = Inside.of(ctx)
        return [
            {"_component": component.key, **nesting.shape_part(component, part, inside, draft=draft)}
            for component, part in self._parts(value, field, ctx)
        ]

    def references(self, value: Json, field: FieldSpec, ctx: Schema) -> Iterator[UUID]:
        inside = Inside.of(ctx)
        for component, part in self._parts(value, field, ctx):
            yield from nesting.references_in_part(component, part, inside)

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        inside = Inside.of(ctx)
        parts = self._parts(value, field, ctx)
        return "\n".join(nesting.search_text_of_part(component, part, inside) for component, part in parts)

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        inside = Inside.of(ctx)
        parts = self._parts(value, field, ctx)
        return "\n".join(nesting.diff_text_of_part(component, part, inside) for component, part in parts)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        inside = Inside.of(ctx)
        parts = [nesting.json_schema_of_part(item, inside, typed=True) for item in self._allowed(field, ctx)]
        return {"type": "array", "items": {"oneOf": parts} if parts else {"type": "object"}}

    def data_class(self, field: FieldSpec, ctx: Schema) -> str:
        return nesting.most_sensitive(field.data_class, self._allowed(field, ctx), Inside.of(ctx))

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        return NestedField(components=self._allowed(field, ctx), ctx=Inside.of(ctx), **common(field))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return [part for _, part in self._parts(value, field, ctx)]

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return value.as_input(typed=True)
