"""The chain of seals: one walk along it, wherever its links come from (the tables, an archive, an export)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from accounts.keyring import key_ring
from accounts.log import GENESIS, SEAL_PURPOSE, has_right_tag, seal_bytes
from accounts.models.event import Event, Seal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where.

    `problem` is one of `altered`, `removed`, `inserted`, `cut`, `head`, `forged` (an archive that is not ours) and
    `file` (an archive or export that is another one than it was).
    """

    problem: str
    position: int | None
    event_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Jump:
    """Where the chain goes on after a restore, and the MAC that it goes on from."""

    first_position: int
    previous_mac: str


@dataclass(slots=True)
class Chain:
    """Where a walk stands: the position that must come next, and the MAC that its seal is chained to ("": unknown).

    `jumps` are the epochs (accounts.audit.epochs): the position that would come next → where it goes on.
    """

    expected: int = 1
    previous_mac: str = GENESIS
    jumps: Mapping[int, Jump] = field(default_factory=dict)

    def take(self, seal: Seal, event: Event | None) -> list[Finding]:
        """Check the next link and go on; the findings are about it, or about a gap before it."""
        found = []
        jump = self.jumps.get(self.expected)
        if jump and seal.position == jump.first_position and self.previous_mac in ("", jump.previous_mac):
            self.expected = jump.first_position
        if seal.position > self.expected:
            found.append(_gap(self.expected, seal.position))
            # The chain is taken up again behind the gap, so that one removed row is one finding.
            self.previous_mac = ""
        if event is None:
            found.append(
                Finding("removed", seal.position, str(seal.event_id), "The event of this seal is gone.")
            )
        elif not has_right_tag(event) or (self.previous_mac and not _fits(self.previous_mac, seal, event)):
            found.append(_explain(seal, event))
        self.expected, self.previous_mac = seal.position + 1, seal.mac
        return found


def is_sealed_right(previous_mac: str, seal: Seal, event: Event) -> bool:
    """Tell whether one event stands where its seal says, behind the seal with that MAC."""
    return has_right_tag(event) and _fits(previous_mac, seal, event)


def _fits(previous_mac: str, seal: Seal, event: Event) -> bool:
    return key_ring().verifies(
        seal_bytes(previous_mac, seal.position, event, seal.sealed_at),
        seal.mac,
        purpose=SEAL_PURPOSE,
        key_id=seal.key_id,
    )


def _gap(first: int, behind: int) -> Finding:
    missing = f"position {first}" if behind == first + 1 else f"positions {first} to {behind - 1}"
    return Finding(
        "removed", first, None, f"The seal of {missing} is gone; what follows can't be chained to it."
    )


def _explain(seal: Seal, event: Event) -> Finding:
    """Say what a broken seal most likely means."""
    if not key_ring().holds(seal.key_id):
        detail = "The key of this seal is not in the key ring."
    elif has_right_tag(event):
        detail = "The seal does not fit here: it was changed, moved or inserted."
    else:
        detail = "The event or its seal was changed or inserted."
    return Finding("altered", seal.position, str(event.id), detail)
