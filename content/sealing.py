"""The one road of values into tables: those of personal and secret fields are sealed with the key of their entry.

Writers hand over plain values and get what a table may hold; readers take `.data` of a row, or go through the gate.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, TypeVar

from accounts.canonical import Json
from content.documents import VersionData, hash_of_version
from content.models import DataKey, Entry
from content.models.sealing import SealedRow
from content.schema import CollectionSpec, Schema
from content.sealed_values import EntryKey, ValuesLostError

_TOGETHER: Final = 500  # rows whose keys are asked for in one query
Row = TypeVar("Row", bound=SealedRow)


def sealed_version(
    data: Mapping[str, Mapping[str, Json]], entry: Entry, collection: CollectionSpec, schema: Schema
) -> VersionData:
    """Return a version's data as its row holds it. Needs the entry's lock: its first sealed value makes its key."""
    return {place: sealed_values(values, entry, collection, schema) for place, values in data.items()}


def sealed_values(
    values: Mapping[str, Json], entry: Entry, collection: CollectionSpec, schema: Schema
) -> dict[str, Json]:
    """Return values of one place or locale, by field id, as a row holds them."""
    sealed = dict(values)
    for field_id, value in values.items():
        if value is not None and _has_to_be_sealed(field_id, value, collection, schema):
            sealed[field_id] = _key_for(entry).seal(field_id, value)
    return sealed


def reseal(entry: Entry, collection: CollectionSpec, schema: Schema) -> int:
    """Seal and open the values in an entry's versions as the schema says now; returns how many rows were replaced.

    A version is never changed, so a row gives way to another of the same id, number, author and time, with another
    hash. Needs the entry's lock.
    """
    replaced = 0
    for version in entry.versions.order_by("number").iterator(chunk_size=50):
        sealed = sealed_version(version.data, entry, collection, schema)
        if sealed != version.sealed:
            version.sealed = sealed
            version.sha256 = hash_of_version(entry.pk, version.number, sealed)
            entry.versions.filter(pk=version.pk).delete()
            version.save(force_insert=True)
            replaced += 1
    return replaced


def with_keys(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows of many entries, with the keys of those that hold sealed values: one query for some hundred rows.

    A row whose key is lost says so when it is opened, and keeps no other back.
    """
    waiting = iter(rows)
    while chunk := list(islice(waiting, _TOGETHER)):
        wanted = {row.entry_id for row in chunk if row.has_sealed}  # type: ignore[attr-defined]  # each kind has it
        keys = {item.entry_id: item for item in DataKey.objects.filter(entry_id__in=wanted)} if wanted else {}
        for row in chunk:
            found = keys.get(row.entry_id)  # type: ignore[attr-defined]
            if found is not None:
                with contextlib.suppress(ValuesLostError):
                    row.know(found.key)
            yield row


def _has_to_be_sealed(field_id: str, value: Json, collection: CollectionSpec, schema: Schema) -> bool:
    if field_id in collection.sensitive_ids or field_id in schema.gone_sensitive:
        return True
    # What was written into a part's personal field stays in old versions after that field is gone.
    return bool(schema.gone_sensitive) and _names_any(value, schema.gone_sensitive)


def _names_any(value: Any, ids: Collection[str]) -> bool:
    stack = [value]
    while stack:
        here = stack.pop()
        if isinstance(here, Mapping):
            if any(key in ids for key in here):
                return True
            stack.extend(here.values())
        elif isinstance(here, list):
            stack.extend(here)
    return False


def _key_for(entry: Entry) -> EntryKey:
    """Return the entry's key, made with its first sealed value."""
    known = entry.__dict__.get("sealing_key")
    if known is None:
        row = DataKey.objects.filter(entry=entry).first()
        if row is not None:
            known = row.key
        else:
            known, wrapped = EntryKey.made(entry.pk)
            DataKey.objects.create(entry=entry, wrapped=wrapped)
        entry.sealing_key = known
    return known
