"""What the items of a file are in this house: a field carries its id, so that another key is a rename and no loss.

What the file names is found by id, else by key. An id that is not known here beside a key that is belongs to a field
that was made apart: whether the two are one, nobody but who runs the command can say (`match_by_key`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final
from uuid import UUID

from accounts.access import DataClass
from accounts.as_code import Work
from accounts.errors import Problem, placed
from content import schema
from content.designing import NewIds
from content.forms.options import FormOptions
from content.models import Field
from content.schema import CollectionSpec

COLLECTION_DEFAULTS: Final[Mapping[str, Any]] = {
    "description": "",
    "kind": "many",
    "localized": False,
    "retention": None,
}
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


@dataclass(frozen=True, slots=True)
class Match:
    """What an item of the file is here: a collection (None: a new one), and its fields by their number."""

    key: str
    item: Mapping[str, Any]
    found: CollectionSpec | None
    new_id: UUID | None  # of a new collection, where the file says one
    # number in the file → id of a field here
    old_fields: dict[int, UUID] = dataclass_field(default_factory=dict)
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
        if usual["kind"] == "form":
            usual["form"] = {**FormOptions().as_json(), **self.item.get("form", {})}
        return {"key": self.key, **usual, "fields": listed}


def match_of(section: str, key: str, item: Mapping[str, Any], work: Work) -> Match | None:
    """Find out what an item is here, or note why that can't be told."""
    present = schema.read()
    given_id = uuid_in(item.get("id"))
    by_id = present.by_id.get(given_id) if given_id else None
    by_key = present.by_key.get(key)
    if by_key is not None and by_key != by_id and by_key.id in _ids_in(work):
        by_key = None  # the file gives that one another key, and this one takes its place
    problem = None
    if by_id is None and by_key is not None and given_id is not None and not work.match_by_key:
        detail = _APART.format(what="collection", key=key, id=by_key.id)
        problem = Problem.at((section, key, "id"), "ambiguous", detail)
    elif by_id is not None and by_key is not None and by_id != by_key:
        detail = (
            f"Another collection has this key here, and goes with this file. Delete {key} first, by itself."
        )
        problem = Problem.at((section, key), "ambiguous", detail)
    if problem is not None:
        work.problems.append(problem)
        return None
    found = by_id or by_key
    match = Match(key, item, found, given_id if found is None else None)
    problems = [
        problem
        for number, field in enumerate(item.get("fields", []))
        if (problem := _match_field(match, number, field, work)) is not None
    ]
    work.problems += placed(problems, section, key)
    return None if problems else match


def _match_field(match: Match, number: int, field: Mapping[str, Any], work: Work) -> Problem | None:
    """Find out what a field of the file is here, and put it into the match, or return why that can't be told."""
    found, key = match.found, field["key"]
    place = ("fields", number, "id")
    field_id = uuid_in(field.get("id"))
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


def uuid_in(given: Any) -> UUID | None:
    try:
        return UUID(given) if isinstance(given, str) else None
    except ValueError:
        return None


def _ids_in(work: Work) -> set[UUID | None]:
    """Return the ids by which the file names collections."""
    return {uuid_in(item.get("id")) for item in work.document["collections"].values()}


def _is_named(item: Mapping[str, Any], field_id: UUID) -> bool:
    """Tell whether the file names a field by its id."""
    return any(uuid_in(field.get("id")) == field_id for field in item.get("fields", []))
