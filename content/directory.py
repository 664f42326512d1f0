"""What accounts may ask of content: names and types by the schema, and how many entries a change of access is about.

Apart from `content.schema`, since it counts drafts, which nothing that serves readers may import.
"""

from typing import Any, Final
from uuid import UUID

from accounts.access import Grant
from content.models import DraftDocument, PublishedDocument
from content.rows import rows_of
from content.schema import SchemaDirectory

MOST_COUNTED: Final = 10_000


class ContentDirectory(SchemaDirectory):
    """The directory that settings name."""

    def count_entries(
        self, collection_id: UUID, before: Grant, after: Grant, *, is_draft: bool
    ) -> tuple[tuple[int, bool], tuple[int, bool]]:
        """Return how many entries the second grant shows and the first does not, and the other way round."""
        spec = self.schema.by_id[collection_id]
        model: Any = DraftDocument if is_draft else PublishedDocument

        def visible(grant: Grant) -> Any:
            return model.objects.filter(rows_of(grant, spec), collection_id=collection_id)

        def only(one: Grant, other: Grant) -> tuple[int, bool]:
            if not one:
                return 0, False
            found = visible(one).values("entry_id")
            if other:
                found = found.exclude(entry_id__in=visible(other).values("entry_id"))
            number = found.distinct()[: MOST_COUNTED + 1].count()
            return min(number, MOST_COUNTED), number > MOST_COUNTED

        return only(after, before), only(before, after)
