"""One or several other entries."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms

from accounts.canonical import Json
from accounts.errors import Problem
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Kind,
    Options,
    ReadContext,
    Schema,
    option,
    register,
)
from content.fields.forms import common
from content.fields.lists import convert_list, distinct_texts, too_few
from content.fields.options import Named, Whole
from content.fields.reference_forms import ReferenceInput, ReferenceListField, ReferencesInput

MAX_REFERENCES = 500

_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_SCHEMA = {
    "type": "object",
    "properties": {"_id": {"type": "string", "format": "uuid"}, "_collection": {"type": "string"}},
    "required": ["_id", "_collection"],
}


@dataclass(frozen=True, slots=True)
class ReferenceOptions(Options):
    collections: tuple[UUID, ...] = option(
        Named(components=False), (), label="Collections", help="Whose entries can be chosen."
    )


@dataclass(frozen=True, slots=True)
class ReferencesOptions(Options):
    collections: tuple[UUID, ...] = option(
        Named(components=False), (), label="Collections", help="Whose entries can be chosen."
    )
    min: int | None = option(Whole(0, MAX_REFERENCES), label="At least", help="So many to publish.")
    max: int = option(Whole(1, MAX_REFERENCES), MAX_REFERENCES, label="At most")


def entry_id_in(value: object) -> str | None:
    """Return the entry id of `{"_id"}` (as the API shows it) or of a text; None for nothing."""
    if isinstance(value, Mapping):
        if "_id" not in value or not set(value) <= {"_id", "_collection"}:
            raise FieldError.at((), "invalid-type", 'A reference is {"_id"} or an entry\'s id.')
        value = value["_id"]
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise FieldError.at((), "invalid-reference", "An entry's id is expected.")
    return value.lower()


def _checked(value: object, collections: tuple[UUID, ...], ctx: Context) -> str | None:
    entry_id = entry_id_in(value)
    problem = ctx.reference_problem(UUID(entry_id), frozenset(collections)) if entry_id is not None else None
    if problem is not None:
        raise FieldError.at((), "invalid-reference", problem)
    return entry_id


def _found(value: Json) -> Iterator[UUID]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and _ID.fullmatch(item):
            yield UUID(item)


@register
class ReferenceField(FieldType[ReferenceOptions]):
    """Canonical is the entry's id; what it refers to is looked up when it is read."""

    key = "reference"
    label = "Reference"
    description = "Another entry, e.g. the author."
    icon = "arrow-right"
    family = "Links"
    kind = Kind.TEXT
    can_be_unique = True
    converts_to = frozenset({"references"})
    options_class = ReferenceOptions

    def option_problems(self, options: ReferenceOptions, ctx: Schema) -> Iterator[Problem]:
        if not options.collections:
            yield Problem.at(("collections",), "required", "Name the collections to choose from.")

    def named_collections(self, options: ReferenceOptions) -> frozenset[UUID]:
        return frozenset(options.collections)

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        return _checked(value, self.options(field).collections, ctx)

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return next((ctx.reference(entry_id) for entry_id in _found(value)), None)

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self.shape(value, field, ctx)

    def references(self, value: Json, field: FieldSpec, ctx: Schema) -> Iterator[UUID]:
        yield from _found(value)

    def from_text(self, text: str) -> object:
        return text

    def convert(self, value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context) -> Json:
        if to.key == "references" and value is not None:
            return to.clean([value], field, ctx)
        return super().convert(value, to, field, ctx)

    def filter_value(self, raw: str) -> str | Decimal:
        return entry_id_in(raw) or ""

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return _SCHEMA

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        return forms.CharField(widget=ReferenceInput(field, ctx), **common(field))


@register
class ReferencesField(FieldType[ReferencesOptions]):
    """Canonical is a list of different entry ids in the order given."""

    key = "references"
    label = "References"
    description = "Several other entries, in your order."
    icon = "share"
    family = "Links"
    kind = Kind.LIST
    converts_to = frozenset({"reference"})
    options_class = ReferencesOptions

    def option_problems(self, options: ReferencesOptions, ctx: Schema) -> Iterator[Problem]:
        if not options.collections:
            yield Problem.at(("collections",), "required", "Name the collections to choose from.")
        if options.min is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is above the maximum.")

    def named_collections(self, options: ReferencesOptions) -> frozenset[UUID]:
        return frozenset(options.collections)

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        options = self.options(field)
        ids = distinct_texts(
            value, most=options.max, clean=lambda item: _checked(item, options.collections, ctx)
        )
        return ids if ids is None else [*ids]

    def missing(self, value: Json, field: FieldSpec, ctx: Schema) -> list[Problem]:
        return super().missing(value, field, ctx) or too_few(value, self.options(field).min)

    def shape(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return [shown for entry_id in _found(value) if (shown := ctx.reference(entry_id)) is not None]

    def shape_draft(self, value: Json, field: FieldSpec, ctx: ReadContext) -> Json:
        return self.shape(value, field, ctx)

    def references(self, value: Json, field: FieldSpec, ctx: Schema) -> Iterator[UUID]:
        yield from _found(value)

    def as_text(self, value: Json) -> str:
        return "\n".join(map(str, value)) if isinstance(value, list) else ""

    def convert(self, value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context) -> Json:
        return convert_list(self, value, to, field, ctx)

    def filter_value(self, raw: str) -> str | Decimal:
        return entry_id_in(raw) or ""

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "array", "items": _SCHEMA}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        widget = ReferencesInput(field, ctx, most=self.options(field).max)
        return ReferenceListField(widget=widget, **common(field))
