"""A whole number."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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
    Schema,
    option,
    register,
)
from content.fields.forms import common, range_in_words
from content.fields.numbers import MAX_INTEGER, decimal_in, integer_in
from content.fields.options import Whole

_TEXT = re.compile(r"[+-]?[0-9]{1,16}")


@dataclass(frozen=True, slots=True)
class IntegerOptions(Options):
    min: int | None = option(Whole(-MAX_INTEGER, MAX_INTEGER), label="Lowest")
    max: int | None = option(Whole(-MAX_INTEGER, MAX_INTEGER), label="Highest")


@register
class IntegerField(FieldType[IntegerOptions]):
    key = "integer"
    label = "Whole number"
    description = "A number without a fraction: a count, a year."
    icon = "hash"
    family = "Numbers and time"
    kind = Kind.NUMBER
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"decimal", "text", "long_text", "choice"})
    options_class = IntegerOptions

    def option_problems(self, options: IntegerOptions, ctx: Schema) -> Iterator[Problem]:
        if options.min is not None and options.max is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is above the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "":
            return None
        number = integer_in(value)
        options = self.options(field)
        if options.min is not None and number < options.min:
            raise FieldError.at((), "too-small", f"At least {options.min:,}.")
        if options.max is not None and number > options.max:
            raise FieldError.at((), "too-large", f"At most {options.max:,}.")
        return number

    def from_text(self, text: str) -> object:
        if not _TEXT.fullmatch(text.strip()):
            raise FieldError.at((), "invalid-type", "A whole number is expected.")
        return int(text)

    def filter_value(self, raw: str) -> str | Decimal:
        return decimal_in(raw)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        options = self.options(field)
        limits = {"minimum": options.min, "maximum": options.max}
        return {"type": "integer", **{name: limit for name, limit in limits.items() if limit is not None}}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        options = self.options(field)
        attrs = {
            "class": "vIntegerField",
            "step": 1,
            "inputmode": "numeric",
            "min": options.min,
            "max": options.max,
        }
        limits = range_in_words(options.min, options.max)
        return forms.CharField(widget=forms.NumberInput(attrs=attrs), **common(field, limits))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return self.as_text(value)

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return self.from_text(value) if value else None
