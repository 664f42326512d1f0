"""Damages a backup in every way that a row of the faults asks for, verifies after each, and puts it right again.

Run as `python -m bench.damage NAME FLIPS TRUNCATIONS SWAPS` in a keeper's environment; prints what was found.
"""

import json
import random
import sys
from pathlib import Path

import django

django.setup()

from content.backups import verifying  # noqa: E402
from content.backups.stores import FolderStore, store  # noqa: E402


class Damage:
    """One backup, and an account of what was done to it."""

    def __init__(self, name: str) -> None:
        place = store()
        if not isinstance(place, FolderStore):
            raise TypeError("Only backups in a folder can be damaged here.")
        self.place, self.name = place, name
        self.files = [
            *sorted((place.folder / name).iterdir()),
            *sorted((place.folder / "objects").rglob("*.age")),
        ]
        self.dice = random.Random(9)
        self.done = self.found = 0
        self.missed: list[str] = []

    def _look(self, what: str) -> None:
        self.done += 1
        if verifying.verify(self.place, self.name).is_whole:
            self.missed.append(what)
        else:
            self.found += 1

    def _with(self, path: Path, raw: bytes, what: str) -> None:
        kept = path.read_bytes()
        path.write_bytes(raw)
        self._look(f"{what} {path.name}")
        path.write_bytes(kept)

    def flip(self) -> None:
        """Flip one bit of one file."""
        path = self.dice.choice([path for path in self.files if path.stat().st_size])
        raw = bytearray(path.read_bytes())
        raw[self.dice.randrange(len(raw))] ^= 1 << self.dice.randrange(8)
        self._with(path, bytes(raw), "flipped")

    def truncate(self) -> None:
        """Cut one file off."""
        path = self.dice.choice([path for path in self.files if path.stat().st_size])
        raw = path.read_bytes()
        self._with(path, raw[: self.dice.randrange(len(raw))], "truncated")

    def swap(self) -> None:
        """Put two files in each other's place."""
        one, two = self.dice.sample(self.files, 2)
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
        self._look(f"swapped {one.name} and {two.name}")
        one.write_bytes(first)
        two.write_bytes(second)


def main() -> None:
    """Do all of it."""
    damage = Damage(sys.argv[1])
    flips, truncations, swaps = map(int, sys.argv[2:5])
    for number, act in ((flips, damage.flip), (truncations, damage.truncate), (swaps, damage.swap)):
        for _ in range(number):
            act()
    print(json.dumps({"done": damage.done, "found": damage.found, "missed": damage.missed}))


if __name__ == "__main__":
    main()
