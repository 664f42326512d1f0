"""The form of an entry, made from its collection's fields: what was typed, what is stored, and what stands between."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.safestring import SafeString

from accounts.canonical import Json
from accounts.errors import DomainError, InvalidInputError, Problem
from content import diffing, documents, editing, fields
from content.admin.choices import HIDDEN, REFERENCES, Choices, titles_of
from content.admin.reopened import PREFIX, Reopened, reopened, shown_in
from content.fields.base import FieldError, FieldSpec
from content.fields.drawing import DRAWING
from content.fields.forms import Language, written_in
from content.fields.nested_forms import NestedField, anchor_of, problems_in
from content.writing import Writing

OWN_MEMBERS = frozenset({"message", "locales", "locale", "reason"})
MASKED = "masked"  # the hidden inputs that hold the ids of fields whose stored value the page did not show
ERASE = "erase"  # "erase-<id>": the stored value of a masked field shall go


@dataclass(frozen=True)
class StandIn:
    """Another locale that this one falls back to: its values by field id, as far as the writer may read them."""

    name: str
    values: Mapping[str, Json]


@dataclass
class Row:
    """One field as the page shows it."""

    spec: FieldSpec
    help: str = ""
    html: SafeString | str = ""  # the input; empty for a field that is only shown
    text: str = ""  # the value in plain words, for a field that is only shown
    id_for_label: str = ""
    is_group: bool = False  # several inputs, so that the label is a legend
    errors: list[str] = field(default_factory=list)
    theirs: str | None = None  # what somebody else saved meanwhile, in plain words, where both changed it
    before: str | None = None  # what stood here before somebody else changed it; the input has theirs already
    asked_when: str = ""
    condition: str = ""  # the same as JSON, for the script that shows and hides the field
    stands_in: str = ""  # the words of another locale that this field falls back to while it is empty
    stands_in_value: str = ""  # the same as the input would hold it, where it can be copied into it
    stands_in_name: str = ""  # that locale's name
    is_changed: bool = False  # since it was published
    is_masked: bool = False  # `text` says only how long the stored value is
    is_erased: bool = False  # the writer wants the stored value gone

    @property
    def anchor(self) -> str:
        return f"field-{self.spec.key}"

    @property
    def is_input(self) -> bool:
        return bool(self.html)


class EntryForm:
    """What the writer sees of an entry in one locale.

    `stored` holds the canonical values by field id that the writer started from, `now` those of the newest version
    where somebody else saved since, `public` those that readers see, where they differ. Only what the writer changed
    is sent on, so that what they can't see, or what the schema no longer allows, stays as it is.
    """

    def __init__(
        self,
        writing: Writing,
        *,
        readable: Iterable[FieldSpec],
        writable: Iterable[FieldSpec],
        stored: Mapping[str, Json],
        data: QueryDict | None = None,
        now: Mapping[str, Json] | None = None,
        stand_ins: Iterable[StandIn] = (),
        public: Mapping[str, Json] | None = None,
        locale: str | None = None,
        is_open: bool = False,
    ) -> None:
        self.writing = writing
        self.readable = frozenset(readable)
        self.writable = frozenset(writable)
        self.stored = stored
        self.now = stored if now is None else now
        self.stand_ins = tuple(stand_ins)
        self.public = public
        self.locale = locale
        inputs = [spec for spec in writing.collection.fields if spec in self.writable]
        self.shown = shown_in(inputs, writing.schema)
        self.reopened = reopened(data, inputs, writing.schema) if data is not None else Reopened()
        data = self.reopened.data
        shown = self.readable | self.writable
        self.specs = [spec for spec in writing.collection.fields if spec in shown]
        self.is_open = is_open
        was_masked = set(data.getlist(MASKED)) if data is not None else set()
        # Keys of sensitive fields whose input shows nothing of what is stored: left empty, it stays.
        self.were_masked = frozenset(spec.key for spec in inputs if str(spec.id) in was_masked)
        self.erased = frozenset(
            spec.key
            for spec in inputs
            if spec.key in self.were_masked and data is not None and f"{ERASE}-{spec.id}" in data
        )
        self.problems: dict[str, list[str]] = {}
        self.inside: dict[
            str, list[tuple[str, str, str]]
        ] = {}  # (anchor, label, text) of what is wrong in parts
        self.general: list[str] = []
        visible = {key: value for key, value in {**stored, **self.now}.items() if self._may_read(key)}
        self.choices = Choices(writing.schema, writing.by, writing.collection, visible, data)
        self.form = self._build(stored, data)
        self.masked = frozenset(spec for spec in self.specs if self._is_masked(spec))

    @property
    def media(self) -> forms.Media:
        return self.form.media

    def _may_read(self, field_id: str) -> bool:
        return any(str(spec.id) == field_id for spec in self.readable)

    def _build(self, values: Mapping[str, Json], data: QueryDict | None) -> forms.Form:
        form = forms.Form(data, prefix=PREFIX, use_required_attribute=False, renderer=DRAWING)
        for spec in self.specs:
            if spec in self.writable:
                field_type = fields.get(spec.type)
                form.fields[spec.key] = written_in(
                    field_type.form_field(spec, self.choices), language_of(spec, self.writing, self.locale)
                )
                if spec in self.readable:
                    value = values.get(str(spec.id))
                    if data is None and spec.is_sensitive and not self.is_open:
                        value = None
                    form.initial[spec.key] = field_type.to_form(value, spec, self.writing.schema)
        return form

    # What is masked

    def _is_masked(self, spec: FieldSpec) -> bool:
        """Tell whether a stored value is not to be shown on this page; what was typed into its input is."""
        if self.is_open or not spec.is_sensitive or spec not in self.readable:
            return False
        key = str(spec.id)
        if self.form.is_bound and spec in self.writable and spec.key not in self.were_masked:
            # The page before showed what was there: only what came since is kept back.
            return self.stored.get(key) != self.now.get(key) and spec.key not in self._touched()
        return self.stored.get(key) is not None or self.now.get(key) is not None

    def is_left_masked(self, spec: FieldSpec) -> bool:
        """Tell whether nothing was typed into the input of a masked value, so that the value stays."""
        if not self.form.is_bound or spec.key not in self.were_masked or spec.key in self.erased:
            return False
        return self._is_left_empty(spec)

    def _is_left_empty(self, spec: FieldSpec) -> bool:
        bound = self.form[spec.key]
        empty = fields.get(spec.type).to_form(None, spec, self.writing.schema)
        return not bound.field.has_changed(empty, bound.data)

    def masked_names(self) -> list[str]:
        """Return the keys of the fields that are masked on this page."""
        return [spec.key for spec in self.specs if spec in self.masked]

    # What was typed

    def changes(self, *, given_up: Iterable[str] = ()) -> dict[str, object]:
        """Return the inputs by field key that differ from what the writer started from.

        `given_up` are fields whose input the writer gives up for what somebody else saved. Raises `InvalidInputError`
        with every fault; what was typed stays in the form.
        """
        changed = self._touched() - set(given_up)
        gone = {spec.key for spec in self.specs if spec.key in self.erased and self._is_left_empty(spec)}
        problems = [
            problem
            for key in self.form.errors
            if key in changed - gone
            for problem in self._refused_by_form(key)
        ]
        if self.reopened.is_untold:
            problems.append(Problem.at((), "unknown-field", self.reopened.told))
        values: dict[str, object] = {}
        for spec in self.specs:
            if spec.key in gone and spec.key in changed:
                values[spec.key] = None
            elif spec.key in changed and spec.key in self.form.cleaned_data:
                try:
                    values[spec.key] = fields.get(spec.type).from_form(
                        self.form.cleaned_data[spec.key], spec, self.writing.schema
                    )
                except FieldError as error:
                    problems += error.under(spec.key).problems
        if problems:
            try:  # say the rest too, at once
                editing.clean(values, self.writing, writable=set(self.writable))
            except InvalidInputError as error:
                problems += error.errors
            raise InvalidInputError(errors=problems)
        return values

    def is_unchanged(self) -> bool:
        """Tell whether what was typed is just what is stored."""
        return not self._touched() and not self.reopened.is_untold

    def _touched(self) -> set[str]:
        left = {spec.key for spec in self.specs if self.is_left_masked(spec)}
        return set(self.form.changed_data) - self.reopened.unseen - left

    @property
    def unsaved(self) -> str:
        """The keys of fields that were typed in and are not saved, for the script that asks before they are lost."""
        return " ".join(sorted(self._touched())) if self.form.is_bound else ""

    def _refused_by_form(self, key: str) -> list[Problem]:
        if isinstance(self.form.fields[key], NestedField):
            return list(problems_in(self.form[key].value(), key))
        return [Problem.at((key,), "invalid-value", str(text)) for text in self.form.errors[key]]

    # What is wrong

    def add(self, problems: Iterable[Problem]) -> None:
        """Put problems at their fields; one at a field that is not shown says nothing of it."""
        keys = {spec.key: spec for spec in self.specs}
        for problem in problems:
            first, *rest = [
                part.replace("~1", "/").replace("~0", "~") for part in (problem.pointer or "/").split("/")[1:]
            ]
            spec = keys.get(first)
            if spec is None:
                known = first in OWN_MEMBERS or not first
                text = problem.detail if known else "Something is missing in a field that you can’t see."
                if text not in self.general:
                    self.general.append(text)
                continue
            if self._add_inside(spec, rest, problem.detail):
                continue
            place = self._place(rest)
            self.problems.setdefault(first, []).append(
                f"{place}: {problem.detail}" if place else problem.detail
            )

    def _add_inside(self, spec: FieldSpec, path: list[str], text: str) -> bool:
        """Put a problem at its very input inside of a part, where there is one; tell whether it was."""
        field_type = fields.get(spec.type)
        own = self.form.fields.get(spec.key)
        nested = own if own is not None else field_type.form_field(spec, self.choices)
        if not path or not isinstance(nested, NestedField):
            return False
        if own is not None:
            value = self.form[spec.key].value()
        else:
            value = field_type.to_form(self.stored.get(str(spec.id)), spec, self.writing.schema)
        place = nested.widget.find(f"{PREFIX}-{spec.key}", value, path)
        if place is None:
            return False
        more = self._place(list(place.rest))
        text = f"{more}: {text}" if more else text
        found = nested.widget.problems.setdefault(place.name, [])
        if text not in found:
            found.append(text)
            label = f"{spec.name} › {place.label}"
            self.inside.setdefault(spec.key, []).append((anchor_of(place.name), label, text))
        return True

    def refuse(self, error: DomainError) -> None:
        """Say that what was typed can't be saved; it stays in the form."""
        self.general.append(error.detail)
        self.add(error.errors)

    def _place(self, path: list[str]) -> str:
        """Say where inside a component or a list something is wrong: "Row 2 › title"."""
        return " › ".join(
            f"row {int(part) + 1}" if part.isdecimal() and len(part) < 6 else part for part in path
        ).capitalize()

    def summary(self) -> list[tuple[str, str, str]]:
        """Return (anchor, label, text) of everything that is wrong at a field, in the order of the fields."""
        return [
            found
            for spec in self.specs
            for found in (
                *((f"field-{spec.key}", spec.name, text) for text in self.problems.get(spec.key, ())),
                *self.inside.get(spec.key, ()),
            )
        ]

    # What the page shows

    def rows(self) -> list[Row]:
        """Return every field as it is to be shown: inputs for what may be written, plain words for the rest."""
        is_same = self.now is self.stored and not self.reopened.unseen and not self.were_masked
        present = self.form if is_same else self._build(self.now, None)
        touched = self._touched() if self.form.is_bound else set()
        return [self._row(spec, present, touched) for spec in self.specs]

    def _row(self, spec: FieldSpec, present: forms.Form, touched: set[str]) -> Row:
        row = Row(
            spec,
            asked_when=self._condition(spec),
            condition=self._condition_json(spec),
            errors=self.problems.get(spec.key, []),
        )
        value, now = self.stored.get(str(spec.id)), self.now.get(str(spec.id))
        if spec not in self.writable:
            row.help = spec.help
            row.text = self.words(spec, now)
            row.is_masked = spec in self.masked
            return row
        is_unseen = spec.key in self.reopened.unseen or self.is_left_masked(spec)
        source = present if is_unseen else self.form
        if self.now is not self.stored and value != now and spec in self.readable:
            if spec.key in touched:
                row.theirs = self.words(spec, now)
            else:
                source = present
                row.before = self.words(spec, value)
        row.is_masked = spec in self.masked
        if row.is_masked:
            row.text = self.words(spec, now if now is not None else value)
            row.is_erased = spec.key in self.erased
        bound = source[spec.key]
        row.help = str(bound.help_text)
        self._note_others(row, now)
        row.is_group = bool(bound.field.widget.use_fieldset)
        row.id_for_label = "" if row.is_group else bound.id_for_label
        described = [
            *([f"{bound.auto_id}_helptext"] if row.help else []),
            *([f"{row.anchor}-mask"] if row.is_masked else []),
            *([f"{row.anchor}-errors"] if row.errors else []),
        ]
        attrs: dict[str, Any] = {"aria-describedby": " ".join(described)} if described else {}
        if row.errors:
            attrs["aria-invalid"] = "true"
        row.html = bound.as_widget(attrs=attrs)
        return row

    def _note_others(self, row: Row, now: Json) -> None:
        """Note what another locale says where this one says nothing, and whether readers see something else."""
        spec = row.spec
        key = str(spec.id)
        if self.public is not None and spec in self.readable:
            row.is_changed = self.public.get(key) != now
        if spec.is_sensitive and not self.is_open:
            return
        if now is not None or not (spec.localized and self.writing.collection.localized):
            return
        found = next((item for item in self.stand_ins if item.values.get(key) is not None), None)
        if found is not None:
            value = found.values[key]
            shown = fields.get(spec.type).to_form(value, spec, self.writing.schema)
            row.stands_in, row.stands_in_name = self.words(spec, value), found.name
            row.stands_in_value = shown if isinstance(shown, str) and spec.type not in REFERENCES else ""

    def has_conflicts(self) -> bool:
        """Tell whether the writer and somebody else changed the same field."""
        touched = self._touched()
        return any(
            spec.key in touched and self.stored.get(str(spec.id)) != self.now.get(str(spec.id))
            for spec in self.specs
            if spec in self.readable & self.writable
        )

    def groups(self) -> list[tuple[str, list[Row]]]:
        """Return the rows by group, in the order of their first fields; the fields without one come first, as ""."""
        found: dict[str, list[Row]] = {"": []}
        for row in self.rows():
            found.setdefault(row.spec.group, []).append(row)
        return [(name, rows) for name, rows in found.items() if rows]

    def words(self, spec: FieldSpec, value: Json) -> str:
        """Return a value in plain words; references by title, as far as they may be seen; masked where that is due."""
        if value is not None and spec.is_sensitive and not self.is_open:
            return masked(spec, value)
        return in_words(spec, value, self.writing, self.choices)

    def _condition_json(self, spec: FieldSpec) -> str:
        """Return the condition, where the field that decides stands in the form."""
        condition = spec.condition
        other = self.writing.collection.by_id.get(condition.field) if condition else None
        if condition is None or other is None or other not in self.writable & self.readable:
            return ""
        if other in self.masked:  # its input says nothing of the value that decides
            return ""
        return json.dumps(condition.shown(self.specs))

    def _condition(self, spec: FieldSpec) -> str:
        """Say when the field is asked for, as far as the field that decides may be seen."""
        condition = spec.condition
        if condition is None:
            return ""
        other = self.writing.collection.by_id.get(condition.field)
        if other is None or other not in self.readable | self.writable:
            return "Asked for in some cases only."
        if condition.operator == "exists":
            return f"Asked for when {other.name} is {'filled in' if condition.value else 'empty'}."
        values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
        listed = " or ".join(
            {True: "yes", False: "no"}.get(item, str(item)) if isinstance(item, bool) else str(item)
            for item in values
        )
        return f"Asked for when {other.name} is {'not ' if condition.operator == 'ne' else ''}{listed}."


def language_of(spec: FieldSpec, writing: Writing, locale: str | None) -> Language | None:
    """Return the language that a field is written in, None where it is the same in every locale."""
    found = writing.schema.locale_by_code.get(locale or writing.schema.default_locale.code)
    if found is None or (writing.collection.localized and not spec.localized):
        return None
    return Language(found.code, found.direction)


def masked(spec: FieldSpec, value: Json) -> str:
    """Return what stands for a value that is not shown: dots, and how long a text is."""
    if isinstance(value, str) and spec.type not in {"choice", "date", "datetime"}:
        return f"•••• — {len(value)} {'character' if len(value) == 1 else 'characters'}"
    return "••••"


def in_words(spec: FieldSpec, value: Json, writing: Writing, choices: Choices | None = None) -> str:
    """Return a canonical value in plain words; references by title, as far as the principal may see them.

    `choices` has looked up the titles of a whole form already.
    """
    if value is None:
        return ""
    if spec.type not in REFERENCES:
        return fields.get(spec.type).diff_text(value, spec, writing.schema)
    ids = list(fields.get(spec.type).references(value, spec, writing.schema))
    titles = choices.titles(ids) if choices else titles_of(writing.schema, writing.by, ids)
    return "\n".join(titles.get(entry_id, HIDDEN) for entry_id in ids)


def differences(
    before: Mapping[str, Mapping[str, Json]],
    after: Mapping[str, Mapping[str, Json]],
    *,
    locale: str,
    specs: Iterable[FieldSpec],
    writing: Writing,
) -> list[dict[str, Any]]:
    """Return what differs between two versions in one locale, for people: as `diffing.diff`, references by title."""
    shown = list(specs)
    found: list[dict[str, Any]] = [
        dict(item) for item in diffing.diff(before, after, locale=locale, specs=shown, ctx=writing)
    ]
    by_key = {spec.key: spec for spec in shown}
    old, new = documents.in_locale(before, locale), documents.in_locale(after, locale)
    for item in found:
        spec = by_key[item["field"]]
        item["spec"] = spec
        if spec.is_sensitive:
            continue
        if spec.type == "blocks":
            item["parts"] = diffing.parts(old.get(str(spec.id)), new.get(str(spec.id)), spec, writing)
        if spec.type in REFERENCES:
            one, other = (
                in_words(spec, old.get(str(spec.id)), writing),
                in_words(spec, new.get(str(spec.id)), writing),
            )
            item["words"] = diffing.compare(one, other)
    return found


_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def number_in(text: str | None) -> int | None:
    """Return the number of a version that a form or an address names, None for anything else."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None
