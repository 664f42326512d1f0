"""What the admin remembers of a person's work: what they looked at, how they like a list, and views that they share."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from accounts.ids import uuid7
from content.models.entries import Entry
from content.models.schema import Collection


class Visit(models.Model):
    """When a person last had an entry open, which version they saw, and since when they are typing in it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="visits")
    locale = models.CharField(max_length=24)
    seen_number = models.PositiveIntegerField()
    seen_at = models.DateTimeField()
    typing_at = models.DateTimeField(null=True)  # the newest sign of life of a form with unsaved changes

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "entry"], name="a_person_has_one_visit_to_an_entry")
        ]
        indexes: ClassVar = [models.Index(fields=["typing_at"], name="visit_by_typing")]

    def __str__(self) -> str:
        return f"{self.user_id} at {self.entry_id}"


class ListLayout(models.Model):
    """The columns that a person chose for a collection's list: field ids and names beginning with `_`, in order."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="+")
    columns = models.JSONField(default=list)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "collection"], name="a_person_has_one_layout_of_a_list")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.collection_id}"


class SavedView(models.Model):
    """A list with its filters, sort and columns under a name, for its owner or for everybody who may see the list.

    `query` names fields by id, so that a renamed one stays; what its reader may not read is left out.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    query = models.JSONField(default=dict)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering: ClassVar = ["name", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "collection", "name"], name="a_person_names_a_view_once")
        ]

    def __str__(self) -> str:
        return self.name
