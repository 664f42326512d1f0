"""What accounts does beside requests: the log's sealing, checking, keeping and archiving, keys' usage, invitations."""

import logging

import redis
from celery import shared_task
from django.conf import settings

from accounts import log, ring
from accounts.access import system
from accounts.alerting import mailing, reading
from accounts.audit import archiving, heads, reads, results, streaming, verifying
from accounts.keys import api_keys, usage, whereabouts
from accounts.sign_in import mails

logger = logging.getLogger("quillkeep.log")


@shared_task(name="accounts.seal", queue="log", ignore_result=True, expires=10, goes_on_in_lockdown=True)
def seal() -> None:
    """Seal what was committed; a second sealer gives way at once."""
    log.seal_pending(wait=False)


@shared_task(
    name="accounts.verify_log", queue="default", ignore_result=True, expires=1800, goes_on_in_lockdown=True
)
def verify_log() -> None:
    """Prove the log and keep the result for the badge. Files of archives are read by the command alone."""
    results.keep(verifying.verify(), by="schedule")


@shared_task(
    name="accounts.keep_head", queue="default", ignore_result=True, expires=600, goes_on_in_lockdown=True
)
def keep_head() -> None:
    """Keep the head of the day, and send it where ops want it; what failed is tried again by the schedule."""
    heads.keep_today()


@shared_task(
    name="accounts.record_reads", queue="log", ignore_result=True, expires=10, goes_on_in_lockdown=True
)
def record_reads() -> None:
    """Write down the reads that processes of the delivery plane handed on."""
    try:
        reads.record_handed_on()
    except redis.RedisError as error:
        logger.warning("The reads that were handed on can't be fetched: %s.", type(error).__name__)


@shared_task(
    name="accounts.stream_log", queue="default", ignore_result=True, expires=5, goes_on_in_lockdown=True
)
def stream_log() -> None:
    """Send what was sealed to the SIEM. Not on the queue of the log: nobody waits there for a receiver that hangs."""
    streaming.stream_due()


@shared_task(name="accounts.archive_log", queue="index", ignore_result=True, expires=6 * 60 * 60)
def archive_log() -> None:
    """Put away what is older than the retention, on the queue whose worker holds the owner (docs/decisions/0008)."""
    before = archiving.due()
    if before is None:
        return
    if archiving.OWNER not in settings.DATABASES:
        logger.error("AUDIT_RETENTION_DAYS is set, but this worker does not hold OWNER_DATABASE_URL.")
        return
    try:
        for done in archiving.archive(before, by=system("archiving the log")):
            logger.info("Archived positions %d to %d in %s.", done.first, done.last, done.file)
    except archiving.ArchiveBlockedError as error:
        logger.critical("The log was not archived: %s", error)


@shared_task(name="accounts.flush_key_usage", queue="default", ignore_result=True, expires=60)
def flush_key_usage() -> None:
    """Write down how API keys were used and from where, and end the overlap of rotated ones.

    During a lockdown nothing of keys changes; the notes wait in Valkey.
    """
    usage.flush(by=system("key use"))
    api_keys.end_overlaps(by=system("key use"))
    whereabouts.flush()


@shared_task(name="accounts.move_to_active_key", queue="default", ignore_result=True, expires=60)
def move_to_active_key() -> None:
    """Encrypt anew, some seconds long, what former keys of the ring encrypt. During a lockdown it waits."""
    done = ring.move_some()
    if done.moved:
        logger.info("%d values are encrypted with the active key now.", done.moved)
    if done.unreadable:
        logger.error("%d values can't be opened with the key that they name.", done.unreadable)


@shared_task(name="accounts.disable_idle_keys", queue="default", ignore_result=True, expires=3600)
def disable_idle_keys() -> None:
    """Switch off keys that nobody has used for long, once what was used is written down."""
    usage.flush(by=system("key use"))
    api_keys.disable_idle(by=system("idle keys"))


@shared_task(
    name="accounts.send_mails", queue="default", ignore_result=True, expires=60, goes_on_in_lockdown=True
)
def send_mails() -> None:
    """Send the mails that the log asks for: invitations, resets, and word of changed accounts."""
    mails.send_due()


@shared_task(
    name="accounts.raise_alerts", queue="log", ignore_result=True, expires=10, goes_on_in_lockdown=True
)
def raise_alerts() -> None:
    """Let the rules look at what was sealed since the last time."""
    reading.raise_due()


@shared_task(
    name="accounts.send_alerts", queue="default", ignore_result=True, expires=60, goes_on_in_lockdown=True
)
def send_alerts() -> None:
    """Send the mail about the alerts of the last minute."""
    mailing.send_due()
