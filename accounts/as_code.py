"""Configuration as code: what each room brings to the one file that says how a house is set up.

A section is the whole truth about its kind of thing: what the file does not name is deleted, a section that the file
lacks is left alone. All is done by the verbs that everybody uses, so each change is an event and each rule holds.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from django.db import transaction
from rest_framework import serializers

from accounts.access import Principal
from accounts.api.strict import problems_of
from accounts.errors import DomainError, InvalidInputError, Problem, placed
from accounts.terminal import printable

Act = Literal["create", "change", "delete"]
LONGEST_SHOWN: Final = 70
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan: what is done to what, how many entries it touches, of how many it loses something.

    `is_final`: what goes is more than the file says (secrets, a log of deliveries), so no file brings it back.
    """

    section: str
    act: Act
    name: str
    lines: tuple[str, ...] = ()
    affected: int = 0
    lost: int = 0
    is_final: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "section": self.section,
            "act": self.act,
            "name": self.name,
            "details": list(self.lines),
            "affected": self.affected,
            "lost": self.lost,
            "final": self.is_final,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A secret that was made on the way, to be shown once."""

    section: str
    name: str
    kind: str
    text: str


@dataclass(slots=True)
class Work:
    """One run over a file, in one transaction: for whom, and what came of it so far."""

    by: Principal
    document: Mapping[str, Any]
    match_by_key: bool = False
    changes: list[Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)

    @contextmanager
    def at(self, *place: str | int) -> Iterator[None]:
        """Do one item of the file. What is refused is noted at its place and taken back; the others go on."""
        changes, secrets = len(self.changes), len(self.secrets)
        try:
            with transaction.atomic():
                yield
        except DomainError as error:
            del self.changes[changes:], self.secrets[secrets:]
            self.problems += placed(error.errors or [Problem(error.code, error.detail)], *place)


class Section(Protocol):
    """One part of the file. `put` and `remove` are called in the order of the sections, and in the reverse of it."""

    name: str

    def export(self) -> dict[str, Any]:
        """Return what there is by name, in keys: values of JSON, without what is as usual."""
        ...

    def check(self, given: Any) -> list[Problem]:
        """Return what is wrong with the form alone, with pointers into the section."""
        ...

    def put(self, given: Any, work: Work) -> None:
        """Make and change what the file names."""
        ...

    def remove(self, given: Any, work: Work) -> None:
        """Delete what the file does not name."""
        ...


def refused(code: str, detail: str, *place: str | int) -> InvalidInputError:
    """Build a refusal of one fault."""
    return InvalidInputError(errors=[Problem.at(place, code, detail)])


def shape_problems(
    given: Any, reader: type[serializers.Serializer[Any]], *, named: str = ""
) -> list[Problem]:
    """Return what is wrong with a mapping of names to items that a serializer reads.

    `named` is the member that the name stands for, where the serializer asks for one.
    """
    if not isinstance(given, Mapping):
        return [Problem.at((), "invalid-type", "Names, each with what it has.")]
    problems: list[Problem] = []
    for name, item in given.items():
        if not isinstance(item, Mapping):
            problems.append(Problem.at((name,), "invalid-type", "Members with their values are expected."))
        elif named and named in item:
            problems.append(Problem.at((name, named), "unknown-key", f"The {named} stands in front."))
        else:
            shape = reader(data={**item, **({named: name} if named else {})})
            if not shape.is_valid():
                problems += placed(problems_of(shape.errors), name)
    return problems


@contextmanager
def not_in_file(what: str) -> Iterator[None]:
    """Say why something is to go, where that is refused."""
    try:
        yield
    except DomainError as error:
        raise refused(error.code, f"The {what} is not in the file. {error.detail}") from error


def without_defaults(values: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that are not as usual, in their order."""
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one line for each member that differs: `name: old → new`, of what is new `name: new`."""
    lines = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name, _MISSING), after.get(name, _MISSING)
        if old != new:
            was = f"{shown(old, name)} → " if before else ""
            lines.append(f"{name}: {was}{shown(new, name)}")
    return tuple(lines)


def shown(value: Any, name: str = "") -> str:
    """Return a value in one short line. Of an address only its host: a path may hold a token."""
    if value is _MISSING:
        return "(as usual)"
    if name == "url" and isinstance(value, str):
        return f"{urlsplit(value).hostname or ''}/…"
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
