"""Looking at values that pages mask, and other acts that ask for a reason, which the log keeps."""

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from accounts.access import Principal
from accounts.errors import InvalidInputError, Problem
from accounts.log import Subject, record

SHORTEST_REASON: Final = 3
LONGEST_REASON: Final = 500


@transaction.atomic
def revealed(by: Principal, *, subject: Subject, fields: Sequence[str], reason: str) -> None:
    """Record that somebody looked at masked values, and why. Raises InvalidInputError (reason: 3 to 500 characters)."""
    said, problems = read_reason(reason)
    if problems:
        raise InvalidInputError(errors=problems)
    record("values.revealed", actor=by, subject=subject, detail={"fields": sorted(fields), "reason": said})


def read_reason(reason: str) -> tuple[str, list[Problem]]:
    """Return a reason in one line, and what is wrong with it."""
    said = " ".join(reason.split())
    if SHORTEST_REASON <= len(said) <= LONGEST_REASON and said.isprintable():
        return said, []
    detail = f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters."
    return said, [Problem.at(("reason",), "invalid-value", detail)]
