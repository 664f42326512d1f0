"""Says that Valkey is gone and when it is back: a line in the log now and then, one event at each end of an outage."""

import logging
import threading
import time
from datetime import timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils import timezone

from accounts.access import system
from accounts.log import Subject, record
from accounts.models.event import Event

logger = logging.getLogger("quillkeep.limits")

GONE: Final = "limits.unavailable"
BACK: Final = "limits.available"
EVERY_SECONDS: Final = 30.0  # a process says it so often while it lasts
# Whoever knew of an outage may be gone before it is over, and then nobody tells its end; the next one must be told.
TOLD_FOR: Final = timedelta(hours=1)
_STORE: Final = Subject("store", "valkey")
_LOCK_ID: Final = 0x71_6B_6C_69_6D  # "qklim": one process at a time looks whether it was told already


class Outage:
    """What this process knows of an outage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told_at = float("-inf")
        self.is_on = False

    def note(self, error: Exception) -> None:
        """Say that limits can't be counted, unless it was said a moment ago."""
        with self._lock:
            now = time.monotonic()
            began, self.is_on = not self.is_on, True
            if not began and now - self._told_at < EVERY_SECONDS:
                return
            self._told_at = now
        logger.error(
            "Limits can't be counted (%s): requests pass, sign-in is closed.",
            type(error).__name__,
            extra={"alert": GONE},
        )
        if began:
            _tell(GONE)

    def end(self) -> None:
        """Say that they are counted again."""
        if self.is_on and self._is_over():  # as always it is not: nobody waits for a lock then
            self._tell_end()

    def _is_over(self) -> bool:
        """Switch off; True for one thread only."""
        with self._lock:
            was_on, self.is_on = self.is_on, False
        return was_on

    @staticmethod
    def _tell_end() -> None:
        logger.warning("Limits are counted again.", extra={"alert": BACK})
        _tell(BACK)


outage: Final = Outage()


def is_ongoing() -> bool:
    """Tell whether the log knows of an outage that is not over."""
    last = _last_told()
    return last is not None and last.type == GONE


def _last_told() -> Event | None:
    return Event.objects.filter(type__in=(GONE, BACK)).order_by("-at").first()


def _is_told(type_: str) -> bool:
    last = _last_told()
    if last is None:
        return type_ == BACK
    return last.type == type_ and (type_ == BACK or timezone.now() - last.at < TOLD_FOR)


def _tell(type_: str) -> None:
    """Record one end of the outage, once for all processes. Where nothing can be written the line has to do."""
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_ID])
            if not _is_told(type_):
                record(type_, actor=system("limits"), subject=_STORE)
    except (DatabaseError, InterfaceError):  # a process of the delivery plane may write nothing
        logger.warning("The outage could not be written to the log of the house.")
