"""One field of a collection as people model it: its inputs by section, and what is wrong in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as member
from typing import Any
from uuid import UUID

from django import forms
from django.http import QueryDict

from accounts.access import Action, DataClass, Principal
from accounts.canonical import Json
from accounts.errors import Problem
from accounts.ids import uuid7
from content import fields
from content.admin.condition_inputs import INPUTS, OPERATORS, Sibling, condition_typed, offer_conditions
from content.conditions import Condition, ConditionError
from content.fields.base import FieldError, FieldSpec, FieldType, FormContext, Kind, Options
from content.fields.json_text import JsonTextField, write
from content.forms import modelling
from content.models import Collection
from content.schema import Schema
from content.writing import Writing

CLASSES = {
    DataClass.PUBLIC: "public",
    DataClass.INTERNAL: "internal: not for the public role’s “all fields”",
    DataClass.PERSONAL: "personal: only for roles that name the field",
    DataClass.SECRET: "secret: only for roles that name the field",
}
OPTION = "option-"
# Their inputs need the script of an entry's form, or names of its own: their default is typed as JSON.
DEFAULT_AS_JSON = frozenset(
    {"component", "components", "blocks", "rich_text", "json", "reference", "references"}
)
FLAGS = ("required", "localized", "unique", "filterable")
BEFOREHAND = "Filled in beforehand with"
SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Field", ("label", "key", "type", "help", "group")),
    ("Options", ()),  # of the type
    ("Rules", FLAGS),
    (BEFOREHAND, ("default",)),
    ("Asked for when", INPUTS),
    ("Who may read it", ("data_class",)),
)


@dataclass(frozen=True)
class Offer:
    """What the person who models may name in options (`content.fields.base.OptionContext`)."""

    schema: Schema
    principal: Principal

    def offered(self, *, components: bool) -> Sequence[tuple[str, str]]:
        """Return (key, name) of the components, or of the other collections, that they may do anything with."""
        return [
            (item.key, item.name)
            for item in self.schema.collections
            if (item.kind == Collection.Kind.COMPONENT) is components
            and any(self.principal.grant(action, on=item.resource) for action in Action)
        ]


class FieldRowForm(forms.Form):
    """The inputs of one field. Those of its options and of its default follow its type."""

    id = forms.CharField(required=False, max_length=36, widget=forms.HiddenInput)
    asked = forms.BooleanField(required=False, widget=forms.HiddenInput)  # somebody wants this row
    remove = forms.BooleanField(required=False, label="Remove this field")
    order = forms.IntegerField(
        required=False,
        label="Place",
        min_value=-9999,
        max_value=9999,
        widget=forms.NumberInput(attrs={"class": "qk-order"}),
    )
    label = forms.CharField(
        required=False, max_length=80, help_text="What editors read. Empty: made from the key."
    )
    key = forms.CharField(
        required=False,
        max_length=41,
        help_text="Its name in the API: lower-case letters, digits and _.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"}),
    )
    type = forms.ChoiceField()
    help = forms.CharField(required=False, max_length=300, label="Help text")
    group = forms.CharField(
        required=False,
        max_length=80,
        help_text="Fields of one group stand together, in a tab of their own. Empty: the first tab.",
        widget=forms.TextInput(attrs={"list": "field-groups"}),
    )
    required = forms.BooleanField(required=False, label="Required to publish")
    localized = forms.BooleanField(required=False, label="Differs by locale")
    unique = forms.BooleanField(required=False, label="Unique")
    filterable = forms.BooleanField(required=False, label="Can be filtered and sorted by")
    data_class = forms.ChoiceField(
        choices=[(item.value, text) for item, text in CLASSES.items()],
        label="Data class",
        required=False,
        help_text="How sensitive its values are.",
    )
    condition_field = forms.CharField(required=False, max_length=41, label="Field")
    condition_operator = forms.ChoiceField(choices=OPERATORS, required=False, label="Comparison")
    condition_value = forms.CharField(
        required=False, max_length=20_000, label="Value", help_text="Several with commas between them."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["use_required_attribute"] = False
        super().__init__(*args, **kwargs)
        self.fields["type"] = forms.ChoiceField(choices=types_by_family())


def types_by_family() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the types as (family, [(key, label)]), as a select and the picker show them."""
    return [
        (
            family,
            [(item.key, item.label) for item in fields.REGISTRY.values() if item.family == family],
        )
        for family in fields.FAMILIES
    ]


@dataclass
class Box:
    """An input with what is wrong in it."""

    bound: forms.BoundField
    problems: list[str]
    suggestions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.bound.name

    @property
    def is_check(self) -> bool:
        return isinstance(self.bound.field.widget, forms.CheckboxInput)

    @property
    def is_group(self) -> bool:
        """Tell whether it is several inputs, so that its label is a legend."""
        return bool(self.bound.field.widget.use_fieldset)

    @property
    def html(self) -> str:
        described = [f"{self.bound.auto_id}_helptext"] if self.bound.help_text else []
        if self.problems:
            described.append(f"{self.bound.auto_id}-errors")
        attrs: dict[str, str | bool] = {"aria-describedby": " ".join(described)} if described else {}
        if self.problems:
            attrs["aria-invalid"] = "true"
        if self.suggestions:
            attrs["list"] = f"{self.bound.auto_id}-list"
        return self.bound.as_widget(attrs=attrs)


@dataclass
class FieldRow:
    """A field's form with what is wrong in it. `spec` is what it would be, as far as that can be read."""

    form: FieldRowForm
    number: int
    type: FieldType[Any] | None
    spec: FieldSpec
    kind: str  # of the collection
    siblings: tuple[Sibling, ...] = ()
    problems: dict[str, list[str]] = member(default_factory=dict)

    @property
    def anchor(self) -> str:
        return f"row-{self.number}"

    @property
    def heading(self) -> str:
        return self.spec.name

    @property
    def is_open(self) -> bool:
        return bool(self.problems) or not self.form["key"].value()

    @property
    def is_removed(self) -> bool:
        return bool(self.form["remove"].value())

    @property
    def marks(self) -> list[str]:
        """Return what the list of fields says of it at a glance."""
        told = [
            ("required", "Required"),
            ("localized", "By locale"),
            ("unique", "Unique"),
            ("filterable", "Filterable"),
        ]
        marks = [text for name, text in told if self.form[name].value()]
        if self.form["group"].value():
            marks.append(f"In {self.form['group'].value()}")
        if self.form["condition_field"].value():
            marks.append("Conditional")
        data_class = str(self.form["data_class"].value() or DataClass.PUBLIC)
        return marks if data_class == DataClass.PUBLIC else [*marks, data_class.capitalize()]

    def sections(self) -> list[tuple[str, list[Box]]]:
        """Return the inputs by section, in the order of the page; what the type can't do is not offered."""
        found = []
        for title, names in SECTIONS:
            of_type = [name for name in self.form.fields if name.startswith(OPTION)]
            if title == BEFOREHAND and self.kind == Collection.Kind.FORM and not self.problems.get("default"):
                continue
            listed = of_type if title == "Options" else names
            boxes = [
                self._box(name) for name in listed if name in self.form.fields and self._is_offered(name)
            ]
            if boxes:
                found.append((title, boxes))
        return found

    def plain_tools(self) -> list[Box]:
        """Return the inputs that the script works for people."""
        return [self._box("order"), self._box("remove")]

    def _box(self, name: str) -> Box:
        suggestions: tuple[str, ...] = ()
        if name == "condition_value":
            chosen = self.form["condition_field"].value()
            suggestions = next((item.values for item in self.siblings if item.key == chosen), ())
        return Box(self.form[name], self.problems.get(name, []), suggestions)

    def _is_offered(self, name: str) -> bool:
        if name not in FLAGS or self.form[name].value() or name in self.problems:
            return True
        if self.kind in (Collection.Kind.COMPONENT, Collection.Kind.FORM) and name != "required":
            return False
        if self.type is not None and name == "unique":
            return self.type.can_be_unique
        if self.type is not None and name == "filterable":
            return self.type.kind is not Kind.NONE and self.type.key != "slug"
        return True

    # What was typed

    def is_blank(self) -> bool:
        """Tell whether nobody has asked for this row, and nobody typed anything that names it."""
        data = self.form.cleaned_data
        return not any(data.get(name) for name in ("id", "asked", "key", "label"))

    def read(self, schema: Schema) -> dict[str, Any] | None:
        """Return the field's JSON as typed, without its id; None when something typed can't even be read."""
        data = self.form.cleaned_data
        for name, texts in self.form.errors.items():
            self.problems.setdefault(name, []).extend(map(str, texts))
        raw = {name: data.get(name) for name in ("key", "type", "label", "help", "group", *FLAGS)}
        raw["data_class"] = data.get("data_class") or DataClass.PUBLIC.value
        raw["options"] = _options(self.type, data)
        raw["condition"] = condition_typed(data, self.siblings)
        raw["default"] = None
        if "default" not in self.form.errors:
            try:
                raw["default"] = self._default(schema)
            except FieldError as error:
                self.add(error.under("default").problems)
        return None if self.problems else raw

    def _default(self, schema: Schema) -> object:
        value = self.form.cleaned_data.get("default")
        if self.type is None or self.type.key in DEFAULT_AS_JSON:
            return value
        found: object = self.type.from_form(value, self.spec, schema)
        return None if found in ("", []) else found

    def beforehand(self, writing: Writing) -> Json:
        """Return the canonical default as far as it can be read, for looking at only."""
        if self.type is None or not self.form.is_bound:
            return None
        self.form.is_valid()
        try:
            return self.type.clean(self._default(writing.schema), self.spec, writing)
        except FieldError:
            return None

    def add(self, problems: Iterable[Problem]) -> None:
        """Put problems at their inputs; pointers are relative to the field: `/options/max_length`."""
        for problem in problems:
            path = [
                part.replace("~1", "/").replace("~0", "~") for part in (problem.pointer or "").split("/")[1:]
            ]
            name, below = "key", path[1:]
            if path[:1] == ["options"]:
                name, below = f"{OPTION}{path[1]}" if len(path) > 1 else "type", path[2:]
            elif path[:1] == ["condition"]:
                name, below = f"condition_{path[1]}" if len(path) > 1 else "condition_field", path[2:]
            elif path:
                name = path[0]
            if name not in self.form.fields:
                name, below = "key", path
            self.problems.setdefault(name, []).append(_told(below, problem.detail))

    def faults(self) -> list[tuple[str, str]]:
        """Return (input, text) of everything that is wrong."""
        return [(name, text) for name, texts in self.problems.items() for text in texts]


def _told(below: list[str], detail: str) -> str:
    place = " › ".join(
        f"line {int(part) + 1}" if part.isdecimal() and len(part) < 6 else part for part in below
    )
    return f"{place[:1].upper()}{place[1:]}: {detail}" if place else detail


def make_row(
    number: int,
    *,
    kind: str,
    context: FormContext,
    offer: Offer,
    siblings: tuple[Sibling, ...],
    data: QueryDict | None = None,
    initial: Mapping[str, Any] | None = None,
) -> FieldRow:
    """Build a row from what was typed, or from what is stored; its options' and its default's inputs are its type's."""
    form = FieldRowForm(data, prefix=f"field-{number}", initial=dict(initial or {}))
    if kind == Collection.Kind.FORM:
        _offer_what_fits_a_form(form)
    field_type = fields.REGISTRY.get(str(form["type"].value()))
    offer_conditions(form, siblings)
    spec = FieldSpec(
        id=_id_in(form["id"].value()),
        key=str(form["key"].value() or f"field_{number + 1}"),
        type=field_type.key if field_type else "text",
        label=str(form["label"].value() or ("" if form["key"].value() else "New field")),
        help=str(form["help"].value() or ""),
        group=str(form["group"].value() or ""),
        required=bool(form["required"].value()),
        localized=bool(form["localized"].value()),
    )
    if field_type is not None:
        for item in field_type.option_members():
            box = item.kind.form_field(offer)
            box.label, box.help_text = item.label, item.help
            if isinstance(item.default, int) and not isinstance(item.default, bool):
                box.widget.attrs["placeholder"] = f"{item.default:,}"
            form.fields[f"{OPTION}{item.name}"] = box
        spec = _with_options(spec, field_type, form, offer.schema)
        form.fields["default"] = _default_field(field_type, spec, context)
        if initial is not None and initial.get("default") is not None:
            stored = initial["default"]
            as_json = field_type.key in DEFAULT_AS_JSON
            form.initial["default"] = (
                write(stored) if as_json else field_type.to_form(stored, spec, offer.schema)
            )
    return FieldRow(form, number, field_type, spec, kind, siblings)


def _offer_what_fits_a_form(form: FieldRowForm) -> None:
    """Leave out what a form can't hold, but for what somebody has chosen: that is refused in its place."""
    chosen = str(form["type"].value())
    types = [
        (family, [item for item in listed if item[0] in modelling.TYPES or item[0] == chosen])
        for family, listed in types_by_family()
    ]
    form.fields["type"] = forms.ChoiceField(choices=[group for group in types if group[1]])
    words = dict.fromkeys(
        (DataClass.PUBLIC, DataClass.INTERNAL), "personal: only for roles that name the field"
    )
    held = str(form["data_class"].value() or DataClass.PERSONAL)
    # What was chosen for another kind stays: what visitors send is personal all the same.
    offered = [DataClass(held) if held in words else DataClass.PERSONAL, DataClass.SECRET]
    form.fields["data_class"] = forms.ChoiceField(
        choices=[(item.value, words.get(item, CLASSES[item])) for item in offered],
        label="Data class",
        required=False,
        help_text="What visitors send is personal at least.",
    )


def _id_in(text: object) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        return uuid7()


def _with_options(
    spec: FieldSpec, field_type: FieldType[Any], form: FieldRowForm, schema: Schema
) -> FieldSpec:
    raw: dict[str, Any] = {}
    for item in field_type.option_members():
        bound = form[f"{OPTION}{item.name}"]
        try:
            value = bound.field.clean(bound.data) if form.is_bound else bound.initial
        except forms.ValidationError:
            continue
        if value not in (None, "", []):
            raw[item.name] = value
    return replace(spec, options=readable_options(field_type, raw, schema))


def readable_options(field_type: FieldType[Any], raw: Mapping[str, Any], schema: Schema) -> Options:
    """Return the options as far as they can be read: one that is wrong counts as not given."""
    left = dict(raw)
    for _ in range(len(left) + 1):
        try:
            options: Options = field_type.parse_options(left, schema)
        except FieldError as error:
            wrong = {(item.pointer or "").split("/")[1] for item in error.problems if item.pointer}
            if not wrong & left.keys():
                break
            left = {name: value for name, value in left.items() if name not in wrong}
        else:
            return options
    plain: Options = field_type.options_class()
    return plain


def _default_field(field_type: FieldType[Any], spec: FieldSpec, context: FormContext) -> forms.Field:
    if field_type.key in DEFAULT_AS_JSON:
        attrs = {"rows": 2, "class": "qk-json", "dir": "ltr", "spellcheck": "false"}
        return JsonTextField(
            label="Value", widget=forms.Textarea(attrs=attrs), help_text="JSON. Empty: none."
        )
    found = field_type.form_field(spec, context)
    found.label, found.help_text = "Value", "Empty: nothing."
    return found


def _options(field_type: FieldType[Any] | None, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the API takes them: what was left empty is the default."""
    found = {}
    for item in field_type.option_members() if field_type else ():
        value = data.get(f"{OPTION}{item.name}")
        if value not in (None, "", []) and not (value is False and item.default is False):
            found[item.name] = value
    return found


def readable_conditions(rows: Iterable[FieldRow]) -> list[FieldSpec]:
    """Return the rows' specs with those conditions that can be read."""
    rows = list(rows)
    specs = [row.spec for row in rows]
    done = []
    for row in rows:
        data = {name: row.form[name].value() for name in INPUTS}
        raw = condition_typed(data, row.siblings)
        condition = None
        if raw is not None:
            try:
                condition = Condition.parse(raw, of=row.spec.id, siblings=specs)
            except ConditionError:
                condition = None
        done.append(replace(row.spec, condition=condition))
    return done
