"""Mails about alerts, to those who look after the log and to the addresses of `SECURITY_ALERT_TO`.

A consumer of the log like `accounts.sign_in.mails`, with a position of its own: a mail here may wait for a minute, so
that what is raised together comes together, and nobody's invitation waits for it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from accounts.access import Area
from accounts.alerting.registry import RULES
from accounts.alerting.rule import OPENED, is_id
from accounts.log import Subject
from accounts.models.alert import Alert, Severity
from accounts.models.event import Event, Position, Seal
from accounts.models.role import ADMINISTRATOR, Role
from accounts.models.user import User
from accounts.places import country
from accounts.sign_in import mails
from accounts.sign_in.mails import Mail

CONSUMER: Final = "alert-mails"
TOGETHER: Final = timedelta(minutes=1)
LONG: Final = timedelta(minutes=10)
MOST_IN_ONE: Final = 20  # alerts that one mail describes; of the others it says how many
_BATCH: Final = 500


@transaction.atomic(durable=True)
def send_due(*, waits: bool = True) -> int:
    """Send one mail about all alerts of the last minute to each recipient; return how many mails were sent.

    Nothing is sent before the first of them is a minute old, unless told not to wait. Raises OSError when no server
    takes them: then nothing has moved, and the next time sends it, to some perhaps twice.
    """
    position = Position.objects.of(CONSUMER, lock=True)
    last = Seal.objects.last_position()
    events = list(Event.objects.after(position).filter(type=OPENED, seal__position__lte=last)[:_BATCH])
    if not events:
        Position.objects.advance(CONSUMER, to=last)
        return 0
    ripe = events[0].at + TOGETHER
    if waits and timezone.now() < ripe:
        return 0
    together = [event for event in events if event.at <= ripe or not waits]
    ids = [event.subject_id for event in together if is_id(event.subject_id)]
    # Also those that are acknowledged: who took an account over must not hide it within the minute.
    raised = Alert.objects.filter(pk__in=ids).select_related("acknowledged_by")
    alerts = sorted(raised, key=lambda alert: (-alert.severity, alert.first_at))
    sent = _send(alerts) if alerts else 0
    Position.objects.advance(CONSUMER, to=together[-1].seal.position)
    return sent


def is_stuck() -> bool:
    """Tell whether mails about alerts have waited for long: no mail can say so, the pages do."""
    late = Position.objects.unread(CONSUMER).filter(event__type=OPENED, event__at__lt=timezone.now() - LONG)
    return late.exists()


def recipients() -> list[tuple[str, str, Subject]]:
    """Return (address, name, subject for the log) of everybody who is told: each address once.

    People are told whose role opens the log to them: only they can look at the alert.
    """
    people = User.objects.filter(is_active=True, is_service=False, groups__in=_watching_roles())
    found = {
        user.email: (user.email, user.name or user.email, Subject("user", str(user.pk)))
        for user in people.distinct().order_by("email")
    }
    for number, address in enumerate(settings.SECURITY_ALERT_TO, start=1):
        found.setdefault(address, (address, "", Subject("recipient", f"SECURITY_ALERT_TO #{number}")))
    return list(found.values())


def _watching_roles() -> list[int]:
    return [role.pk for role in Role.objects.all() if role.key == ADMINISTRATOR or Area.AUDIT in role.areas]


def _send(alerts: Sequence[Alert]) -> int:
    mail = _mail(alerts)
    detail = {
        "alerts": [str(alert.pk) for alert in alerts[:MOST_IN_ONE]],
        "rules": sorted({alert.rule for alert in alerts}),
    }
    return sum(
        mails.deliver(mail, address, name, about=OPENED, subject=subject, detail=detail)
        for address, name, subject in recipients()
    )


def _mail(alerts: Sequence[Alert]) -> Mail:
    first, more = alerts[0], len(alerts) - 1
    subject = f"[{settings.ENVIRONMENT.name}] {Severity(first.severity).label}: {_title(first)}"
    words = {
        "alerts": [_words(alert) for alert in alerts[:MOST_IN_ONE]],
        "more": max(0, len(alerts) - MOST_IN_ONE),
        "all": settings.PUBLIC_URL + reverse("admin:accounts_alert_changelist"),
        "environment": settings.ENVIRONMENT.name,
    }
    return Mail(f"{subject} (and {more} more)" if more else subject, "accounts/mails/alerts.txt", words)


def _title(alert: Alert) -> str:
    rule = RULES.get(alert.rule)
    return rule.title if rule is not None else alert.rule


def _words(alert: Alert) -> dict[str, object]:
    """Return what the mail says of one alert: what, who, where, when, what to do."""
    rule, place = RULES.get(alert.rule), country(alert.address) if alert.address else ""
    return {
        "severity": Severity(alert.severity).label,
        "title": _title(alert),
        "sentence": alert.sentence,
        "count": alert.count,
        "first_at": alert.first_at,
        "last_at": alert.last_at,
        "spans_minutes": alert.spans_minutes,
        "address": f"{alert.address} ({place})" if place else alert.address,
        "by": "" if alert.is_open else getattr(alert.acknowledged_by, "email", "somebody who is gone"),
        "advice": rule.advice if rule is not None else "",
        "url": settings.PUBLIC_URL + reverse("admin:accounts_alert_change", args=[alert.pk]),
    }
