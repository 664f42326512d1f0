"""What content holds about one e-mail address: what its person wrote, where the address stands, what was sent."""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from accounts.access import Action, DataClass, Principal
from accounts.api.shapes import moment
from accounts.canonical import Json
from accounts.person import Part, Person, in_batches
from content.fields.base import FieldSpec
from content.forms import rights
from content.forms.bodies import Reading, texts
from content.forms.reading import metadata
from content.models import Entry, SavedView, Submission, Version, Visit
from content.schema import CollectionSpec, Schema, current
from content.sealed_values import ValuesLostError
from content.sealing import with_keys

OTHER: Final = "content that you may not know of"
_SENSITIVE: Final = frozenset({DataClass.PERSONAL, DataClass.SECRET})


def parts(person: Person, *, by: Principal) -> list[Part]:
    """Return what content holds, as far as `by` may read it: collection by collection, wholly or not at all."""
    present = current()
    found: list[Part] = []
    for spec in present.collections:
        told = "" if any(by.grant(action, on=spec.resource) for action in Action) else OTHER
        if spec.has_entries:
            wide = [
                clause for clause in by.grant(Action.READ_DRAFT, on=spec.resource).clauses if not clause.rows
            ]
            searched = tuple(filter(_may_hold, spec.fields))
            reads = all(any(clause.fields.allows(field) for clause in wide) for field in searched)
            found += [
                Part(f"{name} in {spec.key}", partial(rows, person, spec), bool(wide), told)
                for name, rows in _OWN.items()
            ]
            if searched:
                mentions = partial(_mentions, person, spec, searched)
                found.append(Part(f"mentions in {spec.key}", mentions, bool(wide) and reads, told))
        elif spec.form is not None:
            sent = partial(_submissions, person, spec, present, by)
            found.append(Part(f"submissions of {spec.key}", sent, _opens(spec, by), told))
    return found


def _opens(form: CollectionSpec, by: Principal) -> bool:
    """Tell whether the principal may read whole submissions: of a part nobody could tell that it is one."""
    grant = rights.granted(by, Action.READ, form)
    return bool(grant) and all(map(grant.allows, form.fields))


def _may_hold(field: FieldSpec) -> bool:
    return field.data_class in _SENSITIVE or field.type == "email"


def _entries(person: Person, spec: CollectionSpec) -> Iterator[dict[str, Any]]:
    for entry in in_batches(Entry.objects.filter(created_by__in=person.user_ids, collection_id=spec.id)):
        yield {"id": str(entry.pk), "created_at": moment(entry.created_at)}


def _versions(person: Person, spec: CollectionSpec) -> Iterator[dict[str, Any]]:
    for version in in_batches(
        Version.objects.filter(author__in=person.user_ids, entry__collection_id=spec.id)
    ):
        yield {
            "entry": str(version.entry_id),
            "number": version.number,
            "created_at": moment(version.created_at),
            "message": version.message,
        }


def _visits(person: Person, spec: CollectionSpec) -> Iterator[dict[str, Any]]:
    for visit in in_batches(Visit.objects.filter(user__in=person.user_ids, entry__collection_id=spec.id)):
        yield {
            "entry": str(visit.entry_id),
            "locale": visit.locale,
            "seen_at": moment(visit.seen_at),
            "typing_at": moment(visit.typing_at),
        }


def _views(person: Person, spec: CollectionSpec) -> Iterator[dict[str, Any]]:
    for view in in_batches(SavedView.objects.filter(owner__in=person.user_ids, collection_id=spec.id)):
        yield {"id": str(view.pk), "name": view.name, "created_at": moment(view.created_at)}


_OWN: Final = {"entries": _entries, "versions": _versions, "visits": _visits, "saved views": _views}


def _mentions(
    person: Person, spec: CollectionSpec, searched: tuple[FieldSpec, ...]
) -> Iterator[dict[str, Any]]:
    """Yield the versions in whose personal or secret fields, or fields for e-mail, the address stands: all of these."""
    names = {str(field.id): field for field in searched}
    for version in with_keys(in_batches(Version.objects.filter(entry__collection_id=spec.id))):
        try:
            data = version.data
        except ValuesLostError:
            yield {
                "entry": str(version.entry_id),
                "number": version.number,
                "fault": "Its values can't be opened.",
            }
            continue
        found = {
            place: {names[name].key: value for name, value in values.items() if name in names}
            for place, values in data.items()
        }
        if any(person.is_in(text) for text in texts(found)):
            yield {
                "entry": str(version.entry_id),
                "number": version.number,
                "created_at": moment(version.created_at),
                "fields": found,
            }


def _submissions(
    person: Person, spec: CollectionSpec, present: Schema, by: Principal
) -> Iterator[dict[str, Any]]:
    reader = Reading(spec, present, [rights.granted(by, Action.READ, spec)])
    for row in in_batches(Submission.objects.live().filter(form_id=spec.id)):
        opened = reader.open(row)
        content: dict[str, Json] = opened.as_json()
        if "fault" in content or any(person.is_in(text) for text in texts(content)):
            yield metadata(row) | content
        elif any(person.is_in(text) for text in texts(opened.stored)):
            # In a part that its component has no more: no form shows it, and it is held all the same.
            yield metadata(row) | content | {"as_stored": dict(opened.stored)}
