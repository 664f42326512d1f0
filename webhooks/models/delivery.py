"""Deliveries: one for each event and endpoint, and the attempts to make it. The truth of the queue is here."""

from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import uuid7
from webhooks.models.endpoint import Endpoint


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Ways to look at deliveries."""

    def waiting(self) -> Self:
        return self.filter(state=Delivery.State.WAITING)

    def about(self, subject_id: UUID) -> Self:
        return self.filter(subject_id=str(subject_id))


class Delivery(models.Model):
    """What one endpoint is told of one event; its id is the `webhook-id`, the same for all attempts."""

    class State(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        EXHAUSTED = "exhausted"  # every attempt failed
        WITHHELD = "withheld"  # the owner may not read it
        MISSED = "missed"  # the endpoint was disabled

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    # The event as the log has it. No foreign key: old events leave through an archive.
    event_id = models.UUIDField()
    position = models.BigIntegerField()  # its place in the log: 0 for a test
    type = models.CharField(max_length=80)
    occurred_at = models.DateTimeField()
    subject_type = models.CharField(max_length=40, blank=True, default="")
    subject_id = models.CharField(max_length=120, blank=True, default="")
    collection_id = models.UUIDField(null=True)
    locale = models.CharField(max_length=40, blank=True, default="")
    version = models.PositiveIntegerField(null=True)
    # The work.
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    next_attempt_at = models.DateTimeField(null=True, default=timezone.now)  # None: no more
    leased_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(
        default=0
    )  # grows with each lease: a late answer of an old one is no news
    attempt_count = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(default=0)  # since it was last asked for
    ended_at = models.DateTimeField(null=True)
    body = models.TextField(
        blank=True, default=""
    )  # as it was first sent, so that it is the same bytes again

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["event_id", "endpoint"], name="an_endpoint_is_told_of_an_event_once"
            ),
            models.CheckConstraint(
                condition=Q(state="waiting", next_attempt_at__isnull=False, ended_at=None)
                | ~Q(state="waiting") & Q(next_attempt_at=None, leased_until=None, ended_at__isnull=False),
                name="what_waits_knows_when_it_is_tried",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["endpoint", "next_attempt_at", "position"],
                condition=Q(state="waiting"),
                name="delivery_due",
            ),
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state="waiting", type="webhook.test"),
                name="delivery_test_due",
            ),
            models.Index(
                fields=["endpoint"], condition=Q(leased_until__isnull=False), name="delivery_in_flight"
            ),
            models.Index(fields=["endpoint", "-id"], name="delivery_of_endpoint"),
            models.Index(fields=["subject_id"], name="delivery_about"),
            models.Index(fields=["ended_at"], condition=Q(ended_at__isnull=False), name="delivery_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.pk}"

    def take_again(self, now: datetime) -> None:
        """Put it back into the queue, unsaved, with all its attempts before it."""
        self.state, self.next_attempt_at = self.State.WAITING, now
        self.ended_at = self.leased_until = None
        self.tries = 0
        self.fence += 1  # what is still on the wire of before decides nothing any more

    def end(self, state: "Delivery.State", now: datetime) -> None:
        """Take it out of the queue, unsaved."""
        self.state, self.ended_at = state, now
        self.next_attempt_at = self.leased_until = None


class Attempt(models.Model):
    """One request: what was sent (its signature masked) and what came back, cut and masked."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts")
    # Without a constraint: its lock, taken while a delivery is locked, would wait for who disables the endpoint.
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField(null=True)  # until the answer; None where none came
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=20, blank=True, default="")  # a code of `webhooks.outcomes`
    is_success = models.BooleanField()
    request_headers = models.JSONField(default=dict)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True, default="")

    class Meta:
        indexes: ClassVar = [models.Index(fields=["endpoint", "at"], name="attempt_by_time")]

    def __str__(self) -> str:
        return f"attempt {self.number}"
