"""Events to a SIEM as they are sealed: a consumer of the log with a position of its own, in order, each at least once.

The position moves only when a batch got there, in the transaction that read it: a crash or a receiver that is away
costs time and no event, and what comes twice is known by its id.
"""

import json
import logging
import time
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.access import system
from accounts.audit import syslog
from accounts.audit.lines import line_json
from accounts.audit.syslog import Message, NotStreamedError, Target
from accounts.log import Subject, record
from accounts.models.event import NEVER, Event, Position, Seal

logger = logging.getLogger("quillkeep.log")

CONSUMER: Final = "stream"
NOT_STREAMED, STREAMED_AGAIN = "log.not-streamed", "log.streamed-again"
BATCH: Final = 200
SECONDS: Final = 15.0  # for one batch, its connection included; far below what a transaction may idle
ROUND: Final = 60.0  # after which the next wake-up goes on
LATE: Final = timedelta(minutes=10)


def stream_due() -> int:
    """Send what was sealed since the last time; return how many events got there. Not in a transaction."""
    if settings.AUDIT_STREAM_TO is None:
        # Nobody reads on: a position that stands still would stop archiving. Switched on again, it begins anew.
        Position.objects.filter(consumer=CONSUMER).delete()
        return 0
    total, ends_at = 0, time.monotonic() + ROUND
    try:
        while time.monotonic() < ends_at:
            sent = _batch(settings.AUDIT_STREAM_TO)
            total += sent
            if sent < BATCH:
                break
    except NotStreamedError as error:
        _note_failure(str(error))
        return total
    if total:
        _note_recovery()
    return total


def is_behind() -> bool:
    """Tell whether an event has waited for long."""
    if settings.AUDIT_STREAM_TO is None:
        return False
    late = timezone.now() - LATE
    return Position.objects.unread(CONSUMER).filter(sealed_at__lt=late).exists()


@transaction.atomic(durable=True)
def _batch(target: Target) -> int:
    position = Position.objects.free(CONSUMER)
    if position is None:
        return 0  # another worker is at it
    seals = list(Seal.objects.filter(position__gt=position).order_by("position")[:BATCH])
    if not seals:
        return 0
    events = Event.objects.by_id([seal.event_id for seal in seals])
    messages = [_message(seal, events.get(seal.event_id)) for seal in seals]
    host = urlsplit(settings.PUBLIC_URL).hostname or "-"
    syslog.send(target, messages, host=host, seconds=SECONDS)
    Position.objects.advance(CONSUMER, to=seals[-1].position)
    return len(seals)


def _message(seal: Seal, event: Event | None) -> Message:
    """Return an event with its seal; in place of one that can't be read, its place in the log."""
    if event is None or event.at == NEVER:
        body: dict[str, Any] = {"position": seal.position, "id": str(seal.event_id), "is_unreadable": True}
        return Message(seal.sealed_at, "log.unreadable", _line(body), _line(body))
    event.seal = seal
    body = line_json(event)
    return Message(event.at, event.type, _line(body), _line({**body, "detail": {"is_cut": True}}))


def _line(body: dict[str, Any]) -> bytes:
    # ASCII: no control, line separator or direction of writing reaches who reads it raw.
    return json.dumps({"environment": settings.ENVIRONMENT.name, **body}, separators=(",", ":")).encode(
        "ascii"
    )


def _note_failure(problem: str) -> None:
    logger.warning("Events were not streamed: %s.", problem)
    if is_behind() and not _is_told():
        with transaction.atomic():
            _record(NOT_STREAMED, {"problem": problem})


def _note_recovery() -> None:
    if _is_told() and not is_behind():
        with transaction.atomic():
            _record(STREAMED_AGAIN, {})


def _is_told() -> bool:
    """Tell whether the log says of this stream that it is broken; each outage is told of once."""
    told = Event.objects.filter(type__in=(NOT_STREAMED, STREAMED_AGAIN)).order_by("-at")
    return told.values_list("type", flat=True).first() == NOT_STREAMED


def _record(type_: str, detail: dict[str, object]) -> None:
    record(type_, actor=system("streaming the log"), subject=Subject("log", "log"), detail=detail)
