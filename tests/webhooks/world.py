"""Who hears of what: articles, endpoints that real receivers on loopback stand behind, and those who act."""

import json
from dataclasses import dataclass, field
from typing import Any, Final, Self
from uuid import UUID

from django.utils import timezone
from standardwebhooks import Webhook

from accounts.access import Principal
from accounts.ids import uuid7
from accounts.models import Event, User
from tests.builders import ROOT, allow, make_collection, make_role, make_user
from tests.previews.little_site import Asked, LittleSite, Page
from webhooks import endpoints, fanning, sending
from webhooks.endpoints import Made
from webhooks.models import Attempt, Delivery, Endpoint

FIELDS: Final[list[dict[str, Any]]] = [
    {"key": "title", "type": "text", "required": True, "filterable": True, "localized": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}, "localized": True},
    {"key": "section", "type": "text", "filterable": True},
]


@dataclass
class Receiver:
    """A real server that keeps what it is sent. `statuses` are answered in turn, then 204."""

    secret: str = ""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    site: LittleSite = field(init=False)

    def __post_init__(self) -> None:
        self.site = LittleSite(self.answer)

    def __enter__(self) -> Self:
        self.site.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.site.__exit__(*_)

    def answer(self, _asked: Asked) -> Page:
        return Page(self.statuses.pop(0) if self.statuses else 204, "", dict(self.headers))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.port}/hook"

    @property
    def asked(self) -> list[Asked]:
        return [asked for asked in self.site.asked if asked.method == "POST"]

    def verified(self) -> list[dict[str, Any]]:
        """Return the bodies of all requests, each verified by an independent library."""
        return [self.verify(asked) for asked in self.asked]

    def verify(self, asked: Asked, secret: str = "") -> dict[str, Any]:
        found = Webhook(secret or self.secret).verify(asked.body, asked.headers)
        assert isinstance(found, dict)
        return found

    @property
    def ids(self) -> list[str]:
        return [asked.headers["webhook-id"] for asked in self.asked]

    @property
    def types(self) -> list[str]:
        return [json.loads(asked.body)["type"] for asked in self.asked]


def make_endpoint(url: str, *, name: str = "Site", owner: User | None = None, **values: Any) -> Made:
    """Set up an endpoint, by default one of an administrator that hears of every change of an entry."""
    given = {
        "name": name,
        "url": url,
        "types": ["entry.*"],
        "owner": owner or make_user(roles=("administrator",)),
        **values,
    }
    return endpoints.add(given, by=ROOT)


def make_delivery(endpoint: Endpoint, **values: Any) -> Delivery:
    """Write the row of a delivery: by default one that arrived a moment ago."""
    now = timezone.now()
    given: dict[str, Any] = {
        "event_id": uuid7(),
        "position": 1,
        "type": "entry.published",
        "occurred_at": now,
        "state": Delivery.State.DELIVERED,
        "next_attempt_at": None,
        "ended_at": now,
        **values,
    }
    if given["state"] == Delivery.State.WAITING:
        given |= {"ended_at": None, "next_attempt_at": given["next_attempt_at"] or now}
    return Delivery.objects.create(endpoint=endpoint, **given)


def make_attempt(delivery: Delivery, **values: Any) -> Attempt:
    """Write down an attempt: by default one that failed a moment ago, without an answer."""
    number = delivery.attempts.count() + 1
    Delivery.objects.filter(pk=delivery.pk).update(attempt_count=number)
    given = {"at": timezone.now(), "is_success": False, "error": "unreachable", **values}
    return Attempt.objects.create(delivery=delivery, endpoint_id=delivery.endpoint_id, number=number, **given)


def work() -> int:
    """Do what the workers do, here and now; return how many attempts that were."""
    fanning.fan_out()
    return sending.drain(is_stopping=lambda: False)


def deliveries(endpoint: Endpoint | UUID | None = None) -> list[Delivery]:
    """Return the deliveries, in the order of the log."""
    rows = Delivery.objects.order_by("position", "pk")
    return list(rows if endpoint is None else rows.filter(endpoint=endpoint))


def states() -> list[str]:
    return [str(delivery.state) for delivery in deliveries()]


def told(type_: str) -> list[dict[str, Any]]:
    """Return the details of the events of a type, in their order."""
    return [event.detail for event in Event.objects.filter(type=type_).order_by("at", "pk")]


__all__ = ["ROOT", "Principal", "allow", "make_collection", "make_role"]
