"""What webhooks tell monitoring: what waits, what failed within a day, endpoints that are off."""

from datetime import timedelta
from typing import Final

from django.db.models import Count, Min
from django.utils import timezone

from accounts.measuring import Measure
from accounts.models.event import Position
from webhooks import fanning
from webhooks.models import Delivery, Endpoint, Receipt

_DAY: Final = timedelta(days=1)
_MOST: Final = 100_000  # rows that are counted: a longer queue reads as this


def _deliveries() -> dict[str, float]:
    ended = Delivery.objects.filter(ended_at__gte=timezone.now() - _DAY).order_by()
    found = dict(ended.values_list("state").annotate(number=Count("pk")))
    counted = {state.value: float(found.get(state.value, 0)) for state in Delivery.State}
    counted[Delivery.State.WAITING] = float(Delivery.objects.waiting().order_by()[:_MOST].count())
    return counted


def _oldest_due() -> float:
    now = timezone.now()
    due = Delivery.objects.waiting().filter(next_attempt_at__lte=now, endpoint__state=Endpoint.State.ACTIVE)
    since = due.aggregate(at=Min("next_attempt_at"))["at"]
    return (now - since).total_seconds() if since is not None else 0.0


def _receipts() -> dict[str, float]:
    waiting = Receipt.objects.filter(state=Receipt.State.WAITING).order_by()[:_MOST].count()
    failed = Receipt.objects.filter(state=Receipt.State.FAILED, at__gte=timezone.now() - _DAY).count()
    return {"waiting": float(waiting), "failed": float(failed)}


def _endpoints() -> dict[str, float]:
    found = dict(Endpoint.objects.order_by().values_list("state").annotate(number=Count("pk")))
    return {state.value: float(found.get(state.value, 0)) for state in Endpoint.State}


def _unread() -> float:
    return float(Position.objects.unread(fanning.CONSUMER)[:_MOST].count())


MEASURES: Final = (
    Measure(
        "quillkeep_webhook_deliveries",
        "Deliveries that wait, and those that ended within a day.",
        _deliveries,
        "state",
    ),
    Measure(
        "quillkeep_oldest_due_delivery_seconds",
        "For how long the oldest due delivery has waited.",
        _oldest_due,
    ),
    Measure(
        "quillkeep_webhook_receipts",
        "Received webhooks that wait to be acted on, and those that failed within a day.",
        _receipts,
        "state",
    ),
    Measure("quillkeep_webhook_endpoints", "Webhook endpoints.", _endpoints, "state"),
    Measure(
        "quillkeep_webhooks_unread_events", "Sealed events that webhooks have not fanned out yet.", _unread
    ),
)
