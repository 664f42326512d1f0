"""What is refused, in the log: each reason some times a minute for one caller, so that nobody can flood it."""

from collections.abc import Mapping

from django.db import transaction

from accounts import limits
from accounts.access import Principal
from accounts.addresses import callers_network
from accounts.errors import DomainError
from accounts.limits import Policy
from accounts.log import Subject, record


def note(
    type_: str,
    reason: str,
    *,
    within: Policy,
    by: Principal,
    subject: Subject | None,
    detail: Mapping[str, object],
    caller: str = "",
) -> None:
    """Write down that something was refused, and why. Nothing of what was sent is written.

    `within` says how many a minute of one caller (by default the network of the address) and reason; what is beyond
    that is in the log of requests alone.
    """
    try:
        state = limits.hit(within, f"{caller or callers_network(by.address)}:{reason}")
    except DomainError:
        state = None
    if state is not None and state.is_exceeded:
        return
    with transaction.atomic():
        record(type_, actor=by, subject=subject, detail={"reason": reason, **detail})
