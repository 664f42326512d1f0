"""Who sends what: articles, a service account that may write them, and a source of each scheme."""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts import people
from accounts.keyring import key_ring
from accounts.models import Event, User
from tests.builders import ROOT, make_collection, make_locale, make_role
from tests.webhooks.incoming import senders
from webhooks.incoming import sources
from webhooks.models import Receipt, Source

SECRET = "a secret that they share".replace(" ", "-")
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the published one
FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "required": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
    {"key": "sku", "type": "text", "unique": True},
    {"key": "kind", "type": "text"},
    {"key": "price", "type": "integer"},
    {"key": "wage", "type": "integer", "data_class": "personal"},
]
ACTIONS = ("read", "read_draft", "create", "update", "publish", "unpublish")
SAVE: dict[str, Any] = {
    "do": "create_or_update",
    "collection": "articles",
    "match": {"field": "sku", "pointer": "/data/sku"},
    "mapping": {"title": "/data/title", "price": "/data/price", "kind": {"value": "imported"}},
    "publish": True,
}


@dataclass
class World:
    """The account that sources act as."""

    account: User


def make_world() -> World:
    make_locale("de")
    make_collection("articles", FIELDS)
    make_collection("vault", [{"key": "title", "type": "text"}])
    make_role("importer", {"collection": "articles", "actions": ACTIONS})
    return World(people.add_service("Importer", roles=["importer"], by=ROOT))


def make_source(
    key: str = "shop", scheme: str = "standard", *, secret: str | None = None, by: Any = ROOT, **values: Any
) -> Source:
    """Set up a source; by default one that only records."""
    given = secret or (STANDARD_SECRET if scheme == "standard" else SECRET)
    if scheme == "hmac":
        values.setdefault("options", senders.GENERIC)
    return sources.add(key, scheme, values, secret=given, by=by).source


def make_failed_receipt(source: Source) -> Receipt:
    """Write the row of a message that could not be acted on."""
    body = b'{"data": {"title": "Chair"}}'
    made = Receipt(source=source, message_id=f"msg_{Receipt.objects.count()}", sha256=hashlib.sha256(body).hexdigest(), size=len(body),
                   is_dated=True, state=Receipt.State.FAILED, reason="no-match", said="No entry has the value.", attempts=1,
                   problems=[{"pointer": "/title", "code": "required"}], done_at=timezone.now())  # fmt: skip
    made.body = key_ring().encrypt(body, context=made.context)
    made.save(force_insert=True)
    return made


def sign(scheme: str, body: bytes, **options: Any) -> dict[str, str]:
    """Sign a body with the secret that `make_source` gives."""
    if scheme == "standard":
        return senders.standard(body, STANDARD_SECRET, **options)
    maker: dict[str, Any] = {
        "github": senders.github,
        "stripe": senders.stripe,
        "slack": senders.slack,
        "hmac": senders.generic,
    }
    signed: dict[str, str] = maker[scheme](body, SECRET, **options)
    return signed


def send(source: str, scheme: str, payload: Any, *, address: str = "192.0.2.10", **options: Any) -> Any:
    """Send a payload, rightly signed."""
    body = senders.encoded(payload)
    return senders.Sender(source, address).post(body, sign(scheme, body, **options))


def told(type_: str) -> list[dict[str, Any]]:
    return [event.detail for event in Event.objects.filter(type=type_).order_by("at", "pk")]


def refusals() -> list[str]:
    return [str(detail["reason"]) for detail in told("source.refused")]


def the_receipt() -> Receipt:
    return Receipt.objects.select_related("source").get()
