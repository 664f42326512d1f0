"""When a failed delivery is tried again (Standard Webhooks 1.0.0, "Retries")."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_SECOND, _MINUTE, _HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
# The pause before each attempt; what is not delivered by the last one is exhausted.
SCHEDULE: Final = (
    timedelta(0),
    5 * _SECOND,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
JITTER: Final = 0.1  # of the pause, both ways: what failed together shall not come back together
LONGEST_HOLD: Final = timedelta(hours=24)  # that a receiver can ask for
FAILS_FOR: Final = timedelta(days=5)  # then the endpoint is disabled
_MOST_DIGITS: Final = 9


def pause_after(tries: int) -> timedelta | None:
    """Return how long to wait after that many failed tries, with jitter; None when it was the last one."""
    if tries >= len(SCHEDULE):
        return None
    return SCHEDULE[tries] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (nobody gains by guessing it)


def asked_pause(text: str | None, now: datetime) -> timedelta | None:
    """Return what a `Retry-After` asks for (RFC 9110, section 10.2.3), bounded; None for none or nonsense."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdecimal():
        seconds = int(text) if len(text) <= _MOST_DIGITS else LONGEST_HOLD.total_seconds()
        return min(timedelta(seconds=seconds), LONGEST_HOLD)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), LONGEST_HOLD)
