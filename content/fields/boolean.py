"""Yes or no."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms

from accounts.canonical import Json
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    FormContext,
    Kind,
    Options,
    Schema,
    register,
)
from content.fields.forms import OpenRadios, common


@dataclass(frozen=True, slots=True)
class BooleanOptions(Options):
    """There are none."""


@register
class BooleanField(FieldType[BooleanOptions]):
    key = "boolean"
    label = "Yes or no"
    description = "A switch. Not set is neither."
    icon = "toggle-left"
    family = "Choices"
    kind = Kind.TEXT  # compared as `true` and `false`
    sortable = True
    converts_to = frozenset({"text", "long_text", "choice"})
    options_class = BooleanOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        if value is None or value == "":
            return None
        if not isinstance(value, bool):
            raise FieldError.at((), "invalid-type", "true or false is expected.")
        return value

    def as_text(self, value: Json) -> str:
        return "" if value is None else "true" if value else "false"

    def from_text(self, text: str) -> object:
        if text not in ("true", "false"):
            raise FieldError.at((), "invalid-type", "true or false is expected.")
        return text == "true"

    def filter_value(self, raw: str) -> str | Decimal:
        return self.as_text(bool(self.from_text(raw)))

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "boolean"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        choices = [("", "Not set"), ("true", "Yes"), ("false", "No")]
        return forms.ChoiceField(choices=choices, widget=OpenRadios(), **common(field))

    def to_form(self, value: Json, field: FieldSpec, ctx: Schema) -> Any:
        return self.as_text(value)

    def from_form(self, value: Any, field: FieldSpec, ctx: Schema) -> object:
        return self.from_text(value) if value else None
