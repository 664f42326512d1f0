"""The signed head of each day: kept in a folder of its own, and sent to where ops keep it out of our reach."""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import egress
from accounts.access import system
from accounts.log import Subject, record, replace_whole, seal_pending, signed_head
from accounts.models.archive import DailyHead
from accounts.models.event import Seal

logger = logging.getLogger("quillkeep.log")

FIRST_WAIT: Final = timedelta(minutes=15)
LONGEST_WAIT: Final = timedelta(hours=4)
ACTOR: Final = "sending the head of the log"


class HeadNotSentError(Exception):
    """The head did not get there. The text names no address, which may hold a token."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The head of today, and whether it was sent (None where there is nowhere to send it)."""

    day: date
    head: dict[str, Any]
    is_sent: bool | None


def folder() -> Path:
    return Path(settings.DATA_DIR) / "audit-heads"


def is_sent_somewhere() -> bool:
    return bool(settings.AUDIT_HEAD_TO)


def current() -> Kept | None:
    """Return the head as it is now, None while the log is empty. Not in a transaction."""
    seal_pending()
    head = _newest_head()
    return Kept(datetime.now(UTC).date(), head, is_sent=None) if head else None


def keep_today(*, force: bool = False) -> Kept | None:
    """Keep the head of today, and send it unless it was sent; None while the log is empty. Not in a transaction.

    A failure is an event once a day, is tried again later and later, and raises HeadNotSentError only with `force`,
    which sends at once, and again.
    """
    seal_pending()
    row = _today()
    if row is None:
        return None
    if not settings.AUDIT_HEAD_TO:
        return Kept(row.day, row.head, is_sent=None)
    now = timezone.now()
    is_due = row.sent_at is None and (row.next_attempt_at is None or row.next_attempt_at <= now)
    if not force and not is_due:
        return Kept(row.day, row.head, is_sent=row.sent_at is not None)
    try:
        send(row.head, day=row.day)
    except HeadNotSentError as error:
        _note_failure(row, str(error), now)
        if force:
            raise
        return Kept(row.day, row.head, is_sent=False)
    row.sent_at, row.problem, row.next_attempt_at = timezone.now(), "", None
    row.attempts += 1
    row.save()
    return Kept(row.day, row.head, is_sent=True)


def send(head: dict[str, Any], *, day: date) -> None:
    """Send a head to `AUDIT_HEAD_TO`: into a file or a folder, or by POST. Raises HeadNotSentError."""
    place = urlsplit(settings.AUDIT_HEAD_TO)
    content = json.dumps(head, indent=1).encode() + b"\n"
    if place.scheme == "file":
        path = Path(place.path)
        try:
            if place.path.endswith("/") or path.is_dir():
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                path /= f"audit-head-{day.isoformat()}.json"
            replace_whole(path, content)
        except OSError as error:
            raise HeadNotSentError(f"The file can't be written ({type(error).__name__}).") from error
        return
    try:
        answer = egress.post(
            settings.AUDIT_HEAD_TO, content, headers={"Content-Type": "application/json"}, any_port=True
        )
    except egress.EgressError as error:
        raise HeadNotSentError(f"The receiver can't be reached ({error.reason}).") from error
    if not answer.is_success:
        raise HeadNotSentError(f"The receiver answered {answer.status}.")


def _today() -> DailyHead | None:
    day = datetime.now(UTC).date()
    head = _newest_head()
    if head is None:
        return None
    row, _ = DailyHead.objects.get_or_create(day=day, defaults={"head": head})
    # What stands in the table may be an old one that somebody put there: signed, and behind a cut.
    row.head = head
    path = folder() / f"{day.isoformat()}.json"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_whole(path, json.dumps(row.head, indent=1).encode() + b"\n")
    return row


def _newest_head() -> dict[str, Any] | None:
    seal = Seal.objects.order_by("-position").first()
    return signed_head(seal) if seal else None


def _note_failure(row: DailyHead, problem: str, now: datetime) -> None:
    logger.error("The head of the log was not sent: %s", problem)
    wait = min(FIRST_WAIT * 2 ** min(row.attempts, 8), LONGEST_WAIT)
    with transaction.atomic():
        is_first = row.attempts == 0 and not row.problem
        row.attempts += 1
        row.problem, row.next_attempt_at = problem[:200], now + wait
        row.save()
        if is_first:
            record(
                "log.head-not-sent",
                actor=system(ACTOR),
                subject=Subject("log", "log"),
                detail={"day": row.day.isoformat(), "problem": problem},
            )
