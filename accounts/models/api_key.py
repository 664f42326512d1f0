"""API keys: what is kept of them. Their text, and what is done with them, is in `accounts.api_keys`."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.ids import uuid7

LONGEST_LIFE = timedelta(days=366)


class ApiKey(models.Model):
    """A key of a user or service account, whose rights cap it at use. The secret is kept as a hash only."""

    class State(models.TextChoices):
        ACTIVE = "active"
        RETIRING = "retiring"  # rotated: the former secret still works until `previous_valid_until`
        REVOKED = "revoked"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    public_id = models.CharField(max_length=12, unique=True)
    secret_hash = models.CharField(
        max_length=64
    )  # SHA-256 in hex: the secret has 256 random bits, so no slow hash
    previous_secret_hash = models.CharField(max_length=64, blank=True, default="")
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
    last_used_at = models.DateTimeField(null=True, blank=True)
    allowed_networks = models.JSONField(default=list, blank=True)  # CIDR texts; empty means from anywhere
    browser = models.BooleanField(default=False)

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__lte=F("created_at") + LONGEST_LIFE),
                name="keys live for a year at most",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["active", "retiring", "revoked"]),
                name="keys are active, retiring or revoked",
            ),
        ]

    def __str__(self) -> str:
        return self.name
