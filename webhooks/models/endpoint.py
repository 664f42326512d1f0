"""Endpoints: addresses outside that hear of what happens, and the secrets that prove that it was us."""

import contextlib
import json
from datetime import datetime
from typing import ClassVar, Self
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import uuid7


class Scheme(models.TextChoices):
    """How deliveries are signed (Standard Webhooks 1.0.0)."""

    V1 = "v1", "v1 (HMAC-SHA256, a shared secret)"
    V1A = "v1a", "v1a (Ed25519, a public key)"


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    """Finds endpoints as people name them."""

    def named(self, text: str) -> "Endpoint | None":
        """Return the endpoint of an id or a name; one that is named like another's id is not taken for it."""
        rows = self.select_related("owner")
        with contextlib.suppress(ValueError):
            if (found := rows.filter(pk=UUID(text)).first()) is not None:
                return found
        return rows.filter(name=text.replace("\x00", "")).first()


class Endpoint(models.Model):
    """An address and what it hears of: never more than its owner may read when it is sent."""

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused"  # deliveries wait
        DISABLED = "disabled"  # deliveries are missed, until they are recovered

    class Because(models.TextChoices):
        """Why it was disabled."""

        ASKED = "asked", "somebody switched it off"
        GONE = "gone", "it answered 410 Gone"
        FAILING = "failing", "every attempt of five days failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    url = models.CharField(max_length=2048)
    types = ArrayField(models.CharField(max_length=40))
    collection_ids = ArrayField(models.UUIDField(), default=list, blank=True)  # empty: of every collection
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # What the API key could do that set it up: an endpoint is not to hear more than its maker may.
    scopes = models.JSONField(null=True, editable=False)
    algorithm = models.CharField(max_length=3, choices=Scheme, default=Scheme.V1)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    disabled_because = models.CharField(max_length=8, choices=Because, blank=True, default="")
    disabled_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    failing_since = models.DateTimeField(null=True)  # the first failure with no success after it
    held_until = models.DateTimeField(null=True)  # it asked for a pause by Retry-After
    recovered_to = models.BigIntegerField(
        null=True
    )  # up to this position of the log what was missed is queued
    recovers_to = models.BigIntegerField(null=True)  # None: nothing is being recovered
    ordered_to = models.BigIntegerField(
        null=True
    )  # up to this position what was recovered is sent one by one
    conformance = models.JSONField(null=True)  # what the receiver made of wrong signatures and the like

    objects = EndpointQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="disabled", disabled_at__isnull=False) & ~Q(disabled_because="")
                | ~Q(state="disabled") & Q(disabled_at=None, disabled_because=""),
                name="a_disabled_endpoint_says_why",
            ),
            models.CheckConstraint(
                condition=Q(recovers_to=None, recovered_to=None)
                | Q(recovers_to__isnull=False, recovered_to__isnull=False),
                name="a_recovery_knows_both_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.state == self.State.ACTIVE

    @property
    def listens_as(self) -> tuple[UUID, str]:
        """What is the same for endpoints that hear the same: the owner, and what cuts the owner's rights down."""
        return self.owner_id, json.dumps(self.scopes, sort_keys=True)


class EndpointSecretQuerySet(models.QuerySet["EndpointSecret"]):
    """Finds secrets by what they are good for."""

    def signing(self, now: datetime) -> Self:
        """Return those that deliveries are signed with, the newest first."""
        state = EndpointSecret.State
        lasting = Q(state=state.RETIRING, retires_at__gt=now)
        return self.filter(Q(state=state.ACTIVE) | lasting).order_by("-id")


class EndpointSecret(models.Model):
    """A secret of one endpoint, encrypted by the key ring and bound to this row; erased when it is over."""

    class State(models.TextChoices):
        ACTIVE = "active"
        RETIRING = "retiring"  # signs beside the new one until `retires_at`
        RETIRED = "retired"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="secrets")
    algorithm = models.CharField(max_length=3, choices=Scheme)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    private = models.TextField()
    public = models.CharField(max_length=64, blank=True, default="")  # "whpk_…" of an Ed25519 key
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    retires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    objects = EndpointSecretQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(state="active"), name="one_secret_of_an_endpoint_is_active"
            ),
            models.CheckConstraint(
                condition=Q(state="retired", private="") | ~Q(state="retired") & ~Q(private=""),
                name="a_secret_that_is_over_is_erased",
            ),
        ]

    def __str__(self) -> str:
        return f"secret {self.pk}"

    @property
    def context(self) -> str:
        """What the private half is bound to when it is encrypted."""
        return f"webhooks_endpointsecret:{self.pk}"
