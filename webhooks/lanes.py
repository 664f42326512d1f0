"""How many deliveries of an endpoint may be on the wire at once: more while it is quick, one when it is not."""

from typing import Final
from uuid import UUID

from webhooks.leasing import Room
from webhooks.outcomes import Outcome

START: Final = 4
MOST: Final = 16
SLOW_MILLISECONDS: Final = 2_000
THREADS: Final = 64
SLOW_THREADS: Final = 24  # of them; the others are for endpoints that answered quickly the last time


class Lanes:
    """What this process has seen of endpoints. One that failed, or took long, is in the slow lane until it is quick."""

    def __init__(self) -> None:
        self.rooms: dict[UUID, Room] = {}

    def note(self, outcome: Outcome) -> None:
        """Learn from an attempt."""
        known = self.rooms.get(outcome.endpoint_id)
        is_quick = outcome.is_success and (outcome.milliseconds or 0) < SLOW_MILLISECONDS
        if not is_quick:
            self.rooms[outcome.endpoint_id] = Room(1, is_slow=True)
        elif known is None or known.is_slow:
            self.rooms[outcome.endpoint_id] = Room(START, is_slow=False)
        else:
            self.rooms[outcome.endpoint_id] = Room(min(MOST, known.size * 2), is_slow=False)
