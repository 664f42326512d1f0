"""Choosing entries in a form: each chosen one as a card, beside plain selects that serve without script.

Scripts take the selects away and show a picker instead; the names of the inputs stay. A reference is `<name>`, and
`<name>-id` for an id that was typed. References are `<name>-count` and for each row `<name>-<row>`, `<name>-<row>-id`
and `<name>-<row>-order`; an emptied row removes, an empty one adds.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.datastructures import MultiValueDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from content.fields.base import Card, FieldSpec, FormContext
from content.fields.forms import count_in, place_in

EXTRA_ROWS = 2
_ID_BOX = '<label>or an entry’s id <input type="text" name="{}-id" maxlength="36" autocomplete="off"></label>'


class ReferenceInput(forms.Widget):
    """One entry."""

    use_fieldset = True  # the card, its buttons and the select have names of their own

    def __init__(self, spec: FieldSpec, ctx: FormContext) -> None:
        super().__init__()
        self.spec = spec
        self.ctx = ctx

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> str | None:
        return _typed(data, name) or data.get(name)

    def value_omitted_from_data(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> bool:
        return name not in data and f"{name}-id" not in data

    def id_for_label(self, id_: str) -> str:
        return ""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        card = next(iter(self.ctx.reference_cards([str(value)])), None) if value else None
        row = self._row(name, card, label=self.spec.name, options=self._lately())
        return self._frame(name, attrs, [row], many=False)

    def _lately(self) -> SafeString:
        """Return the options of the newest entries: rendered once, however many rows offer them."""
        options = format_html_join(
            "", '<option value="{}">{}</option>', self.ctx.reference_choices(self.spec)
        )
        return format_html('<optgroup label="Changed lately">{}</optgroup>', options) if options else options

    def _row(
        self, name: str, card: Card | None, *, label: str, options: SafeString | str, place: int = 0
    ) -> SafeString:
        html = (
            (card.html or format_html('<span class="qk-entry-title">{}</span>', card.title)) if card else ""
        )
        chosen = format_html('<option value="{}" selected>{}</option>', card.id, card.title) if card else ""
        order = '<input type="number" class="qk-order" name="{}-order" value="{}" min="1" aria-label="Place of {}">'
        return format_html(
            '<li class="qk-reference" data-id="{}" data-url="{}">{}<div class="qk-reference-plain">{}'
            '<select name="{}" aria-label="{}"><option value="">Nothing chosen</option>{}{}</select>{}</div></li>',
            card.id if card else "",
            card.url if card else "",
            html,
            format_html(order, name, place, label) if place else "",
            name,
            label,
            chosen,
            options,
            "" if card and place else format_html(_ID_BOX, name),
        )

    def _frame(
        self,
        name: str,
        attrs: dict[str, Any] | None,
        rows: Sequence[SafeString],
        *,
        many: bool,
        most: int = 1,
    ) -> SafeString:
        return format_html(
            '<div class="qk-references" data-qk-references data-name="{}" data-collections="{}" data-many="{}"'
            ' data-most="{}" data-label="{}"{}>{}<ul class="qk-reference-list">{}</ul></div>',
            name,
            ",".join(self.ctx.reference_collections(self.spec)),
            "yes" if many else "",
            most,
            self.spec.name,
            format_html_join(
                "",
                ' {}="{}"',
                ((k, v) for k, v in (attrs or {}).items() if k in {"id", "aria-describedby"}),
            ),
            format_html('<input type="hidden" name="{}-count" value="{}">', name, len(rows)) if many else "",
            format_html_join("", "{}", ((row,) for row in rows)),
        )


class ReferencesInput(ReferenceInput):
    """Several entries, each in a row with its place."""

    def __init__(self, spec: FieldSpec, ctx: FormContext, *, most: int) -> None:
        super().__init__(spec, ctx)
        self.most = most

    def value_from_datadict(  # type: ignore[override]  # several
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> list[str]:
        rows = []
        for row in range(count_in(data.get(f"{name}-count"))):
            value = _typed(data, f"{name}-{row}") or data.get(f"{name}-{row}")
            if value:
                rows.append((place_in(data.get(f"{name}-{row}-order"), row), row, str(value)))
        return [value for _, _, value in sorted(rows)]

    def value_omitted_from_data(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> bool:
        return f"{name}-count" not in data

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        values = [str(item) for item in value] if isinstance(value, (list, tuple)) else []
        cards = self.ctx.reference_cards(values) if values else []
        lately = self._lately()
        rows = [
            self._row(
                f"{name}-{row}",
                card,
                label=f"{self.spec.name}, row {row + 1}",
                options="" if card else lately,
                place=row + 1,
            )
            for row, card in enumerate([*cards, *[None] * EXTRA_ROWS])
        ]
        return self._frame(name, attrs, rows, many=True, most=self.most)


class ReferenceListField(forms.Field):
    """The list of what was chosen, in order; the field type decides whether it is valid."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != list(data or [])


def _typed(data: Mapping[str, Any], name: str) -> str:
    return str(data.get(f"{name}-id") or "").strip()
