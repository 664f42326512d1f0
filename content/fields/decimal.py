"""A number with a fraction, kept exactly."""

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
from content.fields.numbers import decimal_in, decimal_text
from content.fields.options import Number

NUMBER = Number()


@dataclass(frozen=True, slots=True)
class DecimalOptions(Options):
    min: Decimal | None = option(NUMBER, label="Lowest")  # noqa: RUF009 -- makes a dataclasses.field
    max: Decimal | None = option(NUMBER, label="Highest")  # noqa: RUF009 -- makes a dataclasses.field


@register
class DecimalField(FieldType[DecimalOptions]):
    """Canonical and delivered as text in one plain spelling, since JSON readers round numbers."""

    key = "decimal"
    label = "Decimal number"
    description = "An exact number with a fraction: a price, a length."
    icon = "percent"
    family = "Numbers and time"
    kind = Kind.NUMBER
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"integer", "text", "long_text"})
    options_class = DecimalOptions

    def option_problems(self, options: DecimalOptions, ctx: Schema) -> Iterator[Problem]:
        if options.min is not None and options.max is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is above the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "":
            return None
        number = decimal_in(value)
        options = self.options(field)
        if options.min is not None and number < options.min:
            raise FieldError.at((), "too-small", f"At least {decimal_text(options.min)}.")
        if options.max is not None and number > options.max:
            raise FieldError.at((), "too-large", f"At most {decimal_text(options.max)}.")
        return decimal_text(number)

    def filter_value(self, raw: str) -> str | Decimal:
        return decimal_in(raw)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,10})?$"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        options = self.options(field)
        low, high = (None if item is None else decimal_text(item) for item in (options.min, options.max))
        widget = forms.TextInput(attrs={"class": "vTextField", "dir": "ltr", "inputmode": "decimal"})
        return forms.CharField(widget=widget, **common(field, range_in_words(low, high)))
