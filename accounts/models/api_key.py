"""API keys: what is kept of them. Their text, and what is done with them, is in `accounts.keys.api_keys`."""

from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from accounts.ids import uuid7

LONGEST_LIFE = timedelta(days=366)
MOST_REQUESTS = 1_000_000  # a minute


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Finds keys by what has become of them."""

    def usable(self) -> Self:
        """Return those that work now, as far as they themselves are concerned."""
        return self.filter(
            state__in=(ApiKey.State.ACTIVE, ApiKey.State.RETIRING), expires_at__gt=timezone.now()
        )

    def idle_for(self, life: timedelta) -> Self:
        """Return those that were neither used, nor made, nor enabled for so long."""
        last = Greatest("created_at", "last_used_at", "enabled_at")  # passes over NULL
        return self.filter(Q(pk__in=self.annotate(seen_at=last).filter(seen_at__lte=timezone.now() - life)))


class ApiKey(models.Model):
    """A key of a user or service account, whose rights cap it at use. The secret is kept as a hash only."""

    class State(models.TextChoices):
        ACTIVE = "active"
        RETIRING = "retiring"  # rotated: the former secret still works until `previous_valid_until`
        DISABLED = "disabled"  # by somebody, or because nobody used it; can be enabled again
        REVOKED = "revoked"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    public_id = models.CharField(max_length=12, unique=True)
    secret_hash = models.CharField(
        max_length=64
    )  # SHA-256 in hex: the secret has 256 random bits, so no slow hash
    previous_secret_hash = models.CharField(max_length=64, blank=True, default="")
    # Kept when its time is over, so that whoever still sends it is told so, and noticed.
    previous_valid_until = models.DateTimeField(null=True, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_keys")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    name = models.CharField(max_length=150)
    scopes = models.JSONField()  # {"actions": [[collection id or "*", action], …], "areas": [area, …]}
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    enabled_at = models.DateTimeField(null=True, blank=True)
    allowed_networks = models.JSONField(default=list, blank=True)  # CIDR texts; empty means from anywhere
    browser = models.BooleanField(default=False)
    rate_limit = models.PositiveIntegerField(
        null=True, blank=True
    )  # requests a minute; None: as role or house

    # What `accounts.keys.usage` writes down, a minute later than it happened.
    use_count = models.BigIntegerField(default=0)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_address = models.CharField(max_length=45, blank=True, default="")
    # Since the rotation: calls with the new secret, with the old one, and with the old one in vain.
    new_used_at = models.DateTimeField(null=True, blank=True)
    old_use_count = models.BigIntegerField(default=0)
    old_used_at = models.DateTimeField(null=True, blank=True)
    old_address = models.CharField(max_length=45, blank=True, default="")
    old_refused_count = models.BigIntegerField(default=0)
    old_refused_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["ApiKey"]] = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__lte=F("created_at") + LONGEST_LIFE),
                name="keys live for a year at most",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["active", "retiring", "disabled", "revoked"]),
                name="keys are active, retiring, disabled or revoked",
            ),
            models.CheckConstraint(
                condition=Q(rate_limit__isnull=True) | Q(rate_limit__range=(1, MOST_REQUESTS)),
                name="a key lets through 1 to 1000000 requests a minute",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def idle_since(self) -> datetime:
        """Since when nothing happened with it."""
        return max(moment for moment in (self.created_at, self.last_used_at, self.enabled_at) if moment)

    @property
    def is_expired(self) -> bool:
        return timezone.now() >= self.expires_at


class ScopeUse(models.Model):
    """That a key used a scope: `<collection id>:<action>` or `admin:<area>`, and when last."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="scope_uses")
    scope = models.CharField(max_length=100)
    last_used_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key", "scope"], name="a key has one line for each scope it used"
            ),
        ]

    def __str__(self) -> str:
        return self.scope
