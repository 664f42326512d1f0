"""From rows to the JSON of documents: only fields that the row's own clauses allow, only targets that were read."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.access import Clause
from accounts.canonical import Json
from content import fields
from content.documents import resolve
from content.fields.base import FieldSpec, ReadContext
from content.parameters import Tree
from content.query import REFERENCES, Reader, Selection
from content.schema import AsksSchema, CollectionSpec, Schema
from content.sealed_values import EntryKey, ValuesLostError, is_sealed

logger = logging.getLogger("quillkeep.content")

Shown = tuple[
    FieldSpec, str, Callable[[Json, FieldSpec, ReadContext], Json]
]  # field, its id, how it is shaped


def rfc3339(value: datetime | str | None) -> str | None:
    """Return a time in UTC with `Z` (RFC 3339), as all our times are."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _opened(
    data: Mapping[str, Json], wanted: Collection[str] | None, entry_id: object, wrapped: str | None
) -> Mapping[str, Json]:
    """Return a document's values with those that are wanted opened (None: all).

    What can't be opened is left out: one entry whose key is lost takes no list away from readers.
    """
    sealed = [name for name, value in data.items() if is_sealed(value)]
    if not sealed:
        return data
    plain = {name: value for name, value in data.items() if not is_sealed(value)}
    if wrapped is None:
        return plain
    key = None
    for name in sealed:
        if wanted is None or name in wanted:
            try:
                key = key or EntryKey.unwrapped(UUID(str(entry_id)), wrapped)
                plain[name] = key.open(name, data[name])
            except ValuesLostError as error:
                logger.error("%s It is shown without them.", error.detail)
    return plain


@dataclass(slots=True)
class _Targets(AsksSchema):
    """What a reader may know of the entries that one document refers to."""

    schema: Schema
    found: Mapping[str, Mapping[str, Any]]
    shaper: "Shaper"
    expand: Tree | None = None
    names: Tree | None = None

    def reference(self, entry_id: UUID) -> Json:
        target = self.found.get(str(entry_id))
        if target is None:
            return None
        collection = self.schema.by_id[UUID(target["collection"])]
        if self.expand is None:
            return {"_id": str(entry_id), "_collection": collection.key}
        return self.shaper.target(collection, target, self.names, self.expand)


class Shaper:
    """Shapes the rows that one reader read.

    Drafts are shown as the management API takes them back; `as_published` as readers would get them (HTML, defaults,
    conditions), so that a site shows a draft by what it shows everything by.
    """

    def __init__(self, reader: Reader, *, as_published: bool = False) -> None:
        self.reader = reader
        self.drafts = reader.plane.drafts
        # Published documents were resolved when they were written.
        self.resolves = as_published and self.drafts
        self.entries: dict[str, None] = {}  # every entry inside the answer, for Cache-Tag
        # by collection, clauses and the names that are wanted; these are kept, or another could get their identity
        self._fields: dict[tuple[UUID, tuple[Clause, ...], int], tuple[Tree | None, list[Shown]]] = {}

    def document(
        self, collection: CollectionSpec, row: Mapping[str, Any], selection: Selection
    ) -> dict[str, Json]:
        """Return the document of a row of `Reader.page`, `one` or `single`."""
        clauses = self.reader.grant(collection.id).clauses
        held = clauses if len(clauses) == 1 else tuple(c for i, c in enumerate(clauses) if row[f"_f{i}"])
        shaped = self._shape(
            collection,
            row,
            held,
            row["_data"],
            row.get("_targets"),
            selection.fields,
            selection.expand,
            row.get("_key"),
        )
        if self.drafts:
            shaped["_status"] = {
                item["locale"]: "trashed" if item["trashed"] else item["status"] for item in row["_states"]
            }
        return shaped

    def target(
        self, collection: CollectionSpec, row: Mapping[str, Any], names: Tree | None, expand: Tree
    ) -> dict[str, Json]:
        """Return an expanded reference's document."""
        clauses = self.reader.grant(collection.id).clauses
        held = clauses if len(clauses) == 1 else tuple(c for i, c in enumerate(clauses) if row["flags"][i])
        return self._shape(
            collection,
            {**row, "entry_id": row["id"]},
            held,
            row["data"],
            row.get("targets"),
            names,
            expand,
            row.get("key"),
        )

    def shown(self, data_classes: Collection[str]) -> dict[str, set[str]]:
        """Return the keys of the fields of these data classes that were shown so far, by collection key."""
        found: dict[str, set[str]] = {}
        for (collection_id, _, _), (_, shown) in self._fields.items():
            for spec, _, _ in shown:
                if spec.data_class in data_classes:
                    found.setdefault(self.reader.schema.by_id[collection_id].key, set()).add(spec.key)
        return found

    def _shape(
        self,
        collection: CollectionSpec,
        row: Mapping[str, Any],
        held: tuple[Clause, ...],
        data: Mapping[str, Json],
        targets: list[Mapping[str, Any]] | None,
        names: Tree | None,
        expand: Tree,
        wrapped: str | None,
    ) -> dict[str, Json]:
        self.entries[str(row["entry_id"])] = None
        shaped: dict[str, Json] = {
            "_id": str(row["entry_id"]),
            "_collection": collection.key,
            "_locale": row["content_locale"],
            "_version": row["version_number"],
            "_published_at": rfc3339(row["published_at"]),
            "_updated_at": rfc3339(row["updated_at"]),
        }
        shown = self._shown(collection, held, names)
        wanted = None if self.resolves else {field_id for _, field_id, _ in shown}
        data = _opened(data, wanted, row["entry_id"], wrapped)
        if self.resolves:
            data = resolve(
                collection,
                {key: value for key, value in data.items() if value is not None},
                self.reader.schema,
            )
        found = {item["id"]: item for item in targets or ()}
        plain = _Targets(self.reader.schema, found, self)
        for spec, field_id, shape in shown:
            context = plain
            if spec.type in REFERENCES and spec.key in expand:
                below = (names or Tree()).get(spec.key) or None
                context = replace(plain, expand=expand[spec.key], names=below)
            shaped[spec.key] = shape(data.get(field_id), spec, context)
        return shaped

    def _shown(self, collection: CollectionSpec, held: tuple[Clause, ...], names: Tree | None) -> list[Shown]:
        """Return the fields that these clauses show, with how each is shaped; the same for most rows of a page."""
        key = (collection.id, held, id(names))
        if key not in self._fields:
            way = "shape_draft" if self.drafts and not self.resolves else "shape"
            shown: list[Shown] = [
                (spec, str(spec.id), getattr(fields.get(spec.type), way))
                for spec in collection.fields
                if (names is None or spec.key in names) and any(clause.fields.allows(spec) for clause in held)
            ]
            self._fields[key] = (names, shown)
        return self._fields[key][1]
