"""What is refused, in the log: each reason some times a minute for one address, so that nobody can flood it."""

from collections.abc import Mapping
from typing import Final

from django.db import transaction

from accounts import limits
from accounts.access import Principal
from accounts.addresses import callers_network
from accounts.errors import DomainError
from accounts.limits import Policy
from accounts.log import Subject, record

# Refusals that are written down: of one address and reason, and of all of them, in a minute. What is beyond that is in
# the log of requests, and the failures of an address are limited anyway.
_WRITTEN: Final = Policy("preview-refusals", quota=20, overall=300, fails_open=True)


def note(reason: str, *, by: Principal, subject: Subject | None, detail: Mapping[str, object]) -> None:
    """Write down that a code or a token was refused, and why. Nothing of what was sent is written."""
    try:
        state = limits.hit(_WRITTEN, f"{callers_network(by.address)}:{reason}")
    except DomainError:
        state = None
    if state is not None and state.is_exceeded:
        return
    with transaction.atomic():
        record("preview.refused", actor=by, subject=subject, detail={"reason": reason, **detail})
