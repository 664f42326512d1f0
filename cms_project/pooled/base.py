"""Connections from a pool that refuses at once while there are none: who waits holds one of few turns (`bodies`)."""

import time
from typing import Any, Final

from django.db.backends.postgresql import base
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

# Twice as many as are worked on at a time: streamed exports keep theirs for longer. So nobody waits for one but while
# it is opened, and a refusal comes within two seconds. `reconnect_timeout`: an attempt that fails is put off for twice
# as long each time, and no other is made meanwhile; given up at once, the next request makes a new one, instead of
# being refused for as long again as the database was away.
POOL: Final = {"min_size": 1, "max_size": 16, "timeout": 1.0, "reconnect_timeout": 1, "max_lifetime": 1800}
REFUSED_SECONDS: Final = 1.0  # after somebody has waited in vain

_refused_until: dict[str, float] = {}  # by alias


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Take one out of the pool. Raises OperationalError, without waiting when another has just waited in vain."""
        if time.monotonic() < _refused_until.get(self.alias, 0.0):
            raise OperationalError("There was no connection a moment ago.")
        try:
            return super().get_new_connection(conn_params)
        except PoolTimeout:
            _refused_until[self.alias] = time.monotonic() + REFUSED_SECONDS
            raise
