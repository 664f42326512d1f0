"""Old versions as the management API shows them: what is still there, and what the reader may see of it today."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from accounts.canonical import Json
from content import fields
from content.documents import in_locale
from content.fields.base import FieldSpec
from content.schema import AsksSchema, Schema
from content.writing import Writing


def shape_values(
    writing: Writing, data: Mapping[str, Mapping[str, Json]], locale: str, specs: Iterable[FieldSpec]
) -> dict[str, Json]:
    """Return a version's values in one locale as the management API shows them, by key, for these fields."""
    values = in_locale(data, locale)
    context = _Stubs(writing.schema, writing)
    return {
        spec.key: fields.get(spec.type).shape_draft(values.get(str(spec.id)), spec, context) for spec in specs
    }


@dataclass(slots=True)
class _Stubs(AsksSchema):
    """References of an old version: only as far as the writer may refer to the entry today."""

    schema: Schema
    writing: Writing

    def reference(self, entry_id: UUID) -> Json:
        key = self.writing.visible_collection_of(entry_id)
        return {"_id": str(entry_id), "_collection": key} if key else None
