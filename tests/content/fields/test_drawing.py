"""Inputs drawn without templates are those of Django's templates."""

from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.forms.renderers import DjangoTemplates
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from content.fields.datetime import MomentWidget
from content.fields.drawing import DRAWING
from content.fields.forms import OpenRadios, OpenSelect
from content.fields.geo_point import PointWidget

GROUPED = [("", "Nothing"), ("Sea & shore", [("a", "A < B"), ("b", SafeString("<i>B</i>"))]), ("c", "C")]
WIDGETS: dict[str, Callable[[], forms.Widget]] = {
    "text": forms.TextInput,
    "number": forms.NumberInput,
    "email": forms.EmailInput,
    "url": forms.URLInput,
    "hidden": forms.HiddenInput,
    "date": forms.DateInput,
    "checkbox": forms.CheckboxInput,
    "textarea": forms.Textarea,
    "select": lambda: OpenSelect(choices=GROUPED),
    "select of several": lambda: forms.SelectMultiple(choices=GROUPED),
    "radios": lambda: OpenRadios(choices=GROUPED[:1]),
    "moment": MomentWidget,
    "point": PointWidget,
}
CANARY = '"><img src=x onerror=alert(1)>'


def both(kind: str, value: Any, attrs: dict[str, Any]) -> tuple[str, str]:
    """Draw a widget by Django's templates and without them."""
    widget = WIDGETS[kind]()
    stock, ours = (
        widget.render("f-name", value, attrs, renderer=renderer) for renderer in (DjangoTemplates(), DRAWING)
    )
    return stock, ours


@pytest.mark.parametrize("kind", WIDGETS)
@pytest.mark.parametrize("value", [None, "", "a", "b", CANARY, "\n\r\n x ", SafeString("<b>"), 0, 7, True])
def test_an_input_is_drawn_to_the_letter(kind: str, value: Any) -> None:
    if kind == "point" and value is not None:
        value = [value, CANARY]
    attrs = {"id": "id_name", "required": True, "hidden": False, "data-most": None, "title": CANARY, "min": 1}
    theirs, ours = both(kind, value, attrs)
    assert ours == theirs


@given(value=st.text(), title=st.text())
@pytest.mark.parametrize("kind", ["text", "textarea", "select", "moment"])
def test_whatever_is_typed_is_escaped_as_by_the_templates(kind: str, value: str, title: str) -> None:
    theirs, ours = both(kind, value, {"title": title})
    assert ours == theirs
