"""The connection to Valkey of this process, for limits and for notes that may be lost."""

from functools import cache

import redis
from django.conf import settings

TIMEOUT_SECONDS = 0.5  # a store that hangs must not hang every request


@cache
def valkey() -> redis.Redis:
    """Return the client; it connects when first used, and again after a fork or a failure."""
    return redis.Redis.from_url(
        settings.VALKEY_URL, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
    )
