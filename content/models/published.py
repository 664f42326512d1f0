"""What readers see: one published document for each entry and locale. Delivery reads these and nothing else of entries.

`Document` is the shape that published documents share with drafts, so that one query gate serves both planes.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models

from content.models.sealing import SealedRow


class Document(SealedRow):
    """An entry in one locale: `data` maps field ids to values; `refs` names every entry that it refers to."""

    entry = models.ForeignKey("content.Entry", on_delete=models.CASCADE, related_name="+", db_index=False)
    collection = models.ForeignKey(
        "content.Collection", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    locale = models.CharField(max_length=24)
    content_locale = models.CharField(max_length=24)
    version_number = models.PositiveIntegerField()
    refs = ArrayField(models.UUIDField(), default=list)
    created_by = models.UUIDField(null=True)
    published_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.entry_id} ({self.locale})"


class SearchRow(models.Model):
    """The words of one field of one document, so that a search sees only the fields that the searcher may read."""

    field_id = models.UUIDField()
    vector = SearchVectorField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"words of field {self.field_id}"


class PublishedDocument(Document):
    """What a reader gets: resolved once when published. Unpublishing deletes the rows."""

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["entry", "locale"], name="an_entry_is_published_once_in_a_locale"
            ),
            models.CheckConstraint(
                condition=models.Q(published_at__isnull=False), name="a_published_document_knows_since_when"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["collection", "locale", "published_at", "entry"], name="published_by_time"),
            models.Index(fields=["collection", "locale", "updated_at", "entry"], name="published_by_update"),
            GinIndex(fields=["refs"], name="published_refs"),
        ]


class PublishedSearch(SearchRow):
    """The words of a published document's field."""

    document = models.ForeignKey(PublishedDocument, on_delete=models.CASCADE, related_name="words")

    class Meta:
        indexes: ClassVar = [GinIndex(fields=["vector"], name="published_words")]
