"""A short text on one line."""

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
from content.fields.forms import common, length_limits
from content.fields.options import OneOf, Whole
from content.fields.strings import BYTES, MAX_LINE, line_as_read, longest

# Patterns are ours, never a client's: each runs in linear time (no nested or overlapping repetition).
PATTERNS: dict[str, tuple[re.Pattern[str], str]] = {
    "letters": (re.compile(r"[^\W\d_]+"), "letters only"),
    "digits": (re.compile(r"[0-9]+"), "digits only"),
    "letters-digits": (re.compile(r"[^\W_]+"), "letters and digits only"),
    "no-spaces": (re.compile(r"\S+"), "no spaces"),
    "upper": (re.compile(r"[^a-z]+"), "capitals"),
    "lower": (re.compile(r"[^A-Z]+"), "small letters"),
    "kebab": (re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*"), "words-with-hyphens"),
    "identifier": (re.compile(r"[A-Za-z_][A-Za-z0-9_]*"), "a letter or _, then letters, digits and _"),
    "phone": (re.compile(r"\+?[0-9](?:[ ()./-]{0,2}[0-9]){4,18}"), "a phone number such as +49 30 123456"),
    "postal-code": (re.compile(r"[A-Za-z0-9](?:[ -]?[A-Za-z0-9]){2,9}"), "a postal code"),
    "country-code": (re.compile(r"[A-Z]{2}"), "two capitals, as in ISO 3166"),
    "currency-code": (re.compile(r"[A-Z]{3}"), "three capitals, as in ISO 4217"),
    "language-tag": (re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}"), "a language tag such as pt-BR"),
    "time": (re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"), "a time such as 14:30"),
    "isbn": (re.compile(r"(?:[0-9]-?){9}(?:(?:[0-9]-?){3})?[0-9X]"), "an ISBN of 10 or 13 digits"),
}


@dataclass(frozen=True, slots=True)
class TextOptions(Options):
    min_length: int = option(Whole(0, MAX_LINE), 0, label="At least", help="Characters, to publish.")
    max_length: int = option(Whole(1, MAX_LINE), 255, label="At most", help="Characters.")
    pattern: str | None = option(
        OneOf({name: meaning for name, (_, meaning) in PATTERNS.items()}),
        label="Shape",
        help="What it must look like.",
    )


@register
class TextField(FieldType[TextOptions]):
    key = "text"
    label = "Text"
    description = "A short text on one line: a title, a name."
    icon = "type"
    family = "Words"
    kind = Kind.TEXT
    sortable = True
    can_be_unique = True
    converts_to = frozenset(
        {"long_text", "markdown", "slug", "email", "url", "choice", "choices", "tags"}
        | {"color", "date", "datetime", "integer", "decimal", "boolean"}
    )
    options_class = TextOptions

    def option_problems(self, options: TextOptions, ctx: Schema) -> Iterator[Problem]:
        if options.min_length > options.max_length:
            yield Problem.at(("min_length",), "out-of-range", "The minimum is above the maximum.")

    def clean(self, value: object, field: FieldSpec, ctx: Context) -> Json:
        options = self.options(field)
        text = line_as_read(value, low=options.min_length, high=options.max_length)
        if text is not None and options.pattern is not None:
            pattern, meaning = PATTERNS[options.pattern]
            if not pattern.fullmatch(text):
                raise FieldError.at((), "pattern", f"Expected: {meaning}.")
        return text

    def filter_value(self, raw: str) -> str | Decimal:
        return line_as_read(raw) or ""

    def search_text(self, value: Json, field: FieldSpec, ctx: Schema) -> str:
        return self.as_text(value)

    def json_schema(self, field: FieldSpec, ctx: Schema) -> dict[str, Any]:
        high = self.options(field).max_length
        return {
            "type": "string",
            "maxLength": longest(high, room=BYTES * MAX_LINE),
            "description": f"At most {high:,} characters, as readers count them.",
        }

    def form_field(self, field: FieldSpec, ctx: FormContext) -> forms.Field:
        options = self.options(field)
        attrs = {
            "class": "vTextField",
            "dir": "auto",
            **length_limits(options.min_length, options.max_length),
        }
        return forms.CharField(strip=False, widget=forms.TextInput(attrs=attrs), **common(field))
