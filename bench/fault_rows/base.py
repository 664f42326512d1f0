"""What rows are made of: how much of it, the table they are in, and how each ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.house import LEASE, Counts, Scene
from bench.receiver import Receiver

SOON: Final = 5.0  # seconds within which the healthy get everything
THREADS: Final = 64  # of a process that sends
SENDERS: Final = 2  # processes
WORK: Final = ("sealer", "sender", "beat")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it: the full run, or one that is over soon."""

    events: int = 500
    endpoints: int = 3
    kills: int = 10
    outage: float = 60.0
    restarts: int = 10
    publishes: int = 200
    histories: int = 100
    pause: float = 0.0  # seconds after each publish, where few of them must last until all kills are done
    skips_leases: bool = False  # free what the dead held at once, in place of waiting for a minute

    @property
    def patience(self) -> float:
        """Seconds until all must be delivered after the last fault."""
        return LEASE + 60 + self.events * 0.3


FULL: Final = Size()
QUICK: Final = Size(60, 3, 3, 5.0, 3, 40, 20, pause=0.1, skips_leases=True)

Act = Callable[[Scene, Size], Counts]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; without `act` it says why there is none."""

    code: str
    what: str
    act: Act | None = None
    why_not: str = ""


ROWS: list[Row] = []


def row(code: str, what: str) -> Callable[[Act], Act]:
    """Put a function into the table."""

    def add(act: Act) -> Act:
        ROWS.append(Row(code, what, act))
        return act

    return add


def finish(scene: Scene, size: Size, *, but: Sequence[Receiver] = ()) -> Counts:
    """Wait until everything is published and delivered, and take stock."""
    scene.act("published")
    is_done = scene.wait_until_done(size.patience, but=but, skips_leases=size.skips_leases)
    counts = scene.count([item for item in scene.receivers if item not in but])
    counts.expect(is_done, "something still waits")
    return counts
