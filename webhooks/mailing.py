"""Mails to those whom an endpoint belongs to: that deliveries were given up, that it was switched off.

A consumer of the log like `accounts.sign_in.mails`: a mail server that is down delays all of them and loses none.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.urls import reverse
from django.utils import timezone

from accounts.access import Area
from accounts.log import Subject
from accounts.models.event import Event, Position, Seal
from accounts.models.role import ADMINISTRATOR, Role
from accounts.models.user import User
from accounts.sign_in import mails
from accounts.sign_in.mails import SENT, Mail
from webhooks.models import Delivery, Endpoint
from webhooks.outcomes import EXHAUSTED
from webhooks.types import TEST

CONSUMER: Final = "webhook-mails"
DISABLED: Final = "endpoint.disabled"
_QUIET: Final = timedelta(hours=24)  # one mail a day says that deliveries of an endpoint are given up
_BECAUSE: Final[Mapping[str, str]] = {
    Endpoint.Because.GONE: "it answered 410 Gone",
    Endpoint.Because.FAILING: "nothing was delivered for five days",
}


def send_due() -> int:
    """Send what the log asks for since the last time; return how many. Raises OSError when no server takes them."""
    last, sent = Seal.objects.last_position(), 0
    while True:
        with transaction.atomic(durable=True):
            position = Position.objects.of(CONSUMER, lock=True)
            types = (EXHAUSTED, DISABLED)
            event = Event.objects.after(position).filter(type__in=types, seal__position__lte=last).first()
            if event is None:
                Position.objects.advance(CONSUMER, to=last)
                return sent
            sent += _send(event)
            Position.objects.advance(CONSUMER, to=event.seal.position)


def _send(event: Event) -> int:
    endpoint = (
        Endpoint.objects.select_related("owner", "created_by").filter(pk=UUID(event.subject_id)).first()
    )
    because = _BECAUSE.get(str(event.detail.get("because", "")))
    if endpoint is None or (event.type == DISABLED and because is None) or _is_told(event):
        return 0
    mail = _mail(endpoint, event, because)
    return sum(
        mails.deliver(
            mail,
            person.email,
            person.name or person.email,
            about=event.type,
            subject=Subject("user", str(person.pk)),
            detail={"endpoint": str(endpoint.pk)},
        )
        for person in recipients(endpoint)
    )


def _lost_since(endpoint: Endpoint) -> datetime | None:
    """Return when the first thing happened that it did not get: a recovery counts from there, not from its end."""
    lost = (Delivery.State.MISSED, Delivery.State.EXHAUSTED)
    found = endpoint.deliveries.filter(state__in=lost).exclude(type=TEST)
    first: datetime | None = found.aggregate(first=Min("occurred_at"))["first"]
    return first


def _is_told(event: Event) -> bool:
    if event.type != EXHAUSTED:
        return False
    lately = Event.objects.filter(type=SENT, at__gt=timezone.now() - _QUIET)
    return lately.filter(detail__about=EXHAUSTED, detail__endpoint=event.subject_id).exists()


def recipients(endpoint: Endpoint) -> list[User]:
    """Return the person who owns it, else who made it, else everybody who administers webhooks."""
    for person in (endpoint.owner, endpoint.created_by):
        if person is not None and person.is_active and not person.is_service:
            return [person]
    roles = [
        role.pk for role in Role.objects.all() if role.key == ADMINISTRATOR or Area.WEBHOOKS in role.areas
    ]
    people = User.objects.filter(is_active=True, is_service=False, groups__in=roles)
    return list(people.distinct().order_by("email"))


def _mail(endpoint: Endpoint, event: Event, because: str | None) -> Mail:
    words = {
        "endpoint": endpoint.name,
        "because": because,
        "missed": event.detail.get("missed", 0),
        "type": event.detail.get("type", ""),
        "at": event.at,
        "since": _lost_since(endpoint) or event.at,
        "url": settings.PUBLIC_URL + reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]),
    }
    if event.type == DISABLED:
        return Mail(f"The webhook {endpoint.name} was switched off", "webhooks/mails/disabled.txt", words)
    return Mail(f"Deliveries to {endpoint.name} were given up", "webhooks/mails/exhausted.txt", words)
