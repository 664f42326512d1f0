"""The columns of a list: which ones there are for a person, which they chose, and what stands in each cell."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.access import Action
from accounts.canonical import Json
from accounts.errors import NotAllowedError
from content.admin.choices import Found, entries_of
from content.admin.desk import Desk
from content.fields.base import FieldSpec
from content.models import ListLayout
from content.query import REFERENCES
from content.schema import CollectionSpec

MAX_COLUMNS = 12
MAX_SHOWN = 3  # references, tags or choices in one cell
NUMBERS = frozenset({"integer", "decimal"})
LABELLED = frozenset({"choice", "choices", "tags"})
SHORT = NUMBERS | LABELLED | REFERENCES | {
    "boolean", "color", "date", "datetime", "email", "long_text", "slug", "text", "url",
}  # fmt: skip
OWN = {
    "_state": "State",
    "_locales": "Locales",
    "_updated": "Updated",
    "_author": "Author",
    "_published": "Published at",
    "_version": "Version",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `id` is what a layout remembers, a field's id or one of our own names."""

    id: str
    label: str
    spec: FieldSpec | None = None

    @property
    def kind(self) -> str:
        """How its cells look."""
        if self.spec is None:
            return self.id.removeprefix("_")
        if self.spec.type in NUMBERS:
            return "number"
        if self.spec.type in LABELLED:
            return "chips"
        if self.spec.type in REFERENCES:
            return "references"
        return self.spec.type if self.spec.type in {"boolean", "color", "date", "datetime"} else "text"


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one column of a row; `items` of chips and references, and how many more there are."""

    column: Column
    value: Any = None
    items: tuple[Any, ...] = ()
    more: int = 0


def readable(desk: Desk, collection: CollectionSpec) -> list[FieldSpec]:
    """Return the fields that the principal may read in some row of the collection, in their order."""
    grant = desk.principal.grant(Action.READ_DRAFT, on=collection.resource)
    return [spec for spec in collection.fields if grant.allows(spec)]


def available(desk: Desk, collection: CollectionSpec) -> list[Column]:
    """Return every column that the person may choose; the title stands first anyway."""
    own = [Column(name, label) for name, label in OWN.items() if name != "_locales" or collection.localized]
    return own + [
        Column(str(spec.id), spec.name, spec)
        for spec in readable(desk, collection)
        if spec.type in SHORT and spec != collection.title_field and not spec.is_sensitive
    ]


def chosen(desk: Desk, collection: CollectionSpec, names: Iterable[object] | None = None) -> list[Column]:
    """Return the columns of these names, else those that the person chose; what may not be read is left out."""
    if names is None:
        layout = ListLayout.objects.filter(user_id=owner_of(desk), collection_id=collection.id).first()
        names = layout.columns if layout is not None else ["_state", "_locales", "_updated", "_author"]
    known = {column.id: column for column in available(desk, collection)}
    return [known[str(name)] for name in dict.fromkeys(names) if str(name) in known][:MAX_COLUMNS]


def owner_of(desk: Desk) -> UUID:
    """Return the id of the person at the desk; a principal that is nobody has nothing to remember."""
    if desk.principal.user_id is None:
        raise NotAllowedError
    return desk.principal.user_id


def remember(desk: Desk, collection: CollectionSpec, names: Sequence[str]) -> None:
    """Keep the columns of a person's list; unknown names are dropped, none at all is the usual list again."""
    mine = ListLayout.objects.filter(user_id=owner_of(desk), collection_id=collection.id)
    columns = [column.id for column in chosen(desk, collection, names)]
    if not columns:
        mine.delete()
        return
    ListLayout.objects.update_or_create(
        user_id=owner_of(desk), collection_id=collection.id, defaults={"columns": columns}
    )


def seen_targets(
    desk: Desk,
    documents: Iterable[dict[str, Json]],
    columns: Sequence[Column],
    filtered: Mapping[UUID, FieldSpec],
) -> dict[UUID, Found]:
    """Return what the person may see of all entries that the page refers to, asked for together.

    `filtered` are those that filters name, with the field that they are compared with.
    """
    keys = [column.spec.key for column in columns if column.spec is not None and column.kind == "references"]
    targets = [item for document in documents for key in keys for item in _targets(document.get(key))]
    named = {str(item["_collection"]) for item in targets}
    allowed = desk.schema.target_collections(tuple(filtered.values()))
    among = [item for item in desk.schema.collections if item.key in named or item.id in allowed]
    ids = {UUID(str(item["_id"])) for item in targets} | filtered.keys()
    return entries_of(desk.schema, desk.principal, ids, among=among)


def cell(column: Column, document: dict[str, Json], found: dict[UUID, Found]) -> Cell:
    """Return the short form of a document's value; a value that is not in the document is no value."""
    if column.spec is None:
        return Cell(column)
    value = document.get(column.spec.key)
    if column.kind == "references":
        ids = [UUID(str(item["_id"])) for item in _targets(value)]
        seen = [found[item] for item in ids if item in found]
        return Cell(column, None, tuple(seen[:MAX_SHOWN]), max(0, len(seen) - MAX_SHOWN))
    if column.kind == "chips":
        listed = value if isinstance(value, list) else [value] if value else []
        labels = {item.value: item.label for item in getattr(column.spec.options, "choices", ())}
        words = [labels.get(str(item), str(item)) for item in listed]
        return Cell(column, None, tuple(words[:MAX_SHOWN]), max(0, len(words) - MAX_SHOWN))
    if column.kind in {"date", "datetime"} and isinstance(value, str):
        return Cell(column, datetime.fromisoformat(value))
    if column.kind == "text" and value is not None:
        return Cell(column, " ".join(str(value).split())[:200])
    return Cell(column, value)


def _targets(value: Json) -> list[dict[str, Json]]:
    """Return what a reference, or several, were shaped to: `{"_id", "_collection"}`."""
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, dict)]
