"""How long deliveries are remembered."""

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from webhooks.models import Attempt, Delivery, Sight

LIFE: Final = timedelta(days=30)
_SIGHT_LIFE: Final = LIFE + timedelta(days=5)  # longer than the retries of the last recovery
_BATCH: Final = 2_000


def forget_old() -> int:
    """Delete what ended long ago, in batches that lock little; return how many deliveries that were."""
    now = timezone.now()
    Sight.objects.filter(at__lt=now - _SIGHT_LIFE).delete()
    return forget(Delivery.objects.filter(ended_at__lt=now - LIFE).order_by("ended_at"))


def forget(deliveries: QuerySet[Delivery]) -> int:
    """Delete deliveries with their attempts, in batches; return how many."""
    total = 0
    while made := _forget_batch(deliveries):
        total += made
    return total


@transaction.atomic
def _forget_batch(deliveries: QuerySet[Delivery]) -> int:
    """Lock deliveries before their attempts go: what is written down at this moment would be left without its own."""
    locked = deliveries.select_for_update(of=("self",)).values_list("pk", flat=True)
    ids = list(locked[:_BATCH])
    Attempt.objects.filter(delivery__in=ids).delete()
    Delivery.objects.filter(pk__in=ids).delete()
    return len(ids)
