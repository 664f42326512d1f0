"""Collections as code, with their fields in their order."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers

from accounts.api.bodies import KeyField
from accounts.api.strict import StrictBooleanField, StrictCharField, StrictSerializer
from accounts.as_code import (
    Change,
    Work,
    differences,
    not_in_file,
    shape_problems,
    shown,
    without_defaults,
)
from accounts.canonical import Json
from accounts.errors import Problem, placed
from content import fields, modeling, schema
from content.as_code.matching import COLLECTION_DEFAULTS, FIELD_DEFAULTS, Match, match_of, uuid_in
from content.designing import FIELD_KEYS, NewIds, read_design
from content.effects import effects_of_deletion
from content.fields.base import FieldSpec
from content.forms.options import FormOptions
from content.models import Collection, Field, Rebuild
from content.schema import CollectionSpec, Schema, spec_of


class _CollectionShape(StrictSerializer):
    key = KeyField()
    id = StrictCharField(max_length=36, required=False)
    name = StrictCharField(max_length=80)
    description = StrictCharField(max_length=300, required=False, allow_blank=True)
    kind = StrictCharField(max_length=10, required=False)
    localized = StrictBooleanField(required=False)
    # What is in these, the modelling reads and refuses.
    retention = serializers.DictField(required=False, allow_null=True)
    form = serializers.DictField(required=False)


class Collections:
    """Collections with their fields, in their order."""

    name = "collections"

    def export(self) -> dict[str, Any]:
        present = schema.read()
        rows = _own_fields()
        return {spec.key: _collection(spec, rows.get(spec.id, []), present) for spec in present.collections}

    def check(self, given: Any) -> list[Problem]:
        if not isinstance(given, Mapping):
            return [Problem.at((), "invalid-type", "Keys of collections, each with what it has.")]
        problems: list[Problem] = []
        plain: dict[str, Any] = {}
        ids: set[UUID] = set()
        for key, item in given.items():
            plain[key] = item
            if not isinstance(item, Mapping):
                continue
            plain[key] = {name: value for name, value in item.items() if name != "fields"}
            problems += placed(_id_problems(item, ids), key)
            listed = item.get("fields", [])
            if not isinstance(listed, list):
                problems.append(Problem.at((key, "fields"), "invalid-type", "A list of fields is expected."))
                continue
            for number, field in enumerate(listed):
                problems += placed(_field_problems(field, ids), key, "fields", number)
        return problems + shape_problems(plain, _CollectionShape, named="key")

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        matches = [
            match
            for key, item in given.items()
            if (match := match_of(self.name, key, item, work)) is not None
        ]
        if work.problems:
            return
        self._rename(matches, work)
        self._create([match for match in matches if match.found is None], work)
        self._change([(match, match.found) for match in matches if match.found is not None], work)

    # What is done

    def _rename(self, matches: list[Match], work: Work) -> None:
        """Give renamed collections their keys first: others name them by those."""
        waiting = [
            (match, match.found)
            for match in matches
            if match.found is not None and match.found.key != match.key
        ]
        while waiting:
            taken = set(Collection.objects.values_list("key", flat=True))
            ready = [pair for pair in waiting if pair[0].key not in taken]
            if not ready:
                detail = (
                    "Collections can't change keys in a circle at once. Give one of them another key first."
                )
                work.problems += [
                    Problem.at((self.name, match.key), "circular", detail) for match, _ in waiting
                ]
                return
            for match, found in ready:
                with work.at(self.name, match.key):
                    modeling.change_collection(found.id, {"key": match.key}, by=work.by)
                waiting.remove((match, found))

    def _create(self, matches: list[Match], work: Work) -> None:
        """Make what is new, first what others name; where they name each other in a circle, empty ones before."""
        waiting = {match.key: match for match in matches}
        to_fill: list[tuple[UUID, Match]] = []
        while waiting:
            ready = [
                key for key, match in waiting.items() if not _named(match.item) & (waiting.keys() - {key})
            ]
            for key in ready or list(waiting):
                match = waiting.pop(key)
                with work.at(self.name, key):
                    whole = match.raw()
                    if ready:
                        made = modeling.create_collection(whole, by=work.by, ids=match.ids)
                    else:
                        empty = NewIds(match.new_id)
                        made = modeling.create_collection({**whole, "fields": []}, by=work.by, ids=empty)
                        to_fill.append((made.id, match))
                    work.changes.append(Change(self.name, "create", key, _new_lines(match.item)))
        for collection_id, match in to_fill:
            with work.at(self.name, match.key):
                ids = NewIds(None, match.new_ids)
                modeling.change_collection(collection_id, match.raw(), by=work.by, confirm=True, ids=ids)

    def _change(self, pairs: list[tuple[Match, CollectionSpec]], work: Work) -> None:
        """Change what differs. One change may need another one first, so those that are refused come again."""
        waiting = pairs
        while waiting:
            again: list[tuple[Match, CollectionSpec]] = []
            problems: list[Problem] = []
            for match, found in waiting:
                before = len(work.problems)
                with work.at(self.name, match.key):
                    self._change_one(match, found, work)
                if len(work.problems) > before:
                    again.append((match, found))
                    problems += work.problems[before:]
                    del work.problems[before:]
            if len(again) == len(waiting):
                work.problems += problems
                return
            waiting = again

    def _change_one(self, match: Match, found: CollectionSpec, work: Work) -> None:
        collection_id, raw = found.id, match.raw()
        present = schema.read()
        here = present.by_id[collection_id]
        before = _collection(here, _own_fields(collection_id).get(collection_id, []), present)
        design = read_design(raw, here, by=work.by, ids=match.ids)
        after_spec = design.spec
        after = _collection(
            after_spec, list(after_spec.fields), present.having(after_spec), design.description
        )
        renamed = (f"key: {found.key} → {match.key}",) if found.key != match.key else ()
        if before == after and not renamed:
            return
        affected = lost = 0
        is_final = False
        effects: list[str] = []
        if before != after:
            told = modeling.effects_of_change(collection_id, raw, by=work.by, ids=match.ids)
            effects = [effect.detail for effect in told]
            affected = max((effect.affected for effect in told), default=0)
            lost = max((effect.lost for effect in told), default=0)
            is_final = any(effect.is_asked_for and not effect.lost for effect in told)
            rebuilds = Rebuild.objects.filter(collection_id=collection_id)
            known = set(rebuilds.values_list("pk", flat=True))
            modeling.change_collection(collection_id, raw, by=work.by, confirm=True, ids=match.ids)
            made_again = sum(rebuilds.exclude(pk__in=known).values_list("total", flat=True))
            if made_again:
                effects.append(f"What is published of {_counted(made_again)} is made again.")
        lines = (*renamed, *_field_lines(before, after, design.before), *effects)
        work.changes.append(Change(self.name, "change", match.key, lines, affected, lost, is_final))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        """Delete what the file does not name: who names others first, and a circle after it was cut."""
        waiting = {
            spec.key: spec
            for spec in schema.read().collections
            if spec.key not in given and spec.id not in {uuid_in(item.get("id")) for item in given.values()}
        }
        while waiting:
            used = {named for spec in waiting.values() for named in _names_of(spec) - {spec.id}}
            ready = [key for key, spec in waiting.items() if spec.id not in used]
            if not ready:
                for spec in waiting.values():
                    modeling.change_collection(spec.id, {"fields": []}, by=work.by, confirm=True)
                ready = list(waiting)
            for key in ready:
                spec = waiting.pop(key)
                with work.at(self.name), not_in_file(f"collection {spec.key}"):
                    self._remove(spec, work)

    def _remove(self, spec: CollectionSpec, work: Work) -> None:
        effects = effects_of_deletion(spec.id)
        modeling.delete_collection(spec.id, by=work.by, confirm=True)
        lost = sum(effect.lost for effect in effects)
        lines = tuple(effect.detail for effect in effects)
        work.changes.append(Change(self.name, "delete", spec.key, lines, lost, lost))


def _own_fields(collection_id: UUID | None = None) -> dict[UUID, list[FieldSpec]]:
    """Return fields by collection, each with the data class of its own, whatever a component holds."""
    found: dict[UUID, list[FieldSpec]] = {}
    rows = Field.objects.filter(removed_at=None).order_by("position", "id")
    for row in rows if collection_id is None else rows.filter(collection_id=collection_id):
        found.setdefault(row.collection_id, []).append(spec_of(row))
    return found


def _collection(
    spec: CollectionSpec, own: list[FieldSpec], present: Schema, description: str | None = None
) -> dict[str, Any]:
    settings = {
        "name": spec.name,
        "description": spec.description if description is None else description,
        "kind": str(spec.kind),
        "localized": spec.localized,
        "retention": dict(spec.retention.as_json()) if spec.retention else None,
        "id": str(spec.id),
    }
    if spec.form is not None and (said := without_defaults(spec.form.as_json(), FormOptions().as_json())):
        settings["form"] = said
    listed = [_field(item, own, present) for item in own]
    return {**without_defaults(settings, COLLECTION_DEFAULTS), **({"fields": listed} if listed else {})}


def _field(spec: FieldSpec, siblings: list[FieldSpec], present: Schema) -> dict[str, Any]:
    field_type = fields.get(spec.type)
    values: dict[str, Json] = {
        "key": spec.key,
        "type": spec.type,
        "label": spec.label,
        "help": spec.help,
        "group": spec.group,
        "required": spec.required,
        "localized": spec.localized,
        "unique": spec.unique,
        "filterable": spec.filterable and spec.type != "slug",  # which always is
        "default": spec.default,
        "data_class": str(spec.data_class),
        "options": field_type.options_json(field_type.options(spec), present),
        "condition": spec.condition.shown(siblings) if spec.condition else None,
        "id": str(spec.id),
    }
    return without_defaults(values, FIELD_DEFAULTS)


def _id_problems(item: Mapping[str, Any], ids: set[UUID]) -> list[Problem]:
    given = item.get("id")
    if given is None:
        return []
    found = uuid_in(given)
    if found is None:
        return [Problem.at(("id",), "invalid", "An id as `schema export` writes it.")]
    if found in ids:
        return [Problem.at(("id",), "not-unique", "This id stands in the file twice.")]
    ids.add(found)
    return []


def _field_problems(field: Any, ids: set[UUID]) -> list[Problem]:
    if not isinstance(field, Mapping):
        return [Problem.at((), "invalid-type", "Members with their values are expected.")]
    problems = [
        Problem.at((str(name),), "unknown-key", "There is no such member of a field.")
        for name in field
        if name not in FIELD_KEYS
    ]
    problems += [
        Problem.at((name,), "required", "This is required, and a text.")
        for name in ("key", "type")
        if not isinstance(field.get(name), str)
    ]
    return problems + _id_problems(field, ids)


def _named(item: Mapping[str, Any]) -> set[str]:
    """Return the keys of the collections that the fields of an item name."""
    found: set[str] = set()
    for field in item.get("fields", []):
        options = field.get("options")
        for member in ("collections", "components"):
            listed = options.get(member) if isinstance(options, Mapping) else None
            found |= {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    return found


def _names_of(spec: CollectionSpec) -> set[UUID]:
    return {
        UUID(str(item))
        for field in spec.fields
        for member in ("collections", "components")
        for item in getattr(field.options, member, None) or ()
    }


def _counted(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _new_lines(item: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"+ {field['key']} ({field['type']})" for field in item.get("fields", []))


def _field_lines(
    before: Mapping[str, Any], after: Mapping[str, Any], olds: Mapping[UUID, FieldSpec]
) -> tuple[str, ...]:
    """Return what becomes of a collection, a line for each field and member that differs."""
    lines = [*differences(_settings(before), _settings(after))]
    held = {field["id"]: field for field in before.get("fields", [])}
    kept = {str(old.id) for old in olds.values()}
    for field in after.get("fields", []):
        old_spec = olds.get(UUID(field["id"]))
        if old_spec is None:
            lines.append(f"+ {field['key']} ({field['type']})")
            continue
        old = held[str(old_spec.id)]
        changed = differences({**old, "id": ""}, {**field, "id": ""})
        lines += [f"~ {field['key']}: {line}" for line in changed]
    lines += [f"- {field['key']} ({shown(field['type'])})" for key, field in held.items() if key not in kept]
    order = [field["id"] for field in after.get("fields", [])]
    former = [next((str(new) for new, old in olds.items() if str(old.id) == key), "") for key in held]
    if [key for key in former if key] != [key for key in order if key in former]:
        lines.append("the fields have another order")
    return tuple(lines)


def _settings(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in ("id", "fields")}
