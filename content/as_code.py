"""Locales and collections as code. A field carries its id, so that another key is a rename and no loss.

What the file names is found by id, else by key. An id that is not known here beside a key that is belongs to a field
that was made apart: whether the two are one, nobody but who runs the command can say (`match_by_key`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final
from uuid import UUID

from accounts.access import DataClass
from accounts.api.bodies import KeyField
from accounts.api.strict import StrictBooleanField, StrictCharField, StrictListField, StrictSerializer
from accounts.as_code import (
    Change,
    Work,
    differences,
    placed,
    refused,
    shape_problems,
    shown,
    without_defaults,
)
from accounts.canonical import Json
from accounts.errors import DomainError, Problem
from content import fields, modeling, schema
from content.designing import FIELD_KEYS, NewIds, read_design
from content.fields.base import FieldSpec
from content.locales import change_locale, create_locale, delete_locale
from content.models import Collection, Entry, Field, Locale, Rebuild
from content.schema import CollectionSpec, Schema, spec_of

LOCALE_DEFAULTS: Final[Mapping[str, Any]] = {"fallback": [], "direction": "ltr", "default": False}
COLLECTION_DEFAULTS: Final[Mapping[str, Any]] = {"description": "", "kind": "many", "localized": False}
FIELD_DEFAULTS: Final[Mapping[str, Any]] = {
    "label": "",
    "help": "",
    "group": "",
    "required": False,
    "localized": False,
    "unique": False,
    "filterable": False,
    "default": None,
    "data_class": DataClass.PUBLIC.value,
    "options": {},
    "condition": None,
}


class _LocaleShape(StrictSerializer):
    name = StrictCharField(max_length=80)
    fallback = StrictListField(child=StrictCharField(max_length=24), required=False)
    direction = StrictCharField(max_length=3, required=False)
    # `default` is a word of DRF's serializers, so it is read beside it


class Locales:
    """Locales and where they fall back to."""

    name = "locales"

    def export(self) -> dict[str, Any]:
        return {row.code: _locale(row) for row in Locale.objects.order_by("code")}

    def check(self, given: Any) -> list[Problem]:
        if not isinstance(given, Mapping):
            return [Problem.at((), "invalid-type", "Codes of locales, each with its name.")]
        problems: list[Problem] = []
        plain: dict[str, Any] = {}
        for code, item in given.items():
            plain[code] = item
            if isinstance(item, Mapping):
                plain[code] = {name: value for name, value in item.items() if name != "default"}
                if not isinstance(item.get("default", False), bool):
                    problems.append(Problem.at((code, "default"), "invalid-type", "True or false."))
        return problems + shape_problems(plain, _LocaleShape)

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        known = {row.code: row for row in Locale.objects.all()}
        wanted = {code: {**LOCALE_DEFAULTS, **item} for code, item in given.items()}
        for code, item in wanted.items():
            is_default = code in known and known[code].is_default
            if item["default"] is not is_default:
                detail = (
                    "The default locale of a house can't be changed."
                    if item["default"]
                    else (
                        "This is the default locale of this house, which can't be changed: write `default: true`."
                    )
                )
                work.problems.append(Problem.at((self.name, code, "default"), "not-possible", detail))
        for code in [code for code in wanted if code not in known]:
            with work.at(self.name, code):
                # What it falls back to may come behind it in the file.
                create_locale(_raw(code, {**wanted[code], "fallback": []}), by=work.by)
        for code, item in wanted.items():
            with work.at(self.name, code):
                self._change(code, item, known.get(code), work)

    def _change(self, code: str, item: Mapping[str, Any], former: Locale | None, work: Work) -> None:
        row = Locale.objects.filter(pk=code).first()
        if row is None:
            return  # refused a moment ago
        if without_defaults({**item, "default": row.is_default}, LOCALE_DEFAULTS) != _locale(row):
            row = change_locale(code, _raw(code, item), by=work.by)
        before = _locale(former) if former is not None else {}
        lines = differences(before, _locale(row))
        if lines or former is None:
            work.changes.append(Change(self.name, "create" if former is None else "change", code, lines))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        for code in Locale.objects.exclude(pk__in=list(given)).order_by("pk").values_list("pk", flat=True):
            with work.at(self.name):
                try:
                    delete_locale(code, by=work.by)
                except DomainError as error:
                    raise refused(
                        error.code, f"The locale {code} is not in the file. {error.detail}"
                    ) from error
                work.changes.append(Change(self.name, "delete", code))


def _locale(row: Locale) -> dict[str, Any]:
    values = {
        "name": row.name,
        "fallback": list(row.fallback),
        "direction": str(row.direction),
        "default": row.is_default,
    }
    return without_defaults(values, LOCALE_DEFAULTS)


def _raw(code: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": code, **{name: item[name] for name in ("name", "fallback", "direction")}}


# --- Collections ----------------------------------------------------------------------------------------------------


class _CollectionShape(StrictSerializer):
    key = KeyField()
    id = StrictCharField(max_length=36, required=False)
    name = StrictCharField(max_length=80)
    description = StrictCharField(max_length=300, required=False, allow_blank=True)
    kind = StrictCharField(max_length=10, required=False)
    localized = StrictBooleanField(required=False)


@dataclass(frozen=True, slots=True)
class _Match:
    """What an item of the file is here: a collection (None: a new one), and its fields by their number."""

    key: str
    item: Mapping[str, Any]
    found: CollectionSpec | None
    new_id: UUID | None  # of a new collection, where the file says one
    old_fields: dict[int, UUID] = dataclass_field(
        default_factory=dict
    )  # number in the file → id of a field here
    new_ids: dict[str, UUID] = dataclass_field(default_factory=dict)  # key → id of a new or converted field

    @property
    def ids(self) -> NewIds:
        return NewIds(self.new_id, self.new_ids)

    def raw(self) -> dict[str, Any]:
        """Return what the verbs of modeling read: everything is said, since what is left out means "as usual"."""
        listed = []
        for number, field in enumerate(self.item.get("fields", [])):
            whole = {**FIELD_DEFAULTS, **field}
            whole.pop("id", None)
            if number in self.old_fields:
                whole["id"] = str(self.old_fields[number])
            listed.append(whole)
        usual = {
            **COLLECTION_DEFAULTS,
            **{name: self.item[name] for name in self.item if name not in ("id", "fields")},
        }
        return {"key": self.key, **usual, "fields": listed}


class Collections:
    """Collections with their fields, in their order."""

    name = "collections"

    def __init__(self) -> None:
        self._to_fill: dict[str, tuple[UUID, _Match]] = {}

    def export(self) -> dict[str, Any]:
        present = schema.read()
        rows = _own_fields()
        return {
            spec.key: _collection(spec, rows.get(spec.id, []), present)
            for spec in sorted(present.collections, key=lambda spec: spec.key)
        }

    def check(self, given: Any) -> list[Problem]:
        if not isinstance(given, Mapping):
            return [Problem.at((), "invalid-type", "Keys of collections, each with what it has.")]
        problems: list[Problem] = []
        plain: dict[str, Any] = {}
        ids: dict[str, str] = {}
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
            match for key, item in given.items() if (match := self._match(key, item, work)) is not None
        ]
        if work.problems:
            return
        self._rename(matches, work)
        self._create([match for match in matches if match.found is None], work)
        self._change([(match, match.found) for match in matches if match.found is not None], work)

    # What is what

    def _match(self, key: str, item: Mapping[str, Any], work: Work) -> _Match | None:
        """Find out what an item is here, or note why that can't be told."""
        present = schema.read()
        given_id = _uuid(item.get("id"))
        by_id = present.by_id.get(given_id) if given_id else None
        by_key = present.by_key.get(key)
        if by_key is not None and by_key != by_id and by_key.id in _ids_in(work):
            by_key = None  # the file gives that one another key, and this one takes its place
        problem = None
        if by_id is None and by_key is not None and given_id is not None and not work.match_by_key:
            detail = _APART.format(what="collection", key=key, id=by_key.id)
            problem = Problem.at((self.name, key, "id"), "ambiguous", detail)
        elif by_id is not None and by_key is not None and by_id != by_key:
            detail = f"Another collection has this key here, and goes with this file. Delete {key} first, by itself."
            problem = Problem.at((self.name, key), "ambiguous", detail)
        if problem is not None:
            work.problems.append(problem)
            return None
        found = by_id or by_key
        match = _Match(key, item, found, given_id if found is None else None)
        problems = [
            problem
            for number, field in enumerate(item.get("fields", []))
            if (problem := _match_field(match, number, field, work)) is not None
        ]
        work.problems += placed(problems, self.name, key)
        return None if problems else match

    # What is done

    def _rename(self, matches: list[_Match], work: Work) -> None:
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

    def _create(self, matches: list[_Match], work: Work) -> None:
        """Make what is new, first what others name; where they name each other in a circle, empty ones before."""
        waiting = {match.key: match for match in matches}
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
                        self._to_fill[key] = (made.id, match)
                    work.changes.append(Change(self.name, "create", key, _new_lines(match.item)))
        for key, (collection_id, match) in self._to_fill.items():
            with work.at(self.name, key):
                ids = NewIds(None, match.new_ids)
                modeling.change_collection(collection_id, match.raw(), by=work.by, confirm=True, ids=ids)
        self._to_fill.clear()

    def _change(self, pairs: list[tuple[_Match, CollectionSpec]], work: Work) -> None:
        """Change what differs. One change may need another one first, so those that are refused come again."""
        waiting = pairs
        while waiting:
            again: list[tuple[_Match, CollectionSpec]] = []
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

    def _change_one(self, match: _Match, found: CollectionSpec, work: Work) -> None:
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
        effects: list[str] = []
        if before != after:
            told = modeling.effects_of_change(collection_id, raw, by=work.by, ids=match.ids)
            effects = [effect.detail for effect in told]
            affected = max((effect.affected for effect in told), default=0)
            lost = max((effect.lost for effect in told), default=0)
            rebuilds = Rebuild.objects.filter(collection_id=collection_id)
            known = set(rebuilds.values_list("pk", flat=True))
            modeling.change_collection(collection_id, raw, by=work.by, confirm=True, ids=match.ids)
            made_again = sum(rebuilds.exclude(pk__in=known).values_list("total", flat=True))
            if made_again:
                effects.append(f"What is published of {_counted(made_again)} is made again.")
        lines = (*renamed, *_field_lines(before, after, design.before), *effects)
        work.changes.append(Change(self.name, "change", match.key, lines, affected, lost))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        """Delete what the file does not name: who names others first, and a circle after it was cut."""
        waiting = {
            spec.key: spec
            for spec in schema.read().collections
            if spec.key not in given and spec.id not in {_uuid(item.get("id")) for item in given.values()}
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
                with work.at(self.name):
                    self._remove(spec, work)

    def _remove(self, spec: CollectionSpec, work: Work) -> None:
        count = Entry.objects.filter(collection_id=spec.id).count()
        try:
            modeling.delete_collection(spec.id, by=work.by, confirm=True)
        except DomainError as error:
            raise refused(
                error.code, f"The collection {spec.key} is not in the file. {error.detail}"
            ) from error
        lines = (f"{_counted(count)} with all versions erased",) if count else ()
        work.changes.append(Change(self.name, "delete", spec.key, lines, count, count))


def _match_field(match: _Match, number: int, field: Mapping[str, Any], work: Work) -> Problem | None:
    """Find out what a field of the file is here, and put it into the match, or return why that can't be told."""
    found, key = match.found, field["key"]
    place = ("fields", number, "id")
    field_id = _uuid(field.get("id"))
    known = found.by_id.get(field_id) if found and field_id else None
    if known is not None:
        match.old_fields[number] = known.id
        if known.type == field["type"]:
            return None
        detail = (
            f"A field of type {known.type} has this id, and an id has one type for ever."
            " Leave the id out, or name the one that the converted field has elsewhere."
        )
        return Problem.at(place, "immutable", detail)
    if field_id is not None and (row := Field.objects.filter(pk=field_id).first()) is not None:
        is_removed = found is not None and row.collection_id == found.id
        detail = (
            "A field with this id was removed here. Without the id a new one is made, which starts empty."
            if is_removed
            else "A field of another collection has this id here."
        )
        return Problem.at(place, "id-taken", detail)
    same_key = found.by_key.get(key) if found else None
    if same_key is None or _is_named(match.item, same_key.id):
        # New here; where its key is another field's, that one has another key from now on.
        is_new = True
    elif field_id is None or work.match_by_key or same_key.type != field["type"]:
        match.old_fields[number] = same_key.id
        is_new = same_key.type != field["type"]  # converted there, and so here
    else:
        return Problem.at(place, "ambiguous", _APART.format(what="field", key=key, id=same_key.id))
    if is_new and field_id is not None:
        match.new_ids[key] = field_id
    return None


_APART: Final = (
    "This id is not known here, and the {what} {key} has another one ({id}). Leave the id out, or use --match-by-key,"
    " if the two are the same; rename one of them if they are not."
)


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
        "id": str(spec.id),
    }
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


def _id_problems(item: Mapping[str, Any], ids: dict[str, str]) -> list[Problem]:
    given = item.get("id")
    if given is None:
        return []
    if _uuid(given) is None:
        return [Problem.at(("id",), "invalid", "An id as `schema export` writes it.")]
    if str(_uuid(given)) in ids:
        return [Problem.at(("id",), "not-unique", "This id stands in the file twice.")]
    ids[str(_uuid(given))] = ""
    return []


def _field_problems(field: Any, ids: dict[str, str]) -> list[Problem]:
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


def _uuid(given: Any) -> UUID | None:
    try:
        return UUID(given) if isinstance(given, str) else None
    except ValueError:
        return None


def _ids_in(work: Work) -> set[UUID | None]:
    """Return the ids by which the file names collections."""
    return {_uuid(item.get("id")) for item in work.document["collections"].values()}


def _is_named(item: Mapping[str, Any], field_id: UUID) -> bool:
    """Tell whether the file names a field by its id."""
    return any(_uuid(field.get("id")) == field_id for field in item.get("fields", []))


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
