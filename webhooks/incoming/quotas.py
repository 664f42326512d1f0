"""How much comes in: by address before anything is looked at, by source once it is proven.

Strangers never touch the quota of a source. Their failures are counted by address, and so end soon; a source that has
proven itself from the same address lately is listened to all the same.
"""

import time
from typing import Final, TypeVar

from accounts import limits
from accounts.errors import TooManyRequestsError
from accounts.limits import Policy

K = TypeVar("K")
# A webhook that is not taken is sent again later, or lost: without Valkey they are taken.
ARRIVALS: Final = Policy("hooks", quota=1200, burst=400, fails_open=True)
FAILURES: Final = Policy("hook-failures", quota=60, fails_open=True)
OF_SOURCE: Final = Policy("hook-source", quota=1200, burst=400, fails_open=True)
_REMEMBERED_SECONDS: Final = 600
_MOST_REMEMBERED: Final = 10_000
_failing: dict[str, float] = {}  # networks that this process refused, and until when to look at them
_proven: dict[tuple[str, str], float] = {}  # (key of a source, network) → until when that counts


def require_few_failures(key: str, network: str) -> None:
    """Raise TooManyRequestsError for a network that failed too often, unless this source has just come from there."""
    now = time.monotonic()
    if _failing.get(network, 0.0) < now or _proven.get((key, network), 0.0) >= now:
        return
    state = limits.hit(FAILURES, f"address:{network}", is_counted=False)
    if state is not None and state.is_exceeded:
        raise TooManyRequestsError(retry_after=state.resets_in)


def count_failure(network: str) -> None:
    """Count a request that was not proven. Raises TooManyRequestsError when there were too many.

    Of a source that has just come from there too: else who shares its address could tell that it exists.
    """
    _remember(_failing, network, 2 * limits.WINDOW_SECONDS)
    state = limits.hit(FAILURES, f"address:{network}")
    if state is not None and state.is_exceeded:
        raise TooManyRequestsError(retry_after=state.resets_in)


def count_proven(key: str, source_id: object, network: str) -> None:
    """Count a request of a source that was proven. Raises TooManyRequestsError when there are too many."""
    _remember(_proven, (key, network), _REMEMBERED_SECONDS)
    state = limits.hit(OF_SOURCE, f"source:{source_id}")
    if state is not None and state.is_exceeded:
        raise TooManyRequestsError(retry_after=state.resets_in)


def forget() -> None:
    """Let this process know of nobody."""
    _failing.clear()
    _proven.clear()


def _remember(known: dict[K, float], name: K, seconds: float) -> None:
    if len(known) >= _MOST_REMEMBERED:
        known.clear()
    known[name] = time.monotonic() + seconds
