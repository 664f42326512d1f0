"""Which environment a database is of: a process of another one does not start on it."""

from typing import Final

from django.db import models
from django.db.models import Q
from django.utils import timezone

ONLY: Final = 1  # the id of the one row


class Installation(models.Model):
    """One row, written by the owner of the tables alone: by `migrate` once, and when a copy is adopted."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY)
    environment = models.CharField(max_length=20)
    since = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=ONLY), name="there_is_one_installation")]
