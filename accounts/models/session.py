"""Sessions: one row for each sign-in, in the admin or by API, that can be seen and ended."""

from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.ids import uuid7


class SessionQuerySet(models.QuerySet["Session"]):
    """Ways to look at sessions."""

    def live(self) -> Self:
        return self.filter(ended_at__isnull=True, expires_at__gt=timezone.now())


class Session(models.Model):
    """A sign-in. Its id is the `sid` of tokens; ending it kills them all at once."""

    class Kind(models.TextChoices):
        ADMIN = "admin"
        API = "api"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sessions")
    kind = models.CharField(max_length=10, choices=Kind)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()  # the absolute end: no refresh moves it
    address = models.CharField(max_length=45, blank=True, default="")
    agent = models.CharField(max_length=200, blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    refresh_jti = models.UUIDField(
        null=True, blank=True
    )  # the one refresh token that works; another one is a theft
    verified_at = models.DateTimeField(null=True, blank=True)  # when a second factor was given

    objects = SessionQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["user", "ended_at"], name="session_user_ended")]

    def __str__(self) -> str:
        return f"since {self.created_at:%-d %B %Y, %H:%M}"
