"""Forms inside of a form, for components and blocks. They work without script, and lose nothing that was typed.

Inputs of a field called NAME: `NAME-count`, `NAME-_add` (which component to append), and for each part
`NAME-<n>-_component` (a part is there when this is), `NAME-<n>-_order`, `NAME-<n>-_delete` and `NAME-<n>-<field key>`.
The numbers are names only; `_order` says where a part stands. The submit button `_arrange` asks for the page again,
with parts added, moved and removed, without saving: see `is_arranging`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.canonical import Json
from accounts.errors import Problem
from content.fields.base import ComponentSpec, FieldError, FieldSpec, get
from content.fields.drawing import DRAWING
from content.fields.forms import HoldsInputs, count_in, place_in, written_in
from content.fields.nesting import Inside

ARRANGE = "_arrange"


def is_arranging(data: Mapping[str, Any]) -> bool:
    """Tell whether a form was sent to be shown again with its parts arranged, not to be saved."""
    return ARRANGE in data


@dataclass
class Part:
    """One part: its number in the names of inputs, its component and the form that holds what was typed."""

    number: int
    component: ComponentSpec
    form: forms.Form
    is_deleted: bool = False


@dataclass(frozen=True)
class Place:
    """Where in a nested field something stands: an input's name, what people call it, the rest of the path."""

    name: str
    label: str
    rest: tuple[str, ...]


@dataclass
class Parts:
    """What was typed into a nested field, in order; the removed parts are only counted out."""

    parts: list[Part]
    ctx: Inside

    @property
    def kept(self) -> list[Part]:
        return [part for part in self.parts if not part.is_deleted]

    def as_input(self, *, typed: bool) -> list[dict[str, object]]:
        """Return the input for the field type's `clean`; raises FieldError with every place."""
        problems: list[Problem] = []
        found: list[dict[str, object]] = []
        for index, part in enumerate(self.kept):
            values: dict[str, object] = {"_component": str(part.component.id)} if typed else {}
            for spec in part.component.fields:
                raw = part.form.cleaned_data.get(spec.key) if part.form.is_valid() else None
                try:
                    values[spec.key] = get(spec.type).from_form(raw, spec, self.ctx)
                except FieldError as error:
                    problems += error.under(index, spec.key).problems
            found.append(values)
        if problems:
            raise FieldError(problems)
        return found

    def __bool__(self) -> bool:
        return bool(self.kept)


class NestedWidget(HoldsInputs):
    """Draws a fieldset for each part, made of the ordinary forms of its fields."""

    use_fieldset = True

    def __init__(self, components: Sequence[ComponentSpec], ctx: Inside, *, single: bool) -> None:
        super().__init__()
        self.components = list(components)
        self.ctx = ctx
        self.single = single
        self.problems: dict[
            str, list[str]
        ] = {}  # what is wrong, by the input's name; shared with what is nested

    def form_of(
        self, component: ComponentSpec, prefix: str, data: Any = None, value: Any = None
    ) -> forms.Form:
        """Return the form of one part: bound to what was typed, or showing a canonical value."""
        form = forms.Form(
            data, prefix=prefix, use_required_attribute=False, label_suffix="", renderer=DRAWING
        )
        for spec in component.fields:
            field_type = get(spec.type)
            form.fields[spec.key] = written_in(field_type.form_field(spec, self.ctx), self.language)
            widget = form.fields[spec.key].widget
            if isinstance(widget, NestedWidget):
                widget.problems = self.problems
            form.initial[spec.key] = field_type.to_form((value or {}).get(str(spec.id)), spec, self.ctx)
        return form

    def component_of(self, id_or_key: object) -> ComponentSpec | None:
        """Return one of the components that may stand here."""
        return next((item for item in self.components if id_or_key in (str(item.id), item.key)), None)

    def value_from_datadict(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> Parts:
        rows: list[tuple[float, int, Part]] = []
        count = count_in(data.get(f"{name}-count"))
        for number in range(count):
            prefix = f"{name}-{number}"
            component = self.component_of(data.get(f"{prefix}-_component"))
            if component is not None:
                part = Part(
                    number,
                    component,
                    self.form_of(component, prefix, data),
                    bool(data.get(f"{prefix}-_delete")),
                )
                rows.append((place_in(data.get(f"{prefix}-_order"), number), number, part))
        parts = [part for _, _, part in sorted(rows, key=lambda row: row[:2])]
        added = self.component_of(data.get(f"{name}-_add"))
        if added is not None and not (self.single and parts):
            blank = self.form_of(added, f"{name}-{count}", {})
            parts.append(Part(count, added, blank))
        return Parts(parts, self.ctx)

    def value_omitted_from_data(
        self, data: Mapping[str, Any], files: MultiValueDict[str, Any], name: str
    ) -> bool:
        return f"{name}-count" not in data

    def id_for_label(self, id_: str) -> str:
        return ""

    @property
    def media(self) -> forms.Media:
        found = forms.Media()
        for component in self.components:
            for spec in component.fields:
                found += get(spec.type).form_field(spec, self.ctx).widget.media
        return found

    def _parts(self, name: str, value: Any) -> list[Part]:
        if isinstance(value, Parts):
            return value.parts
        parts: list[Part] = []
        for item in value if isinstance(value, list) else ():
            named = item.get("_component") if isinstance(item, dict) else None
            component = self.component_of(named) if named else next(iter(self.components), None)
            if component is not None:
                number = len(parts)
                parts.append(Part(number, component, self.form_of(component, f"{name}-{number}", value=item)))
        if self.single and not parts and self.components:
            parts.append(Part(0, self.components[0], self.form_of(self.components[0], f"{name}-0")))
        return parts

    def find(self, name: str, value: Any, path: Sequence[str]) -> Place | None:
        """Return the input that a problem's path, relative to the field's value, leads to; None for no single one."""
        rest = tuple(path)
        index = 0
        if not self.single or rest[:1] == ("0",):
            if not (rest and rest[0].isdecimal() and len(rest[0]) < 6):
                return None
            index, rest = int(rest[0]), rest[1:]
        kept = [part for part in self._parts(name, value) if not part.is_deleted]
        if index >= len(kept) or not rest or rest[0] not in kept[index].form.fields:
            return None
        part, key = kept[index], rest[0]
        label = str(part.form.fields[key].label)
        if not self.single:
            label = f"{part.component.name} {index + 1} › {label}"
        widget = part.form.fields[key].widget
        if isinstance(widget, NestedWidget):
            deeper = widget.find(part.form.add_prefix(key), part.form[key].value(), rest[1:])
            if deeper is not None:
                return Place(deeper.name, f"{label} › {deeper.label}", deeper.rest)
        return Place(part.form.add_prefix(key), label, rest[1:])

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        parts = self._parts(name, value)
        drawn = [(self._draw(name, place, part, renderer),) for place, part in enumerate(parts, start=1)]
        return format_html(
            '<div class="qk-parts" data-name="{}"{}><input type="hidden" name="{}-count" value="{}">'
            '<div class="qk-part-list">{}</div>{}</div>',
            name,
            format_html_join(
                "", ' {}="{}"', ((k, v) for k, v in (attrs or {}).items() if k.startswith(("id", "aria-")))
            ),
            name,
            max((part.number for part in parts), default=-1) + 1,
            format_html_join("", "{}", drawn),
            "" if self.single else self._draw_add(name),
        )

    def draw_new(self, name: str, number: int, component: ComponentSpec, data: Any) -> SafeString:
        """Return the markup of one more part: with what was typed under its names, else with the defaults."""
        prefix = f"{name}-{number}"
        if any(key.startswith(f"{prefix}-") for key in data):
            form = self.form_of(component, prefix, data)
        else:
            blank = {str(spec.id): spec.default for spec in component.fields if spec.default is not None}
            form = self.form_of(component, prefix, value=blank)
        return self._draw(name, number + 1, Part(number, component, form), None)

    def _draw(self, name: str, place: int, part: Part, renderer: Any) -> SafeString:
        prefix = f"{name}-{part.number}"
        hidden = format_html(
            '<input type="hidden" name="{}-_component" value="{}">', prefix, part.component.id
        )
        if self.single:
            return format_html('<div class="qk-part">{}{}</div>', hidden, _draw_fields(part, self.problems))
        order = forms.NumberInput().render(
            f"{prefix}-_order",
            place,
            {"class": "qk-order", "min": 1, "aria-label": f"Place of {part.component.name}"},
            renderer=DRAWING,
        )
        delete = format_html(
            '<label class="qk-delete"><input type="checkbox" name="{}-_delete"{}> Remove</label>',
            prefix,
            SafeString(" checked") if part.is_deleted else "",
        )
        return format_html(
            '<fieldset class="qk-part" data-part="{}" data-number="{}" data-label="{}"><legend>{}. {}</legend>'
            '{}<div class="qk-part-tools">{}{}</div><div class="qk-part-body">{}</div></fieldset>',
            part.component.key,
            part.number,
            part.component.name,
            place,
            part.component.name,
            hidden,
            order,
            delete,
            _draw_fields(part, self.problems),
        )

    def _draw_add(self, name: str) -> SafeString:
        select = format_html(
            '<select name="{}-_add" aria-label="Add a part"><option value="">Add …</option>{}</select>',
            name,
            format_html_join(
                "",
                '<option value="{}" data-description="{}">{}</option>',
                ((item.id, item.description, item.name) for item in self.components),
            ),
        )
        return format_html(
            '<div class="qk-add">{} '
            '<button type="submit" name="{}" value="{}" formnovalidate>Add or reorder</button></div>',
            select,
            ARRANGE,
            name,
        )


def anchor_of(name: str) -> str:
    """Return the id of the box around an input inside of a part."""
    return f"at-{name}"


def _draw_fields(part: Part, problems: Mapping[str, list[str]]) -> SafeString:
    """Return the inputs of a part, marked as the form's own fields are (`admin/content/field.html`)."""
    return format_html_join(
        "", "{}", ((_draw_field(part, spec, problems),) for spec in part.component.fields)
    )


def _draw_field(part: Part, spec: FieldSpec, problems: Mapping[str, list[str]]) -> SafeString:
    bound = part.form[spec.key]
    is_group = bool(bound.field.widget.use_fieldset)
    told = (
        []
        if isinstance(bound.field, NestedField) or not part.form.is_bound
        else [str(e) for e in bound.errors]
    )
    errors = list(dict.fromkeys([*told, *problems.get(bound.html_name, ())]))
    described = [
        *([f"{bound.auto_id}_helptext"] if bound.help_text else []),
        *([f"{bound.auto_id}-errors"] if errors else []),
    ]
    attrs: dict[str, Any] = {"aria-describedby": " ".join(described)} if described else {}
    if errors:
        attrs["aria-invalid"] = "true"
    star = (
        SafeString(' <span class="qk-required" title="Needed to publish">*</span>') if spec.required else ""
    )
    head = (
        format_html(
            '<legend class="qk-field-head"><span class="qk-label">{}</span>{}</legend>', spec.name, star
        )
        if is_group
        else format_html(
            '<div class="qk-field-head"><label for="{}">{}</label>{}</div>',
            bound.id_for_label,
            spec.name,
            star,
        )
    )
    return format_html(
        '<div class="qk-field" id="{}" data-key="{}" data-type="{}" data-label="{}"{}>{}{}'
        '<div class="qk-control">{}</div>{}<div class="qk-notes" data-island="notes-{}">{}</div>{}</div>',
        anchor_of(bound.html_name),
        spec.key,
        spec.type,
        spec.name,
        _condition_of(part, spec),
        SafeString('<fieldset class="qk-plain">') if is_group else "",
        head,
        bound.as_widget(attrs=attrs),
        SafeString("</fieldset>") if is_group else "",
        bound.html_name,
        format_html(
            '<ul class="errorlist" id="{}-errors">{}</ul>',
            bound.auto_id,
            format_html_join("", "<li>{}</li>", ((text,) for text in errors)),
        )
        if errors
        else "",
        format_html('<div class="qk-help" id="{}_helptext">{}</div>', bound.auto_id, bound.help_text)
        if bound.help_text
        else "",
    )


def _condition_of(part: Part, spec: FieldSpec) -> SafeString | str:
    """Return when the field is asked for, for the script that shows and hides it."""
    if spec.condition is None:
        return ""
    return format_html(' data-condition="{}"', json.dumps(spec.condition.shown(part.component.fields)))


def problems_in(parts: Parts, *path: str | int) -> Iterator[Problem]:
    """Yield what the forms of the parts refuse by themselves, each with its place behind `path`."""
    for index, part in enumerate(parts.kept):
        for key, found in part.form.errors.items():
            if isinstance(part.form.fields[key], NestedField):
                yield from problems_in(part.form[key].value(), *path, index, key)
            else:
                yield from (Problem.at((*path, index, key), "invalid-value", str(text)) for text in found)


def widget_at(name: str, field: forms.Field, component_at: Mapping[str, Any]) -> NestedWidget | None:
    """Return the widget of a nested field by its name, `f-blocks` or `f-blocks-2-inner`; None when there is none.

    `field` is the form field of the outermost one. `component_at` holds the inputs that say which component stands
    at `f-blocks-2`.
    """
    first, key, *path = name.split("-")
    widget = field.widget
    at = f"{first}-{key}"
    for number, inner in zip(path[::2], path[1::2], strict=False):
        component = (
            widget.component_of(component_at.get(f"{at}-{number}-_component"))
            if isinstance(widget, NestedWidget)
            else None
        )
        spec = next((spec for spec in component.fields if spec.key == inner), None) if component else None
        if spec is None or not isinstance(widget, NestedWidget):
            return None
        at = f"{at}-{number}-{inner}"
        widget = written_in(get(spec.type).form_field(spec, widget.ctx), widget.language).widget
    return widget if isinstance(widget, NestedWidget) and at == name else None


class NestedField(forms.Field):
    """Holds `Parts`; the messages of the nested forms are its own messages too, with their place in front."""

    widget: NestedWidget

    def __init__(
        self, *, components: Iterable[ComponentSpec], ctx: Inside, single: bool = False, **arguments: Any
    ) -> None:
        super().__init__(widget=NestedWidget(list(components), ctx, single=single), **arguments)

    def clean(self, value: Any) -> Parts:
        parts: Parts = value
        messages = [
            f"Part {index}, {part.form.fields[key].label}: {message}"
            for index, part in enumerate(parts.kept, start=1)
            for key, found in part.form.errors.items()
            for message in found
        ]
        if messages:
            raise ValidationError(messages)
        return parts

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare what was typed with what the form showed: the same components in order, each field unchanged."""
        before: list[Mapping[str, Json]] = list(initial or [])
        after: list[Part] = data.parts
        if self.widget.single and not before and after:
            before = [{}]
        if len(before) != len(after) or any(part.is_deleted for part in after):
            return True
        for item, part in zip(before, after, strict=True):
            if item.get("_component", str(part.component.id)) != str(part.component.id):
                return True
            for spec in part.component.fields:
                shown = get(spec.type).to_form(item.get(str(spec.id)), spec, self.widget.ctx)
                form_field = part.form.fields[spec.key]
                typed = form_field.widget.value_from_datadict(
                    part.form.data, part.form.files, part.form.add_prefix(spec.key)
                )
                if form_field.has_changed(shown, typed):
                    return True
        return False
