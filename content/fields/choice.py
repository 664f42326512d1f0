"""One or several of a fixed list of values."""

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
from content.fields.forms import (
    OpenChoiceField,
    OpenMultipleChoiceField,
    OpenRadios,
    OpenSelect,
    common,
    range_in_words,
)
from content.fields.lists import convert_list, counted, distinct_texts, too_few
from content.fields.options import MAX_CHOICES, Choice, Choices, Whole
from content.fields.strings import one_line

MAX_RADIOS = 5  # above, a select is quicker to read


@dataclass(frozen=True, slots=True)
class ChoiceOptions(Options):
    choices: tuple[Choice, ...] = option(Choices(), (), label="Choices")


@dataclass(frozen=True, slots=True)
class ChoicesOptions(Options):
    choices: tuple[Choice, ...] = option(Choices(), (), label="Choices")
    min: int | None = option(Whole(0, MAX_CHOICES), label="At least", help="So many to publish.")
    max: int | None = option(Whole(1, MAX_CHOICES), label="At most")


def _chosen(value: object, choices: tuple[Choice, ...]) -> str | None:
    text = one_line(value)
    if text is not None and not any(item.value == text for item in choices):
        raise FieldError.at((), "invalid-choice", "This is not one of the choices.")
    return text


def _labels(choices: tuple[Choice, ...]) -> dict[str, str]:
    return {item.value: item.label for item in choices}


@register
class ChoiceField(FieldType[ChoiceOptions]):
    key = "choice"
    label = "Choice"
    description = "One of a list of values."
    icon = "list"
    family = "Choices"
    kind = Kind.TEXT
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"text", "long_text", "choices", "tags"})
    options_class = ChoiceOptions

    def option_problems(self, options: ChoiceOptions, ctx: Schema) -> Iterator[Problem]:
        if not options.choices:
            yield Problem.at(("choices",), "required", "Name the choices.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        return _chosen(value, self.options(field).choices)

    def filter_value(self, raw: str) -> str | Decimal:
        return one_line(raw) or ""

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.diff_text(value, field, ctx)

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return _labels(self.options(field).choices).get(str(value), self.as_text(value))

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "enum": [item.value for item in self.options(field).choices]}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        offered = [(item.value, item.label) for item in self.options(field).choices]
        is_short = len(offered) <= MAX_RADIOS
        choices = [("", "None" if is_short else "---------"), *offered]
        widget = OpenRadios() if is_short else OpenSelect()
        return OpenChoiceField(choices=choices, widget=widget, **common(field))


@register
class ChoicesField(FieldType[ChoicesOptions]):
    """Canonical is a list of different values in the order of the choices."""

    key = "choices"
    label = "Several choices"
    description = "Any number of a list of values."
    icon = "square-check"
    family = "Choices"
    kind = Kind.LIST
    converts_to = frozenset({"tags", "choice"})
    options_class = ChoicesOptions

    def option_problems(self, options: ChoicesOptions, ctx: Schema) -> Iterator[Problem]:
        if not options.choices:
            yield Problem.at(("choices",), "required", "Name the choices.")
        if options.min is not None and options.min > (options.max or len(options.choices)):
            yield Problem.at(("min",), "out-of-range", "The minimum is above the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        options = self.options(field)
        chosen = distinct_texts(value, most=MAX_CHOICES, clean=lambda item: _chosen(item, options.choices))
        if chosen is not None:
            chosen = [item.value for item in options.choices if item.value in chosen]
        return counted(chosen, options.max)

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
        return self.diff_text(value, field, ctx)

    def diff_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        labels = _labels(self.options(field).choices)
        return (
            "\n".join(labels.get(str(item), str(item)) for item in value) if isinstance(value, list) else ""
        )

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        values = [item.value for item in self.options(field).choices]
        return {"type": "array", "uniqueItems": True, "items": {"type": "string", "enum": values}}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        options = self.options(field)
        choices = [(item.value, item.label) for item in options.choices]
        limits = f"Choose {range_in_words(options.min, options.max).lower()}"
        more = limits if options.min is not None or options.max is not None else ""
        return OpenMultipleChoiceField(choices=choices, **common(field, more))
