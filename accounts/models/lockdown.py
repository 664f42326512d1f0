"""Lockdowns: when everything but reading was closed, by whom and why. The act is in `cms_project.lockdown`."""

from typing import Final

from django.db import models
from django.db.models import F, Q
from django.db.models.lookups import IsNull
from django.utils import timezone

from accounts.ids import uuid7

# The name under which an open lockdown stands among the generations, which are read with every credential anyway.
LOCKDOWN: Final = "lockdown"


class LockdownManager(models.Manager["Lockdown"]):
    """Asks for the one that is on."""

    def current(self) -> "Lockdown | None":
        return self.filter(off_at__isnull=True).first()

    def is_on(self) -> bool:
        return self.filter(off_at__isnull=True).exists()


class Lockdown(models.Model):
    """One time of being locked down. The application may add one; only the owner of the tables may end it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    on_at = models.DateTimeField(default=timezone.now)
    on_by = models.CharField(max_length=320)
    reason = models.CharField(max_length=500)
    off_at = models.DateTimeField(null=True)
    off_by = models.CharField(max_length=320, blank=True, default="")
    off_reason = models.CharField(max_length=500, blank=True, default="")

    objects = LockdownManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                IsNull(F("off_at"), True),
                condition=Q(off_at__isnull=True),
                name="at most one lockdown is on",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="a lockdown has a reason"),
            models.CheckConstraint(
                condition=Q(off_at__isnull=True, off_by="", off_reason="")
                | (Q(off_at__isnull=False) & ~Q(off_by="") & ~Q(off_reason="")),
                name="who ends a lockdown says so and why",
            ),
        ]

    def __str__(self) -> str:
        return f"since {self.on_at:%-d %B %Y, %H:%M} UTC"
