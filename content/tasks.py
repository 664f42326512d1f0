"""What the worker does for content: indexes, rebuilds, the end of submissions. The database says what waits."""

from celery import shared_task
from django.db import connections

from accounts.access import system
from content import indexing, rebuilding
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


@shared_task(name="content.erase_submissions", queue="default", ignore_result=True, expires=3000)
def erase_submissions() -> None:
    """Erase submissions of forms whose time is over."""
    keeping.erase_expired(by=system("retention of submissions"))
