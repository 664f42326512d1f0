"""The form that a collection is modelled with: its members, and its fields as ordered rows. Works without script."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as member
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.access import DataClass
from accounts.canonical import Json
from accounts.errors import Problem
from content import designing, fields
from content.admin.json_text import JsonTextField, write
from content.fields.base import FieldSpec, FieldType
from content.fields.text import PATTERNS
from content.models import Collection
from content.schema import CollectionSpec, Schema

MAX_ROWS = designing.MAX_FIELDS + 10
CLASSES = {
    DataClass.PUBLIC: "public",
    DataClass.INTERNAL: "internal: not for the public role’s “all fields”",
    DataClass.PERSONAL: "personal: only for roles that name the field",
    DataClass.SECRET: "secret: only for roles that name the field",
}


MEMBERS = (
    *("key", "type", "label", "help", "group", "required", "localized", "unique", "filterable"),
    *("data_class", "default", "condition"),
)
BOXES = (
    *("key", "type", "label", "help", "group", "options", "default", "condition", "data_class"),
    *("required", "localized", "unique", "filterable", "order", "remove"),
)


class CollectionMembersForm(forms.Form):
    """What a collection has besides its fields."""

    name = forms.CharField(
        max_length=80,
        help_text="What people call it, e.g. Recipes.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    key = forms.CharField(
        max_length=41,
        help_text="Its name in URLs and in the API: lower-case letters, digits and _. Clients depend on it.",
        widget=forms.TextInput(
            attrs={"class": "vTextField", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )
    description = forms.CharField(
        max_length=300,
        required=False,
        help_text="For the people who write in it.",
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 2}),
    )
    kind = forms.ChoiceField(
        choices=[
            ("many", "Many entries, e.g. articles"),
            ("single", "A single entry, e.g. the home page"),
            ("component", "A component: a group of fields inside other entries"),
            ("form", "A form that visitors fill in"),
        ],
        help_text="It can’t be changed later.",
    )
    localized = forms.BooleanField(
        required=False,
        label="Localized",
        help_text="Entries are written in several locales. Each field says whether it differs by locale.",
    )


class FieldRowForm(forms.Form):
    """One field of the collection."""

    id = forms.CharField(required=False, max_length=36, widget=forms.HiddenInput)
    remove = forms.BooleanField(required=False, label="Remove this field")
    order = forms.IntegerField(
        required=False,
        label="Place",
        min_value=-9999,
        max_value=9999,
        widget=forms.NumberInput(attrs={"class": "qk-order"}),
    )
    key = forms.CharField(
        required=False,
        max_length=41,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    type = forms.ChoiceField()
    label = forms.CharField(required=False, max_length=80)
    help = forms.CharField(required=False, max_length=300, label="Help text")
    group = forms.CharField(
        required=False,
        max_length=80,
        help_text="Fields of one group stand together, in a tab of their own. Empty: the first tab.",
    )
    required = forms.BooleanField(required=False, label="Required to publish")
    localized = forms.BooleanField(required=False, label="Differs by locale")
    unique = forms.BooleanField(required=False, label="Unique")
    filterable = forms.BooleanField(required=False, label="Can be filtered and sorted by")
    data_class = forms.ChoiceField(
        choices=[(item.value, text) for item, text in CLASSES.items()], label="Data class"
    )
    default = JsonTextField(
        help_text='JSON, e.g. "text", 3, true or ["a"]. Empty: none.',
        widget=forms.Textarea(attrs={"rows": 1, "class": "qk-json"}),
    )
    options = JsonTextField(widget=forms.Textarea(attrs={"rows": 3, "class": "qk-json"}))
    condition = JsonTextField(
        label="Asked for when",
        help_text=(
            'JSON: {"field": "kind", "operator": "eq", "value": "video"}. '
            "Operators: eq, ne, in, exists. Empty: always."
        ),
        widget=forms.Textarea(attrs={"rows": 1, "class": "qk-json"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = [
            (key, field_type.label)
            for key, field_type in sorted(fields.REGISTRY.items(), key=lambda item: item[1].label)
        ]
        self.fields["type"] = forms.ChoiceField(choices=types)
        self.fields["options"].help_text = ""


@dataclass
class FieldRow:
    """A field's form with what is wrong in it, and what its type can be told."""

    form: FieldRowForm
    number: int
    problems: dict[str, list[str]] = member(default_factory=dict)

    @property
    def type(self) -> FieldType[Any] | None:
        return fields.REGISTRY.get(str(self.form["type"].value()))

    @property
    def heading(self) -> str:
        return str(self.form["label"].value() or self.form["key"].value() or "New field")

    @property
    def options_text(self) -> list[str]:
        """Return a line for each option that the type has."""
        return list(described_options(self.type)) if self.type else []

    @property
    def is_open(self) -> bool:
        return bool(self.problems) or not self.form["key"].value() or bool(self.form["remove"].value())

    def faults(self) -> list[tuple[str, str]]:
        """Return (input, text) of everything that is wrong."""
        return [(name, text) for name, texts in self.problems.items() for text in texts]

    def boxes(self) -> list["Box"]:
        """Return the inputs in the order of the page."""
        return [
            Box(self.form[name], self.problems.get(name, [])) for name in BOXES if name in self.form.fields
        ]


@dataclass
class Box:
    """An input with what is wrong in it."""

    bound: forms.BoundField
    problems: list[str]

    @property
    def is_check(self) -> bool:
        return isinstance(self.bound.field.widget, forms.CheckboxInput)

    @property
    def html(self) -> str:
        described = [f"{self.bound.auto_id}_helptext"] if self.bound.help_text else []
        if self.problems:
            described.append(f"{self.bound.auto_id}-errors")
        attrs: dict[str, str | bool] = {"aria-describedby": " ".join(described)} if described else {}
        if self.problems:
            attrs["aria-invalid"] = "true"
        return self.bound.as_widget(attrs=attrs)


class CollectionForm:
    """The whole form. `raw()` is what the verbs of `content.modeling` read."""

    def __init__(
        self,
        *,
        before: CollectionSpec | None,
        description: str,
        schema: Schema,
        data: QueryDict | None = None,
    ) -> None:
        self.before = before
        self.schema = schema
        self.general: list[str] = []
        self.member_problems: dict[str, list[str]] = {}
        self.order: list[FieldRow] = []  # the rows as `raw()` lists them: pointers count in this order
        if data is None:
            initial = _members_of(before, description) if before else {"kind": "many"}
            self.members = CollectionMembersForm(initial=initial, use_required_attribute=False)
            self.rows = [
                self._stored_row(number, spec) for number, spec in enumerate(before.fields if before else ())
            ]
        else:
            self.members = CollectionMembersForm(data, use_required_attribute=False)
            count = data.get("field-count", "")
            total = (
                min(int(count), MAX_ROWS) if count.isascii() and count.isdecimal() and len(count) < 5 else 0
            )
            self.rows = [
                FieldRow(FieldRowForm(data, prefix=f"field-{number}", use_required_attribute=False), number)
                for number in range(total)
            ]
        if before is not None:
            self.members.fields["kind"].disabled = True
            self.members.initial["kind"] = before.kind
        elif data is None:
            self.add_row("text")

    def _stored_row(self, number: int, spec: FieldSpec) -> FieldRow:
        field_type = fields.get(spec.type)
        siblings = self.before.fields if self.before else ()
        initial = {
            "id": str(spec.id),
            "order": number + 1,
            "key": spec.key,
            "type": spec.type,
            "label": spec.label,
            "help": spec.help,
            "group": spec.group,
            "required": spec.required,
            "localized": spec.localized,
            "unique": spec.unique,
            "filterable": spec.filterable,
            "data_class": spec.data_class,
            "default": write(spec.default),
            "options": write(field_type.options_json(field_type.options(spec), self.schema) or None),
            "condition": write(spec.condition.shown(siblings) if spec.condition else None),
        }
        return FieldRow(
            FieldRowForm(prefix=f"field-{number}", initial=initial, use_required_attribute=False), number
        )

    def add_row(self, type_key: str) -> None:
        """Put one more row at the end, of a type; nothing is saved by that."""
        number = len(self.rows)
        if number >= MAX_ROWS:
            self.general.append(f"At most {designing.MAX_FIELDS} fields.")
            return
        initial = {
            "type": type_key if type_key in fields.REGISTRY else "text",
            "order": number + 1,
            "data_class": "public",
        }
        row = FieldRow(
            FieldRowForm(prefix=f"field-{number}", initial=initial, use_required_attribute=False), number
        )
        self.rows.append(row)

    @property
    def count(self) -> int:
        return len(self.rows)

    def raw(self) -> dict[str, Any] | None:
        """Return the collection's JSON as typed; None when something typed can't even be read."""
        stored = {str(spec.id) for spec in self.before.fields} if self.before is not None else set()
        is_sound = self.members.is_valid()
        for name, texts in self.members.errors.items():
            self.member_problems.setdefault(name, []).extend(map(str, texts))
        kept = []
        for row in self.rows:
            is_read = row.form.is_valid()
            data = row.form.cleaned_data
            is_blank = (
                not data.get("id")
                and not data.get("key")
                and not data.get("label")
                and not data.get("options")
            )
            if data.get("remove") or is_blank:
                continue
            if not is_read:
                is_sound = False
                for name, texts in row.form.errors.items():
                    row.problems.setdefault(name, []).extend(map(str, texts))
            place = data.get("order")
            kept.append((row.number + 1 if place is None else place, row.number, row))
        self.order = [row for _, _, row in sorted(kept, key=lambda item: item[:2])]
        if not is_sound:
            return None
        members = self.members.cleaned_data
        return {
            "key": members["key"],
            "name": members["name"],
            "description": members["description"].replace("\r\n", " ").replace("\n", " "),
            "kind": members["kind"],
            "localized": members["localized"],
            "fields": [_raw_field(row, stored) for row in self.order],
        }

    def add(self, problems: Iterable[Problem]) -> None:
        """Put each problem where its member was typed: `/fields/3/options/max_length` at the fourth row's options."""
        for problem in problems:
            path = [
                part.replace("~1", "/").replace("~0", "~") for part in (problem.pointer or "").split("/")[1:]
            ]
            if (
                path[:1] == ["fields"]
                and len(path) > 1
                and path[1].isdecimal()
                and int(path[1]) < len(self.order)
            ):
                row = self.order[int(path[1])]
                name = path[2] if len(path) > 2 and path[2] in row.form.fields else "key"
                below = " › ".join(path[3:])
                row.problems.setdefault(name, []).append(
                    f"{below}: {problem.detail}" if below else problem.detail
                )
            elif path and path[0] in self.members.fields:
                self.member_problems.setdefault(path[0], []).append(problem.detail)
            else:
                self.general.append(problem.detail)

    def boxes(self) -> list[Box]:
        """Return the inputs of the collection itself."""
        return [Box(bound, self.member_problems.get(bound.name, [])) for bound in self.members]

    def summary(self) -> list[tuple[str, str, str]]:
        """Return (id of the input, where, text) of everything that is wrong."""
        found = [
            (str(self.members[name].auto_id), str(self.members[name].label), text)
            for name, texts in self.member_problems.items()
            for text in texts
        ]
        return found + [
            (str(row.form[name].auto_id), f"{row.heading}, {row.form[name].label}", text)
            for row in self.rows
            for name, text in row.faults()
        ]


def described_options(field_type: FieldType[Any]) -> Iterable[str]:
    """Yield a line for each option of a type, in the words of the API."""
    for name, text in OPTIONS_TEXT.items():
        if name in _option_names(field_type):
            yield f"{name}: {text}"
    yield from sorted(_option_names(field_type) - OPTIONS_TEXT.keys())


def _option_names(field_type: FieldType[Any]) -> set[str]:
    return {
        item.metadata["name"] or item.name for item in field_type.options_class.__dataclass_fields__.values()
    }


OPTIONS_TEXT: Mapping[str, str] = {
    "max_length": "the most characters, e.g. 120",
    "min_length": "the least characters",
    "pattern": f"one of {', '.join(PATTERNS)}",
    "min": "the lowest number, date, or count of items",
    "max": "the highest number, date, or count of items",
    "choices": 'a list such as [{"value": "red", "label": "Red"}], or ["red", "green"]',
    "from": 'the key of the field that a slug is made from, e.g. "title"',
    "collections": 'the keys of the collections to choose from, e.g. ["authors"]',
    "components": 'the keys of the components that may stand here, e.g. ["hero", "quote"]',
    "schema": "a JSON Schema (2020-12) that the value must satisfy",
}


def _members_of(before: CollectionSpec, description: str) -> dict[str, Json]:
    return {
        "key": before.key,
        "name": before.name,
        "description": description,
        "kind": before.kind,
        "localized": before.localized,
    }


def _raw_field(row: FieldRow, stored: set[str]) -> dict[str, Any]:
    data = row.form.cleaned_data
    raw = {name: data[name] for name in MEMBERS}
    raw["options"] = data["options"] or {}
    if data["id"] in stored:
        raw["id"] = data["id"]
    return raw


KINDS = dict(Collection.Kind.choices)
