"""A day, without a time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
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
from content.fields.options import Checked

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_in(value: object) -> str | None:
    """Return `YYYY-MM-DD`, None for nothing; raise FieldError."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError as error:
            raise FieldError.at((), "invalid-date", "There is no such day.") from error
    raise FieldError.at((), "invalid-type", "A day such as 2026-01-31 is expected.")


@dataclass(frozen=True, slots=True)
class DateOptions(Options):
    min: str | None = option(Checked(day_in, "date"), label="Earliest")
    max: str | None = option(Checked(day_in, "date"), label="Latest")


@register
class DateField(FieldType[DateOptions]):
    key = "date"
    label = "Date"
    description = "A day without a time."
    icon = "calendar"
    family = "Numbers and time"
    kind = Kind.TEXT
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"text", "long_text", "datetime"})
    options_class = DateOptions

    def option_problems(self, options: DateOptions, ctx: Schema) -> Iterator[Problem]:
        if options.min is not None and options.max is not None and options.min > options.max:
            yield Problem.at(("min",), "out-of-range", "The minimum is after the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        day = day_in(value)
        options = self.options(field)
        if day is not None and options.min is not None and day < options.min:
            raise FieldError.at((), "too-early", f"Not before {options.min}.")
        if day is not None and options.max is not None and day > options.max:
            raise FieldError.at((), "too-late", f"Not after {options.max}.")
        return day

    def filter_value(self, raw: str) -> str | Decimal:
        return day_in(raw) or ""

    def convert(self, value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context) -> Json:
        midnight = f"{value}T00:00:00Z" if to.key == "datetime" and value is not None else None
        return to.clean(midnight, field, ctx) if midnight else super().convert(value, to, field, ctx)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "format": "date"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        options = self.options(field)
        attrs = {"type": "date", "class": "vDateField", "min": options.min, "max": options.max}
        limits = range_in_words(options.min, options.max)
        widget = forms.DateInput(attrs=attrs, format="%Y-%m-%d")
        return forms.CharField(widget=widget, **common(field, limits))
