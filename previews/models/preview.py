"""The register: a row for each preview that was handed out, to one person, of one entry, on one site."""

from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.ids import uuid7
from previews.models.site import PreviewSite


class PreviewQuerySet(models.QuerySet["Preview"]):
    """Ways to look at previews."""

    def visible_to(self, principal: Principal) -> Self:
        """Return one's own, for a key what it asked for itself; all of them for those who administer previews.

        A key that may do little lies on other people's servers: it neither learns nor ends what its owner does.
        """
        if principal.administers(Area.PREVIEWS):
            return self
        if principal.credential == "api-key":
            return self.filter(user_id=principal.user_id, api_key__public_id=principal.credential_id)
        return self.filter(user_id=principal.user_id) if principal.user_id else self.none()

    def live(self, now: datetime | None = None) -> Self:
        """Return those that neither expired nor were revoked, on a site that is on."""
        return self.filter(
            expires_at__gt=now or timezone.now(), revoked_at=None, site__state=PreviewSite.State.ACTIVE
        )


class Preview(models.Model):
    """A preview; its id is the `jti` of its token. Bound to the session, or to the API key, that asked for it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    site = models.ForeignKey(PreviewSite, on_delete=models.CASCADE, related_name="previews")
    entry = models.ForeignKey("content.Entry", on_delete=models.CASCADE, related_name="+")
    collection = models.ForeignKey("content.Collection", on_delete=models.CASCADE, related_name="+")
    locale = models.CharField(max_length=24)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="previews")
    session = models.ForeignKey("accounts.Session", on_delete=models.CASCADE, null=True, related_name="+")
    api_key = models.ForeignKey("accounts.ApiKey", on_delete=models.CASCADE, null=True, related_name="+")
    token_version = models.IntegerField()  # of the user, when it was minted: a new password ends it
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    code_hash = models.CharField(max_length=64, unique=True)  # SHA-256 in hex of 256 random bits
    code_expires_at = models.DateTimeField()
    exchanged_at = models.DateTimeField(null=True, blank=True)
    exchanged_from = models.CharField(max_length=45, blank=True, default="")
    opened_at = models.DateTimeField(null=True, blank=True)
    opened_from = models.CharField(max_length=45, blank=True, default="")
    opened_agent = models.CharField(max_length=200, blank=True, default="")
    open_count = models.PositiveIntegerField(default=0)
    last_opened_at = models.DateTimeField(null=True, blank=True)
    last_opened_from = models.CharField(max_length=45, blank=True, default="")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.CharField(max_length=20, blank=True, default="")

    objects = PreviewQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(session__isnull=False, api_key=None) | Q(session=None, api_key__isnull=False),
                name="a preview is bound to a session or to a key",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="preview_of_user"),
            models.Index(fields=["entry", "expires_at"], name="preview_of_entry"),
            models.Index(fields=["expires_at"], name="preview_by_end"),
        ]

    def __str__(self) -> str:
        return f"preview {self.pk}"

    @property
    def because(self) -> str:
        """Why it was revoked; a lockdown moves one column alone, since the table is closed by then."""
        return self.revoked_because or ("lockdown" if self.revoked_at is not None else "")

    @property
    def state(self) -> str:
        """What has become of it: minted, exchanged, opened, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at <= timezone.now():
            return "expired"
        if self.opened_at is not None:
            return "opened"
        return "exchanged" if self.exchanged_at is not None else "minted"
