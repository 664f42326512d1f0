"""What editors work on: entries, their immutable versions, and the working state of each locale."""

from functools import cached_property
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from accounts.access import Action, Resource
from accounts.ids import uuid7
from content.models.published import Document, SearchRow
from content.models.schema import Collection
from content.models.sealing import SealedRow, key_of, opened_places
from content.sealed_values import EntryKey, is_sealed


class Entry(models.Model):
    """One piece of content, in all its locales and versions."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    collection = models.ForeignKey(Collection, on_delete=models.PROTECT, related_name="entries")
    latest_number = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    trashed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "entries"
        # What can be granted on a single entry by django-guardian; `accounts.access` answers for them.
        default_permissions = ()
        permissions: ClassVar = [
            (f"{action.value}_entry", f"Can {action.value.replace('_', ' ')} this entry")
            for action in Action
            if action is not Action.MANAGE_SCHEMA
        ]

    def __str__(self) -> str:
        return str(self.id)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the key behind: what is pickled goes somewhere else."""
        return {name: value for name, value in super().__getstate__().items() if name != "sealing_key"}

    @property
    def resource(self) -> Resource:
        return Resource(self.collection_id, self.id)

    @cached_property
    def sealing_key(self) -> EntryKey:
        """The key of its sealed values. Raises ValuesLostError; `content.sealing` makes it with the first of them."""
        return key_of(self.pk)


class Version(SealedRow):
    """The whole of an entry as it was saved once; nothing ever changes it, and only purging removes it.

    `data` maps `"*"` (the same in every locale) and each locale to field ids and values.
    `sha256` is over the canonical bytes of entry, number and what is stored (`sealed`).
    """

    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    author_label = models.CharField(max_length=200)
    message = models.CharField(max_length=300, blank=True)
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["entry", "-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "number"], name="a_version_number_is_given_once")
        ]

    def __str__(self) -> str:
        return f"version {self.number}"

    @property
    def data(self) -> Any:
        return opened_places(self.sealed, self)

    @property
    def has_sealed(self) -> bool:
        return any(is_sealed(value) for values in self.sealed.values() for value in values.values())

    @property
    def locales(self) -> list[str]:
        """The locales that it has content in."""
        return sorted(key for key in self.sealed if key != "*")


class DraftDocument(Document):
    """The working state of an entry in one locale: its newest version, and what of it is public."""

    class Status(models.TextChoices):
        DRAFT = "draft", "draft"
        CHANGED = "changed", "changed"
        PUBLISHED = "published", "published"

    title = models.CharField(max_length=300, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.DRAFT)
    published_number = models.PositiveIntegerField(null=True)
    last_published_at = models.DateTimeField(null=True)
    trashed = models.BooleanField(default=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "locale"], name="an_entry_has_one_draft_in_a_locale"),
            models.CheckConstraint(
                condition=models.Q(
                    status="draft", published_number=None, published_at=None, last_published_at=None
                )
                | (
                    ~models.Q(status="draft")
                    & models.Q(published_number__isnull=False, published_at__isnull=False)
                    & models.Q(last_published_at__isnull=False)
                ),
                name="what_is_published_knows_its_version_and_time",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["collection", "locale", "updated_at", "entry"], name="draft_by_update"),
            models.Index(fields=["collection", "locale", "published_at", "entry"], name="draft_by_time"),
            models.Index(fields=["collection", "locale", "status", "updated_at"], name="draft_by_status"),
            GinIndex(fields=["refs"], name="draft_refs"),
        ]


class DraftSearch(SearchRow):
    """The words of a draft's field."""

    document = models.ForeignKey(DraftDocument, on_delete=models.CASCADE, related_name="words")

    class Meta:
        indexes: ClassVar = [GinIndex(fields=["vector"], name="draft_words")]


class Reference(models.Model):
    """Who refers to whom, by which field: from the newest version, or from what is published."""

    source = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="references")
    target = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="referrers")
    field_id = models.UUIDField()
    locale = models.CharField(max_length=24)
    published = models.BooleanField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "target", "field_id", "locale", "published"],
                name="a_reference_is_noted_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.source_id} → {self.target_id}"


class UniqueValue(models.Model):
    """A value that no other entry may hold in the same field and locale; drafts claim it as well."""

    field_id = models.UUIDField()
    locale = models.CharField(max_length=24)
    digest = models.CharField(max_length=64)
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="unique_values")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["field_id", "locale", "digest"], name="a_unique_value_belongs_to_one_entry"
            )
        ]

    def __str__(self) -> str:
        return self.digest
