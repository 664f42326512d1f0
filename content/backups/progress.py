"""How long work tells how far it is. Who calls decides whether that is a bar, lines of JSON, or nothing."""

from typing import Protocol


class Progress(Protocol):
    """Told of steps and of how much of one is done (bytes, files or tables; a total of 0 is one that is not known)."""

    def step(self, name: str, total: int = 0) -> None:
        """Begin a step; the one before it is done."""
        ...

    def advance(self, amount: int) -> None:
        """Count what was done of it."""
        ...


class Silent:
    """Tells nobody."""

    def step(self, name: str, total: int = 0) -> None:
        """Do nothing."""

    def advance(self, amount: int) -> None:
        """Do nothing."""
