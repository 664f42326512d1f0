"""What a form has besides its fields: whether it is open, how long submissions are kept, what stops robots."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final, Self

from accounts.canonical import Json
from accounts.errors import Problem

KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
SHORTEST, LONGEST = 1, 3650  # days that submissions are kept
SMALLEST, LARGEST = 256, 64 * 1024  # bytes of a submission
LONGEST_NOTICE: Final = 2000


@dataclass(frozen=True, slots=True)
class FormOptions:
    """Closed until somebody opens it. `honeypot` is the name of an input that people don't see; "": none."""

    open: bool = False
    retention_days: int = 90
    honeypot: str = "homepage"
    max_bytes: int = 16 * 1024
    keep_address: bool = False
    notice: str = ""

    @property
    def retention(self) -> timedelta:
        return timedelta(days=self.retention_days)

    def as_json(self) -> dict[str, Json]:
        """Return the options as the API shows them and the database keeps them."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Return the options kept in the database. Unknown names, of a later release, are left alone."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})

    def differing(self, other: "FormOptions") -> list[str]:
        """Return the names of the options that another one says otherwise."""
        return sorted(
            item.name for item in fields(self) if getattr(self, item.name) != getattr(other, item.name)
        )


def parse(raw: object, before: FormOptions) -> tuple[FormOptions, list[Problem]]:
    """Read a client's options on top of what they are; with each fault, its pointer relative to the object."""
    if not isinstance(raw, Mapping):
        return before, [Problem.at((), "invalid-type", "An object.")]
    values = before.as_json()
    problems = [
        Problem.at((str(name)[:80],), "unknown-key", "There is no such option of a form.")
        for name in raw
        if name not in values
    ]
    values |= {name: value for name, value in raw.items() if name in values}
    problems += _problems(values)
    return (before, problems) if problems else (FormOptions(**values), [])  # type: ignore[arg-type]  # checked above


def _problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    for name in ("open", "keep_address"):
        if not isinstance(values[name], bool):
            yield Problem.at((name,), "invalid-type", "True or false.")
    for name, least, most in (("retention_days", SHORTEST, LONGEST), ("max_bytes", SMALLEST, LARGEST)):
        number = values[name]
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            yield Problem.at((name,), "out-of-range", f"A whole number from {least} to {most}.")
    honeypot, notice = values["honeypot"], values["notice"]
    if not isinstance(honeypot, str) or (honeypot and not KEY.fullmatch(honeypot)):
        yield Problem.at(
            ("honeypot",), "invalid-key", "Lower-case letters, digits and _; a letter first. Empty: none."
        )
    is_text = isinstance(notice, str) and all(sign.isprintable() or sign == "\n" for sign in notice)
    if not is_text or len(notice) > LONGEST_NOTICE:
        yield Problem.at(("notice",), "invalid-value", f"A text of at most {LONGEST_NOTICE} characters.")
