"""Which personal and secret fields a read shows or asks by, and noting the read in the log."""

from collections.abc import Iterable, Mapping
from typing import Any

from accounts.access import SENSITIVE, Principal
from accounts.audit import reads
from content.fields.base import FieldSpec
from content.parameters import Parameters
from content.query import Reader
from content.schema import CollectionSpec
from content.shaping import Shaper


def note_documents(
    shaper: Shaper,
    collection: CollectionSpec,
    rows: Iterable[Mapping[str, Any]],
    parameters: Parameters,
    *,
    is_list: bool = False,
    is_draft_read: bool = False,
    where: str = "api",
) -> None:
    """Log the read of documents that were shaped, by what was shown of them and by what they were chosen by.

    Without a personal or secret field it is logged only when it `is_draft_read`. Asks the database
    nothing. Raises UnavailableError when the read can't be logged.
    """
    reader = shaper.reader
    sensitive = shaper.shown(SENSITIVE)
    if asked := _asked_by(reader, collection, parameters):
        sensitive.setdefault(collection.key, set()).update(asked)
    if not sensitive and not is_draft_read:
        return
    reads.note(
        reads.Read(
            collection=collection.key,
            collection_id=collection.id,
            ids=[str(row["entry_id"]) for row in rows],
            is_list=is_list,
            is_draft=reader.plane.drafts,
            locale=reader.locale,
            sensitive={key: sorted(names) for key, names in sensitive.items()},
            where=where,
        ),
        by=reader.principal,
    )


def note_entry(
    collection: CollectionSpec,
    entry_id: object,
    specs: Iterable[FieldSpec],
    *,
    by: Principal,
    locale: str = "",
    versions: Iterable[int] = (),
    where: str = "api",
) -> None:
    """Log the read of an entry's working state, or of old versions of it, with these fields."""
    named = [spec.key for spec in specs if spec.is_sensitive]
    reads.note(
        reads.Read(
            collection=collection.key,
            collection_id=collection.id,
            ids=[str(entry_id)],
            is_draft=True,
            locale=locale,
            sensitive={collection.key: sorted(named)} if named else {},
            versions=sorted(set(versions)),
            where=where,
        ),
        by=by,
    )


def note_titles(
    shown: Iterable[tuple[CollectionSpec, object]],
    *,
    by: Principal,
    asked: Iterable[CollectionSpec] = (),
    is_draft: bool = True,
) -> None:
    """Log what a page of the admin calls entries, where their title is personal or secret: on cards, in choices.

    `shown` are collections and ids; `asked` are collections whose titles were looked through without finding any,
    which tells of them too.
    """
    collections: dict[str, CollectionSpec] = {}
    ids: dict[str, list[str]] = {}
    for collection in asked:
        collections[collection.key], ids[collection.key] = collection, []
    for collection, entry_id in shown:
        collections[collection.key] = collection
        ids.setdefault(collection.key, []).append(str(entry_id))
    for key, collection in collections.items():
        title = collection.title_field
        if title is None or not title.is_sensitive:
            continue
        reads.note(
            reads.Read(
                collection=key,
                collection_id=collection.id,
                ids=ids[key],
                is_list=True,
                is_draft=is_draft,
                sensitive={key: [title.key]},
                where="admin",
            ),
            by=by,
        )


def _asked_by(reader: Reader, collection: CollectionSpec, parameters: Parameters) -> set[str]:
    """Return the sensitive fields that were filtered, sorted or searched by: an answer tells of them, shown or not."""
    found: set[str] = set()
    for item in parameters.filters:
        spec = collection.by_key.get(item.path[0])
        if spec is None:
            continue
        if spec.is_sensitive:
            found.add(spec.key)
        if len(item.path) > 1:
            targets = (reader.schema.by_id.get(key) for key in reader.schema.target_collections((spec,)))
            below = (target.by_key.get(item.path[1]) for target in targets if target is not None)
            if any(target is not None and target.is_sensitive for target in below):
                found.add(".".join(item.path))
    for sort in parameters.sorts:
        spec = collection.by_key.get(sort.name)
        if spec is not None and spec.is_sensitive:
            found.add(spec.key)
    if parameters.search:
        grant = reader.grant(collection.id)
        found.update(spec.key for spec in collection.fields if spec.is_sensitive and grant.allows(spec))
    return found
