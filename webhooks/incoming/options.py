"""The options of a source: what its scheme leaves open."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from accounts.errors import InvalidInputError, Problem
from webhooks.incoming import pointers
from webhooks.models.source import Scheme

TOLERANCE: Final = 300  # seconds
LEAST_TOLERANCE, MOST_TOLERANCE = 30, 900
LONGEST_TEMPLATE: Final = 100
LONGEST_PREFIX: Final = 40
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]*")
_PART: Final = re.compile(r"\{[^{}]*\}|[^{}]+|[{}]")
_PARTS: Final = ("{id}", "{timestamp}", "{body}")
# What is on its way of other use, or not there at all when we look.
_TAKEN: Final = frozenset({"content-length", "content-type", "cookie", "host", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Signed:
    """How an HMAC is sent, and over what: `parts` are `{id}`, `{timestamp}`, `{body}` and the texts between them."""

    header: str
    encoding: str = "hex"
    prefix: str = ""
    algorithm: str = "sha256"
    timestamp_header: str = ""
    id_header: str = ""
    id_pointer: str | None = None
    parts: tuple[str, ...] = ("{body}",)

    @property
    def separators(self) -> frozenset[str]:
        """The characters between the parts: an id must not hold them, or two messages could have one signature."""
        return frozenset("".join(part for part in self.parts if part not in _PARTS))


GITHUB: Final = Signed(header="x-hub-signature-256", prefix="sha256=")
SLACK: Final = Signed(
    header="x-slack-signature",
    prefix="v0=",
    timestamp_header="x-slack-request-timestamp",
    parts=("v0:", "{timestamp}", ":", "{body}"),
)


def tolerance_of(options: Mapping[str, Any]) -> int:
    """Return how many seconds a timestamp may be off."""
    return int(options.get("tolerance_seconds", TOLERANCE))


def is_dated(scheme: str, options: Mapping[str, Any]) -> bool:
    """Tell whether the source signs when it sends: without, a message could be replayed for ever."""
    if scheme == Scheme.HMAC:
        return "timestamp_header" in options
    return scheme != Scheme.GITHUB


def signed_of(options: Mapping[str, Any]) -> Signed:
    """Return how a source of the scheme `hmac` signs, from the options that its row keeps."""
    return Signed(
        header=options["header"].lower(),
        encoding=options["encoding"],
        prefix=options.get("prefix", ""),
        algorithm=options.get("algorithm", "sha256"),
        timestamp_header=options.get("timestamp_header", "").lower(),
        id_header=options.get("id_header", "").lower(),
        id_pointer=options.get("id_pointer"),
        parts=_parts(options["signed"]),
    )


def parse(scheme: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as they are kept. Raises InvalidInputError with each fault at its place."""
    known = _HMAC if scheme == Scheme.HMAC else frozenset[str]()
    if scheme != Scheme.GITHUB:
        known |= {"tolerance_seconds"}
    problems = [
        _problem([str(name)[:100]], "unknown-key", "There is no such option here.")
        for name in raw
        if name not in known
    ]
    found = {name: value for name, value in raw.items() if name in known and value is not None}
    problems += _shape_problems(found)
    if scheme == Scheme.HMAC and not problems:
        found.setdefault("encoding", "hex")
        found.setdefault("signed", "{timestamp}.{body}" if "timestamp_header" in found else "{body}")
        problems += _hmac_problems(found)
    if problems:
        raise InvalidInputError(errors=problems)
    return found


_HMAC: Final = frozenset(
    {"header", "encoding", "prefix", "algorithm", "timestamp_header", "id_header", "id_pointer", "signed"}
)
_CHOICES: Final = {"encoding": ("hex", "base64"), "algorithm": ("sha256", "sha512")}


def _shape_problems(found: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for name, value in found.items():
        if name == "tolerance_seconds":
            is_number = isinstance(value, int) and not isinstance(value, bool)
            if not is_number or not LEAST_TOLERANCE <= value <= MOST_TOLERANCE:
                detail = f"From {LEAST_TOLERANCE} to {MOST_TOLERANCE} seconds."
                problems.append(_problem([name], "out-of-range", detail))
        elif not isinstance(value, str):
            problems.append(_problem([name], "invalid", "This is a text."))
        elif name.endswith("header"):
            if not _HEADER.fullmatch(value) or value.lower() in _TAKEN:
                problems.append(_problem([name], "invalid", "The name of a header, such as X-Signature."))
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                problems.append(_problem([name], "invalid-choice", f"One of {', '.join(_CHOICES[name])}."))
        elif name == "id_pointer":
            if not value or not pointers.is_pointer(value):
                problems.append(_problem([name], "invalid", "A JSON pointer, such as /event/id."))
        elif len(value) > (LONGEST_PREFIX if name == "prefix" else LONGEST_TEMPLATE) or not _PRINTABLE.fullmatch(
            value
        ):  # fmt: skip
            problems.append(_problem([name], "invalid", "A short text of printable ASCII characters."))
    return problems


def _hmac_problems(found: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if "header" not in found:
        problems.append(_problem(["header"], "required", "Say in which header the signature comes."))
    dated, named = "timestamp_header" in found, "id_header" in found
    if "tolerance_seconds" in found and not dated:
        detail = "Without a timestamp that is signed there is nothing to tolerate."
        problems.append(_problem(["tolerance_seconds"], "not-possible", detail))
    if named and "id_pointer" in found:
        problems.append(_problem(["id_pointer"], "not-possible", "The id is in a header or in the body."))
    parts = _parts(found["signed"])
    holds = [part for part in parts if part in _PARTS]
    if any("{" in part or "}" in part for part in parts if part not in _PARTS):
        problems.append(_problem(["signed"], "invalid", f"Only {', '.join(_PARTS)} and text between them."))
    elif holds.count("{body}") != 1 or len(set(holds)) != len(holds):
        problems.append(_problem(["signed"], "invalid", "{body} once, and the others at most once."))
    elif any(one in _PARTS and two in _PARTS for one, two in pairwise(parts)):
        # Else a digit could wander from the time into the body, under the same signature.
        problems.append(_problem(["signed"], "ambiguous", "Between two parts stands a text, such as a dot."))
    elif _touches_a_digit(parts):
        problems.append(_problem(["signed"], "ambiguous", "Next to {timestamp} stands no other digit."))
    else:
        # What is not signed proves nothing: anybody could change it (GitHub's delivery id is such a one).
        for has, part, name in ((dated, "{timestamp}", "timestamp_header"), (named, "{id}", "id_header")):
            if has and part not in holds:
                problems.append(_problem([name], "not-signed", f"What is signed must hold {part}."))
            if part in holds and not has:
                problems.append(
                    _problem([name], "required", f"What is signed holds {part}: say where it comes.")
                )
    return problems


def _touches_a_digit(parts: tuple[str, ...]) -> bool:
    if "{timestamp}" not in parts:
        return False
    place = parts.index("{timestamp}")
    before, after = "".join(parts[:place])[-1:], "".join(parts[place + 1 :])[:1]
    return before.isdigit() or after.isdigit()


def _parts(template: str) -> tuple[str, ...]:
    return tuple(_PART.findall(template))


def _problem(path: list[str], code: str, detail: str) -> Problem:
    return Problem.at(["options", *path], code, detail)
