"""How long deliveries are remembered."""

from datetime import timedelta
from typing import Final

from django.utils import timezone

from webhooks.models import Attempt, Delivery, Sight

LIFE: Final = timedelta(days=30)
_SIGHT_LIFE: Final = LIFE + timedelta(days=5)  # longer than the retries of the last recovery
_BATCH: Final = 2_000


def forget_old() -> int:
    """Delete what ended long ago, in batches that lock little; return how many deliveries that were."""
    now = timezone.now()
    Sight.objects.filter(at__lt=now - _SIGHT_LIFE).delete()
    over = Delivery.objects.filter(ended_at__lt=now - LIFE).order_by("ended_at")
    total = 0
    while ids := list(over.values_list("pk", flat=True)[:_BATCH]):
        Attempt.objects.filter(delivery__in=ids).delete()
        total += Delivery.objects.filter(pk__in=ids).delete()[0]
    return total
