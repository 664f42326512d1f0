"""What webhooks do beside requests: fan out, send, tell owners, end overlaps, forget."""

import contextlib
from typing import Final

from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts import limits
from accounts.access import Area, Principal, system
from accounts.api.shapes import moment
from accounts.errors import DomainError, TooManyRequestsError, UnavailableError
from accounts.limits import Policy
from webhooks import conformance, endpoints, fanning, keeping, mailing, sending, stopping
from webhooks.models import Endpoint

_EXPIRES: Final = 5  # seconds: a wake-up that comes late is one too many
# Of one endpoint, and of all. A receiver that hangs holds a worker for a minute, and the queue has other work.
CHECKS: Final = Policy("webhook-checks", quota=1, overall=2, fails_open=True)


@shared_task(name="webhooks.fan_out", queue="log", ignore_result=True, expires=_EXPIRES)
def fan_out() -> None:
    """Turn events into deliveries, and wake those who send them."""
    if fanning.fan_out():
        # Without the broker the next tick of the schedule does it: the database knows what is due.
        with contextlib.suppress(OperationalError, OSError):
            drain.delay()


@shared_task(name="webhooks.drain", queue="webhooks", ignore_result=True, expires=_EXPIRES)
def drain() -> None:
    """Send what is due, until nothing is."""
    sending.drain(is_stopping=stopping.is_asked)


@shared_task(name="webhooks.send_mails", queue="default", ignore_result=True, expires=60)
def send_mails() -> None:
    """Tell owners of what was given up and switched off."""
    mailing.send_due()


@shared_task(name="webhooks.keep_secrets", queue="default", ignore_result=True, expires=60)
def keep_secrets() -> None:
    """Erase secrets whose overlap is over."""
    endpoints.end_overlaps(by=system("webhook secrets"))


@shared_task(name="webhooks.forget_old", queue="default", ignore_result=True, expires=3600)
def forget_old() -> None:
    """Delete deliveries that ended long ago."""
    keeping.forget_old()


@shared_task(name="webhooks.check", queue="default", ignore_result=True, expires=600)
def check(endpoint_id: str) -> None:
    """Find out whether a receiver checks what it is sent."""
    endpoint = Endpoint.objects.filter(pk=endpoint_id).first()
    if endpoint is None:
        return
    try:
        conformance.check(endpoint, by=system("conformance"))
    except DomainError:
        Endpoint.objects.filter(pk=endpoint.pk).update(conformance=None)  # it is not running any more
        raise


def check_soon(endpoint: Endpoint, *, by: Principal) -> None:
    """Let a worker check a receiver. Raises TooManyRequestsError, and UnavailableError without a queue."""
    by.require_area(Area.WEBHOOKS)
    by.require_no_lockdown()
    checks = limits.hit(CHECKS, str(endpoint.pk))
    if checks is not None and checks.is_exceeded:
        raise TooManyRequestsError(
            "It is being checked, or others are. Try again in a minute.", retry_after=checks.resets_in
        )
    row, former = Endpoint.objects.filter(pk=endpoint.pk), endpoint.conformance
    row.update(conformance={"running_since": moment(timezone.now())})
    try:
        check.delay(str(endpoint.pk))
    except OperationalError as error:
        row.update(conformance=former)
        raise UnavailableError("The check can’t be queued: the broker does not answer.") from error
