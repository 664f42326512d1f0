"""The connection to Valkey of this process, for limits and for notes that may be lost; and when not to try it."""

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Final, TypeVar

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

T = TypeVar("T")
TIMEOUT_SECONDS: Final = 0.5  # a store that hangs must not hang every request
REST_SECONDS: Final = 2.0  # after a failure nobody tries again for so long


@cache
def valkey() -> redis.Redis:
    """Return the client; it connects when first used, and again after a fork or a failure.

    One more try, for a connection that was closed while it lay idle, and none where time ran out; the library's own
    ten would take seconds.
    """
    return redis.Redis.from_url(
        settings.VALKEY_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


class Circuit:
    """Remembers that Valkey failed, so that not every request waits for the same timeout.

    While it rests every command fails at once; afterwards one request tries, and the others fail until it knows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._is_broken = False

    def call(self, command: Callable[[], T]) -> T:
        """Run a command on Valkey. Raises redis.RedisError as it does, at once while the circuit rests."""
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                raise redis.ConnectionError("Valkey failed a moment ago.")
            if self._is_broken:
                self._rests_until = now + REST_SECONDS  # this one tries, the others wait for what it finds
        try:
            answer = command()
        except (redis.ConnectionError, redis.TimeoutError):
            with self._lock:
                self._is_broken, self._rests_until = True, time.monotonic() + REST_SECONDS
            raise
        if self._is_broken:
            self.close()
        return answer

    def close(self) -> None:
        """Forget that anything failed."""
        with self._lock:
            self._is_broken, self._rests_until = False, 0.0


circuit: Final = Circuit()
