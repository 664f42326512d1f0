"""Shows a form field as HTML and sends it back as a browser would, without script."""

from html.parser import HTMLParser
from typing import Any

from django import forms
from django.http import QueryDict

NAME = "f-it"


class _Controls(HTMLParser):
    """Collects what a browser would send: successful controls, in order (HTML, section 4.10.22.4)."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pairs: list[tuple[str, str]] = []
        self.seen: list[str] = []
        self._select: str | None = None
        self._chosen: list[str] = []
        self._first: str | None = None
        self._area: str | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert not [name for name in values if name.startswith("on") or name == "style"], values
        assert tag not in ("script", "style")
        name = values.get("name") or ""
        if name:
            self.seen.append(name)
        if tag == "input":
            kind = values.get("type", "text")
            if kind in ("checkbox", "radio") and "checked" not in values:
                return
            self.pairs.append((name, values.get("value") or ""))
        elif tag == "select":
            self._select, self._chosen, self._first = name, [], None
        elif tag == "option":
            value = values.get("value") or ""
            self._first = value if self._first is None else self._first
            if "selected" in values:
                self._chosen.append(value)
        elif tag == "textarea":
            self._area, self._text = name, []

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self._select is not None:
            for value in self._chosen or ([self._first] if self._first is not None else []):
                self.pairs.append((self._select, value))
            self._select = None
        elif tag == "textarea" and self._area is not None:
            text = "".join(self._text).removeprefix("\n")
            self.pairs.append((self._area, text.replace("\r\n", "\n").replace("\n", "\r\n")))
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text.append(data)


def drawn(field: forms.Field, value: Any) -> str:
    """Return the HTML of the field's widget."""
    return str(field.widget.render(NAME, field.prepare_value(value), {"id": f"id_{NAME}"}))


def controls(html: str) -> QueryDict:
    """Return what a browser would send of this HTML."""
    parser = _Controls()
    parser.feed(html)
    data = QueryDict(mutable=True)
    for name, value in parser.pairs:
        data.appendlist(name, value)
    return data


def sent(field: forms.Field, value: Any, **changes: str) -> tuple[Any, bool]:
    """Show the value, change some inputs, send it; return the field's cleaned value and whether it has changed."""
    data = controls(drawn(field, value))
    for name, text in changes.items():
        data[f"{NAME}-{name}" if name else NAME] = text
    raw = field.widget.value_from_datadict(data, QueryDict(), NAME)
    return field.clean(raw), field.has_changed(value, raw)
