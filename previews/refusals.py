"""What is refused, in the log: each reason some times a minute for one address, so that nobody can flood it."""

from collections.abc import Mapping
from typing import Final

from accounts import refusals
from accounts.access import Principal
from accounts.limits import Policy
from accounts.log import Subject

# Refusals that are written down: of one address and reason, and of all of them, in a minute. What is beyond that is in
# the log of requests, and the failures of an address are limited anyway.
_WRITTEN: Final = Policy("preview-refusals", quota=20, overall=300, fails_open=True)


def note(reason: str, *, by: Principal, subject: Subject | None, detail: Mapping[str, object]) -> None:
    """Write down that a code or a token was refused, and why. Nothing of what was sent is written."""
    refusals.note("preview.refused", reason, within=_WRITTEN, by=by, subject=subject, detail=detail)
