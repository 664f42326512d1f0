"""What people ask of deliveries: a test, the same once more, and everything that was missed."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.errors import ConflictError, InvalidInputError, Problem
from accounts.log import Subject, record
from accounts.models.event import Event, Seal
from webhooks.endpoints import locked
from webhooks.models import Delivery, Endpoint
from webhooks.types import TEST, TYPES, covers

LONGEST_AGO: Final = timedelta(days=30)


@transaction.atomic
def test(endpoint: Endpoint, *, by: Principal) -> Delivery:
    """Send a `webhook.test` to this endpoint alone, once, whether it is active or not."""
    _require(by)
    subject = Subject("endpoint", str(endpoint.pk))
    event = record(TEST, actor=by, subject=subject, detail={"name": endpoint.name})
    return Delivery.objects.create(
        endpoint=endpoint,
        event_id=event.pk,
        position=0,
        type=TEST,
        occurred_at=event.at,
        subject_type=event.subject_type,
        subject_id=event.subject_id,
    )


@transaction.atomic
def redeliver(delivery: Delivery, *, by: Principal) -> Delivery:
    """Send a delivery once more, with its id and with all its attempts before it. Raises ConflictError."""
    _require(by)
    row = (
        Delivery.objects.select_for_update(of=("self",))
        .select_related("endpoint")
        .filter(pk=delivery.pk)
        .first()
    )
    if row is None:
        raise ConflictError("The delivery is no longer in the log.")
    if row.type != TEST and row.endpoint.state == Endpoint.State.DISABLED:
        raise ConflictError("The endpoint is switched off. Switch it on first.")
    if row.leased_until is not None and row.leased_until > timezone.now():
        raise ConflictError("It is being sent at this moment.")
    row.take_again(timezone.now())
    row.save(update_fields=["state", "next_attempt_at", "leased_until", "ended_at", "tries", "fence"])
    subject = Subject("endpoint", str(row.endpoint_id))
    detail = {"name": row.endpoint.name, "delivery": str(row.pk), "type": row.type}
    record("endpoint.redelivered", actor=by, subject=subject, detail=detail)
    return row


@transaction.atomic
def recover(endpoint: Endpoint, *, since: datetime, by: Principal) -> Endpoint:
    """Queue everything since a time that this endpoint was not told of, in the order of the log.

    Workers do it in small steps. Raises InvalidInputError (not within 30 days), ConflictError (not active).
    """
    _require(by)
    now = timezone.now()
    if not now - LONGEST_AGO <= since <= now:
        detail = "A time within the last 30 days."
        raise InvalidInputError(errors=[Problem.at(["since"], "out-of-range", detail)])
    found = locked(endpoint)
    if not found.is_active:
        raise ConflictError("The endpoint is not active. Switch it on first.")
    before = Seal.objects.filter(event__at__lt=since).order_by("-position").values_list("position", flat=True)
    found.recovered_to, found.recovers_to = before.first() or 0, Seal.objects.last_position()
    found.ordered_to = found.recovers_to
    found.save(update_fields=["recovered_to", "recovers_to", "ordered_to"])
    detail_of = {"name": found.name, "since": since.isoformat()}
    record("endpoint.recovered", actor=by, subject=Subject("endpoint", str(found.pk)), detail=detail_of)
    return found


def missed_at_most(endpoint: Endpoint, *, since: datetime, most: int) -> int:
    """Return how many events a recovery would look through, those that have arrived included; counted up to `most`."""
    wanted = [name for name in TYPES if name != TEST and covers(endpoint.types, name)]
    events = Event.objects.filter(type__in=wanted, at__gte=since)
    if endpoint.collection_ids:
        events = events.filter(Q(collection_id=None) | Q(collection_id__in=endpoint.collection_ids))
    return events.order_by("-at")[:most].count()


def redeliver_each(deliveries: Iterable[Delivery], *, by: Principal) -> int:
    """Send several once more; return how many, past those that can't be."""
    number = 0
    for delivery in deliveries:
        try:
            redeliver(delivery, by=by)
        except ConflictError:
            continue
        number += 1
    return number


def _require(by: Principal) -> None:
    by.require_area(Area.WEBHOOKS)
    by.require_no_lockdown()
