"""Workers that die, come late, or work side by side: each attempt counts once, and the same bytes are sent again."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.egress import Answer
from content import editing
from tests.builders import make_collection, make_entry, writing
from tests.webhooks.world import FIELDS, ROOT, Receiver, deliveries, make_endpoint, states, work
from webhooks import asking, endpoints, fanning, hearing, outcomes, sending
from webhooks.leasing import _DUE, FLIGHT, LEASE, LOST, Room, lease
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.outcomes import Outcome, settle
from webhooks.sending import Flight, prepared

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def endpoint(receiver: Receiver) -> Endpoint:
    make_collection("articles", FIELDS)
    made = make_endpoint(receiver.url, types=["entry.published"])
    receiver.secret = made.secret
    return made.endpoint


def queue(number: int = 1) -> list[Delivery]:
    """Publish entries, and queue their deliveries without sending them."""
    for _ in range(number):
        make_entry("articles")
    fanning.fan_out()
    return deliveries()


def taken(*, after: timedelta = timedelta(0)) -> list[Delivery]:
    """Lease what is due, as the drain does."""
    return lease(32, now=timezone.now() + after, rooms={}, other=16, slow=False)


def flight(delivery: Delivery) -> Flight:
    (found,) = prepared([delivery])
    assert isinstance(found, Flight)
    return found


def failed(delivery: Delivery) -> Outcome:
    return replace(flight(delivery).outcome(), error=outcomes.UNREACHABLE)


def answered(delivery: Delivery, status: int = 204) -> Outcome:
    return replace(flight(delivery).outcome(), answer=Answer(status, {}, b""), milliseconds=3)


def let_a_minute_pass() -> None:
    """End all leases, as time would."""
    then = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(leased_until__isnull=False).update(leased_until=then, next_attempt_at=then)


def beside(act: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    """Start something in a thread with a connection of its own."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 -- the test looks at it
            errors.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


@pytest.mark.parametrize("outcome_of", [failed, answered])
def test_results_that_are_written_again_count_once(
    endpoint: Endpoint, outcome_of: Callable[[Delivery], Outcome]
) -> None:
    queue()
    outcome = outcome_of(taken()[0])
    for _ in range(3):  # the database went away before it could say that it has them
        settle([outcome], now=timezone.now())
    row = Delivery.objects.get()
    assert (row.attempt_count, Attempt.objects.count()) == (1, 1)
    assert row.tries == (0 if outcome.is_success else 1)


def test_what_is_sent_is_kept_before_it_is_sent(endpoint: Endpoint, receiver: Receiver) -> None:
    entry = make_entry("articles", title="First")
    fanning.fan_out()
    sent = flight(taken()[0])  # and here the process dies
    assert Delivery.objects.get().body == sent.body
    editing.save(entry.pk, {"slug": "another"}, base=1, writing=writing("articles"))
    let_a_minute_pass()
    work()
    assert [asked.body.decode() for asked in receiver.asked] == [sent.body]


def test_an_attempt_whose_process_died_is_in_the_log(endpoint: Endpoint, receiver: Receiver) -> None:
    queue()
    taken()
    let_a_minute_pass()
    work()
    attempts = Attempt.objects.order_by("number").values_list("number", "is_success", "error")
    assert list(attempts) == [(1, False, LOST), (2, True, "")]
    assert Delivery.objects.get().attempt_count == 2


def test_one_that_was_taken_for_lost_and_was_only_late_is_told_in_its_place(endpoint: Endpoint) -> None:
    queue()
    late = answered(taken()[0])
    again = failed(taken(after=LEASE + timedelta(seconds=1))[0])
    settle([late], now=timezone.now())
    settle([again], now=timezone.now())
    attempts = Attempt.objects.order_by("number").values_list("number", "is_success", "error")
    assert list(attempts) == [(1, True, ""), (2, False, outcomes.UNREACHABLE)]
    assert states() == ["delivered"]


def test_a_late_failure_decides_nothing_for_who_holds_the_lease_now(endpoint: Endpoint) -> None:
    queue()
    late = failed(taken()[0])
    (held,) = taken(after=LEASE + timedelta(seconds=1))
    settle([late], now=timezone.now())
    row = Delivery.objects.get()
    assert (row.leased_until, row.tries) == (held.leased_until, 0)


def test_a_late_failure_of_before_decides_nothing_for_what_is_asked_for_again(endpoint: Endpoint) -> None:
    queue()
    late = failed(taken()[0])
    let_a_minute_pass()
    asking.redeliver(Delivery.objects.get(), by=ROOT)
    settle([late], now=timezone.now())
    row = Delivery.objects.get()
    assert row.tries == 0
    assert row.next_attempt_at is not None
    assert row.next_attempt_at <= timezone.now()


def test_an_endpoint_that_is_removed_while_its_delivery_is_on_the_wire_is_gone(endpoint: Endpoint) -> None:
    queue()
    outcome = answered(taken()[0])
    endpoints.remove(endpoint, by=ROOT)
    settle([outcome], now=timezone.now())
    assert (Delivery.objects.count(), Attempt.objects.count(), Endpoint.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize("end", [endpoints.disable, endpoints.remove])
def test_what_ends_while_the_rights_are_asked_is_not_sent(
    end: Callable[..., Any], endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue()
    leased = taken()
    asked = hearing.heard

    def and_meanwhile(listeners: Any) -> Any:
        end(endpoint, by=ROOT)
        return asked(listeners)

    monkeypatch.setattr(hearing, "heard", and_meanwhile)
    assert list(prepared(leased)) == []


def test_removing_waits_for_what_is_being_written_down(endpoint: Endpoint) -> None:
    queue()
    with transaction.atomic():  # as `settle` does
        row = Delivery.objects.select_for_update().get()
        thread, errors = beside(lambda: endpoints.remove(endpoint, by=ROOT))
        thread.join(0.5)
        assert thread.is_alive()
        Attempt.objects.create(
            delivery=row, endpoint_id=endpoint.pk, number=1, at=timezone.now(), is_success=False
        )
    thread.join()
    assert errors == []
    assert (Delivery.objects.count(), Attempt.objects.count()) == (0, 0)


def test_who_is_disabled_while_it_is_fanned_out_has_nothing_waiting(endpoint: Endpoint) -> None:
    make_entry("articles")
    with transaction.atomic():
        endpoints.disable(endpoint, by=ROOT)
        thread, errors = beside(fanning.fan_out)
        thread.join(0.5)
    thread.join()
    assert errors == []
    assert "waiting" not in states()


def test_a_lease_locks_what_it_takes_and_nothing_else(endpoint: Endpoint, receiver: Receiver) -> None:
    make_endpoint(receiver.url, name="Other", types=["entry.published"])
    queue(5)
    found: list[int] = []
    now = timezone.now()
    with transaction.atomic(), connection.cursor() as cursor:
        given: dict[str, Any] = {
            "now": now,
            "flying": now + LEASE - FLIGHT,
            "ids": [],
            "sizes": [],
            "slow": [],
            "size": 16,
        }
        cursor.execute(_DUE, {**given, "lane": False, "test": "webhook.test", "most": 2, "looked_at": 8})
        assert len(cursor.fetchall()) == 2
        thread, errors = beside(lambda: found.append(len(taken())))
        thread.join()
    assert (found, errors) == ([8], [])


def test_leases_of_the_dead_keep_no_place(endpoint: Endpoint) -> None:
    queue(6)
    rooms = {endpoint.pk: Room(2, is_slow=False)}
    now = timezone.now()
    assert len(lease(9, now=now, rooms=rooms, other=1, slow=False)) == 2
    assert lease(9, now=now + timedelta(seconds=10), rooms=rooms, other=1, slow=False) == []
    # Longer than any attempt takes, and sooner than the lease ends.
    assert len(lease(9, now=now + FLIGHT + timedelta(seconds=1), rooms=rooms, other=1, slow=False)) == 2


def test_two_that_drain_at_once_send_everything_once(endpoint: Endpoint, receiver: Receiver) -> None:
    queue(20)
    threads = [beside(lambda: sending.drain(is_stopping=lambda: False)) for _ in range(3)]
    for thread, errors in threads:
        thread.join()
        assert errors == []
    assert len(receiver.ids) == len(set(receiver.ids)) == 20
    assert set(states()) == {"delivered"}


def test_who_is_asked_to_stop_sees_through_what_is_on_the_wire(
    endpoint: Endpoint, receiver: Receiver
) -> None:
    queue(10)
    drained = sending.drain(is_stopping=lambda: bool(receiver.asked))
    assert 0 < drained < 10
    assert len(receiver.asked) == drained == Delivery.objects.filter(state="delivered").count()
    assert not Delivery.objects.filter(leased_until__isnull=False).exists()
