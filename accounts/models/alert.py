"""Alerts: what rules found in the log, what they have counted so far, and from where API keys are used."""

from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import uuid7
from accounts.models.api_key import ApiKey
from accounts.models.event import Event

LONGEST_GROUP = 200
LONGEST_SENTENCE = 400
LONGEST_NOTE = 500
FIRST_KEPT, LAST_KEPT = 5, 15  # of the positions of an alert's events


class Severity(models.IntegerChoices):
    """How soon somebody should look."""

    NOTICE = 1, "Notice"
    WARNING = 2, "Warning"
    CRITICAL = 3, "Critical"

    @property
    def word(self) -> str:
        """The severity as the API and the log spell it."""
        return self.name.lower()


class AlertQuerySet(models.QuerySet["Alert"]):
    """Ways to look at alerts."""

    def open(self) -> Self:
        return self.filter(acknowledged_at__isnull=True)

    def acknowledged(self) -> Self:
        return self.filter(acknowledged_at__isnull=False)

    def pressing(self) -> Self:
        """Return them as people look at them: open ones first, of these the most severe, then the newest."""
        is_open = Q(acknowledged_at__isnull=True)
        weight = models.Case(models.When(is_open, then=models.F("severity")), default=0)
        return self.order_by(weight.desc(), "-last_at", "-pk")


class Alert(models.Model):
    """What one rule found about one group of events. It takes more of the same in until somebody acknowledges it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.CharField(max_length=60)
    group = models.CharField(max_length=LONGEST_GROUP)
    severity = models.PositiveSmallIntegerField(choices=Severity)
    sentence = models.CharField(max_length=LONGEST_SENTENCE)
    subject_type = models.CharField(max_length=40, blank=True, default="")
    subject_id = models.CharField(max_length=120, blank=True, default="")
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=320, blank=True, default="")
    address = models.CharField(max_length=45, blank=True, default="")
    count = models.PositiveBigIntegerField(default=0)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    last_position = models.BigIntegerField()  # events up to here are counted: a repeat changes nothing
    positions = models.JSONField(default=list)  # of some of its events: the first ones and the last ones
    told_at = models.DateTimeField(null=True)
    told_count = models.PositiveBigIntegerField(default=0)
    told_severity = models.PositiveSmallIntegerField(default=0)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    note = models.CharField(max_length=LONGEST_NOTE, blank=True, default="")

    objects = AlertQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "group"],
                condition=Q(acknowledged_at__isnull=True),
                name="a rule has one open alert for a group",
            ),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="an alert has a known severity"),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["rule", "group", "last_position"], name="alert_rule_group"),
            models.Index(fields=["-last_at"], name="alert_last_at"),
        ]

    def __str__(self) -> str:
        return self.sentence

    @property
    def is_open(self) -> bool:
        return self.acknowledged_at is None

    @property
    def spans_minutes(self) -> bool:
        """Tell whether its first and last times look different to people."""
        return (self.last_at - self.first_at).total_seconds() >= 60

    def events(self) -> list[Event]:
        """Return the events that are kept as a sample, in their order; those that were archived are missing."""
        return list(Event.objects.sealed().filter(seal__position__in=self.positions))

    def take(self, *, count: int, at: datetime, positions: list[int]) -> None:
        """Count more events, the last of them at this time."""
        self.count += count
        self.last_at = max(self.last_at, at)
        known = [*self.positions, *(position for position in positions if position not in self.positions)]
        self.positions = (
            known if len(known) <= FIRST_KEPT + LAST_KEPT else known[:FIRST_KEPT] + known[-LAST_KEPT:]
        )


class Tally(models.Model):
    """What a rule with a threshold has counted of one group lately, in a few slices of its window."""

    SLICES: ClassVar[int] = 15
    KEPT: ClassVar[int] = 10  # positions, to be shown once the threshold is reached

    rule = models.CharField(max_length=60)
    group = models.CharField(max_length=LONGEST_GROUP)
    slices: Any = models.JSONField(default=dict)  # {start of the slice in seconds: count}
    positions: Any = models.JSONField(default=list)
    first_at = models.DateTimeField()
    last_position = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rule", "group"], name="a rule has one tally of a group")
        ]
        indexes = [models.Index(fields=["expires_at"], name="tally_expires_at")]


class KeyPlace(models.Model):
    """A network that an API key was used from."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="places")
    network = models.CharField(max_length=43)  # a /24, a /48, or "private"
    country = models.CharField(max_length=2, blank=True, default="")
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "network"], name="a key has a network once")]
