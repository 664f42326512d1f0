"""Sources: who may send us webhooks, with which secrets, and the receipts of what they sent."""

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import uuid7

LONGEST_ID = 200
MOST_TRIES = 5


class Scheme(models.TextChoices):
    """How a source proves that it sent a request."""

    STANDARD = "standard", "Standard Webhooks"
    GITHUB = "github", "GitHub"
    STRIPE = "stripe", "Stripe"
    SLACK = "slack", "Slack"
    HMAC = "hmac", "HMAC of your own"


class Source(models.Model):
    """Somebody who may send us webhooks, and what is done with them.

    `action` names collections and fields by id, so that a renamed field keeps its place; people read and write keys.
    """

    class State(models.TextChoices):
        ACTIVE = "active"
        DISABLED = "disabled"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(max_length=41, unique=True, db_collation="C")  # stands in the address
    scheme = models.CharField(max_length=8, choices=Scheme)
    options = models.JSONField(default=dict)  # as the scheme reads them
    schema = models.JSONField(null=True, blank=True)  # a JSON Schema that payloads are inspected by
    action = models.JSONField()
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    changed_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(key__regex=r"^[a-z][a-z0-9_]{0,40}$"), name="a source has a key of the house"
            ),
            models.CheckConstraint(
                condition=Q(action__do="record") | Q(account__isnull=False),
                name="what a source does is done as somebody",
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def is_active(self) -> bool:
        return self.state == Source.State.ACTIVE


class SourceSecretQuerySet(models.QuerySet["SourceSecret"]):
    """Finds secrets by what they are good for."""

    def verifying(self, now: datetime) -> Self:
        """Return those whose signatures count: the active one, and during an overlap the one before."""
        state = SourceSecret.State
        return self.filter(Q(state=state.ACTIVE) | Q(state=state.RETIRING, retires_at__gt=now))


class SourceSecret(models.Model):
    """A secret that a source signs with, or its public key. Encrypted, and erased when it is over."""

    class State(models.TextChoices):
        ACTIVE = "active"
        RETIRING = "retiring"  # verifies until `retires_at`
        RETIRED = "retired"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="secrets")
    secret = models.TextField(blank=True, default="")  # encrypted by the key ring; "" once it is over
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = SourceSecretQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(state="active"), name="one secret of a source is active"
            ),
            models.UniqueConstraint(
                fields=["source"], condition=Q(state="retiring"), name="one secret of a source is retiring"
            ),
            models.CheckConstraint(
                condition=Q(state="retired", secret="") | (~Q(state="retired") & ~Q(secret="")),
                name="a secret of a source that is over is erased",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.pk}"

    @property
    def context(self) -> str:
        """What the secret is bound to when it is encrypted."""
        return f"webhooks_sourcesecret:{self.pk}"


class ReceiptQuerySet(models.QuerySet["Receipt"]):
    """Finds receipts by what is to be done with them."""

    def due(self, now: datetime) -> Self:
        """Return those that wait, and whose next try is due."""
        return self.filter(state=Receipt.State.WAITING, next_at__lte=now)


class Receipt(models.Model):
    """One message that a source has proven to be its own, once: its id is remembered longer than it could be replayed.

    The row is the truth of whether it was acted on; a task is only a wake-up. `attempts` counts the tries, and is the
    fence: only the newest try may finish. `next_at` is when the next one may begin, and so is its lease.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="receipts")
    message_id = models.CharField(max_length=LONGEST_ID, db_collation="C")
    sha256 = models.CharField(max_length=64)  # of the body; of another one with the same id we want to know
    size = models.PositiveIntegerField()  # bytes
    at = models.DateTimeField(default=timezone.now)
    is_dated = models.BooleanField()  # whether its time was signed: if not, it is remembered for good
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=60, blank=True, default="")  # the code of what went wrong
    said = models.CharField(max_length=300, blank=True, default="")  # the same for people
    problems = models.JSONField(default=list)  # [{"pointer", "code"}], never a value
    attempts = models.PositiveIntegerField(default=0)
    most_attempts = models.PositiveIntegerField(
        default=MOST_TRIES
    )  # more after somebody asked for another try
    next_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True)
    entry_id = models.UUIDField(null=True)  # what it was about, or made
    body = models.TextField(blank=True, default="")  # encrypted by the key ring; "" once it is erased

    objects = ReceiptQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "message_id"], name="a message of a source is received once"
            ),
            models.CheckConstraint(
                condition=~Q(state="waiting") | ~Q(body=""), name="a receipt that waits still has its body"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="receipt_waits_until"),
            models.Index(fields=["at"], condition=~Q(body=""), name="receipt_body_is_from"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def context(self) -> str:
        """What the body is bound to when it is encrypted."""
        return f"webhooks_receipt:{self.pk}"
