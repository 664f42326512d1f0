"""Form fields and widgets of the admin's generated forms, without inline script or style (the policy).

Whatever was typed or stored is shown again, also when it is not valid or no longer offered: the field types
judge values, these widgets only carry them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from content.fields.base import FieldSpec
from content.fields.strings import unix_lines

EXTRA_ROWS = 2
MAX_ROWS = 600


def common(field: FieldSpec) -> dict[str, Any]:
    """Return the arguments that every form field takes. Never required: drafts may be incomplete."""
    return {"label": field.name, "help_text": field.help, "required": False}


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


class OpenCheckboxes(KeepsUnknown, forms.CheckboxSelectMultiple):
    """Check boxes that keep unknown values."""


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


class OrderedSelects(forms.Widget):
    """A list of values, one select a row with its place beside it; an empty row adds, an emptied one removes.

    Works without script. Inputs are `<name>-count`, `<name>-<row>` and `<name>-<row>-order`.
    """

    def __init__(self, choices: Iterable[tuple[str, str]], attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self.choices = list(choices)

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> list[str]:
        rows = []
        for row in range(count_in(data.get(f"{name}-count"))):
            value = data.get(f"{name}-{row}")
            if value:
                rows.append((place_in(data.get(f"{name}-{row}-order"), row), row, str(value)))
        return [value for _, _, value in sorted(rows)]

    def value_omitted_from_data(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> bool:
        return f"{name}-count" not in data

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0" if id_ else id_

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        values = [str(item) for item in value] if isinstance(value, (list, tuple)) else []
        rows = [*values, *[""] * EXTRA_ROWS]
        lines = []
        for row, item in enumerate(rows):
            # Outside a nested form the template knows these as `id_<name>`.
            select = OpenSelect(choices=[("", "---------"), *self.choices])
            box = select.render(f"{name}-{row}", item, {"id": f"id_{name}-{row}"}, renderer)
            order = forms.NumberInput().render(
                f"{name}-{row}-order",
                row + 1,
                {"class": "qk-order", "min": 1, "aria-label": f"Place of row {row + 1}"},
            )
            lines.append((order, box))
        return format_html(
            '<div class="qk-rows"><input type="hidden" name="{}-count" value="{}">{}</div>',
            name,
            len(rows),
            format_html_join("", '<div class="qk-row">{} {}</div>', lines),
        )


class OrderedSelectsField(forms.Field):
    """The list of what was chosen, in order; the field type decides whether it is valid."""

    def __init__(self, *, choices: Iterable[tuple[str, str]], **arguments: Any) -> None:
        super().__init__(widget=OrderedSelects(choices), **arguments)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != list(data or [])


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
