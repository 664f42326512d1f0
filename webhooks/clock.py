"""Whether the clock of this process is right: receivers refuse what is signed five minutes from now (threats W10).

The database's clock is what it is compared with: all processes have the same one. An event an hour at most tells of
it, and the alert `clock-skewed` of that.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.access import system
from accounts.log import record
from accounts.models.event import Event

logger = logging.getLogger("quillkeep.webhooks")

SKEWED: Final = "clock.skewed"
MOST: Final = timedelta(seconds=60)
EVERY: Final = 60.0  # seconds between two looks of a process
_QUIET: Final = timedelta(hours=1)
_LOCK_ID: Final = 0x71_6B_63_6C_6B  # "qkclk": one process at a time looks whether it was told already


class Watch:
    """When this process looked last, and by how much its clock was ahead then."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self.skew = timedelta(0)

    def look(self) -> None:
        """Compare the clocks, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._looked_at < EVERY:
            return
        self._looked_at = now
        self.skew = skew()
        if abs(self.skew) <= MOST:
            return
        seconds = self.skew.total_seconds()
        logger.error(
            "The clock of this process is %+.0f seconds from the database's: receivers may refuse what it signs.",
            seconds,
            extra={"alert": SKEWED},
        )
        _tell(int(seconds))


watch: Final = Watch()


def skew() -> timedelta:
    """Return by how much the clock of this process is ahead of the database's; below zero when it is behind."""
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
    return before + (timezone.now() - before) / 2 - theirs


@transaction.atomic
def _tell(seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_ID])
    now = timezone.now()
    # By either clock: the last one may have been told by a process whose clock is right.
    lately = Event.objects.filter(type=SKEWED, at__gt=now - _QUIET, at__lt=now + _QUIET)
    if not lately.exists():
        record(SKEWED, actor=system("clock"), subject=None, detail={"seconds": seconds})
