"""Looking at values that pages mask: allowed to who may read them, with a reason, which the log keeps."""

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
    said = " ".join(reason.split())
    if not SHORTEST_REASON <= len(said) <= LONGEST_REASON or not said.isprintable():
        detail = f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters."
        raise InvalidInputError(errors=[Problem.at(("reason",), "invalid-value", detail)])
    record("values.revealed", actor=by, subject=subject, detail={"fields": sorted(fields), "reason": said})
