"""Conditions of fields ("shown when kind is video"): read, written, checked against siblings, evaluated.

A field whose condition does not hold is not asked for: publishing does not require it and delivery never shows
it. A draft may keep its value, so that nothing typed is lost while somebody changes their mind. Conditions look at
sibling fields only; a component's fields look inside it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from accounts.canonical import Json, Scalar
from accounts.errors import Problem

MAX_VALUES = 50
MAX_TEXT = 500


class Comparison(StrEnum):
    """How a condition looks at the other field. A list matches when one of its items does."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    EXISTS = "exists"


class Conditional(Protocol):
    """A field, as far as conditions go."""

    @property
    def id(self) -> UUID: ...
    @property
    def key(self) -> str: ...
    @property
    def condition(self) -> "Condition | None": ...


class ConditionError(Exception):
    """A condition was refused. `problems` have pointers relative to the condition."""

    def __init__(self, problem: Problem) -> None:
        self.problems = (problem,)
        super().__init__(problem.detail)


@dataclass(frozen=True, slots=True)
class Condition:
    """`field` is the id of a sibling; `value` a scalar, a tuple of scalars for `in`, a bool for `exists`."""

    field: UUID
    operator: Comparison
    value: "Scalar | tuple[Scalar, ...]"

    def holds(self, values: Mapping[str, Json]) -> bool:
        """Tell whether the field is asked for, given the canonical values of its siblings by field id."""
        actual = values.get(str(self.field))
        if self.operator is Comparison.EXISTS:
            return (actual is not None) is self.value
        wanted = self.value if isinstance(self.value, tuple) else (self.value,)
        present = actual if isinstance(actual, list) else [actual]
        found = any(_same(one, other) for one in present for other in wanted)
        return found is (self.operator is not Comparison.NE)

    def as_json(self) -> dict[str, Json]:
        """Return the stored form; the other field is named by id."""
        value: Json = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"field": str(self.field), "operator": self.operator.value, "value": value}

    def shown(self, siblings: Iterable[Conditional]) -> dict[str, Json]:
        """Return the form that clients see; the other field is named by key."""
        keys = {item.id: item.key for item in siblings}
        return {**self.as_json(), "field": keys.get(self.field, str(self.field))}

    @classmethod
    def load(cls, stored: Mapping[str, Json]) -> "Condition":
        """Return the condition kept in the database."""
        value = stored["value"]
        return cls(
            field=UUID(str(stored["field"])),
            operator=Comparison(str(stored["operator"])),
            value=tuple(_scalars(value)) if isinstance(value, list) else value,  # type: ignore[arg-type]  # stored scalars
        )

    @classmethod
    def parse(cls, raw: object, *, of: UUID, siblings: Iterable[Conditional]) -> "Condition":
        """Read `{"field": key, "operator", "value"}` for the field `of`; raise ConditionError with the place.

        `siblings` are the live fields of the same collection or component, `of` itself included or not.
        Unknown fields, the field itself and circles are refused, since no value could ever be asked for.
        """
        if not isinstance(raw, Mapping):
            raise _refused((), "invalid-type", "A condition must be an object.")
        for name in raw:
            if name not in ("field", "operator", "value"):
                raise _refused((str(name)[:100],), "unknown-key", "Only field, operator and value.")
        fields = {item.key: item for item in siblings}
        other = fields.get(raw["field"]) if isinstance(raw.get("field"), str) else None
        if other is None:
            raise _refused(("field",), "unknown-field", "There is no such field beside this one.")
        operators = [item.value for item in Comparison]
        if not isinstance(raw.get("operator"), str) or raw["operator"] not in operators:
            raise _refused(("operator",), "invalid-choice", f"Choose one of {', '.join(operators)}.")
        operator = Comparison(raw["operator"])
        condition = cls(other.id, operator, _parse_value(raw.get("value"), operator))
        if _leads_to(other.id, of, {item.id: item.condition for item in fields.values()}):
            raise _refused(("field",), "circular", "A field cannot depend on itself, even through others.")
        return condition


def asked_for(fields: Iterable[Conditional], values: Mapping[str, Json]) -> set[UUID]:
    """Return the ids of the fields whose condition holds.

    A field that is not asked for counts as empty for the fields that look at it.
    """
    known = {item.id: item for item in fields}
    answers: dict[UUID, bool] = {}

    def answer(field_id: UUID, depth: int) -> bool:
        if field_id not in answers:
            item = known.get(field_id)
            condition = item.condition if item is not None else None
            if condition is None or depth > len(known):  # circles are refused when made
                answers[field_id] = True
            else:
                unasked = condition.field in known and not answer(condition.field, depth + 1)
                answers[field_id] = condition.holds({} if unasked else values)
        return answers[field_id]

    return {field_id for field_id in known if answer(field_id, 0)}


def _leads_to(start: UUID, goal: UUID, conditions: Mapping[UUID, Condition | None]) -> bool:
    seen: set[UUID] = set()
    here: UUID | None = start
    while here is not None and here not in seen:
        if here == goal:
            return True
        seen.add(here)
        condition = conditions.get(here)
        here = condition.field if condition is not None else None
    return False


def _parse_value(raw: object, operator: Comparison) -> "Scalar | tuple[Scalar, ...]":
    if operator is Comparison.EXISTS:
        if not isinstance(raw, bool):
            raise _refused(("value",), "invalid-type", "exists takes true or false.")
        return raw
    if operator is Comparison.IN:
        if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_VALUES:
            raise _refused(("value",), "invalid-type", f"in takes a list of 1 to {MAX_VALUES} values.")
        return tuple(_parse_scalar(item, ("value", index)) for index, item in enumerate(raw))
    return _parse_scalar(raw, ("value",))


def _parse_scalar(raw: object, path: tuple[str | int, ...]) -> Scalar:
    if isinstance(raw, str) and len(raw) <= MAX_TEXT and raw.isprintable():
        return raw
    if isinstance(raw, bool) or (isinstance(raw, int) and abs(raw) < 2**53):
        return raw
    raise _refused(
        path, "invalid-type", f"A text of up to {MAX_TEXT} characters, a whole number, true or false."
    )


def _scalars(values: list[Json]) -> list[Scalar]:
    return [item for item in values if item is None or isinstance(item, (str, int, float, bool))]


def _same(one: Json, other: Json) -> bool:
    """Compare as JSON does: 1 is not true."""
    return isinstance(one, bool) is isinstance(other, bool) and one == other


def _refused(path: tuple[str | int, ...], code: str, detail: str) -> ConditionError:
    return ConditionError(Problem.at(path, code, detail))
