"""Writes columns of several deliveries in one short statement: `bulk_update` spells out a CASE for each value."""

from collections.abc import Collection
from typing import Final

from django.db import connection

from webhooks.models import Delivery

_STATE: Final = """
    UPDATE webhooks_delivery row SET
        state = new.state, next_attempt_at = new.next_attempt_at, leased_until = new.leased_until,
        attempt_count = new.attempt_count, tries = new.tries, ended_at = new.ended_at, body = new.body
    FROM unnest(
        %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::int[], %s::timestamptz[],
        %s::text[]
    ) AS new(id, state, next_attempt_at, leased_until, attempt_count, tries, ended_at, body)
    WHERE row.id = new.id
"""
_BODY: Final = """
    UPDATE webhooks_delivery row SET body = new.body
    FROM unnest(%s::uuid[], %s::text[]) AS new(id, body)
    WHERE row.id = new.id
"""


def write(deliveries: Collection[Delivery]) -> None:
    """Write what an attempt changes of rows, as they are in memory. Needs their locks."""
    _run(
        _STATE,
        [
            (
                row.pk,
                row.state,
                row.next_attempt_at,
                row.leased_until,
                row.attempt_count,
                row.tries,
                row.ended_at,
                row.body,
            )
            for row in deliveries
        ],
    )


def write_bodies(deliveries: Collection[Delivery]) -> None:
    """Write the bodies of rows and nothing else of them."""
    _run(_BODY, [(row.pk, row.body) for row in deliveries])


def _run(statement: str, rows: list[tuple[object, ...]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, [list(column) for column in zip(*rows, strict=True)])
