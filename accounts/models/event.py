"""The log: events that are only ever inserted, their seals, and how far each consumer has read."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

from django.contrib.postgres.indexes import OpClass
from django.db import DataError, models
from django.db.models.functions import Coalesce, Upper

from accounts.ids import uuid7

# What loading a row may raise that the application did not write: a time without end, JSON too deep or too long.
UNREADABLE: Final = (DataError, ValueError, OverflowError, RecursionError)
NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)


class EventQuerySet(models.QuerySet["Event"]):
    """Ways to read the log."""

    def sealed(self) -> Self:
        return self.filter(seal__isnull=False).select_related("seal").order_by("seal__position")

    def after(self, position: int) -> Self:
        """Return sealed events behind a position, in the order of the log."""
        return self.sealed().filter(seal__position__gt=position)

    def about(self, subject_type: str, subject_id: str) -> Self:
        """Return the events about one thing; found by an index, and so is their order by time."""
        return self.filter(subject_type=subject_type, subject_id=subject_id)

    def by_id(self, ids: Collection[UUID]) -> dict[UUID, "Event"]:
        """Return events by their ids. In the place of one that can't be read stands an empty one, without a tag.

        One such row, inserted by SQL, would else stop the sealer and the proof that finds it.
        """
        try:
            return self.in_bulk(ids)
        except UNREADABLE:
            if len(ids) == 1:
                return {event_id: Event(id=event_id, at=NEVER, tag="") for event_id in ids}
            return {key: event for event_id in ids for key, event in self.by_id([event_id]).items()}


class AddressOf(models.Func):
    """The address as `inet`; NULL for what is none, so that a forged row can't break the search (migration 0006)."""

    function = "accounts_address"
    output_field = models.GenericIPAddressField(null=True)


class Event(models.Model):
    """Something that happened. `detail` names fields and versions, never values; triggers refuse every change."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    type = models.CharField(max_length=80)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=20)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=320)
    credential = models.CharField(max_length=120, blank=True, default="")
    subject_type = models.CharField(max_length=40, blank=True, default="")
    subject_id = models.CharField(max_length=120, blank=True, default="")
    collection_id = models.UUIDField(null=True)
    locale = models.CharField(max_length=40, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="")
    detail = models.JSONField(default=dict)
    tag = models.CharField(
        max_length=200
    )  # "<key id>:<HMAC-SHA-256>": a row inserted past the application lacks it

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "log"
        indexes = [
            models.Index(fields=["type", "at"], name="event_type_at"),
            models.Index(fields=["actor_id", "at"], name="event_actor_at"),
            models.Index(fields=["subject_id", "at"], name="event_subject_at"),
            models.Index(fields=["at"], name="event_at"),
            models.Index(OpClass(Upper("actor_label"), name="text_pattern_ops"), "at", name="event_label_at"),
            models.Index(
                fields=["credential", "at"],
                name="event_credential_at",
                condition=~models.Q(credential=""),
            ),
            models.Index(AddressOf("address"), name="event_address"),
        ]

    def __str__(self) -> str:
        return f"{self.type} at {self.at:%Y-%m-%d %H:%M:%S}"


class SealManager(models.Manager["Seal"]):
    """Looks at the end of the chain."""

    def last_position(self) -> int:
        """Return the position of the newest seal, 0 where nothing is sealed."""
        return self.order_by("-position").values_list("position", flat=True).first() or 0

    def end_of_batch(self, after: int, *, size: int) -> int:
        """Return up to which position a batch behind another goes; `after` itself where nothing is behind it.

        Counted in seals, not in positions: a restore leaves a gap of very many.
        """
        behind = (
            self.filter(position__gt=after).order_by("position").values_list("position", flat=True)[:size]
        )
        return max(behind, default=after)


class Seal(models.Model):
    """The place of an event in the log: an HMAC chained over the seal before it and the event."""

    position = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(Event, on_delete=models.DO_NOTHING, related_name="seal")
    mac = models.CharField(max_length=64)
    key_id = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    objects = SealManager()


class Unsealed(models.Model):
    """An event that waits for its seal, in the order in which events were written.

    A trigger queues every inserted event, so one that commits late is not lost, and nobody searches the whole log.
    """

    event_id = models.UUIDField(unique=True)
    refused_at = models.DateTimeField(null=True)  # its tag is wrong, so it was not written by the application

    class Meta:
        db_table = "accounts_unsealed"


class PositionManager(models.Manager["Position"]):
    """Reads and moves consumers' positions."""

    def of(self, consumer: str, *, lock: bool = False) -> int:
        """Return how far a consumer has read, 0 for a new one. `lock` makes other workers wait until commit."""
        if not lock:
            found = self.filter(consumer=consumer).values_list("position", flat=True).first()
            return found or 0
        self.bulk_create([self.model(consumer=consumer)], ignore_conflicts=True)
        return self.select_for_update().get(consumer=consumer).position

    def free(self, consumer: str) -> int | None:
        """Lock the position of a consumer and return it, None while another worker holds it."""
        self.bulk_create([self.model(consumer=consumer)], ignore_conflicts=True)
        found = self.select_for_update(skip_locked=True).filter(consumer=consumer).first()
        return found.position if found is not None else None

    def unread(self, consumer: str) -> models.QuerySet["Seal"]:
        """Return the seals behind a consumer's position, in one question."""
        position = self.filter(consumer=consumer).values("position")
        return Seal.objects.filter(position__gt=Coalesce(models.Subquery(position), 0))

    def advance(self, consumer: str, *, to: int) -> None:
        """Move a consumer forward; never back."""
        self.filter(consumer=consumer, position__lt=to).update(position=to)


class Position(models.Model):
    """How far one consumer of the log has read."""

    consumer = models.CharField(primary_key=True, max_length=60)
    position = models.BigIntegerField(default=0)

    objects = PositionManager()
