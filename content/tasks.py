"""What the worker does for content: indexes, rebuilds, the end of submissions. The database says what waits."""

from celery import shared_task
from django.conf import settings
from django.db import connections

from accounts.access import system
from content import indexing, purging, rebuilding, retention
from content.backups import keeping as backups
from content.backups.stores import store
from content.forms import keeping

_LOCK = 0x71_6B_69_64_78  # "qkidx": the advisory lock of the one worker that makes indexes


@shared_task(name="content.index", queue="index")
def index() -> None:
    """Make and drop the indexes that wait; does nothing while another worker is at it."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        if not cursor.fetchone()[0]:
            return
        try:
            indexing.work_through()
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


@shared_task(name="content.rebuild", queue="index")
def rebuild() -> None:
    """Make the documents again that a schema change left behind."""
    rebuilding.work_through()


@shared_task(name="content.keep_backups", queue="backups", time_limit=None, goes_on_in_lockdown=True)
def keep_backups() -> None:
    """Make, verify, prove and prune backups as far as they are due; also during a lockdown: now above all."""
    if settings.BACKUPS.to:
        backups.keep(store(), by=system("keeping backups"))
    elif not settings.ENVIRONMENT.is_development:
        backups.tell_overdue(by=system("keeping backups"))


@shared_task(
    name="content.watch_caches", queue="default", ignore_result=True, expires=30, goes_on_in_lockdown=True
)
def watch_caches() -> None:
    """See that the caches in front are told of what changes."""
    if settings.PURGE_URLS:
        purging.watch()


@shared_task(name="content.erase_due", queue="default")
def erase_due() -> None:
    """Erase the entries whose collection keeps them no longer."""
    retention.erase_due()


@shared_task(name="content.erase_submissions", queue="default", ignore_result=True, expires=3000)
def erase_submissions() -> None:
    """Erase submissions of forms whose time is over."""
    keeping.erase_expired(by=system("retention of submissions"))
