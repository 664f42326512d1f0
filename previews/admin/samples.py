"""A real draft of each collection, so that whoever writes a handoff URL sees where it will lead."""

from dataclasses import dataclass
from typing import Final

from accounts.access import Action, Principal
from accounts.canonical import Json
from content import schema
from content.models import DraftDocument
from content.rows import rows_of
from content.schema import CollectionSpec, Schema
from content.writing import Writing, allowed_fields, clauses_for
from previews.addresses import MissingValueError, filled, store, usable_fields

MOST: Final = 40  # collections that are looked into


@dataclass(frozen=True, slots=True)
class Sample:
    """A draft as far as its reader may read it: values by field id, names of the house by their own."""

    values: dict[str, Json]
    system: dict[str, str]


def samples(by: Principal) -> dict[str, Sample]:
    """Return the newest draft that may be read of each collection, by the collection's key."""
    present = schema.current()
    collections = [item for item in present.collections if item.has_entries][:MOST]
    found = ((item.key, _sample(item, present, by)) for item in collections)
    return {key: sample for key, sample in found if sample is not None}


def _sample(collection: CollectionSpec, present: Schema, by: Principal) -> Sample | None:
    grant = by.grant(Action.READ_DRAFT, on=collection.resource)
    usable = usable_fields(collection)
    if not grant or not usable:
        return None
    rows = DraftDocument.objects.filter(
        rows_of(grant, collection), collection_id=collection.id, trashed=False
    )
    draft = rows.select_related("entry").order_by("-updated_at", "pk").first()
    if draft is None:
        return None
    held = clauses_for(draft.entry, Action.READ_DRAFT, Writing(present, collection, by), [draft.locale])
    allowed = allowed_fields(held, collection)
    values = {str(spec.id): draft.data.get(str(spec.id)) for spec in usable if spec in allowed}
    system = {"_id": str(draft.entry_id), "_locale": draft.locale, "_collection": collection.key}
    return Sample(values, system)


def example(url: str, collection: CollectionSpec, sample: Sample | None, origins: list[str]) -> str:
    """Return where a handoff URL leads for the sample, "" where that can't be said. Raises AddressError."""
    stored = store(url, collection, origins)
    if sample is None:
        return ""
    try:
        return filled(stored, collection, sample.values, sample.system)
    except MissingValueError:
        return ""


def shown_values(collection: CollectionSpec, sample: Sample | None) -> dict[str, str]:
    """Return what of a sample may stand in an address, by the names that people write: for the script of the form."""
    if sample is None:
        return {}
    by_id = {str(spec.id): spec.key for spec in collection.fields}
    texts = {
        by_id[key]: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in sample.values.items()
        if key in by_id and value not in (None, "")
    }
    return {**texts, **sample.system}
