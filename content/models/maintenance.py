"""Work that follows a schema change, with its state, so that people can see how far it is."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from content.models.schema import Collection


class FieldIndex(models.Model):
    """An expression index for a filterable field of a collection; made concurrently by a task."""

    class State(models.TextChoices):
        PENDING = "pending", "waiting"
        BUILDING = "building", "being built"
        READY = "ready", "ready"
        FAILED = "failed", "failed"
        DROPPING = "dropping", "being dropped"

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="indexes")
    field_id = models.UUIDField(unique=True)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    detail = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["collection", "field_id"]

    def __str__(self) -> str:
        return f"index of field {self.field_id}: {self.get_state_display()}"


class Rebuild(models.Model):
    """The documents of a collection have to be made again; `done` of `total` entries are."""

    class State(models.TextChoices):
        PENDING = "pending", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="rebuilds")
    reason = models.CharField(max_length=200)
    reseals = models.BooleanField(default=False, db_default=False)  # versions and drafts too
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    last_entry = models.UUIDField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.reason}: {self.done} of {self.total}"
