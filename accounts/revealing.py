"""Looking at masked values: the log keeps who looked, at which fields, and why."""

from collections.abc import Sequence
from typing import Final

from django.db import transaction

from accounts.access import Principal
from accounts.errors import InvalidInputError, Problem
from accounts.log import Subject, record

REVEALED: Final = "values.revealed"
SHORTEST_REASON: Final = 3
LONGEST_REASON: Final = 500


@transaction.atomic
def revealed(by: Principal, *, subject: Subject, fields: Sequence[str], reason: str) -> None:
    """Record that somebody looked at masked values, and why. Raises InvalidInputError (reason: 3 to 500 characters)."""
    text = " ".join(reason.split())
    if not (SHORTEST_REASON <= len(text) <= LONGEST_REASON and text.isprintable()):
        detail = f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters."
        raise InvalidInputError(errors=[Problem.at(("reason",), "invalid-reason", detail)])
    record(REVEALED, actor=by, subject=subject, detail={"fields": list(fields), "reason": text})
