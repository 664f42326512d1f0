"""Takes due deliveries for a while. The lease is in the row: a worker that dies loses nothing but time.

How many of one endpoint are on the wire is bounded, so that one that hangs keeps the others' places free.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from webhooks.models import Delivery
from webhooks.types import TEST

LEASE: Final = timedelta(seconds=60)  # longer than an attempt can take; then somebody else may try
# For each endpoint in turn its oldest due deliveries, as many as it has room for; what others hold is passed over.
_DUE: Final = """
    WITH room AS (
        SELECT e.id, e.state, coalesce(known.size, %(size)s) - (
            SELECT count(*) FROM webhooks_delivery f
            WHERE f.endpoint_id = e.id AND f.leased_until IS NOT NULL AND f.leased_until > %(now)s
        ) AS free
        FROM webhooks_endpoint e
        LEFT JOIN unnest(%(ids)s::uuid[], %(sizes)s::int[], %(slow)s::boolean[]) AS known(id, size, is_slow)
            ON known.id = e.id
        WHERE (e.held_until IS NULL OR e.held_until <= %(now)s)
            AND coalesce(known.is_slow, e.failing_since IS NOT NULL) = %(lane)s
    )
    SELECT due.id
    FROM room
    CROSS JOIN LATERAL (
        SELECT d.id, d.next_attempt_at, d.position
        FROM webhooks_delivery d
        WHERE d.endpoint_id = room.id AND d.state = 'waiting' AND d.next_attempt_at <= %(now)s
            AND (room.state = 'active' OR d.type = %(test)s)
        ORDER BY d.next_attempt_at, d.position
        LIMIT greatest(room.free, 0)
        FOR UPDATE SKIP LOCKED
    ) due
    ORDER BY due.next_attempt_at, due.position
    LIMIT %(most)s
"""


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
                "ids": list(rooms),
                "sizes": [room.size for room in rooms.values()],
                "slow": [room.is_slow for room in rooms.values()],
                "size": other,
                "lane": slow,
                "test": TEST,
                "most": most,
            },
        )
        ids = [row[0] for row in cursor.fetchall()]
    if not ids:
        return []
    until = now + LEASE
    Delivery.objects.filter(pk__in=ids).update(
        leased_until=until, next_attempt_at=until, fence=F("fence") + 1
    )
    found = Delivery.objects.in_bulk(ids)
    return [found[delivery_id] for delivery_id in ids]
