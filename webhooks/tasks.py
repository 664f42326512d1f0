"""What webhooks do beside requests: fan out, send, tell owners, end overlaps, forget."""

import contextlib
import logging
from typing import Final

from celery import shared_task
from kombu.exceptions import OperationalError

from accounts.access import system
from webhooks import endpoints, fanning, keeping, mailing, sending, stopping

logger = logging.getLogger("quillkeep.webhooks")
_EXPIRES: Final = 5  # seconds: a wake-up that comes late is one too many


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
