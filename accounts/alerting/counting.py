"""How many alerts are open: shown on every page of the admin, so kept in Valkey for some seconds."""

import contextlib
from typing import Final, cast

import redis

from accounts.models.alert import Alert
from accounts.valkey import valkey

_KEY: Final = "quillkeep:open-alerts"
_SECONDS: Final = 10


def open_count() -> int:
    """Return how many alerts are open, from the table where Valkey doesn't know."""
    with contextlib.suppress(redis.RedisError):
        known = cast("bytes | None", valkey().get(_KEY))
        if known is not None:
            return int(known)
    number = Alert.objects.open().count()
    with contextlib.suppress(redis.RedisError):
        valkey().set(_KEY, number, ex=_SECONDS)
    return number


def forget() -> None:
    """Have them counted anew, after the commit of what changes the number."""
    with contextlib.suppress(redis.RedisError):
        valkey().delete(_KEY)
