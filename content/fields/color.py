"""A colour."""

import re
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
from content.fields.forms import common
from content.fields.strings import one_line

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")


@dataclass(frozen=True, slots=True)
class ColorOptions(Options):
    """There are none."""


@register
class ColorField(FieldType[ColorOptions]):
    """Canonical is `#rrggbb` or `#rrggbbaa` in small letters."""

    key = "color"
    label = "Colour"
    description = "A colour such as #1d4ed8, with or without opacity."
    icon = "droplet"
    family = "Other"
    kind = Kind.TEXT
    converts_to = frozenset({"text", "long_text"})
    options_class = ColorOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        text = one_line(value)
        if text is None:
            return None
        if not _COLOR.fullmatch(text):
            raise FieldError.at((), "invalid-color", "A colour such as #1d4ed8 is expected.")
        digits = text[1:].lower()
        return "#" + (digits if len(digits) > 4 else "".join(digit * 2 for digit in digits))

    def filter_value(self, raw: str) -> str | Decimal:
        return (one_line(raw) or "").lower()

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "pattern": "^#[0-9a-f]{6}([0-9a-f]{2})?$"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        # A colour input has neither "nothing" nor opacity, so the text decides; script may add a picker.
        attrs = {
            "class": "vTextField",
            "placeholder": "#1d4ed8",
            "spellcheck": "false",
            "dir": "ltr",
            "data-color": "true",
        }
        return forms.CharField(widget=forms.TextInput(attrs=attrs), **common(field))
