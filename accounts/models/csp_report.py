"""What browsers reported of pages of ours: one row for each kind of violation, however often it came."""

from typing import ClassVar

from django.db import models
from django.utils import timezone

MOST_ROWS = 1_000
LONGEST_TEXT = 300


class CspReport(models.Model):
    """One violation of the Content Security Policy: what was blocked, where. Without queries and credentials."""

    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the four texts
    directive = models.CharField(max_length=40)
    blocked = models.CharField(max_length=LONGEST_TEXT)  # an origin, or `inline`, `eval`, `data` and the like
    document = models.CharField(max_length=LONGEST_TEXT)  # a path of ours, ids taken out
    source = models.CharField(max_length=LONGEST_TEXT, blank=True, default="")  # the script that did it
    count = models.PositiveBigIntegerField(default=1)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "CSP report"
        indexes: ClassVar = [models.Index(fields=["last_seen_at", "id"], name="csp_report_last_seen")]

    def __str__(self) -> str:
        return f"{self.directive}: {self.blocked}"
