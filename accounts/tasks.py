"""What accounts does beside requests: sealing the log, noting when keys were used, tidying up."""

from celery import shared_task

from accounts import api_keys, key_places, log, mails
from accounts.alerting import mailing, reading


@shared_task(name="accounts.seal", queue="log", ignore_result=True, expires=10)
def seal() -> None:
    """Seal what was committed; a second sealer gives way at once."""
    log.seal_pending(wait=False)


@shared_task(name="accounts.flush_key_usage", queue="default", ignore_result=True, expires=60)
def flush_key_usage() -> None:
    """Write down when API keys were last used, and end the overlap of rotated ones."""
    api_keys.flush_usage()
    api_keys.end_overlaps()
    key_places.flush()


@shared_task(name="accounts.send_mails", queue="default", ignore_result=True, expires=60)
def send_mails() -> None:
    """Send the mails that the log asks for: invitations, resets, and word of changed accounts."""
    mails.send_due()


@shared_task(name="accounts.raise_alerts", queue="log", ignore_result=True, expires=10)
def raise_alerts() -> None:
    """Let the rules look at what was sealed since the last time."""
    reading.raise_due()


@shared_task(name="accounts.send_alerts", queue="default", ignore_result=True, expires=60)
def send_alerts() -> None:
    """Send the mail about the alerts of the last minute."""
    mailing.send_due()
