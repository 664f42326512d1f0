"""A long plain text with line breaks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms

from accounts.canonical import Json
from accounts.errors import Problem
from content.fields.base import (
    Context,
    FieldSpec,
    FieldType,
    FormContext,
    Options,
    Schema,
    option,
    register,
)
from content.fields.forms import LinesField, common
from content.fields.options import Whole
from content.fields.strings import MAX_LONG, normalised, text_in, unix_lines, within


@dataclass(frozen=True, slots=True)
class LongTextOptions(Options):
    min_length: int = option(Whole(0, MAX_LONG), 0)
    max_length: int = option(Whole(1, MAX_LONG), MAX_LONG)


@register
class LongTextField(FieldType[LongTextOptions]):
    key = "long_text"
    label = "Long text"
    description = "Plain text of several lines, without formatting."
    icon = "pilcrow"
    converts_to = frozenset({"text", "markdown", "rich_text"})
    options_class = LongTextOptions

    def option_problems(self, options: LongTextOptions, ctx: Schema) -> Iterator[Problem]:
        if options.min_length > options.max_length:
            yield Problem.at(("min_length",), "out-of-range", "The minimum is above the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None:
            return None
        options = self.options(field)
        text = text_in(value, lines=True)
        within(text, 0, 4 * options.max_length + 100)  # before any work is done on it
        text = normalised(unix_lines(text))
        return within(text, options.min_length, options.max_length) if text.strip() else None

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.as_text(value)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.options(field).max_length}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        widget = forms.Textarea(attrs={"class": "vLargeTextField", "rows": 6})
        return LinesField(widget=widget, **common(field))
