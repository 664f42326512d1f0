"""Writes columns of several deliveries in one short statement: `bulk_update` spells out a CASE for each value."""

from collections.abc import Collection, Mapping
from typing import Final

from django.db import connection

from webhooks.models import Delivery

_TYPES: Final[Mapping[str, str]] = {
    "state": "text",
    "next_attempt_at": "timestamptz",
    "leased_until": "timestamptz",
    "attempt_count": "int",
    "tries": "int",
    "ended_at": "timestamptz",
    "body": "text",
}


def write(deliveries: Collection[Delivery], columns: Collection[str]) -> None:
    """Write these columns of rows, as they are in memory."""
    if not deliveries:
        return
    told = ", ".join(f"{name} = new.{name}" for name in columns)
    arrays = ", ".join(f"%s::{_TYPES[name]}[]" for name in columns)
    values = [[getattr(delivery, name) for delivery in deliveries] for name in columns]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE webhooks_delivery row SET {told} "  # noqa: S608 (names of this module)
            f"FROM unnest(%s::uuid[], {arrays}) AS new(id, {', '.join(columns)}) WHERE row.id = new.id",
            [[delivery.pk for delivery in deliveries], *values],
        )
