"""What a collection shall be: read from JSON, on top of what it is, with every fault where it stands."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any
from uuid import UUID

from accounts.access import SENSITIVE, DataClass, Principal
from accounts.errors import InvalidInputError, Problem, placed
from accounts.ids import uuid7
from content import fields, schema
from content.conditions import Condition, ConditionError
from content.fields.base import FieldError, FieldSpec, Kind
from content.forms import modelling
from content.forms.options import FormOptions, parse
from content.models import Collection
from content.models.schema import KEY_PATTERN
from content.schema import CollectionSpec, Retention, Schema
from content.writing import Writing

MAX_FIELDS = 100
MAX_FILTERABLE = 12
MAX_INDEXED_LENGTH = 500  # characters; a B-tree entry has at most about 2,700 bytes
MAX_RETENTION_DAYS = 36_500
COLLECTION_KEYS = frozenset(
    {"key", "name", "description", "kind", "localized", "fields", "retention", "form"}
)
FIELD_KEYS = frozenset(
    {
        "id", "key", "type", "label", "help", "group", "required", "localized", "unique", "filterable", "default",
        "data_class", "options", "condition",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Design:
    """A collection as it shall be: its specs, and which live field each of them was before (None: new)."""

    spec: CollectionSpec
    description: str
    before: Mapping[UUID, FieldSpec]  # id in `spec` → the present field, of another id when the type changes


@dataclass(frozen=True, slots=True)
class NewIds:
    """The ids that what is new shall have, for what comes from another house; None for any. Fields are named by key."""

    collection: UUID | None = None
    fields: Mapping[str, UUID] = dataclass_field(default_factory=dict)


def read_design(
    raw: Mapping[str, object], before: CollectionSpec | None, *, by: Principal, ids: NewIds | None = None
) -> Design:
    """Read a collection's JSON on top of what it is now; raise `InvalidInputError` with every fault."""
    ids = ids or NewIds()
    present = schema.read()
    problems = [
        Problem.at((str(key)[:80],), "unknown-key", "There is no such member of a collection.")
        for key in raw
        if key not in COLLECTION_KEYS
    ]
    reader = _Reader(problems)
    key = reader.text(raw, (), "key", before.key if before else None, pattern=KEY_PATTERN, highest=41)
    name = reader.text(raw, (), "name", before.name if before else None, highest=80)
    kind = reader.choice(raw, (), "kind", before.kind if before else "many", list(Collection.Kind.values))
    stored = (
        Collection.objects.filter(pk=before.id).values_list("description", flat=True).first()
        if before
        else ""
    )
    description = reader.text(raw, (), "description", stored or "", highest=300, empty=True)
    if key in present.by_key and (before is None or present.by_key[key].id != before.id):
        problems.append(Problem.at(("key",), "not-unique", "Another collection has this key."))
    if before is not None and kind != before.kind:
        problems.append(Problem.at(("kind",), "immutable", "The kind of a collection can't be changed."))
    listed = raw.get("fields")
    if listed is not None and not (
        isinstance(listed, list) and all(isinstance(item, Mapping) for item in listed)
    ):
        problems.append(Problem.at(("fields",), "invalid-type", "A list of fields."))
        listed = None
    items: list[Mapping[str, Any]] = list(listed) if isinstance(listed, list) else []
    default_localized = before.localized if before else any(item.get("localized") is True for item in items)
    localized = reader.boolean(raw, (), "localized", default_localized)
    if kind == Collection.Kind.FORM and localized:
        problems.append(Problem.at(("localized",), "not-in-form", "A form has no locales."))
    options = _read_form_options(raw, kind, before, problems)
    shell = CollectionSpec(
        before.id if before else ids.collection or uuid7(),
        key,
        name,
        kind,
        localized,
        before.fields if before else (),
        retention=reader.retention(raw, kind, before.retention if before else None),
        form=options,
    )
    if listed is None:
        _check_honeypot(shell, problems)
        if problems:
            raise InvalidInputError(errors=problems)
        fixed = (
            shell
            if localized
            else replace(shell, fields=tuple(replace(f, localized=False) for f in shell.fields))
        )
        return Design(fixed, description, {spec.id: spec for spec in shell.fields})
    if len(items) > MAX_FIELDS:
        problems.append(Problem.at(("fields",), "too-many", f"At most {MAX_FIELDS} fields."))
        items = []
    pending = present.having(shell)
    specs, olds = _read_fields(items, shell, before, pending, reader, by, ids.fields)
    _check_honeypot(replace(shell, fields=tuple(specs)), problems)
    if problems:
        raise InvalidInputError(errors=problems)
    return Design(replace(shell, fields=tuple(specs)), description, olds)


def _read_form_options(
    raw: Mapping[str, object], kind: str, before: CollectionSpec | None, problems: list[Problem]
) -> FormOptions | None:
    """Return the options of a form, None for anything else."""
    if kind != Collection.Kind.FORM:
        if raw.get("form") is not None:
            problems.append(Problem.at(("form",), "not-a-form", "Only a collection of kind form has these."))
        return None
    present = before.form if before is not None and before.form is not None else FormOptions()
    if raw.get("form") is None:
        return present
    options, found = parse(raw["form"], present)
    problems += placed(found, "form")
    return options


def _check_honeypot(shell: CollectionSpec, problems: list[Problem]) -> None:
    if shell.form is not None and shell.form.honeypot in shell.by_key:
        detail = "A field of the form has this key: what people fill in can't be a trap."
        problems.append(Problem.at(("form", "honeypot"), "not-unique", detail))


def _read_fields(
    items: list[Mapping[str, Any]],
    shell: CollectionSpec,
    before: CollectionSpec | None,
    pending: Schema,
    reader: "_Reader",
    by: Principal,
    new_ids: Mapping[str, UUID],
) -> tuple[list[FieldSpec], dict[UUID, FieldSpec]]:
    problems = reader.problems
    specs: list[FieldSpec] = []
    olds: dict[UUID, FieldSpec] = {}
    places: list[int] = []
    for index, item in enumerate(items):
        path: tuple[str | int, ...] = ("fields", index)
        faults = len(problems)
        problems += [
            Problem.at((*path, str(key)[:80]), "unknown-key", "There is no such member of a field.")
            for key in item
            if key not in FIELD_KEYS
        ]
        old = _present_field(item, before)
        if item.get("id") is not None and old is None:
            problems.append(Problem.at((*path, "id"), "unknown-field", "There is no such field."))
        key = reader.text(item, path, "key", old.key if old else None, pattern=KEY_PATTERN, highest=41)
        if any(spec.key == key for spec in specs):
            problems.append(Problem.at((*path, "key"), "not-unique", "Two fields have this key."))
        type_key = reader.choice(item, path, "type", old.type if old else None, sorted(fields.REGISTRY))
        if len(problems) > faults:
            continue
        spec = _read_field(item, path, key, type_key, old, shell, pending, reader, by, new_ids.get(key))
        if len(problems) == faults:
            specs.append(spec)
            places.append(index)
            if old is not None:
                olds[spec.id] = old
    if len(problems) == 0:
        specs = _read_conditions(items, specs, places, olds, problems)
        _check_together(specs, places, shell, pending, problems)
    return specs, olds


def _present_field(item: Mapping[str, Any], before: CollectionSpec | None) -> FieldSpec | None:
    if before is None:
        return None
    if item.get("id") is not None:
        return next((spec for spec in before.fields if str(spec.id) == str(item["id"])), None)
    return before.by_key.get(str(item.get("key")))


def _read_field(
    item: Mapping[str, Any],
    path: tuple[str | int, ...],
    key: str,
    type_key: str,
    old: FieldSpec | None,
    shell: CollectionSpec,
    pending: Schema,
    reader: "_Reader",
    by: Principal,
    new_id: UUID | None,
) -> FieldSpec:
    problems = reader.problems
    field_type = fields.get(type_key)
    same_type = old is not None and old.type == type_key
    if "options" in item or old is None or not same_type:
        try:
            options = field_type.parse_options(item.get("options"), pending)
        except FieldError as error:
            problems += error.under(*path, "options").problems
            options = field_type.options_class()
    else:
        options = old.options
    in_component = shell.kind == Collection.Kind.COMPONENT
    spec = FieldSpec(
        id=old.id if old is not None and same_type else new_id or uuid7(),
        key=key,
        type=type_key,
        label=reader.text(item, path, "label", old.label if old else "", highest=80, empty=True),
        help=reader.text(item, path, "help", old.help if old else "", highest=300, empty=True),
        group=reader.text(item, path, "group", old.group if old else "", highest=80, empty=True),
        required=reader.boolean(item, path, "required", old.required if old else False),
        localized=reader.boolean(item, path, "localized", bool(old and old.localized and shell.localized)),
        filterable=False,
        data_class=reader.choice(
            item,
            path,
            "data_class",
            old.data_class if old else DataClass.PUBLIC.value,
            [c.value for c in DataClass],
        ),
        options=options,
    )
    is_form = shell.kind == Collection.Kind.FORM
    spec = _findable(item, path, spec, None if is_form else old, pending, reader)
    default = item.get("default", old.default if old is not None and same_type else None)
    if is_form:
        spec = replace(spec, data_class=modelling.at_least_personal(spec.data_class))
        problems += _not_in_form(replace(spec, default=default), path)
        default = None
    for member in ("localized", "unique", "filterable"):
        if in_component and getattr(spec, member) and type_key != "slug":
            problems.append(
                Problem.at((*path, member), "not-in-component", "A component's field can't be that.")
            )
    if spec.localized and not shell.localized:
        problems.append(
            Problem.at((*path, "localized"), "not-localized", "The collection itself is not localized.")
        )
    if spec.unique and not field_type.can_be_unique:
        problems.append(
            Problem.at((*path, "unique"), "not-possible", f"A field of type {type_key} can't be unique.")
        )
    if spec.filterable and field_type.kind is Kind.NONE:
        problems.append(
            Problem.at(
                (*path, "filterable"), "not-possible", f"A field of type {type_key} can't be filtered."
            )
        )
    if spec.filterable and getattr(options, "max_length", None) and options.max_length > MAX_INDEXED_LENGTH:
        detail = f"A filterable field has a max_length of at most {MAX_INDEXED_LENGTH}."
        problems.append(Problem.at((*path, "options", "max_length"), "too-large", detail))
    if default is not None:
        try:
            default = field_type.clean(default, spec, Writing(pending, shell, by))
        except FieldError as error:
            problems += error.under(*path, "default").problems
    return replace(spec, default=default)


def _findable(
    item: Mapping[str, Any],
    path: tuple[str | int, ...],
    spec: FieldSpec,
    old: FieldSpec | None,
    pending: Schema,
    reader: "_Reader",
) -> FieldSpec:
    """Return the field with what it can be found by. Nothing is compared with sealed values.

    Uniqueness too: who writes the field without reading it would learn by trying what others hold.
    """
    data_class = fields.get(spec.type).data_class(spec, pending)
    is_sealed = data_class in SENSITIVE
    if is_sealed and spec.type == "slug":
        detail = "A slug stands in addresses, so it can't be personal or secret."
        reader.problems.append(Problem.at((*path, "data_class"), "not-possible", detail))
    # What it was before is dropped silently here, and told as an effect of the change.
    present = old if old is not None and not is_sealed else None
    unique = reader.boolean(item, path, "unique", present.unique if present else False)
    filterable = reader.boolean(item, path, "filterable", present.filterable if present else False)
    if is_sealed or (old is not None and old.is_sealed):
        detail = (
            f"A field that is {data_class} is sealed: nothing can be found by it."
            if is_sealed
            else "Its values are sealed until they were opened in the background. Save that first."
        )
        reader.problems += [
            Problem.at((*path, member), "not-possible", detail)
            for member, is_set in (("unique", unique), ("filterable", filterable))
            if is_set
        ]
    return replace(spec, unique=unique, filterable=filterable or spec.type == "slug")


def _not_in_form(spec: FieldSpec, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if spec.type not in modelling.TYPES:
        detail = f"A form can't hold a field of type {spec.type}."
        yield Problem.at((*path, "type"), "not-in-form", detail)
    for member in modelling.NEVER:
        if getattr(spec, member):
            yield Problem.at((*path, member), "not-in-form", "A form's field can't be that.")
    if spec.default is not None:
        # A box that somebody unticked must not count as ticked: what was not sent is not there.
        detail = "A form's field has no value beforehand: only what somebody sent is kept."
        yield Problem.at((*path, "default"), "not-in-form", detail)


def _read_conditions(
    items: list[Mapping[str, Any]],
    specs: list[FieldSpec],
    places: list[int],
    olds: Mapping[UUID, FieldSpec],
    problems: list[Problem],
) -> list[FieldSpec]:
    done = list(specs)
    for number, (index, spec) in enumerate(zip(places, specs, strict=True)):
        item = items[index]
        old = olds.get(spec.id)
        if "condition" in item:
            if item["condition"] is None:
                continue
            try:
                condition = Condition.parse(item["condition"], of=spec.id, siblings=done)
            except ConditionError as error:
                problems += placed(error.problems, "fields", index, "condition")
                continue
        elif old is not None and old.condition is not None:
            condition = old.condition
            replaced = next((s.id for s in specs if (o := olds.get(s.id)) and o.id == condition.field), None)
            if replaced is None:
                detail = "The field that this condition looks at is removed."
                problems.append(Problem.at(("fields", index, "condition"), "unknown-field", detail))
                continue
            condition = replace(condition, field=replaced)
        else:
            continue
        done[number] = replace(spec, condition=condition)
    return done


def _check_together(
    specs: list[FieldSpec], places: list[int], shell: CollectionSpec, pending: Schema, problems: list[Problem]
) -> None:
    keys = {spec.key for spec in specs}
    filterable = [index for index, spec in zip(places, specs, strict=True) if spec.filterable]
    if len(filterable) > MAX_FILTERABLE:
        detail = f"At most {MAX_FILTERABLE} fields of a collection can be filterable."
        problems.append(Problem.at(("fields", filterable[MAX_FILTERABLE], "filterable"), "too-many", detail))
    for index, spec in zip(places, specs, strict=True):
        source = getattr(spec.options, "from_key", None)
        if source and any(item.key == source and item.is_sensitive for item in specs):
            detail = "A slug stands in addresses, so it can't be made of a personal or secret field."
            problems.append(Problem.at(("fields", index, "options", "from"), "not-possible", detail))
        if source and source not in keys:
            problems.append(
                Problem.at(("fields", index, "options", "from"), "unknown-field", "There is no such field.")
            )
        if shell.kind == Collection.Kind.FORM:
            for other in modelling.unfit([spec], pending):
                detail = f"It holds {other.name}, of type {other.type}, which a form can't."
                problems.append(Problem.at(("fields", index, "options", "components"), "not-in-form", detail))
        for component_id in getattr(spec.options, "components", None) or ():
            if _reaches(UUID(str(component_id)), shell.id, pending):
                detail = "A component can't hold itself, even through others."
                problems.append(Problem.at(("fields", index, "options", "components"), "circular", detail))
                break
    if shell.kind == Collection.Kind.COMPONENT:
        problems += _not_in_forms(specs, places, shell, pending)


def _not_in_forms(
    specs: list[FieldSpec], places: list[int], shell: CollectionSpec, pending: Schema
) -> list[Problem]:
    """Return what a component may not hold because a form holds the component."""
    forms = [item for item in pending.collections if item.kind == Collection.Kind.FORM]
    if not any(_reaches(item.id, shell.id, pending) for item in forms):
        return []
    detail = "A form holds this component, and can't hold that: {}, of type {}."
    return [
        Problem.at(("fields", index, "type"), "not-in-form", detail.format(other.name, other.type))
        for index, spec in zip(places, specs, strict=True)
        for other in modelling.unfit([spec], pending)
    ]


def _reaches(start: UUID, goal: UUID, present: Schema) -> bool:
    seen: set[UUID] = set()
    stack = [start]
    while stack:
        here = stack.pop()
        if here == goal:
            return True
        if here in seen or here not in present.by_id:
            continue
        seen.add(here)
        for spec in present.by_id[here].fields:
            stack += [UUID(str(item)) for item in getattr(spec.options, "components", None) or ()]
    return False


class _Reader:
    """Reads members of client JSON and collects what is wrong with them."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def retention(self, raw: Mapping[str, Any], kind: str, default: Retention | None) -> Retention | None:
        """Return when entries are erased: `{"after_days": 30, "of": "trashed"}`, None for never."""
        if "retention" not in raw:
            return default
        value = raw["retention"]
        if value is None:
            return None
        path = ("retention",)
        if not isinstance(value, Mapping) or set(value) != {"after_days", "of"}:
            detail = "An object with after_days and of, or null."
            self.problems.append(Problem.at(path, "invalid-type", detail))
            return default
        if kind in (Collection.Kind.COMPONENT, Collection.Kind.FORM):
            self.problems.append(Problem.at(path, "not-possible", f"A {kind} has no entries of its own."))
        days = value["after_days"]
        if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MAX_RETENTION_DAYS:
            detail = f"A whole number from 1 to {MAX_RETENTION_DAYS}."
            self.problems.append(Problem.at((*path, "after_days"), "out-of-range", detail))
            return default
        return Retention(days, self.choice(value, path, "of", None, ["created", "updated", "trashed"]))

    def text(
        self,
        raw: Mapping[str, Any],
        path: tuple[str | int, ...],
        member: str,
        default: str | None,
        *,
        pattern: str | None = None,
        highest: int,
        empty: bool = False,
    ) -> str:
        value = raw.get(member, default)
        if value is None:
            self.problems.append(Problem.at((*path, member), "required", "This is required."))
            return ""
        if not isinstance(value, str) or not value.isprintable() or len(value) > highest:
            detail = f"A printable text of at most {highest} characters."
            self.problems.append(Problem.at((*path, member), "invalid-value", detail))
            return ""
        if pattern is not None and not re.fullmatch(pattern, value):
            detail = "Lower-case letters, digits and _; a letter first."
            self.problems.append(Problem.at((*path, member), "invalid-key", detail))
        elif not value.strip() and not empty:
            self.problems.append(Problem.at((*path, member), "required", "This is required."))
        return value

    def boolean(
        self, raw: Mapping[str, Any], path: tuple[str | int, ...], member: str, default: object
    ) -> bool:
        value = raw.get(member, default)
        if not isinstance(value, bool):
            self.problems.append(Problem.at((*path, member), "invalid-type", "True or false."))
            return False
        return value

    def choice(
        self,
        raw: Mapping[str, Any],
        path: tuple[str | int, ...],
        member: str,
        default: str | None,
        values: list[str],
    ) -> str:
        value = raw.get(member, default)
        if not isinstance(value, str) or value not in values:
            self.problems.append(
                Problem.at((*path, member), "invalid-choice", f"One of {', '.join(values)}.")
            )
            return values[0]
        return value
