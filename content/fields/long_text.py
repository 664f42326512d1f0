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
from content.fields.forms import LinesField, common, length_limits
from content.fields.options import Whole
from content.fields.strings import BYTES, MAX_LONG, as_read, longest, normalised, text_in, unix_lines, within


@dataclass(frozen=True, slots=True)
class LongTextOptions(Options):
    min_length: int = option(Whole(0, MAX_LONG), 0, label="At least", help="Characters, to publish.")
    max_length: int = option(Whole(1, MAX_LONG), MAX_LONG, label="At most", help="Characters.")


@register
class LongTextField(FieldType[LongTextOptions]):
    key = "long_text"
    label = "Long text"
    description = "Plain text of several lines, without formatting."
    icon = "pilcrow"
    family = "Words"
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
        within(text, 0, 4 * BYTES * MAX_LONG)  # before any work is done on it
        text = normalised(unix_lines(text))
        if not text.strip():
            return None
        return as_read(text, options.min_length, options.max_length, room=BYTES * MAX_LONG)

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.as_text(value)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        high = self.options(field).max_length
        return {
            "type": "string",
            "maxLength": longest(high, room=BYTES * MAX_LONG),
            "description": f"At most {high:,} characters, as readers count them.",
        }

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        options = self.options(field)
        limits = length_limits(
            options.min_length, options.max_length if options.max_length < MAX_LONG else None
        )
        attrs = {"class": "vLargeTextField", "rows": 6, "dir": "auto", "data-words": "true", **limits}
        widget = forms.Textarea(attrs=attrs)
        return LinesField(widget=widget, **common(field))
