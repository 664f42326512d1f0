"""Preview sites: frontends that may show drafts, and where an editor's browser is sent on them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.ids import uuid7
from previews.models.signing_key import Algorithm

SHORTEST, DEFAULT, LONGEST = 60, 900, 1800  # seconds that a preview lives


class PreviewSite(models.Model):
    """A frontend. Its id is the `aud` of tokens; its client secret is kept as a hash only."""

    class State(models.TextChoices):
        ACTIVE = "active"
        DISABLED = "disabled"

    class ResponseMode(models.TextChoices):
        """How the one-time code reaches the site (OAuth 2.0 Form Post Response Mode)."""

        QUERY = "query", "in the address, once"
        FORM_POST = "form_post", "in the body of a form, nothing in the address"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, unique=True)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    origins = models.JSONField()  # exact ones: scheme, host, port
    algorithm = models.CharField(max_length=5, choices=Algorithm, default=Algorithm.EDDSA)
    ttl_seconds = models.PositiveIntegerField(default=DEFAULT)
    max_ttl_seconds = models.PositiveIntegerField(default=LONGEST)
    response_mode = models.CharField(max_length=9, choices=ResponseMode, default=ResponseMode.QUERY)
    is_embeddable = models.BooleanField(default=True)
    cdn_origin = models.CharField(max_length=300, blank=True, default="")  # asked by the leak probe as well
    secret_hash = models.CharField(max_length=64)  # SHA-256 in hex: the secret has 256 random bits
    previous_secret_hash = models.CharField(max_length=64, blank=True, default="")
    previous_valid_until = models.DateTimeField(null=True, blank=True)
    secret_rotated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    last_used_at = models.DateTimeField(null=True, blank=True)
    probe = models.JSONField(null=True, blank=True)  # what the last leak probe found
    probed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "preview site"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ttl_seconds__gte=SHORTEST, ttl_seconds__lte=F("max_ttl_seconds")),
                name="a preview lives a minute at least and as its site allows",
            ),
            models.CheckConstraint(
                condition=Q(max_ttl_seconds__lte=LONGEST), name="a preview lives half an hour at most"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.state == PreviewSite.State.ACTIVE


class HandoffUrl(models.Model):
    """Where entries of a collection are previewed on a site, in one locale or (`""`) in every other.

    `url` holds fields as `{<field id>}`, so that a renamed field keeps its place; people read and write their keys.
    """

    site = models.ForeignKey(PreviewSite, on_delete=models.CASCADE, related_name="handoff_urls")
    collection = models.ForeignKey("content.Collection", on_delete=models.CASCADE, related_name="+")
    locale = models.CharField(max_length=24, blank=True, default="")
    url = models.CharField(max_length=1000)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["site", "collection", "locale"], name="a collection is handed off in one way"
            )
        ]

    def __str__(self) -> str:
        return self.url
