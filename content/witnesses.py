"""Who looks at content in the transaction that takes it away: afterwards nobody could say who was allowed to see it.

A room above registers what it must note; content does not know for whom.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from content.schema import CollectionSpec


@dataclass(frozen=True, slots=True)
class Vanishing:
    """An entry in some locales, or a whole collection (`entry_id` None), as it still is.

    `is_erased`: nothing of it stays; else it is taken back from the public alone.
    """

    collection: CollectionSpec
    entry_id: UUID | None
    locales: tuple[str, ...] = ()
    is_erased: bool = False


_witnesses: list[Callable[[Vanishing], None]] = []


def register(witness: Callable[[Vanishing], None]) -> None:
    """Let a function look at whatever goes. It runs in that transaction, and what it raises stops it."""
    if witness not in _witnesses:
        _witnesses.append(witness)


def call(vanishing: Vanishing) -> None:
    """Show them what is about to go."""
    for witness in _witnesses:
        witness(vanishing)
