"""The log of deliveries in the admin: looked through a page at a time, explained one by one, and sent once more."""

import json
import re
from datetime import timedelta
from typing import Final
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import Area
from accounts.models import Event
from accounts.rights import granting
from tests.accounts.cast import Person, make_person
from tests.builders import ROOT, make_collection, make_entry, make_role
from tests.content.admin.conftest import sign_in
from tests.security.world import Unchanged
from tests.webhooks.world import FIELDS, Receiver, make_attempt, make_delivery, make_endpoint, work
from webhooks import endpoints
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db
LOG: Final = "/admin/webhooks/delivery/"


def words_of(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, path
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode().partition('id="content"')[2]).split())


def listed(browser: Client, query: str = "") -> set[str]:
    page = browser.get(f"{LOG}{query}").content.decode()
    return set(re.findall(rf"{LOG}([0-9a-f-]{{36}})/change/", page))


def page_of(delivery: Delivery) -> str:
    return f"{LOG}{delivery.pk}/change/"


def test_deliveries_are_filtered_by_endpoint_state_and_type(
    ada: Client, endpoint: Endpoint, person: Person
) -> None:
    other = make_endpoint("https://search.example.org/in", name="Search", owner=person.user).endpoint
    one = make_delivery(endpoint)
    two = make_delivery(other, state="exhausted", type="backup.failed")
    for query, found in (
        ("", {one, two}), (f"?endpoint={other.pk}", {two}), ("?state=exhausted", {two}), ("?state=waiting", set()),
        ("?type=entry.*", {one}), ("?type=backup.failed", {two}), (f"?endpoint={uuid4()}", set()),
    ):  # fmt: skip
        assert listed(ada, query) == {str(delivery.pk) for delivery in found}, query
    for strange in (
        "?state=on",
        "?type=entry",
        "?endpoint=1",
        "?before=x",
        "?q=1",
        "?state=waiting&state=missed",
    ):
        assert ada.get(f"{LOG}{strange}")["Location"] == f"{LOG}?e=1", strange
    assert "could not be understood" in words_of(ada, f"{LOG}?e=1")


def test_pages_go_on_where_the_one_before_ended(ada: Client, endpoint: Endpoint) -> None:
    rows = [make_delivery(endpoint) for _ in range(120)]
    seen: list[str] = []
    path = LOG
    while path:
        page = ada.get(path).content.decode()
        found = re.findall(rf'<th scope="row"><a href="{LOG}([0-9a-f-]{{36}})/change/', page)
        seen += found
        older = re.search(r'href="(\?[^"]*before=[^"]*)"', page)
        path = f"{LOG}{older[1]}" if older else ""
    assert seen == [str(row.pk) for row in sorted(rows, key=lambda row: row.pk, reverse=True)]


def test_a_list_costs_a_fixed_number_of_queries_and_counts_nothing(ada: Client, endpoint: Endpoint) -> None:
    make_collection("articles", FIELDS)
    spoken = []
    for number in range(6):
        entry = make_entry("articles", title=f"Entry {number}")
        make_delivery(
            endpoint,
            subject_type="entry",
            subject_id=str(entry.pk),
            collection_id=entry.collection_id,
            locale="en",
        )
        ada.get(LOG)
        with CaptureQueriesContext(connection) as asked:
            ada.get(LOG)
        spoken.append(len(asked))
        assert not [
            query
            for query in asked
            if "COUNT(" in query["sql"].upper() and "webhooks_delivery" in query["sql"]
        ]
    assert spoken[1] == spoken[5]


def test_titles_are_for_who_may_read_the_draft(ada: Client, endpoint: Endpoint) -> None:
    make_collection("articles", FIELDS)
    entry = make_entry("articles", title="CANARY", slug="canary-slug")
    delivery = make_delivery(
        endpoint, subject_type="entry", subject_id=str(entry.pk), collection_id=entry.collection_id, locale="en", version=1,
        body=json.dumps({"type": "entry.published", "data": {"id": str(entry.pk), "slug": "canary-slug"}}),
    )  # fmt: skip
    granting.add_role("keeper", "Keeper", areas=(Area.WEBHOOKS,), by=ROOT)
    kim = sign_in(make_person("kim@example.com", roles=["keeper"], with_authenticator=True))
    make_role("reader", {"collection": "articles", "actions": ("read", "read_draft"), "fields": ("section",)})
    rita = sign_in(make_person("rita@example.com", roles=["keeper", "reader"], with_authenticator=True))
    for path in (LOG, page_of(delivery), f"/admin/webhooks/endpoint/{endpoint.pk}/change/"):
        assert "CANARY" in words_of(ada, path), path
        for browser in (kim, rita):
            assert "canary" not in words_of(browser, path).lower(), path
    assert "canary-slug" in words_of(ada, page_of(delivery))
    assert str(entry.pk) in words_of(kim, page_of(delivery))


def test_an_attempt_is_shown_with_what_was_sent_and_what_came_back(
    ada: Client, endpoint: Endpoint, receiver: Receiver
) -> None:
    Endpoint.objects.update(url=receiver.url)
    make_collection("articles", FIELDS)
    work()
    receiver.statuses[:] = [503] * 9
    receiver.headers["X-Request-Id"] = "theirs-7"
    make_entry("articles", title="First")
    work()
    delivery = Delivery.objects.filter(type="entry.created").get()
    words = words_of(ada, page_of(delivery))
    for said in ("Tries again", "503", "webhook-signature", "v1,[hidden]", "theirs-7", str(delivery.pk), "Next attempt",
                 "5 minutes later", "24 hours later", "Given up, and its owner is told by mail", '&quot;slug&quot;: &quot;first&quot;'):  # fmt: skip
        assert said in words, said
    assert receiver.asked[0].headers["webhook-signature"] not in words


def test_a_delivery_says_where_it_stands(ada: Client, endpoint: Endpoint) -> None:
    for state, said in (
        ("withheld", "may not read what it is about"), ("missed", "the endpoint was switched off"),
        ("exhausted", "It was given up after 0 attempts."), ("delivered", "It arrived"),
    ):  # fmt: skip
        assert said in words_of(ada, page_of(make_delivery(endpoint, state=state))), state
    waiting = make_delivery(
        endpoint, state="waiting", next_attempt_at=timezone.now() + timedelta(hours=2, seconds=9)
    )
    assert "It is sent in 2 hours." in words_of(ada, page_of(waiting))
    Delivery.objects.filter(pk=waiting.pk).update(leased_until=timezone.now() + timedelta(seconds=50))
    assert "It is being sent." in words_of(ada, page_of(waiting))
    Delivery.objects.filter(pk=waiting.pk).update(leased_until=None)
    endpoints.pause(endpoint, by=ROOT)
    page = ada.get(page_of(waiting)).content.decode()
    assert "It waits until the endpoint is switched on again." in page
    assert "data-qk-live" not in page


def test_one_is_sent_once_more(ada: Client, endpoint: Endpoint, receiver: Receiver) -> None:
    Endpoint.objects.update(url=receiver.url)
    test = make_delivery(endpoint, type="webhook.test", state="exhausted", position=0)
    make_attempt(test)
    assert ada.get(f"{LOG}{test.pk}/redeliver/").status_code == 405
    assert ada.post(f"{LOG}{test.pk}/redeliver/").status_code == 302
    work()
    test.refresh_from_db()
    assert (test.state, test.attempt_count, receiver.ids) == ("delivered", 2, [str(test.pk)])
    assert Event.objects.filter(type="endpoint.redelivered").count() == 1
    assert ada.post(f"{LOG}{uuid4()}/redeliver/").status_code == 404


def test_many_are_sent_once_more_and_what_cant_be_is_named(
    ada: Client, endpoint: Endpoint, person: Person
) -> None:
    off = make_endpoint("https://off.example.com/", name="Off", owner=person.user).endpoint
    endpoints.disable(off, by=ROOT)
    rows = [make_delivery(endpoint, state="exhausted") for _ in range(3)]
    closed = make_delivery(off, state="missed")
    chosen = [str(row.pk) for row in (*rows[:2], closed)]
    answer = ada.post(f"{LOG}?state=exhausted", {"delivery": [*chosen, "nonsense"]}, follow=True)
    assert answer.redirect_chain[-1][0] == f"{LOG}?state=exhausted"
    page = answer.content.decode()
    assert "2 deliveries are sent once more." in page
    assert "1 delivery was left out" in page
    assert set(Delivery.objects.waiting().values_list("pk", flat=True)) == {rows[0].pk, rows[1].pk}
    assert "Tick the deliveries" in ada.post(LOG, {}, follow=True).content.decode()


def test_who_may_not_is_refused_and_sends_nothing(endpoint: Endpoint) -> None:
    delivery = make_delivery(endpoint, state="exhausted")
    make_role("editor", {"actions": ("read", "read_draft", "publish")})
    edith = sign_in(make_person("edith@example.com", roles=["editor"], with_authenticator=True))
    with Unchanged():
        assert edith.get(LOG).status_code == 403
        assert edith.get(page_of(delivery)).status_code == 403
        assert edith.post(LOG, {"delivery": str(delivery.pk)}).status_code == 403
        assert edith.post(f"{LOG}{delivery.pk}/redeliver/").status_code == 403
    assert not Attempt.objects.exists()


def test_an_empty_log_says_what_to_do(ada: Client) -> None:
    assert "Set up an endpoint" in words_of(ada, LOG)
    make_endpoint("https://www.example.com/")
    assert "To the endpoints" in words_of(ada, LOG)


def test_an_attempt_whose_process_ended_says_so(ada: Client, endpoint: Endpoint) -> None:
    delivery = make_delivery(endpoint, state="waiting", next_attempt_at=timezone.now())
    make_attempt(delivery, error="lost")
    said = "its process ended before it could say what came of it"
    assert words_of(ada, page_of(delivery)).count(said) >= 2  # among the attempts, and in the line of time
    assert said in words_of(ada, f"/admin/webhooks/endpoint/{endpoint.pk}/change/")
    assert said in words_of(ada, "/admin/webhooks/endpoint/")
