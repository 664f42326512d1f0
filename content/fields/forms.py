"""Form fields and widgets of the admin's generated forms, without inline script or style (the policy).

Whatever was typed or stored is shown again, also when it is not valid or no longer offered: the field types
judge values, these widgets only carry them.
"""

from dataclasses import dataclass
from typing import Any

from django import forms

from content.fields.base import FieldSpec
from content.fields.strings import unix_lines

MAX_ROWS = 600


def common(field: FieldSpec, more: str = "") -> dict[str, Any]:
    """Return the arguments that every form field takes; `more` follows the help. Never required: drafts may be
    incomplete.
    """
    return {"label": field.name, "help_text": f"{field.help} {more}".strip(), "required": False}


@dataclass(frozen=True, slots=True)
class Language:
    """What is written in an input: a language tag (BCP 47) and the direction of its script, `ltr` or `rtl`."""

    code: str
    direction: str


def written_in(form_field: forms.Field, language: Language | None) -> forms.Field:
    """Make an input of words one of this language; codes, numbers and addresses keep the direction of their own."""
    widget = form_field.widget
    if language is not None and widget.attrs.get("dir") == "auto":
        widget.attrs |= {"dir": language.direction, "lang": language.code}
    if isinstance(widget, HoldsInputs):
        widget.language = language
    return form_field


class HoldsInputs(forms.Widget):
    """A widget made of other fields' inputs, to which it hands its language on."""

    language: Language | None = None


def length_limits(low: int, high: int | None) -> dict[str, Any]:
    """Return the attributes that the counter below an input reads. No `maxlength`: it would cut what is pasted."""
    limits = {"data-min-length": low, "data-max-length": high}
    return {name: value for name, value in limits.items() if value}


def range_in_words(low: object, high: object) -> str:
    """Return the sentence that says between which values a number or a day must be, "" without limits."""
    if low is not None and high is not None:
        return f"From {low} to {high}."
    return f"At least {low}." if low is not None else f"At most {high}." if high is not None else ""


class LinesField(forms.CharField):
    """Text of several lines. Browsers send `\\r\\n`; that alone changes nothing."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(strip=False, **arguments)

    def to_python(self, value: Any) -> str:
        return unix_lines(super().to_python(value) or "")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return unix_lines(str(initial or "")) != unix_lines(str(data or ""))


class KeepsUnknown(forms.widgets.ChoiceWidget):
    """A choice widget that offers the present value even when it is not (any more) among the choices."""

    def optgroups(self, name: str, value: list[str], attrs: dict[str, Any] | None = None) -> list[Any]:
        before = self.choices
        offered = {str(item) for item, _ in before}
        unknown = [(item, f"{item} (not offered any more)") for item in value if item and item not in offered]
        try:
            self.choices = [*before, *unknown]
            return super().optgroups(name, value, attrs)
        finally:
            self.choices = before


class OpenSelect(KeepsUnknown, forms.Select):
    """A select that keeps an unknown value."""


class OpenRadios(KeepsUnknown, forms.RadioSelect):
    """A row of radio buttons that keeps an unknown value."""

    def __init__(self, attrs: dict[str, Any] | None = None, choices: Any = ()) -> None:
        super().__init__({"class": "qk-segment", **(attrs or {})}, choices)


class OpenCheckboxes(KeepsUnknown, forms.CheckboxSelectMultiple):
    """Check boxes that keep unknown values."""

    def __init__(self, attrs: dict[str, Any] | None = None, choices: Any = ()) -> None:
        super().__init__({"class": "qk-check", **(attrs or {})}, choices)


class OpenChoiceField(forms.ChoiceField):
    """A choice of which the field type, not the form, decides whether it is valid."""

    widget = OpenSelect

    def valid_value(self, value: Any) -> bool:
        return True


class OpenMultipleChoiceField(forms.MultipleChoiceField):
    """Several choices of which the field type decides whether they are valid."""

    widget = OpenCheckboxes

    def valid_value(self, value: Any) -> bool:
        return True


def count_in(text: object) -> int:
    """Return the number of rows that a form says it has, at most MAX_ROWS; nonsense is none."""
    return min(int(text), MAX_ROWS) if isinstance(text, str) and text.isdecimal() and len(text) < 6 else 0


def place_in(text: object, row: int) -> float:
    """Return where a row wants to stand; without a number, where it is."""
    try:
        place = float(text) if isinstance(text, str) and len(text) < 12 else float(row + 1)
    except ValueError:
        return float(row + 1)
    return place if place == place else float(row + 1)  # NaN would break the order
