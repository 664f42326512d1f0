"""Draws plain inputs: the markup of Django's templates to the letter, in a fraction of their time.

A large form has hundreds of inputs, and each takes two or three templates.
"""

import html
from collections.abc import Callable, Mapping
from typing import Any

from django.forms.renderers import DjangoTemplates
from django.http import HttpRequest

Widget = Mapping[str, Any]

FOLDER = "django/forms/widgets/"
OPTION = f"{FOLDER}select_option.html"


def attributes(attrs: Mapping[str, Any]) -> str:
    """Return attributes with a space in front of each; True is an empty one, False is none (`attrs.html`)."""
    return "".join(
        f" {escaped(name)}" if value is True else f' {escaped(name)}="{escaped(value)}"'
        for name, value in attrs.items()
        if value is not False
    )


def escaped(value: object) -> str:
    """Return a value as markup, what is markup already as it is; Django's own looks for lazy texts at every call."""
    return str(value.__html__()) if hasattr(value, "__html__") else html.escape(str(value))


def input_of(widget: Widget) -> str:
    """Return an input (`input.html`)."""
    value = widget["value"]
    held = "" if value is None else f' value="{escaped(value)}"'
    return (
        f'<input type="{escaped(widget["type"])}" name="{escaped(widget["name"])}"'
        f"{held}{attributes(widget['attrs'])}>"
    )


def textarea_of(widget: Widget) -> str:
    """Return a text area; the line break after the tag is not part of the text (`textarea.html`)."""
    return (
        f'<textarea name="{escaped(widget["name"])}"{attributes(widget["attrs"])}>\n'
        f"{escaped(widget['value'] or '')}</textarea>"
    )


def select_of(widget: Widget) -> str:
    """Return a select with its groups (`select.html`)."""
    parts = [f'<select name="{escaped(widget["name"])}"{attributes(widget["attrs"])}>']
    for name, options, _ in widget["optgroups"]:
        if name:
            parts.append(f'\n  <optgroup label="{escaped(name)}">')
        parts += [
            f'\n  <option value="{escaped(option["value"])}"{attributes(option["attrs"])}>'
            f"{escaped(option['label'])}</option>\n"
            for option in options
        ]
        if name:
            parts.append("\n  </optgroup>")
    return "".join([*parts, "\n</select>"])


DRAWN: dict[str, Callable[[Widget], str]] = {
    **{
        f"{FOLDER}{name}.html": input_of
        for name in ("input", "text", "number", "email", "url", "hidden", "date", "time", "checkbox")
    },
    f"{FOLDER}textarea.html": textarea_of,
    f"{FOLDER}select.html": select_of,
}


class Drawing(DjangoTemplates):
    """Draws what it knows, and leaves the rest to Django's templates."""

    def render(self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None) -> str:
        widget = context.get("widget")
        if isinstance(widget, Mapping) and (drawn := _drawn(template_name, widget)) is not None:
            return drawn
        return super().render(template_name, context, request)


def _drawn(template_name: str, widget: Widget) -> str | None:
    if template_name == f"{FOLDER}multiwidget.html":
        parts = [_drawn(inner["template_name"], inner) for inner in widget["subwidgets"]]
        return None if None in parts else "".join(part or "" for part in parts)
    draw = DRAWN.get(template_name)
    if draw is select_of and any(
        option["template_name"] != OPTION for _, options, _ in widget["optgroups"] for option in options
    ):
        return None
    return draw(widget) if draw else None


DRAWING = Drawing()
