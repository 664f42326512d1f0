"""Signing keys of preview tokens: what is kept of them. What is done with them is in `previews.signing`."""

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.ids import uuid7


class Algorithm(models.TextChoices):
    """How tokens are signed (RFC 7518, RFC 8037); a key has one of them, for good."""

    EDDSA = "EdDSA", "EdDSA (Ed25519)"
    ES256 = "ES256", "ES256 (ECDSA, P-256)"
    RS256 = "RS256", "RS256 (RSA, 3072 bits)"
    HS256 = "HS256", "HS256 (a secret shared with the site)"


class SigningKeyQuerySet(models.QuerySet["SigningKey"]):
    """Finds keys by what they are good for."""

    def verifying(self, now: datetime) -> Self:
        """Return those whose signature counts: pending ones too, since another process may have begun to sign."""
        state = SigningKey.State
        lasting = Q(state=state.RETIRING, retires_at__gt=now)
        return self.filter(Q(state__in=(state.PENDING, state.ACTIVE)) | lasting)

    def published(self, now: datetime) -> Self:
        """Return those of the JWKS: never a shared secret."""
        return self.verifying(now).filter(site=None).order_by("created_at", "pk")


class SigningKey(models.Model):
    """A key; its id is the `kid` of tokens. The private half is encrypted, and erased when the key is over."""

    class State(models.TextChoices):
        PENDING = "pending"  # published, so that caches of the JWKS know it before it signs
        ACTIVE = "active"  # signs
        RETIRING = "retiring"  # verifies until `retires_at`
        RETIRED = "retired"
        REVOKED = "revoked"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    algorithm = models.CharField(max_length=5, choices=Algorithm)
    site = models.ForeignKey(
        "previews.PreviewSite", on_delete=models.CASCADE, null=True, related_name="shared_secrets"
    )
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    public = models.JSONField(null=True)  # a JWK (RFC 7517); None for a shared secret
    private = models.TextField(blank=True, default="")  # encrypted by the key ring; "" once it is over
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    activates_at = models.DateTimeField(null=True)  # of a shared secret that the site was told beforehand
    activated_at = models.DateTimeField(null=True)
    retires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["algorithm", "site"],
                condition=Q(state="active"),
                nulls_distinct=False,
                name="one key of an algorithm signs",
            ),
            models.UniqueConstraint(
                fields=["algorithm", "site"],
                condition=Q(state="pending"),
                nulls_distinct=False,
                name="one key of an algorithm waits",
            ),
            models.CheckConstraint(
                condition=Q(algorithm="HS256", site__isnull=False, public=None)
                | (~Q(algorithm="HS256") & Q(site=None, public__isnull=False)),
                name="shared secrets belong to a site and have no public half",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["retired", "revoked"], private="")
                | (~Q(state__in=["retired", "revoked"]) & ~Q(private="")),
                name="a key that is over has no private half",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.pk}"

    @property
    def context(self) -> str:
        """What the private half is bound to when it is encrypted."""
        return f"previews_signingkey:{self.pk}"
