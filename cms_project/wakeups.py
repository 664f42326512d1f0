"""Whether a wake-up is too old, where the clock of a worker is wrong.

Wake-ups carry the time until which they are of use, by the clock of who sent them. A worker whose clock is ahead would
throw all of them away: nothing would be sealed or sent, and nobody told. So they are done, which is never wrong but for
the time that it takes, and the clock is told of.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from celery.worker.request import Request as CeleryRequest
from django.db import DatabaseError, connection

from webhooks.clock import watch

_CLOSE: Final = timedelta(seconds=1)  # clocks that differ by less agree


class Request(CeleryRequest):  # type: ignore[misc]
    """A wake-up that came to a worker."""

    def maybe_expire(self) -> bool:
        """Tell whether it is too old to be done. Late by a clock that is wrong is not late."""
        if self.expires is None or datetime.now(UTC if self.expires.tzinfo else None) <= self.expires:
            return False
        try:
            watch.look()
        except DatabaseError:
            return bool(super().maybe_expire())
        finally:
            if not connection.in_atomic_block:
                connection.close()  # this process starts those that work, and they would share it
        return abs(watch.skew) <= _CLOSE and bool(super().maybe_expire())
