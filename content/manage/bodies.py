"""Request bodies of the management API, read strictly: objects only, unknown members refused with their place."""

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.errors import InvalidInputError, Problem
from content.parameters import refuse


def members(data: object, allowed: set[str], *, required: set[str] = frozenset()) -> Mapping[str, Any]:  # type: ignore[assignment]  # a frozenset is read only
    """Return a body that is an object with no members but these, or raise with each fault."""
    if not isinstance(data, Mapping):
        raise InvalidInputError(errors=[Problem.at((), "invalid-type", "The body must be a JSON object.")])
    problems = [
        Problem.at((str(key)[:80],), "unknown-key", "There is no such member here.")
        for key in data
        if key not in allowed
    ]
    problems += [
        Problem.at((key,), "required", "This is required.") for key in sorted(required) if key not in data
    ]
    if problems:
        raise InvalidInputError(errors=problems)
    return data


def object_of(body: Mapping[str, Any], member: str) -> Mapping[str, object]:
    """Return a member that must be an object."""
    value = body[member]
    if not isinstance(value, Mapping):
        raise InvalidInputError(errors=[Problem.at((member,), "invalid-type", "An object.")])
    return value


def flag(body: Mapping[str, Any], member: str) -> bool:
    """Return a member that is true, false or absent."""
    value = body.get(member, False)
    if not isinstance(value, bool):
        raise InvalidInputError(errors=[Problem.at((member,), "invalid-type", "True or false.")])
    return value


def integer(query: Mapping[str, Sequence[object]], name: str) -> int:
    """Return a query parameter that must be the number of a version."""
    value = str(query.get(name, [""])[0])
    if not value.isdecimal() or not value.isascii() or len(value) > 9:
        raise refuse(name, "invalid-value", "The number of a version.")
    return int(value)
