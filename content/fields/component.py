"""A group of fields inside of an entry, once or as a list of the same kind."""

from collections.abc import Iterator
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
class ComponentOptions(Options):
    components: tuple[UUID, ...] = option(Named(components=True, most=1), (), label="Component")


@dataclass(frozen=True, slots=True)
class ComponentsOptions(Options):
    components: tuple[UUID, ...] = option(Named(components=True, most=1), (), label="Component")
    min: int | None = option(Whole(0, MAX_PARTS), label="At least", help="So many to publish.")
    max: int = option(Whole(1, MAX_PARTS), MAX_PARTS, label="At most")


def _component(components: tuple[UUID, ...], ctx: Schema) -> ComponentSpec | None:
    return next(iter(nesting.components_of(components, ctx)), None)


def _items(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


@register
class ComponentField(FieldType[ComponentOptions]):
    """Canonical and delivered are `{component field id: value}`."""

    key = "component"
    label = "Component"
    description = "A group of fields, once."
    icon = "box"
    family = "Parts"
    converts_to = frozenset({"components"})
    options_class = ComponentOptions

    def option_problems(self, options: ComponentOptions, ctx: Schema) -> Iterator[Problem]:
        if not options.components:
            yield Problem.at(("components",), "required", "Name the component.")

    def named_collections(self, options: ComponentOptions) -> frozenset[UUID]:
        return frozenset(options.components)

    def _inside(self, field: FieldSpec, ctx: Schema) -> tuple[ComponentSpec | None, Inside]:
        return _component(self.options(field).components, ctx), Inside.of(ctx)

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "":
            return None
        component, inside = self._inside(field, ctx)
        if component is None:
            raise FieldError.at(
                (), "unknown-component", "There is no such component (any more) at this depth."
            )
        return nesting.clean_part(value, component, inside) or None

    def missing(self, value: Json, field: FieldSpec, ctx: Schema) -> list[Problem]:
        component, inside = self._inside(field, ctx)
        if not isinstance(value, dict) or component is None:
            return super().missing(None, field, ctx)
        return nesting.missing_in_part(component, value, inside)

    def prune(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        component, inside = self._inside(field, ctx)
        if not isinstance(value, dict) or component is None:
            return None
        return nesting.prune_part(component, value, inside) or None

    def resolve(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        component, inside = self._inside(field, ctx)
        if not isinstance(value, dict) or component is None:
            return None
        return nesting.resolve_part(component, value, inside) or None

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self._shape(value, field, ctx, draft=False)

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self._shape(value, field, ctx, draft=True)

    def _shape(self, value: Json, field: FieldSpec, ctx: ReadContext, *, draft: bool) -> Json:
        component, inside = self._inside(field, ctx)
        if not isinstance(value, dict) or component is None:
            return None
        return nesting.shape_part(component, value, inside, draft=draft)

    def references(self, value: Json, field: FieldSpec, ctx: Schema) -> Iterator[UUID]:
        component, inside = self._inside(field, ctx)
        if isinstance(value, dict) and component is not None:
            yield from nesting.references_in_part(component, value, inside)

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        component, inside = self._inside(field, ctx)
        if not isinstance(value, dict) or component is None:
            return ""
        return nesting.search_text_of_part(component, value, inside)

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        component, inside = self._inside(field, ctx)
        if not isinstance(value, dict) or component is None:
            return ""
        return nesting.diff_text_of_part(component, value, inside)

    def convert(self, value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context) -> Json:
        if to.key == "components" and value is not None:
            return to.clean([value], field, ctx)
        return super().convert(value, to, field, ctx)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        component, inside = self._inside(field, ctx)
        if component is None:
            return {"type": "object"}
        return nesting.json_schema_of_part(component, inside, typed=False)

    def data_class(self, field: FieldSpec, ctx: Schema) -> str:
        component, inside = self._inside(field, ctx)
        return nesting.most_sensitive(field.data_class, [component] if component else [], inside)

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        component, inside = self._inside(field, ctx)
        return NestedField(
            components=[component] if component else [], ctx=inside, single=True, **common(field)
        )

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return [value] if isinstance(value, dict) else []

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return next(iter(value.as_input(typed=False)), None)


@register
class ComponentsField(FieldType[ComponentsOptions]):
    """Canonical and delivered are a list of `{component field id: value}`."""

    key = "components"
    label = "Components"
    description = "A group of fields, any number of times."
    icon = "boxes"
    family = "Parts"
    converts_to = frozenset({"component"})
    options_class = ComponentsOptions

    def option_problems(self, options: ComponentsOptions, ctx: Schema) -> Iterator[Problem]:
        if not options.components:
            yield Problem.at(("components",), "required", "Name the component.")
        if options.min is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is above the maximum.")

    def named_collections(self, options: ComponentsOptions) -> frozenset[UUID]:
        return frozenset(options.components)

    def _inside(self, field: FieldSpec, ctx: Schema) -> tuple[ComponentSpec | None, Inside]:
        return _component(self.options(field).components, ctx), Inside.of(ctx)

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "" or value == []:
            return None
        component, inside = self._inside(field, ctx)
        if component is None:
            raise FieldError.at(
                (), "unknown-component", "There is no such component (any more) at this depth."
            )
        if not isinstance(value, list):
            raise FieldError.at((), "invalid-type", "A list is expected.")
        most = self.options(field).max
        if len(value) > most:
            raise FieldError.at((), "too-many", f"At most {most} (there are {len(value):,}).")
        problems: list[Problem] = []
        cleaned: list[Json] = []
        for index, item in enumerate(value):
            try:
                cleaned.append(nesting.clean_part(item, component, inside))
            except FieldError as error:
                problems += error.under(index).problems
        if problems:
            raise FieldError(problems[: nesting.MAX_PROBLEMS])
        return cleaned

    def missing(self, value: Json, field: FieldSpec, ctx: Schema) -> list[Problem]:
        component, inside = self._inside(field, ctx)
        items = _items(value)
        if not items or component is None:
            return super().missing(None, field, ctx)
        return too_few(value, self.options(field).min) + [
            problem
            for index, item in enumerate(items)
            for problem in placed(nesting.missing_in_part(component, item, inside), index)
        ]

    def prune(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        component, inside = self._inside(field, ctx)
        if component is None:
            return None
        return [nesting.prune_part(component, item, inside) for item in _items(value)] or None

    def resolve(self, value: Json, field: FieldSpec, ctx: Schema) -> Json:
        component, inside = self._inside(field, ctx)
        if component is None:
            return None
        return [nesting.resolve_part(component, item, inside) for item in _items(value)]

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self._shape(value, field, ctx, draft=False)

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self._shape(value, field, ctx, draft=True)

    def _shape(self, value: Json, field: FieldSpec, ctx: ReadContext, *, draft: bool) -> Json:
        component, inside = self._inside(field, ctx)
        if component is None:
            return []
        return [nesting.shape_part(component, item, inside, draft=draft) for item in _items(value)]

    def references(self, value: Json, field: FieldSpec, ctx: Schema) -> Iterator[UUID]:
        component, inside = self._inside(field, ctx)
        if component is not None:
            for item in _items(value):
                yield from nesting.references_in_part(component, item, inside)

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        component, inside = self._inside(field, ctx)
        if component is None:
            return ""
        return "\n".join(nesting.search_text_of_part(component, item, inside) for item in _items(value))

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        component, inside = self._inside(field, ctx)
        if component is None:
            return ""
        return "\n".join(nesting.diff_text_of_part(component, item, inside) for item in _items(value))

    def convert(self, value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context) -> Json:
        if to.key == "component" and isinstance(value, list):
            if len(value) > 1:
                raise FieldError.at((), "would-lose-data", f"Only one of {len(value)} could be kept.")
            return to.clean(value[0], field, ctx)
        return super().convert(value, to, field, ctx)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        component, inside = self._inside(field, ctx)
        items = (
            nesting.json_schema_of_part(component, inside, typed=False) if component else {"type": "object"}
        )
        return {"type": "array", "items": items}

    def data_class(self, field: FieldSpec, ctx: Schema) -> str:
        component, inside = self._inside(field, ctx)
        return nesting.most_sensitive(field.data_class, [component] if component else [], inside)

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        component, inside = self._inside(field, ctx)
        return NestedField(components=[component] if component else [], ctx=inside, **common(field))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return _items(value)

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return value.as_input(typed=False)
