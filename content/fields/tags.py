"""Free words to sort entries by."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms

from accounts.canonical import Json
from accounts.errors import Problem
from content.fields.base import (
    Context,
    FieldSpec,
    FieldType,
    FormContext,
    Kind,
    Options,
    Schema,
    option,
    register,
)
from content.fields.forms import LinesField, common
from content.fields.lists import convert_list, counted, distinct_texts, too_few
from content.fields.options import Whole
from content.fields.strings import one_line, unix_lines

MAX_TAGS = 100
MAX_TAG = 60


@dataclass(frozen=True, slots=True)
class TagsOptions(Options):
    min: int | None = option(Whole(0, MAX_TAGS), label="At least", help="So many to publish.")
    max: int = option(Whole(1, MAX_TAGS), MAX_TAGS, label="At most")


@register
class TagsField(FieldType[TagsOptions]):
    key = "tags"
    label = "Tags"
    description = "Free words, each once, in your order."
    icon = "tag"
    family = "Choices"
    kind = Kind.LIST
    converts_to = frozenset({"choices", "choice", "text"})
    options_class = TagsOptions

    def option_problems(self, options: TagsOptions, ctx: Schema) -> Iterator[Problem]:
        if options.min is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is above the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        tags = distinct_texts(value, most=MAX_TAGS, clean=lambda item: one_line(item, high=MAX_TAG))
        return counted(tags, self.options(field).max)

    def missing(self, value: Json, field: FieldSpec, ctx: Schema) -> list[Problem]:
        return super().missing(value, field, ctx) or too_few(value, self.options(field).min)

    def as_text(self, value: Json) -> str:
        return ", ".join(map(str, value)) if isinstance(value, list) else ""

    def from_text(self, text: str) -> object:
        return [text]

    def convert(self, value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context) -> Json:
        return convert_list(self, value, to, field, ctx)

    def filter_value(self, raw: str) -> str | Decimal:
        return one_line(raw) or ""

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.as_text(value)

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return "\n".join(map(str, value)) if isinstance(value, list) else ""

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "array", "uniqueItems": True, "items": {"type": "string", "maxLength": MAX_TAG}}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        attrs: dict[str, Any] = {
            "class": "vLargeTextField",
            "rows": 3,
            "dir": "auto",
            "placeholder": "One a line",
        }
        attrs["data-tags"] = field.key
        widget = forms.Textarea(attrs=attrs)
        return LinesField(widget=widget, **common(field))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return self.diff_text(value, field, ctx)

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return [line for line in unix_lines(value or "").split("\n") if line.strip()]
