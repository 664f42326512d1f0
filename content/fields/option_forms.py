"""The inputs of options: each shows what the API shows of an option, and gives back what the API would be sent."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.canonical import Json
from content.fields.forms import OpenChoiceField, OpenMultipleChoiceField
from content.fields.json_text import JsonTextField, read, write
from content.fields.strings import unix_lines

BETWEEN = " | "  # a choice and its label, on one line
MAX_TEXT = 100_000


def whole_number(low: int, high: int) -> forms.Field:
    """Return an input for a whole number."""
    return forms.IntegerField(
        required=False, min_value=low, max_value=high, widget=forms.NumberInput(attrs={"step": 1})
    )


def line(kind: str = "text", **attrs: Any) -> forms.Field:
    """Return an input of one line; `kind` is its HTML type."""
    widget = forms.TextInput(attrs={"type": kind, "spellcheck": "false", **attrs})
    return forms.CharField(required=False, max_length=200, empty_value=None, widget=widget)


def flag() -> forms.Field:
    """Return a check box."""
    return forms.BooleanField(required=False)


def one_of(choices: list[tuple[str, str]]) -> forms.Field:
    """Return a select; nothing chosen is nothing."""
    return OpenChoiceField(required=False, choices=[("", "Any"), *choices])


def schema() -> forms.Field:
    """Return a text area for a JSON Schema."""
    attrs = {"rows": 6, "class": "qk-json", "dir": "ltr", "spellcheck": "false", "data-json": "true"}
    return JsonTextField(max_length=MAX_TEXT, widget=forms.Textarea(attrs=attrs))


class NamesField(OpenMultipleChoiceField):
    """Keys of collections; the option judges them."""

    def clean(self, value: Any) -> Any:
        return super().clean(value) or None


class NameField(OpenChoiceField):
    """The one key of a list that holds exactly one."""

    def prepare_value(self, value: Any) -> Any:
        return value[0] if isinstance(value, list) and value else value

    def clean(self, value: Any) -> Any:
        name = super().clean(value)
        return [name] if name else None


def names(choices: list[tuple[str, str]], *, is_one: bool) -> forms.Field:
    """Return check boxes for keys of collections, or a select where exactly one is chosen."""
    if is_one:
        return NameField(required=False, choices=[("", "---------"), *choices])
    return NamesField(required=False, choices=choices)


class ChoicesTextField(forms.CharField):
    """The choices of a field, one on each line: the value, or `value | what people read`. A JSON list works too."""

    def __init__(self) -> None:
        attrs = {"rows": 5, "class": "qk-choice-lines", "spellcheck": "false", "dir": "auto"}
        super().__init__(
            required=False, max_length=MAX_TEXT, strip=False, widget=forms.Textarea(attrs={**attrs})
        )

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        if any(not _fits_a_line(str(item["value"])) for item in value):
            return write(value)
        return "\n".join(
            item["value"] if item["value"] == item["label"] else f"{item['value']}{BETWEEN}{item['label']}"
            for item in value
        )

    def clean(self, value: Any) -> Any:
        text = unix_lines(super().clean(value) or "")
        if text.lstrip().startswith("["):
            return _json(text)
        found: list[Json] = []
        for item in filter(None, map(str.strip, text.split("\n"))):
            stored, _, label = item.partition(BETWEEN)
            found.append({"value": stored.strip(), "label": label.strip() or stored.strip()})
        return found or None


def _fits_a_line(value: str) -> bool:
    return BETWEEN not in value and not value.startswith("[")


def _json(text: str) -> Json:
    try:
        return read(text)
    except ValueError as error:
        raise ValidationError(f"This is not JSON: {error}") from error
