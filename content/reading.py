"""Which personal and secret fields a read shows, and noting the read in the log."""

from collections.abc import Iterable, Mapping
from typing import Any

from accounts.access import SENSITIVE, Principal
from accounts.audit import reads
from content.fields.base import FieldSpec
from content.schema import CollectionSpec
from content.shaping import Shaper


def note_documents(
    shaper: Shaper,
    collection: CollectionSpec,
    rows: Iterable[Mapping[str, Any]],
    *,
    is_list: bool = False,
    is_draft_read: bool = False,
    where: str = "api",
) -> bool:
    """Log the read of documents that were shaped, by what was shown of them: nothing finds them by more than that.

    Without a personal or secret field it is logged only when it `is_draft_read`. Returns whether it was. Asks the
    database nothing. Raises UnavailableError when the read can't be logged.
    """
    reader = shaper.reader
    sensitive = shaper.shown(SENSITIVE)
    if not sensitive and not is_draft_read:
        return False
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
    return True


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
