"""What accounts does beside requests: sealing the log, noting when keys were used, tidying up."""

from celery import shared_task

from accounts import api_keys, key_use, log, mails
from accounts.access import system


@shared_task(name="accounts.seal", queue="log", ignore_result=True, expires=10)
def seal() -> None:
    """Seal what was committed; a second sealer gives way at once."""
    log.seal_pending(wait=False)


@shared_task(name="accounts.flush_key_usage", queue="default", ignore_result=True, expires=60)
def flush_key_usage() -> None:
    """Write down how API keys were used, and end the overlap of rotated ones."""
    key_use.flush(by=system("key use"))
    api_keys.end_overlaps(by=system("key use"))


@shared_task(name="accounts.disable_idle_keys", queue="default", ignore_result=True, expires=3600)
def disable_idle_keys() -> None:
    """Switch off keys that nobody has used for long, once what was used is written down."""
    key_use.flush(by=system("key use"))
    api_keys.disable_idle(by=system("idle keys"))


@shared_task(name="accounts.send_mails", queue="default", ignore_result=True, expires=60)
def send_mails() -> None:
    """Send the mails that the log asks for: invitations, resets, and word of changed accounts."""
    mails.send_due()
