"""From events to deliveries: one for each event and endpoint, written in the transaction that moves the position.

Any number of workers may run this: the position is locked, and a delivery of an event to an endpoint is there once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.log import seal_pending
from accounts.models.event import Event, Position, Seal
from webhooks.models import Delivery, Endpoint
from webhooks.types import TEST, TYPES, collection_of, wants

CONSUMER: Final = "webhooks"
BATCH: Final = 500  # events in one transaction
MOST_ROWS: Final = 50_000  # deliveries in one transaction: many endpoints make fewer events of it
_ROWS: Final = 1_000  # deliveries in one statement


def fan_out() -> int:
    """Seal what was committed and turn it into deliveries; return how many are new. Commits on its own."""
    seal_pending(wait=False)
    last = Seal.objects.last_position()
    made = 0
    while Position.objects.of(CONSUMER) < last:
        made += _fan_out_batch(last)
    return made + _recover()


@transaction.atomic(durable=True)
def _fan_out_batch(last: int) -> int:
    position = Position.objects.of(CONSUMER, lock=True)
    until = min(Seal.objects.end_of_batch(position, size=BATCH), last)
    events = _events(position, until)
    listening = _listening() if events else []
    most = max(1, MOST_ROWS // max(1, len(listening)))
    if len(events) > most:
        events = events[:most]
        until = events[-1].seal.position
    made = _write(events, listening)
    Position.objects.advance(CONSUMER, to=until)
    return made


def _listening() -> list[Endpoint]:
    """Return the endpoints that hear, locked: one that is removed or disabled meanwhile waits until they are told."""
    hears = Endpoint.objects.exclude(state=Endpoint.State.DISABLED).order_by("pk")
    return list(hears.select_for_update(no_key=True))


def _events(after: int, until: int) -> list[Event]:
    found = Event.objects.after(after).filter(seal__position__lte=until, type__in=TYPES)
    return list(found)


def _write(events: Sequence[Event], endpoints: Sequence[Endpoint]) -> int:
    """Insert what is not there yet. Returns how many that may be at most."""
    now = timezone.now()
    rows = (
        _delivery(event, endpoint, now)
        for event in events
        for endpoint in endpoints
        if wants(endpoint, event)
    )
    made = 0
    for chunk in _chunks(rows):
        Delivery.objects.bulk_create(chunk, ignore_conflicts=True)
        made += len(chunk)
    return made


def _delivery(event: Event, endpoint: Endpoint, now: datetime) -> Delivery:
    version = event.detail.get("version")
    return Delivery(
        endpoint=endpoint,
        event_id=event.pk,
        position=0 if event.type == TEST else event.seal.position,
        type=event.type,
        occurred_at=event.at,
        subject_type=event.subject_type,
        subject_id=event.subject_id,
        collection_id=collection_of(event),
        locale=event.locale,
        version=version if isinstance(version, int) else None,  # never a guess: its slug would be told
        created_at=now,
        next_attempt_at=now,
    )


def _chunks(rows: Iterable[Delivery]) -> Iterable[list[Delivery]]:
    chunk: list[Delivery] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


# --- What was missed ------------------------------------------------------------------------------------------------


def _recover() -> int:
    """Queue what endpoints missed since the time that was asked for: some of it for each, each time."""
    ids = Endpoint.objects.filter(recovers_to__isnull=False).order_by("pk").values_list("pk", flat=True)
    return sum(_recover_batch(endpoint_id) for endpoint_id in list(ids))


@transaction.atomic(durable=True)
def _recover_batch(endpoint_id: UUID) -> int:
    endpoint = Endpoint.objects.select_for_update().filter(pk=endpoint_id).first()
    if endpoint is None or endpoint.recovers_to is None or endpoint.recovered_to is None:
        return 0
    until = min(Seal.objects.end_of_batch(endpoint.recovered_to, size=BATCH), endpoint.recovers_to)
    now = timezone.now()
    missed = endpoint.deliveries.filter(
        position__gt=endpoint.recovered_to,
        position__lte=until,
        state__in=(Delivery.State.EXHAUSTED, Delivery.State.MISSED),
    )
    again = missed.update(
        state=Delivery.State.WAITING,
        next_attempt_at=now,
        ended_at=None,
        leased_until=None,
        tries=0,
        fence=F("fence") + 1,
    )
    made = _write(
        [event for event in _events(endpoint.recovered_to, until) if event.type != TEST], [endpoint]
    )
    endpoint.recovered_to = until
    if until >= endpoint.recovers_to:
        endpoint.recovered_to = endpoint.recovers_to = None
    endpoint.save(update_fields=["recovered_to", "recovers_to"])
    return again + made
