"""Sessions: one row for each sign-in, in the admin or by API, that can be seen and ended."""

from datetime import datetime, timedelta
from typing import Final, Protocol, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.ids import uuid7
from accounts.models.role import Demands, Strength

LIVES: Final = {"admin": timedelta(hours=12), "api": timedelta(days=14)}
IDLES: Final = {"admin": timedelta(hours=2), "api": timedelta(days=7)}


class Sitting(Protocol):
    """What of a session decides whether it goes on: its row, or the view that tokens are checked against."""

    kind: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    strength: int


def goes_on(sitting: Sitting, demands: Demands, now: datetime) -> bool:
    """Tell whether a session still counts under what the roles of its person ask for now.

    Asked on every use: a role that asks for more than a session has, or for shorter ones, ends it at the next request.
    """
    return (
        sitting.ended_at is None
        and now < sitting.expires_at
        and now < sitting.created_at + demands.life(LIVES[sitting.kind])
        and now < sitting.last_seen_at + demands.idle(IDLES[sitting.kind])
        and sitting.strength >= demands.strength
    )


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
    strength = models.PositiveSmallIntegerField(
        choices=[(item.value, item.name) for item in Strength], default=0
    )
    verified_at = models.DateTimeField(null=True, blank=True)  # when a second factor was last given
    confirmed_at = models.DateTimeField(default=timezone.now)  # when a factor or the password was last given
    reason = models.CharField(max_length=200, blank=True, default="")  # why it was given again

    objects = SessionQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["user", "ended_at"], name="session_user_ended")]

    def __str__(self) -> str:
        return f"since {self.created_at:%-d %B %Y, %H:%M}"
