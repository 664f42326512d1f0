"""Takes due deliveries for a while. The lease is in the row: a worker that dies loses nothing but time.

How many of one endpoint are on the wire is bounded, so that one that hangs keeps the others' places free.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from webhooks.models import Attempt, Delivery

LEASE: Final = timedelta(seconds=60)  # longer than an attempt can take; then somebody else may try
# Than that nothing is on the wire: a lease that is older holds no place, or a process that died would stop an endpoint.
FLIGHT: Final = timedelta(seconds=20)
LOST: Final = "lost"  # the code of an attempt whose process ended before it could say what came of it
# For each endpoint its oldest due deliveries, as many as it has room for: one while it recovers, so that what it
# missed comes in order. Only what is taken is locked; what others hold is passed over, so a few more are looked at.
# Of a thousand endpoints only those are read whose first one is among the oldest: no other has one that is.
# Tests go out whatever the endpoint's state and room, by an index of their own; one of an endpoint at a time, or who
# asks for many of a receiver that hangs would take every thread.
_DUE: Final = """
    WITH room AS (
        SELECT e.id, CASE
            WHEN e.ordered_to IS NOT NULL AND e.ordered_to >= (
                SELECT o.position FROM webhooks_delivery o
                WHERE o.endpoint_id = e.id AND o.state = 'waiting' AND o.next_attempt_at <= %(now)s
                ORDER BY o.next_attempt_at, o.position LIMIT 1
            ) THEN 1 ELSE coalesce(known.size, %(size)s)
        END - (
            SELECT count(*) FROM webhooks_delivery f
            WHERE f.endpoint_id = e.id AND f.leased_until IS NOT NULL AND f.leased_until > %(flying)s
        ) AS free
        FROM webhooks_endpoint e
        LEFT JOIN unnest(%(ids)s::uuid[], %(sizes)s::int[], %(slow)s::boolean[]) AS known(id, size, is_slow)
            ON known.id = e.id
        WHERE e.state = 'active' AND (e.held_until IS NULL OR e.held_until <= %(now)s)
            AND coalesce(known.is_slow, e.failing_since IS NOT NULL) = %(lane)s
    ), head AS MATERIALIZED (
        SELECT room.id, room.free
        FROM room
        CROSS JOIN LATERAL (
            SELECT d.next_attempt_at, d.position
            FROM webhooks_delivery d
            WHERE d.endpoint_id = room.id AND d.state = 'waiting' AND d.next_attempt_at <= %(now)s
                AND d.type <> 'webhook.test'
            ORDER BY d.next_attempt_at, d.position
            LIMIT 1
        ) first
        WHERE room.free > 0
        ORDER BY first.next_attempt_at, first.position
        LIMIT %(looked_at)s
    ), due AS MATERIALIZED (
        SELECT next.id, next.next_attempt_at, next.position
        FROM head
        CROSS JOIN LATERAL (
            SELECT d.id, d.next_attempt_at, d.position
            FROM webhooks_delivery d
            WHERE d.endpoint_id = head.id AND d.state = 'waiting' AND d.next_attempt_at <= %(now)s
                AND d.type <> 'webhook.test'
            ORDER BY d.next_attempt_at, d.position
            LIMIT head.free
        ) next
        UNION ALL
        SELECT tests.id, tests.next_attempt_at, tests.position
        FROM (
            SELECT DISTINCT ON (t.endpoint_id) t.id, t.next_attempt_at, t.position
            FROM webhooks_delivery t
            WHERE t.state = 'waiting' AND t.type = 'webhook.test' AND t.next_attempt_at <= %(now)s AND NOT %(lane)s
                AND NOT EXISTS (
                    SELECT FROM webhooks_delivery f
                    WHERE f.endpoint_id = t.endpoint_id AND f.type = 'webhook.test'
                        AND f.leased_until IS NOT NULL AND f.leased_until > %(flying)s
                )
            ORDER BY t.endpoint_id, t.next_attempt_at, t.position
        ) tests
        ORDER BY next_attempt_at, position
        LIMIT %(looked_at)s
    )
    SELECT d.id, d.endpoint_id, d.fence, d.leased_until, d.attempt_count
    FROM due JOIN webhooks_delivery d ON d.id = due.id
    WHERE d.state = 'waiting' AND d.next_attempt_at <= %(now)s
    ORDER BY due.next_attempt_at, due.position
    LIMIT %(most)s
    FOR UPDATE OF d SKIP LOCKED
"""
_MORE: Final = 4


class _Taken(NamedTuple):
    id: UUID
    endpoint_id: UUID
    fence: int
    leased_until: datetime | None  # of a lease that is over, and that nobody has answered for
    attempt_count: int


@dataclass(frozen=True, slots=True)
class Room:
    """How many deliveries of an endpoint may be on the wire at once, all workers together, and in which lane it is."""

    size: int
    is_slow: bool


@transaction.atomic(durable=True)
def lease(most: int, *, now: datetime, rooms: Mapping[UUID, Room], other: int, slow: bool) -> list[Delivery]:
    """Return up to `most` due deliveries of a lane, theirs until the lease ends. `other`: the room of unknown ones.

    The lease moves the next attempt behind its own end, and the fence tells an old lease from a new one.
    """
    if most <= 0:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _DUE,
            {
                "now": now,
                "flying": now + LEASE - FLIGHT,
                "ids": list(rooms),
                "sizes": [room.size for room in rooms.values()],
                "slow": [room.is_slow for room in rooms.values()],
                "size": other,
                "lane": slow,
                "most": most,
                "looked_at": most * _MORE,
            },
        )
        taken = [_Taken(*row) for row in cursor.fetchall()]
    if not taken:
        return []
    _tell_lost([item for item in taken if item.leased_until is not None])
    ids = [item.id for item in taken]
    until = now + LEASE
    Delivery.objects.filter(pk__in=ids).update(
        leased_until=until, next_attempt_at=until, fence=F("fence") + 1
    )
    found = Delivery.objects.in_bulk(ids)
    return [found[delivery_id] for delivery_id in ids]


def attempt_id(delivery_id: UUID, fence: int, leased_until: datetime) -> UUID:
    """Return the id of the attempt of a lease: the same whoever writes it down, so that it is written down once.

    A UUIDv7 of the time of the lease, whose random part is a hash (RFC 9562, section 5.7).
    """
    milliseconds = int((leased_until - LEASE).timestamp() * 1000)
    digest = hashlib.sha256(f"{delivery_id}.{fence}".encode()).digest()
    value = (milliseconds << 80) | int.from_bytes(digest[:10], "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    return UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62))


def _tell_lost(taken: Collection[_Taken]) -> None:
    """Write down attempts that a process took and never answered for: whether they arrived is not known."""
    if not taken:
        return
    attempts = [
        Attempt(
            id=attempt_id(item.id, item.fence, item.leased_until),
            delivery_id=item.id,
            endpoint_id=item.endpoint_id,
            number=item.attempt_count + 1,
            at=item.leased_until - LEASE,
            error=LOST,
            is_success=False,
        )
        for item in taken
        if item.leased_until is not None
    ]
    Attempt.objects.bulk_create(attempts)
    Delivery.objects.filter(pk__in=[item.id for item in taken]).update(attempt_count=F("attempt_count") + 1)
