"""Which answers a cache in front of us may keep, told from the generations that a request reads anyway."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from django.utils import timezone

TOLD: Final = "caches"  # the generation that moves while every cache hears of what changes
PURGES: Final = "purges"  # the one that moves behind each change that caches are told of, before they are
FRESH: Final = timedelta(seconds=5)  # so long after the caches were last told answers may be kept
AHEAD: Final = timedelta(seconds=2)  # of another host's clock
# Counted from here in microseconds, a generation is a number of at most 15 digits until 2056: what a VCL can compare.
_SINCE: Final = 1_735_689_600_000_000  # 2025-01-01


def may_be_kept(generations: Mapping[str, int]) -> bool:
    """Tell whether caches hear of changes: every one of them did within the last seconds, and this database knows.

    A replica that lags behind knows it later, so what it answers is not kept.
    """
    age = timezone.now() - moment(generations.get(TOLD, 0))
    return -AHEAD <= age <= FRESH


def as_of(generations: Mapping[str, int]) -> int:
    """Return how new what is read after these generations is at least, as a number that only grows.

    Not by the generations of what changed: those get their values before they are committed, so who knows a newer one
    need not know an older one yet.
    """
    return max(0, generations.get(PURGES, 0) - _SINCE)


def moment(generation: int) -> datetime:
    """Return when a generation was made."""
    return datetime.fromtimestamp(generation / 1_000_000, tz=UTC)
