"""The form that a collection is modelled with: its members, and its fields as ordered rows. Works without script."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from django import forms
from django.http import QueryDict

from accounts.access import Principal
from accounts.canonical import Json
from accounts.errors import Problem
from accounts.ids import uuid7
from content import designing, fields
from content.admin.choices import Choices
from content.admin.condition_inputs import Sibling, condition_shown
from content.admin.field_row import FLAGS, OPTION, Box, FieldRow, Offer, make_row, readable_conditions
from content.fields.base import FieldSpec
from content.fields.option_forms import BETWEEN
from content.forms import options
from content.models import Collection
from content.retention import WORDS as RETENTION_WORDS
from content.schema import CollectionSpec, Schema

MAX_ROWS = designing.MAX_FIELDS + 10
KINDS = dict(Collection.Kind.choices)


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
            ("form", "A form that visitors fill in: closed until you open it"),
        ],
        help_text="It can’t be changed later.",
        widget=forms.RadioSelect,
    )
    localized = forms.BooleanField(
        required=False,
        label="Localized",
        help_text="Entries are written in several locales. Each field says whether it differs by locale.",
    )
    retention = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=designing.MAX_RETENTION_DAYS,
        label="Erase entries after days",
        help_text="They are erased for good, with every version. Left empty, they stay until somebody erases them.",
    )
    retention_of = forms.ChoiceField(
        required=False,
        choices=[(key, f"after {words}") for key, words in RETENTION_WORDS.items()],
        initial="trashed",
        label="Counted from",
    )


class FormOptionsForm(forms.Form):
    """What a form has besides its fields (`content.forms.options`)."""

    open = forms.BooleanField(required=False, label="Open: visitors can send it")
    retention_days = forms.IntegerField(
        label="Keep submissions for (days)",
        min_value=options.SHORTEST,
        max_value=options.LONGEST,
        help_text="They are erased afterwards. A shorter time holds for what is there already, a longer one does not.",
    )
    notice = forms.CharField(
        required=False,
        max_length=options.LONGEST_NOTICE,
        label="Why it is collected",
        help_text="For the people who read submissions, and in the schema of the API.",
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 3}),
    )
    honeypot = forms.CharField(
        required=False,
        max_length=41,
        label="Trap for robots",
        help_text="The name of an input that your page hides from people. Who fills it in is answered as if all were"
        " well, and nothing is kept. Empty: none.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    max_bytes = forms.IntegerField(
        label="Largest submission (bytes)", min_value=options.SMALLEST, max_value=options.LARGEST
    )
    keep_address = forms.BooleanField(
        required=False,
        label="Keep the network address of who sends it",
        help_text="Only if you have a reason to: it is personal data. The log notes it too, then.",
    )


class CollectionForm:
    """The whole form. `raw()` is what the verbs of `content.modeling` read."""

    def __init__(
        self,
        *,
        before: CollectionSpec | None,
        description: str,
        schema: Schema,
        by: Principal,
        data: QueryDict | None = None,
    ) -> None:
        self.before = before
        self.schema = schema
        self.general: list[str] = []
        self.member_problems: dict[str, list[str]] = {}
        self.option_problems: dict[str, list[str]] = {}
        self.order: list[FieldRow] = []  # the rows as `raw()` lists them: pointers count in this order
        self.choices = Choices(schema, by, before, {}, data)
        self.offer = Offer(schema, by)
        initial = _members_of(before, description) if before else {"kind": "many"}
        self.members = CollectionMembersForm(data, initial=initial, use_required_attribute=False)
        if before is not None:
            self.members.fields["kind"].disabled = True
        self.kind = before.kind if before else str(self.members["kind"].value() or "many")
        self.by = by
        if before is not None and before.form is not None:
            del self.members.fields["localized"]
        self.options: FormOptionsForm | None = None
        if before is not None and before.form is not None:
            self.options = FormOptionsForm(
                data, prefix="form", initial=before.form.as_json(), use_required_attribute=False
            )
        stored = before.fields if before else ()
        if data is None:
            self.siblings = tuple(map(_sibling, stored))
            self.rows = [
                self._row(number, initial=self._initial(spec, number)) for number, spec in enumerate(stored)
            ]
        else:
            total = _count_in(data.get("field-count", ""))
            self.siblings = tuple(_typed_sibling(data, number) for number in range(total))
            self.rows = [self._row(number, data=data) for number in range(total)]

    def _row(
        self, number: int, *, data: QueryDict | None = None, initial: dict[str, Any] | None = None
    ) -> FieldRow:
        return make_row(
            number,
            kind=self.kind,
            context=self.choices,
            offer=self.offer,
            siblings=self.siblings,
            data=data,
            initial=initial,
        )

    def _initial(self, spec: FieldSpec, number: int) -> dict[str, Any]:
        field_type = fields.get(spec.type)
        options = field_type.options_json(field_type.options(spec), self.schema)
        return {
            "id": str(spec.id),
            "order": number + 1,
            **{
                name: getattr(spec, name)
                for name in ("key", "type", "label", "help", "group", "data_class", "default", *FLAGS)
            },
            **condition_shown(spec.condition, self.before.fields if self.before else ()),
            **{f"{OPTION}{name}": value for name, value in options.items()},
        }

    def add_row(self, type_key: str, *, is_asked: bool = True) -> None:
        """Put one more row at the end, of a type; nothing is saved by that. Unasked and left empty it is no field."""
        if len(self.rows) >= MAX_ROWS:
            self.general.append(f"At most {designing.MAX_FIELDS} fields.")
            return
        known = type_key if type_key in fields.REGISTRY else "text"
        data_class = "personal" if self.kind == Collection.Kind.FORM else "public"
        initial = {"type": known, "order": len(self.rows) + 1, "data_class": data_class, "asked": is_asked}
        self.rows.append(self._row(len(self.rows), initial=initial))

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def sorted_rows(self) -> list[FieldRow]:
        """Return the rows in the order that their places say."""
        return sorted(self.rows, key=lambda row: (_place(row), row.number))

    @property
    def groups(self) -> list[str]:
        """Return the groups that fields stand in already."""
        return sorted({row.spec.group for row in self.rows if row.spec.group})

    def raw(self) -> dict[str, Any] | None:
        """Return the collection's JSON as typed; None when something typed can't even be read."""
        stored = {str(spec.id) for spec in self.before.fields} if self.before is not None else set()
        is_sound = self.members.is_valid()
        for name, texts in self.members.errors.items():
            self.member_problems.setdefault(name, []).extend(map(str, texts))
        if self.options is not None:
            is_sound = self.options.is_valid() and is_sound
            for name, texts in self.options.errors.items():
                self.option_problems.setdefault(name, []).extend(map(str, texts))
        listed = []
        for row in self.sorted_rows:
            row.form.is_valid()
            if row.is_removed or row.is_blank():
                continue
            self.order.append(row)
            raw = row.read(self.schema)
            if raw is None:
                is_sound = False
                continue
            if row.form.cleaned_data["id"] in stored:
                raw["id"] = row.form.cleaned_data["id"]
            listed.append(raw)
        if not is_sound:
            return None
        members = self.members.cleaned_data
        return {
            "key": members["key"],
            "name": members["name"],
            "description": members["description"].replace("\r\n", " ").replace("\n", " "),
            "kind": members["kind"],
            "localized": members.get("localized", False),
            "retention": {"after_days": members["retention"], "of": members.get("retention_of") or "trashed"}
            if members.get("retention") is not None
            else None,
            "fields": listed,
            **({"form": self._typed_options()} if self.options is not None else {}),
        }

    def _typed_options(self) -> dict[str, Any]:
        data = self.options.cleaned_data if self.options is not None else {}
        return {**data, "notice": data["notice"].replace("\r\n", "\n").strip()}

    def add(self, problems: Iterable[Problem]) -> None:
        """Put each problem where its member was typed: `/fields/3/options/max_length` at the fourth row's options."""
        for problem in problems:
            path = (problem.pointer or "").split("/")[1:]
            is_field = path[:1] == ["fields"] and len(path) > 1 and path[1].isdecimal()
            if is_field and int(path[1]) < len(self.order):
                below = "".join(f"/{part}" for part in path[2:])
                self.order[int(path[1])].add([replace(problem, pointer=below)])
            elif (
                path[:1] == ["form"]
                and self.options is not None
                and path[1:2]
                and path[1] in self.options.fields
            ):
                self.option_problems.setdefault(path[1], []).append(problem.detail)
            elif path and path[0] in self.members.fields:
                self.member_problems.setdefault(path[0], []).append(problem.detail)
            else:
                self.general.append(problem.detail)

    def boxes(self) -> list[Box]:
        """Return the inputs of the collection itself."""
        return [Box(bound, self.member_problems.get(bound.name, [])) for bound in self.members]

    def form_boxes(self) -> list[Box]:
        """Return the inputs of a form's options; none for anything else, and for a form that is not made yet."""
        bound = self.options or ()
        return [Box(item, self.option_problems.get(item.name, [])) for item in bound]

    def summary(self) -> list[tuple[str, str, str]]:
        """Return (id of the input, where, text) of everything that is wrong."""
        found = [
            (str(self.members[name].auto_id), str(self.members[name].label), text)
            for name, texts in self.member_problems.items()
            for text in texts
        ]
        if self.options is not None:
            found += [
                (str(self.options[name].auto_id), str(self.options[name].label), text)
                for name, texts in self.option_problems.items()
                for text in texts
            ]
        return found + [
            (str(row.form[name].auto_id), f"{row.heading}, {row.form[name].label}", text)
            for row in self.sorted_rows
            for name, text in row.faults()
        ]

    def draft(self) -> CollectionSpec:
        """Return the collection as it would be, as far as what is typed can be read; for looking at only."""
        rows = [row for row in self.sorted_rows if not row.is_removed]
        return CollectionSpec(
            self.before.id if self.before else uuid7(),
            self.before.key if self.before else "preview",
            str(self.members["name"].value() or "New collection"),
            self.kind,
            "localized" in self.members.fields and bool(self.members["localized"].value()),
            tuple(readable_conditions(rows)),
        )


def _members_of(before: CollectionSpec, description: str) -> dict[str, Json]:
    return {
        "key": before.key,
        "name": before.name,
        "description": description,
        "kind": before.kind,
        "localized": before.localized,
        "retention": before.retention.after_days if before.retention else None,
        "retention_of": before.retention.of if before.retention else "trashed",
    }


def _count_in(text: str) -> int:
    return min(int(text), MAX_ROWS) if text.isascii() and text.isdecimal() and len(text) < 5 else 0


def _place(row: FieldRow) -> int:
    text = str(row.form["order"].value() or "")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    return (
        sign * int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 6 else row.number + 1
    )


def _sibling(spec: FieldSpec) -> Sibling:
    choices = getattr(spec.options, "choices", ())
    values = ("yes", "no") if spec.type == "boolean" else tuple(item.value for item in choices)
    return Sibling(spec.key, spec.name, spec.type, values)


def _typed_sibling(data: QueryDict, number: int) -> Sibling:
    key, label, kind = (data.get(f"field-{number}-{name}", "").strip() for name in ("key", "label", "type"))
    lines = data.get(f"field-{number}-{OPTION}choices", "").splitlines()
    values = tuple(line.partition(BETWEEN)[0].strip() for line in lines[:100] if line.strip())
    return Sibling(key, label or key, kind, ("yes", "no") if kind == "boolean" else values)
