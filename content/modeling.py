"""Modelling: making, changing and deleting collections. Says beforehand what a change does to existing content.

A field's id has one type for ever: renaming keeps the id, converting makes a new one and new versions of the entries,
removing keeps the row for old versions to be read by. Nothing here touches an old version.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.access import Action, DataClass, Principal
from accounts.canonical import Json
from accounts.errors import (
    ConfirmationRequiredError,
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    Problem,
)
from accounts.ids import uuid7
from accounts.log import Subject, record
from accounts.models import Generation, Policy
from content import documents, fields, indexing, schema
from content.conditions import Condition, ConditionError
from content.documents import SHARED, VersionData
from content.editing import save_version, write_drafts
from content.fields.base import FieldError, FieldSpec, Kind, moved
from content.models import Collection, DraftDocument, Entry, Field, Version
from content.models.schema import KEY_PATTERN
from content.publishing import write_documents
from content.rebuilding import rebuild_later
from content.schema import CollectionSpec, Schema
from content.writing import Writing

MAX_FIELDS = 100
MAX_FILTERABLE = 12
MAX_INDEXED_LENGTH = 500  # characters; a B-tree entry has at most about 2,700 bytes
COLLECTION_KEYS = frozenset({"key", "name", "description", "kind", "localized", "fields"})
FIELD_KEYS = frozenset(
    {
        "id", "key", "type", "label", "help", "required", "localized", "unique", "filterable", "default",
        "data_class", "options", "condition",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change does to existing entries: how many it touches, and of how many something is lost."""

    field: str
    change: str  # removed, converted, required, tightened, shared, localized, deleted
    affected: int
    lost: int
    detail: str

    def as_json(self) -> dict[str, Json]:
        return {
            "field": self.field,
            "change": self.change,
            "affected": self.affected,
            "lost": self.lost,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Design:
    """A collection as it shall be: its specs, and which live field each of them was before (None: new)."""

    spec: CollectionSpec
    description: str
    before: Mapping[UUID, FieldSpec]  # id in `spec` → the present field, of another id when the type changes


@transaction.atomic
def create_collection(raw: Mapping[str, object], *, by: Principal) -> CollectionSpec:
    """Create a collection from its JSON (contract, "Management plane"); raise with every fault where it stands."""
    if not may_create(by):
        raise NotAllowedError("You may not create collections.")
    design = read_design(raw, None, by=by)
    row = Collection.objects.create(
        id=design.spec.id,
        key=design.spec.key,
        name=design.spec.name,
        description=design.description,
        kind=design.spec.kind,
        localized=design.spec.localized,
    )
    for position, spec in enumerate(design.spec.fields):
        _write_field(row, spec, position)
    return _finish(row.pk, by, "created", sorted(spec.key for spec in design.spec.fields))


def effects_of_change(collection_id: UUID, raw: Mapping[str, object], *, by: Principal) -> list[Effect]:
    """Return what a change would do to existing content, without doing it."""
    present = schema.read()
    before = _managed(present, collection_id, by)
    return _effects(before, read_design(raw, before, by=by), present, by)


@transaction.atomic
def change_collection(
    collection_id: UUID, raw: Mapping[str, object], *, by: Principal, confirm: bool = False
) -> CollectionSpec:
    """Change a collection; `fields`, when given, is the whole new list (matched by `id`, else by `key`).

    Raises `ConfirmationRequiredError` with the effects when data would be lost and `confirm` is not set.
    """
    row = Collection.objects.select_for_update().filter(pk=collection_id).first()
    if row is None:
        raise NotFoundError
    present = schema.read()
    before = _managed(present, collection_id, by)
    design = read_design(raw, before, by=by)
    effects = _effects(before, design, present, by)
    if any(effect.lost for effect in effects) and not confirm:
        raise ConfirmationRequiredError(effects=[effect.as_json() for effect in effects])
    after = design.spec
    row.key, row.name, row.description = after.key, after.name, design.description
    row.localized = after.localized
    row.save()
    kept = {spec.id for spec in after.fields}
    Field.objects.filter(collection=row, removed_at=None).exclude(pk__in=kept).update(
        removed_at=timezone.now()
    )
    for position, spec in enumerate(after.fields):
        _write_field(row, spec, position)
    _carry_policies(design)
    after_schema = schema.read()
    if _moves_data(before, design):
        writing = Writing(after_schema, after_schema.by_id[collection_id], by)
        _rewrite_entries(_transformer(design, writing), writing)
    elif _needs_claims(design):
        _claim_everything(Writing(after_schema, after_schema.by_id[collection_id], by))
    if _changes_documents(design):
        rebuild_later(collection_id, "The schema changed")
    return _finish(collection_id, by, "changed", sorted(_differing(before, design)))


@transaction.atomic
def delete_collection(collection_id: UUID, *, by: Principal, confirm: bool = False) -> None:
    """Delete a collection with its entries. Refused while other collections refer to it."""
    row = Collection.objects.select_for_update().filter(pk=collection_id).first()
    if row is None:
        raise NotFoundError
    present = schema.read()
    before = _managed(present, collection_id, by)
    users = sorted(
        other.name for other in present.collections if other.id != collection_id and _names(other, before)
    )
    if users:
        raise ConflictError(f"Used by {', '.join(users)}. Change those first.", code="in-use")
    count = Entry.objects.filter(collection=row).count()
    if count and not confirm:
        effect = Effect("", "deleted", count, count, f"{count} entries with all their versions are erased.")
        raise ConfirmationRequiredError(effects=[effect.as_json()])
    indexing.drop_later(row)
    Version.objects.filter(entry__collection=row).delete()
    Entry.objects.filter(collection=row).delete()
    Policy.objects.filter(collection_id=collection_id).delete()
    row.delete()
    record(
        "collection.changed",
        actor=by,
        subject=Subject("collection", str(collection_id)),
        detail={"change": "deleted", "key": before.key},
    )
    Generation.objects.bump(schema.GENERATION, "access", f"content:{collection_id}")


def may_create(by: Principal) -> bool:
    """Tell whether the principal manages the schema of every collection, and so may add some."""
    everywhere = UUID(int=0)  # stands for a collection that no policy names
    return bool(
        by.grant(Action.MANAGE_SCHEMA, on=CollectionSpec(everywhere, "", "", "many", False, ()).resource)
    )


def _managed(present: Schema, collection_id: UUID, by: Principal) -> CollectionSpec:
    found = present.by_id[collection_id]
    if not by.grant(Action.MANAGE_SCHEMA, on=found.resource):
        if not any(by.grant(action, on=found.resource) for action in (Action.READ, Action.READ_DRAFT)):
            raise NotFoundError
        raise NotAllowedError("You may not change this collection.")
    return found


# Reading a design


def read_design(raw: Mapping[str, object], before: CollectionSpec | None, *, by: Principal) -> Design:
    """Read a collection's JSON on top of what it is now; raise `InvalidInputError` with every fault."""
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
    shell = CollectionSpec(
        before.id if before else uuid7(), key, name, kind, localized, before.fields if before else ()
    )
    if listed is None:
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
    pending = replace(present, collections=(*(c for c in present.collections if c.id != shell.id), shell))
    specs, olds = _read_fields(items, shell, before, pending, reader, by)
    if problems:
        raise InvalidInputError(errors=problems)
    return Design(replace(shell, fields=tuple(specs)), description, olds)


def _read_fields(
    items: list[Mapping[str, Any]],
    shell: CollectionSpec,
    before: CollectionSpec | None,
    pending: Schema,
    reader: "_Reader",
    by: Principal,
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
        spec = _read_field(item, path, key, type_key, old, shell, pending, reader, by)
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
        id=old.id if old is not None and same_type else uuid7(),
        key=key,
        type=type_key,
        label=reader.text(item, path, "label", old.label if old else "", highest=80, empty=True),
        help=reader.text(item, path, "help", old.help if old else "", highest=300, empty=True),
        required=reader.boolean(item, path, "required", old.required if old else False),
        localized=reader.boolean(item, path, "localized", bool(old and old.localized and shell.localized)),
        unique=reader.boolean(item, path, "unique", old.unique if old else False),
        filterable=reader.boolean(item, path, "filterable", old.filterable if old else False)
        or type_key == "slug",
        data_class=reader.choice(
            item,
            path,
            "data_class",
            old.data_class if old else DataClass.PUBLIC.value,
            [c.value for c in DataClass],
        ),
        options=options,
    )
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
    default = item.get("default", old.default if old is not None and same_type else None)
    if default is not None:
        try:
            default = field_type.clean(default, spec, Writing(pending, shell, by))
        except FieldError as error:
            problems += error.under(*path, "default").problems
    return replace(spec, default=default)


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
                problems += moved(error.problems, "fields", index, "condition")
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
        if source and source not in keys:
            problems.append(
                Problem.at(("fields", index, "options", "from"), "unknown-field", "There is no such field.")
            )
        for component_id in getattr(spec.options, "components", None) or ():
            if _reaches(UUID(str(component_id)), shell.id, pending):
                detail = "A component can't hold itself, even through others."
                problems.append(Problem.at(("fields", index, "options", "components"), "circular", detail))
                break


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


# What a change does


def _effects(before: CollectionSpec, design: Design, present: Schema, by: Principal) -> list[Effect]:
    effects: list[Effect] = []
    kept = {old.id for old in design.before.values()}
    for spec in before.fields:
        if spec.id not in kept and (count := _holding(before, spec)):
            detail = f"{spec.name} is removed; {count} entries lose their value in it (old versions keep it)."
            effects.append(Effect(spec.key, "removed", count, count, detail))
    writing = Writing(replace_collection(present, design.spec), design.spec, by).unrestricted
    for spec in design.spec.fields:
        old = design.before.get(spec.id)
        if old is None:
            if spec.required and spec.default is None and (count := _entries(before)):
                effects.append(_required(spec, count))
            continue
        effects += _effects_on_field(before, old, spec, writing)
    return effects


def _effects_on_field(
    before: CollectionSpec, old: FieldSpec, new: FieldSpec, writing: Writing
) -> list[Effect]:
    effects: list[Effect] = []
    values = DraftDocument.objects.filter(collection_id=before.id, data__has_key=str(old.id)).values_list(
        "entry_id", "data"
    )
    if old.id != new.id:
        affected, lost = set(), set()
        for entry_id, data in values.iterator(chunk_size=1000):
            affected.add(entry_id)
            if convert(old, new, data[str(old.id)], writing) is None:
                lost.add(entry_id)
        kind, kept = fields.get(new.type).label.lower(), len(affected) - len(lost)
        detail = f"{new.name} becomes {kind}: {kept} entries keep their value, {len(lost)} lose it."
        if affected:
            effects.append(Effect(new.key, "converted", len(affected), len(lost), detail))
    elif old.options != new.options:
        bad = {
            entry_id
            for entry_id, data in values.iterator(chunk_size=1000)
            if not _is_clean(data[str(old.id)], new, writing)
        }
        if bad:
            detail = (
                f"{len(bad)} entries hold a {new.name} that is no longer allowed;"
                " it stays until they are next published."
            )
            effects.append(Effect(new.key, "tightened", len(bad), 0, detail))
    if new.required and not old.required and new.default is None:
        count = _entries(before) - _holding(before, old)
        if count > 0:
            effects.append(_required(new, count))
    if old.localized and not new.localized and old.id == new.id:
        lost_entries = _differing_by_locale(before, old)
        if lost_entries:
            detail = (
                f"{new.name} becomes one for all locales;"
                f" {lost_entries} entries lose what differs from the default locale."
            )
            effects.append(Effect(new.key, "shared", lost_entries, lost_entries, detail))
    return effects


def _required(spec: FieldSpec, count: int) -> Effect:
    return Effect(
        spec.key, "required", count, 0, f"{count} entries lack {spec.name} and need it to be published again."
    )


def _entries(collection: CollectionSpec) -> int:
    return Entry.objects.filter(collection_id=collection.id).count()


def _holding(collection: CollectionSpec, spec: FieldSpec) -> int:
    held = DraftDocument.objects.filter(collection_id=collection.id, data__has_key=str(spec.id))
    return held.values("entry_id").distinct().count()


def _differing_by_locale(collection: CollectionSpec, spec: FieldSpec) -> int:
    found: dict[UUID, set[bytes]] = {}
    rows = DraftDocument.objects.filter(collection_id=collection.id, data__has_key=str(spec.id))
    for entry_id, data in rows.values_list("entry_id", "data").iterator(chunk_size=1000):
        found.setdefault(entry_id, set()).add(documents.digest_of(data[str(spec.id)]).encode())
    return sum(len(values) > 1 for values in found.values())


def _is_clean(value: Json, spec: FieldSpec, writing: Writing) -> bool:
    try:
        fields.get(spec.type).clean(value, spec, writing)
    except FieldError:
        return False
    return True


def convert(old: FieldSpec, new: FieldSpec, value: Json, writing: Writing) -> Json:
    """Return a value of a field as its new type, None when it can't be kept."""
    try:
        return fields.get(old.type).convert(value, fields.get(new.type), new, writing)
    except FieldError:
        return None


# Doing it


def _write_field(row: Collection, spec: FieldSpec, position: int) -> None:
    values = {
        "collection": row,
        "key": spec.key,
        "type": spec.type,
        "label": spec.label,
        "help": spec.help,
        "position": position,
        "required": spec.required,
        "localized": spec.localized,
        "unique": spec.unique,
        "filterable": spec.filterable,
        "default": spec.default,
        "data_class": spec.data_class,
        "options": fields.get(spec.type).store_options(spec.options),
        "condition": spec.condition.as_json() if spec.condition else None,
        "removed_at": None,
    }
    Field.objects.update_or_create(id=spec.id, defaults=values)


def _moves_data(before: CollectionSpec, design: Design) -> bool:
    """Tell whether values change their place: another id after a conversion, or shared instead of by locale."""
    if before.localized != design.spec.localized:
        return True
    return any(
        (old := design.before.get(spec.id)) is not None
        and (old.id != spec.id or old.localized != spec.localized)
        for spec in design.spec.fields
    )


def _needs_claims(design: Design) -> bool:
    return any(
        spec.unique and not ((old := design.before.get(spec.id)) and old.unique)
        for spec in design.spec.fields
    )


def _changes_documents(design: Design) -> bool:
    def relevant(spec: FieldSpec) -> object:
        return (spec.default, spec.condition, spec.options, spec.required)

    return any(
        relevant(spec)
        != (relevant(old) if (old := design.before.get(spec.id)) else (None, None, spec.options, False))
        for spec in design.spec.fields
    )


def _differing(before: CollectionSpec, design: Design) -> set[str]:
    kept = {old.id for old in design.before.values()}
    gone = {spec.key for spec in before.fields if spec.id not in kept}
    return gone | {spec.key for spec in design.spec.fields if design.before.get(spec.id) != spec}


def _transformer(design: Design, writing: Writing) -> Callable[[VersionData], VersionData]:
    """Return what moves a version's data to its new places."""
    after = writing.collection
    default = writing.schema.default_locale.code

    def transform(data: VersionData) -> VersionData:
        result: VersionData = {SHARED: {}}
        present_locales = documents.locales_of(data)
        for locale in present_locales if after.localized else [default]:
            result[locale] = {}
        for spec in after.fields:
            old = design.before.get(spec.id)
            if old is None:
                continue
            values = {key: held[str(old.id)] for key, held in data.items() if str(old.id) in held}
            if old.id != spec.id:
                values = {
                    k: new
                    for k, v in values.items()
                    if (new := convert(old, spec, v, writing.unrestricted)) is not None
                }
            if spec.localized:
                spread = {
                    locale: values.get(locale, values.get(SHARED)) for locale in documents.locales_of(result)
                }
                for locale, value in spread.items():
                    if value is not None:
                        result[locale][str(spec.id)] = value
            elif values:
                chosen = values.get(SHARED, values.get(default, next(iter(values.values()))))
                result[SHARED][str(spec.id)] = chosen
        return result

    return transform


def _rewrite_entries(transform: Callable[[VersionData], VersionData], writing: Writing) -> None:
    """Give every entry a new version with its data in the new places; what is public stays public, as converted."""
    message = "The schema changed"
    for entry in (
        Entry.objects.filter(collection_id=writing.collection.id).select_for_update().iterator(chunk_size=500)
    ):
        latest = entry.versions.get(number=entry.latest_number)
        live = DraftDocument.objects.filter(entry=entry, published_number__isnull=False)
        for number in sorted({draft.published_number or 0 for draft in live}):
            if number != latest.number:
                old = entry.versions.get(number=number)
                copy = save_version(entry, transform(old.data), writing=writing, message=message)
                live.filter(published_number=number).update(published_number=copy.number)
        newest = save_version(entry, transform(latest.data), writing=writing, message=message)
        live.filter(published_number=latest.number).update(published_number=newest.number)
        write_drafts(entry, newest, writing)
        write_documents(entry, writing.collection, writing)


def _claim_everything(writing: Writing) -> None:
    """Claim values that must be unique from now on; duplicates refuse the change, with their number."""
    refused = 0
    for entry in Entry.objects.filter(collection_id=writing.collection.id).iterator(chunk_size=500):
        live = DraftDocument.objects.filter(entry=entry, published_number__isnull=False)
        numbers = {draft.published_number or 0 for draft in live} | {entry.latest_number}
        versions = entry.versions.filter(number__in=numbers)
        try:
            writing.claim_unique_values(entry, versions)
        except InvalidInputError:
            refused += 1
    if refused:
        raise ConflictError(
            f"{refused} entries hold a value that another one has as well. Change those first.",
            code="not-unique",
        )


def _carry_policies(design: Design) -> None:
    """A converted field has a new id; what was granted on the old one goes over, as part of the same act."""
    changed = {str(old.id): str(new) for new, old in design.before.items() if old.id != new}
    if not changed:
        return
    for policy in Policy.objects.filter(collection_id=design.spec.id).select_for_update():
        policy.field_ids = [changed.get(str(item), item) for item in policy.field_ids or []]
        policy.rows = [[changed.get(str(row[0]), row[0]), *row[1:]] for row in policy.rows]
        policy.presets = {changed.get(key, key): value for key, value in policy.presets.items()}
        policy.save()
    Generation.objects.bump("access")


def _names(other: CollectionSpec, collection: CollectionSpec) -> bool:
    """Tell whether another collection's fields name this one, as target or as component."""
    return any(
        collection.id in {UUID(str(item)) for item in getattr(spec.options, member, None) or ()}
        for spec in other.fields
        for member in ("collections", "components")
    )


def replace_collection(present: Schema, spec: CollectionSpec) -> Schema:
    """Return the schema with one collection as it shall be."""
    return replace(present, collections=(*(c for c in present.collections if c.id != spec.id), spec))


def _finish(collection_id: UUID, by: Principal, change: str, names: list[str]) -> CollectionSpec:
    indexing.plan(collection_id)
    detail: dict[str, Json] = {"change": change, "fields": list(names)}
    record(
        "collection.changed",
        actor=by,
        subject=Subject("collection", str(collection_id), collection_id),
        detail=detail,
    )
    Generation.objects.bump(schema.GENERATION, f"content:{collection_id}")
    return schema.read().by_id[collection_id]
