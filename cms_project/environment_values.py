"""What the parsers of the environment have in common."""

import re
from collections.abc import Callable


class Fault(Exception):  # noqa: N818 (it never leaves the reading of the environment)
    """One value is wrong; the text says how, without the value."""


def items(text: str) -> list[str]:
    """Return what is comma separated, without what is empty."""
    return [item.strip() for item in text.split(",") if item.strip()]


def bounded(low: int, high: int, what: str = "") -> Callable[[str], int]:
    """Return a parser of numbers within bounds; `what` says of what they are, in the words of a fault."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,5}", text) or not low <= int(text) <= high:
            raise Fault(f"must be a number {what and f'of {what} '}from {low} to {high}")
        return int(text)

    return parse
