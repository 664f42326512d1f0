"""The part of an address that names an entry: `a-new-beginning`."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.text import slugify

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
    option,
    register,
)
from content.fields.forms import common
from content.fields.options import Flag, Key, Whole
from content.fields.strings import normalised, one_line

MAX_SLUG = 200

_PLAIN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_UNICODE = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
# Letters that Unicode doesn't take apart into one of a to z and a mark; they would be dropped: "strae" for "Straße".
_SPELT = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"}
)


@dataclass(frozen=True, slots=True)
class SlugOptions(Options):
    from_key: str | None = option(
        Key(), name="from", label="Made from", help="The key of the field that it follows."
    )
    unicode: bool = option(
        Flag(), False, label="Letters of every script", help="Without: a to z, digits and -."
    )
    max_length: int = option(Whole(1, MAX_SLUG), MAX_SLUG, label="At most", help="Characters.")


@register
class SlugField(FieldType[SlugOptions]):
    """The option `from` names the field that an empty slug is made of; the caller asks `suggest`."""

    key = "slug"
    label = "Slug"
    description = "The part of an address that names the entry."
    icon = "link"
    family = "Words"
    kind = Kind.TEXT
    sortable = True
    can_be_unique = True
    converts_to = frozenset({"text", "long_text"})
    options_class = SlugOptions

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        options = self.options(field)
        text = one_line(value, high=options.max_length)
        if text is None:
            return None
        pattern = _UNICODE if options.unicode else _PLAIN
        if not pattern.fullmatch(text) or text != normalised(text.lower()):
            letters = "letters" if options.unicode else "letters a to z"
            detail = f"Small {letters}, digits and single hyphens between them."
            raise FieldError.at((), "invalid-slug", detail)
        return text

    def suggest(self, source: str, field: FieldSpec) -> str | None:
        """Return the slug made of a text, None when nothing is left of it."""
        options = self.options(field)
        text = normalised(source[:1000].lower()).replace("_", "-")
        if not options.unicode:
            text = text.translate(_SPELT)
        text = normalised(slugify(text, allow_unicode=options.unicode)).replace("_", "-")
        text = re.sub(r"-{2,}", "-", text)[: options.max_length].strip("-")
        pattern = _UNICODE if options.unicode else _PLAIN
        return text if pattern.fullmatch(text) and text == normalised(text.lower()) else None

    def filter_value(self, raw: str) -> str | Decimal:
        return one_line(raw) or ""

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.as_text(value).replace("-", " ")

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string", "maxLength": self.options(field).max_length}
        return schema if self.options(field).unicode else {**schema, "pattern": "^[a-z0-9]+(?:-[a-z0-9]+)*$"}

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        made_from = self.options(field).from_key
        attrs = {
            "class": "vTextField",
            "dir": "ltr",
            "spellcheck": "false",
            "data-slug": field.key,
            "data-from": made_from,
        }
        more = f"Left empty, it is made from “{made_from}”." if made_from else ""
        return forms.CharField(strip=False, widget=forms.TextInput(attrs=attrs), **common(field, more))
