"""How endpoints are doing: what the attempts of the last 24 hours tell, and what waits. Two queries for any number.

Of each hour only the newest attempts are read, so that an endpoint with a million of them costs no more than others.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.api.shapes import moment

HOURS: Final = 24  # whole ones, the present one too
MOST_OF_AN_HOUR: Final = 2_500  # attempts that are read
MOST_IN_A_LIST: Final = 250  # the same, where many endpoints are shown at once
MOST_WAITING: Final = 1_000  # deliveries that are counted

# One row for each endpoint and hour with attempts, and one for each endpoint (its hour is NULL). Each hour is a short
# walk along the index on (endpoint, at).
_ATTEMPTS: Final = """
    SELECT e.id, hours.number,
        count(*) FILTER (WHERE a.is_success),
        count(*) FILTER (WHERE NOT a.is_success),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY a.milliseconds),
        (array_agg(a.id ORDER BY a.at DESC, a.id DESC) FILTER (WHERE NOT a.is_success))[1]
    FROM unnest(%(ids)s::uuid[]) AS e(id)
    CROSS JOIN generate_series(0, %(hours)s - 1) AS hours(number)
    CROSS JOIN LATERAL (
        SELECT a.id, a.at, a.is_success, a.milliseconds
        FROM webhooks_attempt a
        WHERE a.endpoint_id = e.id
            AND a.at >= %(start)s + hours.number * interval '1 hour'
            AND a.at < %(start)s + (hours.number + 1) * interval '1 hour'
        ORDER BY a.at DESC
        LIMIT %(most)s
    ) a
    GROUP BY GROUPING SETS ((e.id, hours.number), (e.id))
"""
_WAITING: Final = """
    SELECT e.id, count(*),
        CASE WHEN count(w.next_attempt_at) > 0 THEN greatest(min(w.next_attempt_at), p.held_until) END,
        count(*) FILTER (WHERE w.attempt_count > 0), f.at, f.status, f.error
    FROM unnest(%(ids)s::uuid[], %(failures)s::uuid[]) AS e(id, failure)
    LEFT JOIN webhooks_endpoint p ON p.id = e.id
    LEFT JOIN webhooks_attempt f ON f.id = e.failure
    LEFT JOIN LATERAL (
        SELECT d.next_attempt_at, d.attempt_count
        FROM webhooks_delivery d
        WHERE d.endpoint_id = e.id AND d.state = 'waiting'
        ORDER BY d.next_attempt_at, d.position
        LIMIT %(most)s
    ) w ON true
    GROUP BY e.id, p.held_until, f.at, f.status, f.error
"""


@dataclass(frozen=True, slots=True)
class Hour:
    """What came of the attempts that began within an hour."""

    at: datetime
    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """The last attempt that failed: the status of the answer, or a code of `webhooks.outcomes` where none came."""

    at: datetime
    status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Health:
    """The last 24 hours of an endpoint, and what waits for it now."""

    hours: tuple[Hour, ...]
    succeeded: int = 0
    failed: int = 0
    p95_milliseconds: int | None = None  # until the answer, of 95 in 100 attempts that had one
    last_failure: Failure | None = None
    waiting: int = 0  # counted up to MOST_WAITING
    retrying: int = 0  # of those that wait: tried before
    next_attempt_at: datetime | None = None
    is_partial: bool = False  # some hours had more attempts than are counted

    @property
    def attempts(self) -> int:
        return self.succeeded + self.failed

    @property
    def success_rate(self) -> float | None:
        """Return the share of attempts that succeeded, from 0 to 1; None without any."""
        return self.succeeded / self.attempts if self.attempts else None

    def as_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        failure = self.last_failure
        return {
            "attempts": self.attempts,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "success_rate": None if self.success_rate is None else round(self.success_rate, 4),
            "p95_milliseconds": self.p95_milliseconds,
            "last_failure": {
                "at": moment(failure.at),
                "status": failure.status,
                "error": failure.error or None,
            }
            if failure is not None
            else None,
            "waiting": self.waiting,
            "next_attempt_at": moment(self.next_attempt_at),
            "is_partial": self.is_partial,
            "hours": [
                {"at": moment(hour.at), "succeeded": hour.succeeded, "failed": hour.failed}
                for hour in self.hours
            ],
        }


def of(endpoint_id: UUID) -> Health:
    """Return the health of one endpoint."""
    return of_each([endpoint_id], most=MOST_OF_AN_HOUR)[endpoint_id]


def of_each(endpoint_ids: Collection[UUID], *, most: int = MOST_IN_A_LIST) -> dict[UUID, Health]:
    """Return the health of each endpoint, in two queries. At most `most` attempts of an hour are counted."""
    if not endpoint_ids:
        return {}
    now = timezone.now()
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
    ids = list(endpoint_ids)
    hours = {
        endpoint_id: [Hour(start + timedelta(hours=number)) for number in range(HOURS)] for endpoint_id in ids
    }
    totals: dict[UUID, tuple[int, int, float | None, UUID | None]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_ATTEMPTS, {"ids": ids, "hours": HOURS, "start": start, "most": most})
        for endpoint_id, number, succeeded, failed, p95, failure in cursor.fetchall():
            if number is None:
                totals[endpoint_id] = (succeeded, failed, p95, failure)
            else:
                hours[endpoint_id][number] = Hour(hours[endpoint_id][number].at, succeeded, failed)
        failures = [totals[endpoint_id][3] if endpoint_id in totals else None for endpoint_id in ids]
        cursor.execute(_WAITING, {"ids": ids, "failures": failures, "most": MOST_WAITING})
        waiting = {row[0]: row[1:] for row in cursor.fetchall()}
    return {
        endpoint_id: _health(tuple(hours[endpoint_id]), totals.get(endpoint_id), waiting[endpoint_id], most)
        for endpoint_id in ids
    }


def _health(
    hours: tuple[Hour, ...],
    total: tuple[int, int, float | None, UUID | None] | None,
    waiting: tuple[Any, ...],
    most: int,
) -> Health:
    number, soonest, retrying, failed_at, status, error = waiting
    succeeded, failed, p95, _ = total or (0, 0, None, None)
    return Health(
        hours=hours,
        succeeded=succeeded,
        failed=failed,
        p95_milliseconds=None if p95 is None else round(p95),
        last_failure=None if failed_at is None else Failure(failed_at, status, error),
        waiting=0 if soonest is None else number,
        retrying=retrying,
        next_attempt_at=soonest,
        is_partial=any(hour.succeeded + hour.failed >= most for hour in hours),
    )
