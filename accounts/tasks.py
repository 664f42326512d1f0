"""What accounts does beside requests: sealing the log, noting when keys were used, tidying up."""

from celery import shared_task

from accounts import api_keys, log, mails


@shared_task(name="accounts.seal", queue="log", ignore_result=True, expires=10, goes_on_in_lockdown=True)
def seal() -> None:
    """Seal what was committed; a second sealer gives way at once."""
    log.seal_pending(wait=False)


@shared_task(name="accounts.flush_key_usage", queue="default", ignore_result=True, expires=60)
def flush_key_usage() -> None:
    """Write down when API keys were last used, and end the overlap of rotated ones."""
    api_keys.flush_usage()
    api_keys.end_overlaps()


@shared_task(
    name="accounts.send_mails", queue="default", ignore_result=True, expires=60, goes_on_in_lockdown=True
)
def send_mails() -> None:
    """Send the mails that the log asks for: invitations, resets, and word of changed accounts."""
    mails.send_due()
