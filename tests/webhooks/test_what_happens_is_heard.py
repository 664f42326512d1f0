"""From a change in the CMS to a receiver that believes it: once for each event and endpoint, signed, ids only."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import connections, transaction

from accounts.access import system
from accounts.log import record
from accounts.models import Event
from content import editing, publishing
from content.models import Entry
from content.writing import Writing
from tests.builders import ROOT, make_collection, make_entry, make_locale
from tests.webhooks.world import FIELDS, Receiver, deliveries, make_endpoint, states, work
from webhooks import asking, endpoints, fanning, payload, types
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


def articles(**values: Any) -> Writing:
    make_collection("articles", FIELDS, **values)
    return Writing.on("articles", by=ROOT)


def test_a_published_entry_arrives_signed_and_without_content(receiver: Receiver) -> None:
    articles()
    receiver.secret = make_endpoint(receiver.url).secret
    entry = make_entry("articles", title="CANARY")
    assert work() == 2
    created, published = sorted(receiver.verified(), key=lambda body: body["data"]["sequence"])
    assert created["type"] == "entry.created"
    assert published["type"] == "entry.published"
    assert published["data"] == {
        "id": str(entry.pk),
        "collection": "articles",
        "locale": "en",
        "slug": "canary",
        "version": 1,
        "sequence": deliveries()[1].position,
        "environment": "development",
        "url": f"http://testserver/api/v1/content/articles/{entry.pk}?locale=en",
    }
    assert b"CANARY" not in receiver.asked[1].body
    assert receiver.asked[1].headers["content-type"] == "application/json"
    assert states() == ["delivered", "delivered"]
    assert work() == 0


def test_every_act_on_an_entry_is_told_with_a_growing_sequence(receiver: Receiver) -> None:
    writing = articles()
    receiver.secret = make_endpoint(receiver.url).secret
    entry = make_entry("articles", title="One")
    editing.save(entry.pk, {"title": "Two"}, writing=writing, base=1)
    publishing.publish(entry.pk, writing=writing)
    publishing.unpublish(entry.pk, writing=writing)
    editing.trash(entry.pk, writing=writing)
    editing.restore(entry.pk, writing=writing)
    editing.purge(entry.pk, writing=writing)
    work()
    bodies = sorted(receiver.verified(), key=lambda body: body["data"]["sequence"])
    assert [body["type"].partition(".")[2] for body in bodies] == [
        "created", "published", "updated", "published", "unpublished", "trashed", "restored", "deleted",
    ]  # fmt: skip
    assert len({body["data"]["sequence"] for body in bodies}) == len(bodies)
    assert {body["data"]["id"] for body in bodies} == {str(entry.pk)}
    assert bodies[-1]["data"]["slug"] is None  # it is erased


def test_each_locale_is_an_event_of_its_own(receiver: Receiver) -> None:
    make_locale("de")
    writing = articles(localized=True)
    receiver.secret = make_endpoint(receiver.url, types=["entry.published"]).secret
    entry = make_entry("articles", title="Salt", published=False)
    editing.save(entry.pk, {"title": "Salz"}, writing=writing, base=1, locale="de")
    publishing.publish(entry.pk, writing=writing)
    work()
    told = {body["data"]["locale"]: body["data"]["slug"] for body in receiver.verified()}
    assert told == {"en": "salt", "de": "salz"}


def test_an_endpoint_hears_of_its_types_and_collections_alone(receiver: Receiver) -> None:
    articles()
    pages = make_collection("pages", FIELDS)
    make_endpoint(receiver.url, types=["entry.published"], collection_ids=[pages.id])
    make_entry("articles", title="Not this")
    make_entry("pages", title="This")
    work()
    assert receiver.types == ["entry.published"]
    assert json.loads(receiver.asked[0].body)["data"]["collection"] == "pages"


def test_ed25519_signatures_are_verified_with_the_public_key_alone(receiver: Receiver) -> None:
    articles()
    made = make_endpoint(receiver.url, algorithm="v1a")
    assert made.secret.startswith("whpk_")
    make_entry("articles", title="Signed", published=False)
    work()
    asked = receiver.asked[0]
    version, _, signature = asked.headers["webhook-signature"].partition(",")
    content = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(made.secret.removeprefix("whpk_")))
    assert version == "v1a"
    key.verify(base64.b64decode(signature), content)


def test_an_event_that_is_rolled_back_is_told_to_nobody(receiver: Receiver) -> None:
    writing = articles()
    make_endpoint(receiver.url)
    work()
    with transaction.atomic():
        editing.create({"title": "Never"}, writing=writing)
        transaction.set_rollback(True)
    assert work() == 0
    assert not Delivery.objects.exists()


def test_many_workers_that_fan_out_at_once_make_one_delivery_each(receiver: Receiver) -> None:
    articles()
    for number in range(3):
        make_endpoint(receiver.url, name=f"Site {number}")
    for number in range(20):
        make_entry("articles", title=f"Entry {number}", published=False)

    def fan_out(_: int) -> None:
        try:
            fanning.fan_out()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(fan_out, range(12)))
    assert Delivery.objects.count() == 60
    assert len(set(Delivery.objects.values_list("event_id", "endpoint_id"))) == 60


def test_many_events_for_many_endpoints_are_taken_in_steps(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    articles()
    for number in range(3):
        make_endpoint(receiver.url, name=f"Site {number}")
    for number in range(7):
        make_entry("articles", title=f"Entry {number}", published=False)
    written: list[int] = []
    before = fanning._write
    monkeypatch.setattr(fanning, "MOST_ROWS", 7)

    def write(events: Any, endpoints: Any) -> int:
        written.append(len(events))
        return before(events, endpoints)

    monkeypatch.setattr(fanning, "_write", write)
    fanning.fan_out()
    assert max(written) == 2
    assert Delivery.objects.count() == 21


def test_a_flood_of_other_events_is_passed_over(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    with transaction.atomic():
        for _ in range(1_100):
            record("draft.read", actor=system("test"), subject=None)
    assert work() == 0


def test_a_test_goes_to_its_endpoint_alone_and_once(receiver: Receiver) -> None:
    first = make_endpoint(receiver.url, name="First")
    make_endpoint(receiver.url, name="Second", types=["webhook.test", "entry.*"])
    receiver.secret, receiver.statuses = first.secret, [500]
    asking.test(first.endpoint, by=ROOT)
    assert work() == 1
    assert receiver.verified()[0]["type"] == "webhook.test"
    assert states() == ["exhausted"]
    first.endpoint.refresh_from_db()
    assert first.endpoint.failing_since is None  # it says nothing of what is delivered in earnest
    assert work() == 0


def test_a_paused_endpoint_gets_everything_once_it_is_resumed(receiver: Receiver) -> None:
    articles()
    endpoint = make_endpoint(receiver.url).endpoint
    endpoints.pause(endpoint, by=ROOT)
    make_entry("articles", title="While it slept")
    assert work() == 0
    assert states() == ["waiting", "waiting"]
    asking.test(endpoint, by=ROOT)
    assert work() == 1  # a test is sent all the same
    endpoints.enable(endpoint, by=ROOT)
    assert work() == 2
    assert states() == ["delivered"] * 3


def test_a_disabled_endpoint_hears_nothing_and_a_removed_one_neither(receiver: Receiver) -> None:
    articles()
    disabled = make_endpoint(receiver.url, name="Disabled").endpoint
    removed = make_endpoint(receiver.url, name="Removed").endpoint
    make_entry("articles", title="Too late")
    fanning.fan_out()
    endpoints.disable(disabled, by=ROOT)
    endpoints.remove(removed, by=ROOT)
    make_entry("articles", title="Never")
    assert work() == 0
    assert states() == ["missed", "missed"]


def test_the_bodies_of_all_attempts_are_the_same_bytes(receiver: Receiver) -> None:
    writing = articles()
    make_endpoint(receiver.url)
    entry = make_entry("articles", title="First words", published=False)
    receiver.statuses = [500]
    work()
    editing.save(entry.pk, {"title": "Other words", "slug": "other"}, writing=writing, base=1)
    asking.redeliver(deliveries()[0], by=ROOT)
    work()
    first = [asked for asked in receiver.asked if b"first-words" in asked.body and b"created" in asked.body]
    assert len(first) == 2
    assert first[0].body == first[1].body
    assert b'"slug":"first-words"' in first[0].body


@pytest.mark.parametrize("type_", types.TYPES)
def test_there_is_an_example_of_every_type(type_: str) -> None:
    shown = json.loads(payload.example(type_, "articles", "en"))
    assert shown["type"] == type_
    assert set(shown["data"]) == {
        "id", "collection", "locale", "slug", "version", "sequence", "environment", "url",
    }  # fmt: skip


def test_the_events_of_entries_are_those_of_the_contract() -> None:
    writing = articles()
    entry = make_entry("articles", title="All of them")
    publishing.unpublish(entry.pk, writing=writing)
    editing.trash(entry.pk, writing=writing)
    recorded = set(Event.objects.filter(type__startswith="entry.").values_list("type", flat=True))
    assert recorded <= set(types.TYPES)
    assert Entry.objects.filter(pk=entry.pk).exists()
