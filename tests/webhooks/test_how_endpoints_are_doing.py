"""What the attempts of the last 24 hours tell of endpoints, what waits for them, and that asking costs little."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.builders import make_key, make_role
from tests.webhooks.world import make_attempt, make_delivery, make_endpoint
from webhooks import health
from webhooks.models import Attempt, Delivery, Endpoint

pytestmark = pytest.mark.django_db
URL = "https://www.example.com/hook"


@pytest.fixture
def endpoint() -> Endpoint:
    return make_endpoint(URL).endpoint


def test_an_endpoint_that_was_sent_nothing_has_no_rate(endpoint: Endpoint) -> None:
    found = health.of(endpoint.pk)
    assert (found.attempts, found.success_rate, found.p95_milliseconds, found.last_failure) == (
        0,
        None,
        None,
        None,
    )
    assert (found.waiting, found.next_attempt_at) == (0, None)
    assert len(found.hours) == 24
    assert found.hours[-1].at <= timezone.now() < found.hours[-1].at + timedelta(hours=1)


def test_attempts_are_counted_by_the_hour_and_older_ones_are_not(endpoint: Endpoint) -> None:
    now = timezone.now()
    delivery = make_delivery(endpoint)
    for hours, is_success, milliseconds in (
        (0, True, 100),
        (0, False, 300),
        (5, True, 120),
        (30, False, 9_000),
    ):
        at = now - timedelta(hours=hours)
        make_attempt(delivery, at=at, is_success=is_success, milliseconds=milliseconds, status=200, error="")
    found = health.of(endpoint.pk)
    assert (found.succeeded, found.failed) == (2, 1)
    assert found.success_rate == pytest.approx(2 / 3)
    assert [(hour.succeeded, hour.failed) for hour in found.hours[-6:]] == [
        (1, 0),
        (0, 0),
        (0, 0),
        (0, 0),
        (0, 0),
        (1, 1),
    ]
    assert found.p95_milliseconds == 282
    assert not found.is_partial


def test_the_last_failure_is_the_newest_one(endpoint: Endpoint) -> None:
    now = timezone.now()
    delivery = make_delivery(endpoint)
    make_attempt(delivery, at=now - timedelta(minutes=1), status=500, error="")
    newest = make_attempt(delivery, at=now)
    make_attempt(delivery, at=now - timedelta(hours=3), status=404, error="")
    failure = health.of(endpoint.pk).last_failure
    assert failure is not None
    assert (failure.at, failure.status, failure.error) == (newest.at, None, "unreachable")


def test_what_waits_is_counted_with_the_soonest_next_attempt(endpoint: Endpoint) -> None:
    soon = timezone.now() + timedelta(minutes=5)
    make_delivery(endpoint, state="waiting", next_attempt_at=soon + timedelta(hours=1))
    make_delivery(endpoint, state="waiting", next_attempt_at=soon, attempt_count=2)
    make_delivery(endpoint)
    found = health.of(endpoint.pk)
    assert (found.waiting, found.retrying, found.next_attempt_at) == (2, 1, soon)


def test_nothing_is_next_before_the_time_that_the_receiver_asked_for(endpoint: Endpoint) -> None:
    held = timezone.now() + timedelta(minutes=10)
    Endpoint.objects.filter(pk=endpoint.pk).update(held_until=held)
    assert health.of(endpoint.pk).next_attempt_at is None
    make_delivery(endpoint, state="waiting", next_attempt_at=held - timedelta(minutes=9))
    assert health.of(endpoint.pk).next_attempt_at == held
    make_delivery(endpoint, state="waiting", next_attempt_at=held + timedelta(minutes=1))
    Endpoint.objects.filter(pk=endpoint.pk).update(held_until=held - timedelta(hours=1))
    assert health.of(endpoint.pk).next_attempt_at == held - timedelta(minutes=9)


def test_of_a_busy_hour_the_newest_attempts_are_read(endpoint: Endpoint) -> None:
    now = timezone.now()
    delivery = make_delivery(endpoint)
    Attempt.objects.bulk_create(
        Attempt(
            delivery=delivery, endpoint=endpoint, number=number, at=now, is_success=True, milliseconds=number
        )
        for number in range(1, 31)
    )
    found = health.of_each([endpoint.pk], most=10)[endpoint.pk]
    assert (found.succeeded, found.is_partial) == (10, True)
    assert health.of(endpoint.pk).succeeded == 30


def test_any_number_of_endpoints_is_asked_about_in_two_queries(endpoint: Endpoint) -> None:
    others = [make_endpoint(URL, name=f"Hook {number}", owner=endpoint.owner).endpoint for number in range(9)]
    for other in others:
        make_attempt(make_delivery(other))
    with CaptureQueriesContext(connection) as asked:
        found = health.of_each([endpoint.pk, *(other.pk for other in others)])
    assert len(asked) == 2
    assert [found[other.pk].failed for other in others] == [1] * 9
    assert found[endpoint.pk].attempts == 0
    assert health.of_each([]) == {}


def test_each_hour_is_a_walk_along_the_index(endpoint: Endpoint) -> None:
    """With many attempts the table is not read: a million of them cost no more than the newest of each hour."""
    now = timezone.now()
    delivery = make_delivery(endpoint)
    Attempt.objects.bulk_create(
        Attempt(
            delivery=delivery,
            endpoint=endpoint,
            number=number,
            at=now - timedelta(minutes=number),
            is_success=True,
        )
        for number in range(1, 5_001)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_attempt")
        values: dict[str, Any] = {
            "ids": [endpoint.pk],
            "hours": 24,
            "start": now - timedelta(hours=23),
            "most": 100,
        }
        cursor.execute(f"EXPLAIN {health._ATTEMPTS}", values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "attempt_by_time" in plan
    assert "Seq Scan" not in plan


def test_the_api_tells_the_health_of_one_endpoint_and_not_of_lists(endpoint: Endpoint) -> None:
    make_attempt(make_delivery(endpoint), status=503, error="", milliseconds=40)
    Delivery.objects.create(
        endpoint=endpoint, event_id=endpoint.pk, position=2, type="entry.updated", occurred_at=timezone.now()
    )
    root = make_key(role="administrator")
    one = root.get(f"/api/v1/manage/webhooks/endpoints/{endpoint.pk}").json()["health"]
    assert (one["attempts"], one["failed"], one["success_rate"], one["p95_milliseconds"]) == (1, 1, 0.0, 40)
    assert one["last_failure"]["status"] == 503
    assert (one["waiting"], len(one["hours"])) == (1, 24)
    (listed,) = root.get("/api/v1/manage/webhooks/endpoints").json()["data"]
    assert "health" not in listed
    make_role("reader")
    assert make_key(role="reader").get(f"/api/v1/manage/webhooks/endpoints/{endpoint.pk}").status_code == 403
