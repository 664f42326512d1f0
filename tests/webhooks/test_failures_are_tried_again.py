"""Attempts, pauses, giving up, switching off, and getting back what was missed (threats W6, W7, W8, I12, I13)."""

import contextlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from hypothesis import given
from hypothesis import strategies as st

from accounts import people
from accounts.alerting import reading
from accounts.errors import ConflictError, DomainError, InvalidInputError
from accounts.log import seal_pending
from accounts.models import Alert
from content import editing, publishing
from content.models import DraftDocument
from content.writing import Writing
from tests.builders import ROOT, make_collection, make_entry, make_user
from tests.previews.little_site import Page
from tests.webhooks.world import (
    FIELDS,
    Receiver,
    deliveries,
    make_attempt,
    make_delivery,
    make_endpoint,
    states,
    told,
    work,
)
from webhooks import asking, endpoints, fanning, keeping, mailing, outcomes, retrying, sending
from webhooks.leasing import lease
from webhooks.models import Attempt, Delivery, Endpoint, Sight
from webhooks.retrying import SCHEDULE

pytestmark = pytest.mark.django_db
MORNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # long before a day's end


@pytest.fixture(autouse=True)
def articles() -> Writing:
    make_collection("articles", FIELDS)
    return Writing.on("articles", by=ROOT)


def draft(title: str = "A draft") -> Any:
    return make_entry("articles", title=title, published=False)


def test_ten_attempts_at_the_times_of_the_table_and_then_it_is_given_up(receiver: Receiver) -> None:
    receiver.statuses = [500] * 20
    with time_machine.travel(MORNING, tick=False) as clock:
        make_endpoint(receiver.url, owner=make_user("owner@example.com", roles=("administrator",)))
        draft()
        for pause in (*SCHEDULE[1:], timedelta(days=3)):
            work()
            assert work() == 0  # not a moment sooner
            clock.shift(pause * 1.1 + timedelta(seconds=1))
        work()
    attempts = list(Attempt.objects.order_by("number"))
    assert [attempt.number for attempt in attempts] == list(range(1, 11))
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempt_count) == ("exhausted", 10)
    assert len(receiver.asked) == 10
    assert len({asked.headers["webhook-id"] for asked in receiver.asked}) == 1
    assert told("endpoint.exhausted") == [
        {"name": "Site", "delivery": str(delivery.pk), "type": "entry.created"}
    ]


@pytest.mark.parametrize("tries", range(1, 10))
def test_pauses_are_spread_by_a_tenth(tries: int) -> None:
    found = [retrying.pause_after(tries) for _ in range(200)]
    wanted = SCHEDULE[tries]
    assert all(pause is not None and 0.9 * wanted <= pause <= 1.1 * wanted for pause in found)
    assert len(set(found)) > 100
    assert retrying.pause_after(10) is None


def test_the_schedule_is_that_of_the_specification() -> None:
    assert sum(SCHEDULE, timedelta(0)) == timedelta(hours=75, minutes=35, seconds=5)


def test_who_owns_an_endpoint_is_told_once_a_day(receiver: Receiver, outbox: list[Any]) -> None:
    owner = make_user("owner@example.com", roles=("administrator",))
    made = make_endpoint(receiver.url, owner=owner)
    for number in range(3):
        draft(f"Entry {number}")
    fanning.fan_out()
    Delivery.objects.update(tries=9)
    receiver.statuses = [500] * 3
    work()
    seal_pending()
    assert mailing.send_due() == 1
    assert outbox[0].to == ["owner@example.com"]
    assert "Site" in outbox[0].subject
    assert f"/admin/webhooks/endpoint/{made.endpoint.pk}/change/" in outbox[0].body
    assert receiver.url not in outbox[0].body  # it may hold a token
    seal_pending()
    assert mailing.send_due() == 0


def test_of_a_service_accounts_endpoint_those_are_told_who_look_after_webhooks(receiver: Receiver) -> None:
    service = people.add_service("Robot", by=ROOT)
    administrator = make_user("ada@example.com", roles=("administrator",))
    made = make_endpoint(receiver.url, owner=service)
    assert mailing.recipients(made.endpoint) == [administrator]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_nobody_follows_it(receiver: Receiver, status: int) -> None:
    with Receiver() as elsewhere:
        make_endpoint(receiver.url)
        receiver.statuses, receiver.headers = [status], {"Location": elsewhere.url}
        draft()
        work()
        assert elsewhere.asked == []
    assert states() == ["waiting"]
    assert Attempt.objects.get().status == status


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success(receiver: Receiver, status: int) -> None:
    make_endpoint(receiver.url)
    receiver.statuses = [status]
    draft()
    work()
    assert states() == ["delivered"]


def test_the_mail_names_a_time_from_which_a_recovery_brings_everything(
    receiver: Receiver, outbox: list[Any]
) -> None:
    """What waited when the endpoint was switched off had happened before: the time of that would lose it."""
    made = make_endpoint(receiver.url, owner=make_user("owner@example.com", roles=("administrator",)))
    receiver.statuses = [500, 410, 204, 204]
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=10)):
        draft("Waits")
        work()
    draft("Is refused for good")
    work()
    assert set(states()) == {"missed"}
    seal_pending()
    assert mailing.send_due() == 1
    first = min(Delivery.objects.values_list("occurred_at", flat=True))
    assert f"{first:%H:%M} UTC. Once the receiver works again" in outbox[0].body
    endpoints.enable(made.endpoint, by=ROOT)
    asking.recover(made.endpoint, since=first.replace(second=0, microsecond=0), by=ROOT)
    work()
    assert set(states()) == {"delivered"}


def test_gone_switches_the_endpoint_off(receiver: Receiver, outbox: list[Any]) -> None:
    made = make_endpoint(receiver.url, owner=make_user("owner@example.com", roles=("administrator",)))
    receiver.statuses = [410]
    draft()
    work()
    made.endpoint.refresh_from_db()
    assert (made.endpoint.state, made.endpoint.disabled_because) == ("disabled", "gone")
    assert states() == ["missed"]
    draft("Another")
    assert work() == 0
    seal_pending()
    assert mailing.send_due() == 1
    assert "410" in outbox[0].body
    reading.raise_due()
    assert Alert.objects.filter(rule="endpoint-disabled").exists()


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_can_ask_for_a_pause(receiver: Receiver, status: int) -> None:
    with time_machine.travel(MORNING, tick=False) as clock:
        make_endpoint(receiver.url)
        receiver.statuses, receiver.headers = [status], {"Retry-After": "600"}
        draft()
        work()
        draft("The next one waits too")
        clock.shift(timedelta(seconds=590))
        assert work() == 0
        receiver.headers = {}
        clock.shift(timedelta(seconds=20))
        assert work() == 2
    assert states() == ["delivered", "delivered"]


@pytest.mark.parametrize("status", [500, 502, 404])
def test_of_other_answers_a_pause_counts_for_nothing(receiver: Receiver, status: int) -> None:
    with time_machine.travel(MORNING, tick=False) as clock:
        make_endpoint(receiver.url)
        receiver.statuses, receiver.headers = [status], {"Retry-After": "86400"}
        draft()
        work()
        clock.shift(timedelta(seconds=6))
        assert work() == 1


@given(st.text(max_size=60))
def test_no_retry_after_breaks_anything(text: str) -> None:
    pause = retrying.asked_pause(text, MORNING)
    assert pause is None or timedelta(0) <= pause <= timedelta(hours=24)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("120", timedelta(seconds=120)),
        ("Mon, 02 Mar 2026 08:10:00 GMT", timedelta(minutes=10)),
        ("Mon, 02 Mar 2026 07:00:00 GMT", timedelta(0)),
        ("999999999999999999", timedelta(hours=24)),
        ("soon", None),
        ("-5", None),
        ("٣", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_the_rfc_says(text: str | None, wanted: timedelta | None) -> None:
    assert retrying.asked_pause(text, MORNING) == wanted


def test_five_days_of_failure_switch_it_off_and_nothing_is_lost(receiver: Receiver) -> None:
    with time_machine.travel(MORNING, tick=False) as clock:
        made = make_endpoint(receiver.url)
        receiver.statuses = [500] * 500
        began = MORNING
        for day in range(6):
            draft(f"Day {day}")
            for _ in range(12):
                work()
                clock.shift(timedelta(hours=2))
        made.endpoint.refresh_from_db()
        assert (made.endpoint.state, made.endpoint.disabled_because) == ("disabled", "failing")
        assert [detail["because"] for detail in told("endpoint.disabled")] == ["failing"]
        draft("While it was off")
        assert work() == 0
        receiver.statuses = []
        before = len(receiver.asked)
        endpoints.enable(made.endpoint, by=ROOT)
        asking.recover(made.endpoint, since=began - timedelta(minutes=1), by=ROOT)
        assert work() == 7
        work()
    recovered = [json.loads(asked.body)["data"]["sequence"] for asked in receiver.asked[before:]]
    assert recovered == sorted(recovered)
    assert len(set(recovered)) == 7
    assert set(states()) == {"delivered"}


def test_a_success_ends_the_failing(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    receiver.statuses = [500]
    draft()
    work()
    made.endpoint.refresh_from_db()
    assert made.endpoint.failing_since is not None
    draft("Works again")
    work()
    made.endpoint.refresh_from_db()
    assert made.endpoint.failing_since is None


def test_what_is_recovered_comes_once_and_in_order(receiver: Receiver) -> None:
    since = datetime.now(UTC) - timedelta(minutes=5)
    for number in range(6):
        draft(f"Before {number}")
    fanning.fan_out()  # nobody listens yet
    made = make_endpoint(receiver.url)
    draft("Heard in time")
    work()
    asking.recover(made.endpoint, since=since, by=ROOT)
    work()
    sequences = [json.loads(asked.body)["data"]["sequence"] for asked in receiver.asked]
    assert len(sequences) == 7
    assert sequences[1:] == sorted(sequences[1:])  # the first one was heard in time
    made.endpoint.refresh_from_db()
    assert made.endpoint.recovers_to is None
    leased = [delivery.position for delivery in deliveries()]
    assert leased == sorted(leased)


def test_a_time_that_is_too_long_ago_can_t_be_recovered(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    for since in (datetime.now(UTC) - timedelta(days=31), datetime.now(UTC) + timedelta(minutes=1)):
        with pytest.raises(InvalidInputError) as caught:
            asking.recover(made.endpoint, since=since, by=ROOT)
        assert caught.value.errors[0].pointer == "/since"


def test_what_ended_thirty_days_ago_is_forgotten_and_what_waits_is_not(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver.url).endpoint
    now = datetime.now(UTC)
    old, young, waiting = (
        make_delivery(endpoint, ended_at=now - timedelta(days=31)),
        make_delivery(endpoint, ended_at=now - timedelta(days=29)),
        make_delivery(endpoint, state="waiting", created_at=now - timedelta(days=40)),
    )
    for delivery in (old, young):
        make_attempt(delivery)
    for days in (36, 34):  # longer than the retries of the last recovery take
        Sight.objects.create(
            subject_id=young.event_id,
            locale=f"l{days}",
            kind="draft",
            endpoint=endpoint,
            at=now - timedelta(days=days),
        )
    keeping.forget_old()
    assert set(Delivery.objects.all()) == {young, waiting}
    assert [attempt.delivery_id for attempt in Attempt.objects.all()] == [young.pk]
    assert [sight.locale for sight in Sight.objects.all()] == ["l34"]


def test_redelivering_sends_the_same_id_with_all_attempts_before_it(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    draft()
    work()
    delivery = Delivery.objects.get()
    asking.redeliver(delivery, by=ROOT)
    receiver.statuses = [500]
    work()
    assert receiver.ids == [str(delivery.pk)] * 2
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.attempt_count) == ("waiting", 1, 2)


def test_a_disabled_endpoint_is_not_redelivered_to(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    draft()
    work()
    endpoints.disable(made.endpoint, by=ROOT)
    with pytest.raises(ConflictError):
        asking.redeliver(Delivery.objects.get(), by=ROOT)


def test_a_test_that_waits_is_sent_though_the_endpoint_is_switched_off(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver.url).endpoint
    asking.test(endpoint, by=ROOT)
    draft()
    fanning.fan_out()
    endpoints.disable(endpoint, by=ROOT)
    work()
    assert receiver.types == ["webhook.test"]
    assert sorted(states()) == ["delivered", "missed"]


def test_many_tests_of_one_endpoint_leave_room_for_the_others(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver.url).endpoint
    for _ in range(40):
        asking.test(endpoint, by=ROOT)
    draft()
    fanning.fan_out()
    now = datetime.now(UTC)
    taken = [lease(32, now=now, rooms={}, other=4, slow=False) for _ in range(2)]
    assert [sorted(delivery.type for delivery in found) for found in taken] == [
        ["entry.created", "webhook.test"],
        [],
    ]


def test_switching_off_ends_a_recovery(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver.url).endpoint
    draft()
    fanning.fan_out()
    endpoints.disable(endpoint, by=ROOT)
    endpoints.enable(endpoint, by=ROOT)
    asking.recover(endpoint, since=datetime.now(UTC) - timedelta(hours=1), by=ROOT)
    endpoints.disable(endpoint, by=ROOT)
    endpoints.enable(endpoint, by=ROOT)
    assert work() == 0
    assert states() == ["missed"]


def test_nobody_listening_is_a_failure_that_tells_no_more(receiver: Receiver) -> None:
    make_endpoint("http://127.0.0.1:9/hook")
    draft()
    work()
    attempt = Attempt.objects.get()
    assert (attempt.status, attempt.error, attempt.milliseconds) == (None, "unreachable", None)
    assert states() == ["waiting"]


def test_an_answer_is_kept_cut_and_without_secrets(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    receiver.statuses = [500]
    receiver.headers = {
        "Set-Cookie": "session=CANARY",
        "Server": "nginx",
        "X-Request-Id": "whsec_CANARYCANARY",
    }
    draft()
    work()
    attempt = Attempt.objects.get()
    assert "CANARY" not in json.dumps(attempt.response_headers)
    assert attempt.response_headers["server"].endswith("nginx")
    assert attempt.request_headers["webhook-signature"] == "v1,[hidden]"
    assert attempt.request_headers["webhook-id"] == receiver.ids[0]


def test_a_long_answer_is_cut_and_its_secrets_masked(receiver: Receiver) -> None:
    signed = "webhook-signature: v1,CANARYCANARYCANARYCANARYCANARYCANARYCANARY="
    receiver.site.answer = lambda _: Page(500, f"\x00{signed}\n" + "x" * 100_000)
    make_endpoint(receiver.url)
    draft()
    work()
    kept = Attempt.objects.get().response_body
    assert len(kept) == outcomes.MOST_BODY
    assert kept.startswith("\ufffd")
    assert "CANARY" not in kept


def test_an_endpoint_that_is_removed_meanwhile_holds_up_no_other(receiver: Receiver) -> None:
    owner = make_user(roles=("administrator",))
    removed = make_endpoint(receiver.url, name="Removed", owner=owner).endpoint
    other = make_endpoint(receiver.url, name="Other", owner=owner).endpoint
    draft()
    fanning.fan_out()
    receiver.statuses = [410, 410]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoints, "disable", removed_first(removed, endpoints.disable))
        work()
    other.refresh_from_db()
    assert (list(Endpoint.objects.all()), other.state) == ([other], "disabled")


def removed_first(removed: Endpoint, disable: Any) -> Any:
    """Return `disable` as it is where somebody removes an endpoint a moment before."""

    def meanwhile(endpoint: Endpoint, **given: Any) -> Any:
        if endpoint == removed:
            Endpoint.objects.filter(pk=removed.pk).delete()
        return disable(endpoint, **given)

    return meanwhile


def test_a_lease_that_was_taken_over_decides_nothing_but_a_success(receiver: Receiver) -> None:
    """The first worker hung for longer than its lease; what it reports late is in the log and changes no more."""
    make_endpoint(receiver.url)
    draft()
    fanning.fan_out()
    now = datetime.now(UTC)
    first = lease(5, now=now, rooms={}, other=4, slow=False)[0]
    flight = next(iter(sending.prepared([first])))
    assert isinstance(flight, sending.Flight)
    later = now + timedelta(seconds=61)
    second = lease(5, now=later, rooms={}, other=4, slow=False)[0]
    assert (first.pk, second.fence) == (second.pk, first.fence + 1)
    outcomes.settle([flight.outcome()], now=later)
    first.refresh_from_db()
    assert (first.state, first.tries, first.attempt_count) == ("waiting", 0, 1)


def test_a_consumer_that_keeps_the_newest_ends_as_the_database_is(
    receiver: Receiver, articles: Writing
) -> None:
    """Receivers may hear in any order: the greatest sequence of a subject is how it stands (threat W8)."""
    make_endpoint(receiver.url)
    chance = random.Random(7)
    entries = [make_entry("articles", title=f"Entry {number}") for number in range(8)]
    for _ in range(60):
        entry = chance.choice(entries)
        entry.refresh_from_db()
        act = chance.choice(["publish", "unpublish", "trash", "restore"])
        with contextlib.suppress(DomainError):  # what can't be done now is not part of this history
            getattr(publishing if act in ("publish", "unpublish") else editing, act)(
                entry.pk, writing=articles
            )
    work()
    bodies = [json.loads(asked.body) for asked in receiver.asked]
    chance.shuffle(bodies)
    newest: dict[str, tuple[int, str]] = {}
    for body in bodies:
        data = body["data"]
        if body["type"] in ("entry.published", "entry.unpublished"):
            newest[data["id"]] = max(newest.get(data["id"], (0, "")), (data["sequence"], body["type"]))
    live = set(
        DraftDocument.objects.filter(published_number__isnull=False).values_list("entry_id", flat=True)
    )
    heard = {entry_id for entry_id, (_, type_) in newest.items() if type_ == "entry.published"}
    assert heard == {str(entry_id) for entry_id in live}


def test_an_endpoint_of_many_owners_is_refused_nothing(settings: LazySettings, receiver: Receiver) -> None:
    for number in range(5):
        make_endpoint(receiver.url, name=f"Site {number}")
    draft()
    assert work() == 5
    assert set(states()) == {"delivered"}
    assert Endpoint.objects.filter(failing_since__isnull=False).count() == 0
