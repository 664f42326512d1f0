"""What accounts tell monitoring: how far the log is, what waits for mail, alerts, keys that end soon."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Min
from django.utils import timezone

from accounts.alerting import mailing, reading
from accounts.audit import results, streaming
from accounts.measuring import Measure
from accounts.models.alert import Alert, Severity
from accounts.models.api_key import ApiKey
from accounts.models.event import Event, Position, Unsealed
from accounts.sign_in import mails

SOON: Final = timedelta(days=14)
MOST_COUNTED: Final = 100_000


def _seconds_since(moment: datetime | None) -> float:
    return max(0.0, (timezone.now() - moment).total_seconds()) if moment is not None else 0.0


def _oldest_unsealed() -> float:
    waiting = Unsealed.objects.filter(refused_at__isnull=True).order_by("pk").values("event_id")[:1]
    return _seconds_since(Event.objects.filter(pk__in=waiting).aggregate(at=Min("at"))["at"])


def _unread(consumer: str) -> float:
    """Return how many events a consumer has still to read; a restore leaves gaps, so positions don't tell."""
    return float(Position.objects.unread(consumer)[:MOST_COUNTED].count())


def _behind() -> dict[str, float]:
    consumers = {"mails": mails.CONSUMER, "alerts": reading.CONSUMER, "alert_mails": mailing.CONSUMER}
    if settings.AUDIT_STREAM_TO is not None:
        consumers["stream"] = streaming.CONSUMER
    return {name: _unread(consumer) for name, consumer in consumers.items()}


def _verified_at() -> float | None:
    badge = results.newest()
    return badge.at.timestamp() if badge is not None and badge.is_genuine else None


def _is_intact() -> float | None:
    badge = results.newest()
    return float(badge.is_good) if badge is not None else None


def _open_alerts() -> dict[str, float]:
    counted = Alert.objects.open().order_by().values_list("severity").annotate(number=Count("pk"))
    found = dict(counted)
    return {item.word: float(found.get(item.value, 0)) for item in Severity}


def _ending_keys() -> float:
    return float(ApiKey.objects.usable().filter(expires_at__lte=timezone.now() + SOON).count())


MEASURES: Final = (
    Measure(
        "quillkeep_unsealed_events",
        "Events that wait for their seal.",
        lambda: float(Unsealed.objects.filter(refused_at__isnull=True).count()),
    ),
    Measure("quillkeep_oldest_unsealed_event_seconds", "Age of the oldest of them.", _oldest_unsealed),
    Measure(
        "quillkeep_refused_events",
        "Rows of the log that the application did not write.",
        lambda: float(Unsealed.objects.filter(refused_at__isnull=False).count()),
    ),
    Measure(
        "quillkeep_unread_events", "Sealed events that a consumer has not looked at yet.", _behind, "consumer"
    ),
    Measure("quillkeep_log_verified_timestamp_seconds", "When the log was last verified.", _verified_at),
    Measure("quillkeep_log_intact", "1 when the last verification found nothing.", _is_intact),
    Measure("quillkeep_open_alerts", "Alerts that nobody has acknowledged.", _open_alerts, "severity"),
    Measure("quillkeep_expiring_api_keys", "Usable API keys that end within 14 days.", _ending_keys),
)
