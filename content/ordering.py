"""The order of a list, and the place in it that a cursor stands for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import DateTimeField, F, Q, Value
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, IsNull, LessThan, LessThanOrEqual

from accounts.canonical import Json


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the order. `kind` says how its value travels in a cursor."""

    expression: Any
    descending: bool
    kind: str  # "text", "number", "time", "rank" or "id"
    nullable: bool = True

    def order(self) -> Any:
        # PostgreSQL's own places for NULL (last, and first when descending), so that one index serves both ways.
        expression = self.expression if hasattr(self.expression, "asc") else F(self.expression)
        return expression.desc() if self.descending else expression.asc()

    def dump(self, value: Any) -> Json:
        if isinstance(value, datetime):
            return value.isoformat()
        return str(value) if isinstance(value, (Decimal, UUID)) else value

    def load(self, value: Json) -> Any:
        if value is None:
            return None
        if self.kind == "time":
            return Value(datetime.fromisoformat(str(value)), output_field=DateTimeField())
        if self.kind == "number":
            return Decimal(str(value))
        if self.kind == "id":
            return UUID(str(value))
        return value

    def beyond(self, value: Any) -> Q:
        """Rows after the value; those without one come after all others when ascending, before when descending."""
        if self.descending:
            return Q(IsNull(self.expression, False)) if value is None else Q(LessThan(self.expression, value))
        return Q(pk__in=[]) if value is None else Q(GreaterThan(self.expression, value))

    def at(self, value: Any) -> Q:
        return Q(IsNull(self.expression, True)) if value is None else Q(Exact(self.expression, value))

    def bound(self, value: Any) -> Q:
        """A wider condition that an index can use, or none."""
        if value is None:
            return Q() if self.descending else Q(IsNull(self.expression, True))
        return Q((LessThanOrEqual if self.descending else GreaterThanOrEqual)(self.expression, value))


def after(keys: Sequence[Key], values: Sequence[Any]) -> Q:
    """Return the rows after a place in the order: greater in the first key, or equal there and greater in the next…"""
    rows = Q(pk__in=[])
    equal = Q()
    for key, value in zip(keys, values, strict=True):
        rows |= equal & key.beyond(value)
        equal &= key.at(value)
    return keys[0].bound(values[0]) & rows
