"""An e-mail address."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator

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
from content.fields.strings import normalised, one_line, within

MAX_EMAIL = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets

_valid = EmailValidator()


@dataclass(frozen=True, slots=True)
class EmailOptions(Options):
    """There are none."""


@register
class EmailField(FieldType[EmailOptions]):
    key = "email"
    label = "E-mail"
    description = "An e-mail address."
    icon = "at-sign"
    family = "Links"
    kind = Kind.TEXT
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"text", "long_text"})
    options_class = EmailOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        text = one_line(value, high=MAX_EMAIL)
        if text is None:
            return None
        try:
            _valid(text)
        except ValidationError as error:
            raise FieldError.at(
                (), "invalid-email", "An address such as ada@example.com is expected."
            ) from error
        name, _, domain = text.rpartition("@")
        # Quoted names may hold spaces, line breaks of old mail and further @ signs: no reader expects those.
        # The validator takes a domain with invisible characters, since IDNA would drop them.
        if '"' in name or any(character.isspace() or not character.isprintable() for character in text):
            raise FieldError.at((), "invalid-email", "An address such as ada@example.com is expected.")
        return within(normalised(f"{name}@{domain.lower()}"), 0, MAX_EMAIL)

    def filter_value(self, raw: str) -> str | Decimal:
        name, at, domain = (one_line(raw) or "").rpartition("@")
        return f"{name}{at}{domain.lower()}"

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.as_text(value)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        return {"type": "string", "format": "email"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        widget = forms.EmailInput(attrs={"class": "vTextField", "dir": "ltr", "data-opens": "mailto:"})
        return forms.CharField(widget=widget, **common(field))
