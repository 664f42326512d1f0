"""Conditions on documents as SQL: the same for policies and for readers' filters, on published documents and drafts.

Every name that reaches this module has been looked up already; values travel as parameters. The expressions here are
the ones that `content.indexing` makes indexes for.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import (
    BooleanField,
    Case,
    DateTimeField,
    DecimalField,
    Expression,
    F,
    Func,
    JSONField,
    Lookup,
    Q,
    TextField,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Collate
from django.db.models.lookups import (
    Contains,
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    StartsWith,
)

from accounts.access import Clause, Condition, Grant, Operator
from accounts.canonical import Json
from content import fields
from content.fields.base import FieldSpec, Kind
from content.schema import CollectionSpec

NO_ROWS = Q(pk__in=[])
EVERY_ROW = ~Q(pk__in=[])


class AsNumeric(Func):
    """A text as PostgreSQL numeric, without a scale that would round."""

    template = "(%(expressions)s)::numeric"
    output_field = DecimalField(max_digits=60, decimal_places=20)


class HasElement(Lookup[Any]):
    """`HasElement(array, x)`: x = ANY(array)."""

    lookup_name = "has_element"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{right} = ANY({left})", (*right_params, *left_params)


class OverlapsKeys(Lookup[Any]):
    """`jsonb ?| text[]`: a JSON list of strings holds any of these."""

    lookup_name = "overlaps_keys"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} ?| {right}", (*left_params, *right_params)


class HoldsAll(Lookup[Any]):
    """`jsonb @> jsonb` on a part of a document."""

    lookup_name = "holds_all"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} @> {right}", (*left_params, *right_params)


def value_of(field: FieldSpec) -> Expression:
    """Return the SQL of a field's value as it is compared and indexed: text in code point order, numeric, or jsonb."""
    kind = fields.get(field.type).kind
    if kind is Kind.NUMBER:
        return AsNumeric(KeyTextTransform(str(field.id), "sealed"))
    if kind is Kind.LIST:
        return KeyTransform(str(field.id), "sealed")
    return Collate(KeyTextTransform(str(field.id), "sealed", output_field=TextField()), "C")


SYSTEM_NAMES: dict[str, tuple[str, type[Any]]] = {
    "_id": ("entry_id", UUID),
    "_created_by": ("created_by", UUID),
    "_locale": ("content_locale", str),
}


def compare(expression: Any, operator: Operator, value: Any, *, nullable: bool = True) -> Q:
    """Compare an expression with one value (a tuple for `in` and `nin`). What has no value equals nothing."""
    simple: dict[Operator, type[Lookup[Any]]] = {
        Operator.EQ: Exact,
        Operator.LT: LessThan,
        Operator.LTE: LessThanOrEqual,
        Operator.GT: GreaterThan,
        Operator.GTE: GreaterThanOrEqual,
        Operator.CONTAINS: Contains,
        Operator.STARTS_WITH: StartsWith,
    }
    if operator in simple:
        return Q(simple[operator](expression, value))
    if operator is Operator.EXISTS:
        return Q(IsNull(expression, not value))
    if operator is Operator.IN:
        return Q(In(expression, list(value))) if value else NO_ROWS
    if not isinstance(value, tuple):
        value = (value,)
    differs = ~Q(In(expression, list(value)))
    return differs | Q(IsNull(expression, True)) if nullable else differs


def compare_list(field: FieldSpec, operator: Operator, value: Any) -> Q:
    """Compare a list of strings: `eq` and `in` ask whether it holds the value, or any of them."""
    expression = value_of(field)
    if operator is Operator.EXISTS:
        return Q(IsNull(KeyTextTransform(str(field.id), "sealed"), not value))
    values = value if isinstance(value, tuple) else (value,)
    if not values:
        return NO_ROWS
    held = Q()
    for item in values:
        held |= Q(HoldsAll(expression, Value([item], output_field=JSONField())))
    if operator in {Operator.EQ, Operator.IN}:
        return held
    return ~held | Q(IsNull(KeyTextTransform(str(field.id), "sealed"), True))


def compare_field(field: FieldSpec, operator: Operator, value: Any) -> Q:
    """Compare a field with a value in its canonical form (`FieldType.filter_value`)."""
    kind = fields.get(field.type).kind
    if kind is Kind.LIST:
        return compare_list(field, operator, value)
    return compare(value_of(field), operator, value)


def condition_of(condition: Condition, collection: CollectionSpec) -> Q:
    """Return a policy's condition as SQL. Whatever is unknown about it denies (CVE-2024-39701)."""
    if condition.value is None or condition.value == ():
        return NO_ROWS
    if condition.name in SYSTEM_NAMES:
        column, python_type = SYSTEM_NAMES[condition.name]
        try:
            value: Any = (
                tuple(python_type(item) for item in condition.value)
                if isinstance(condition.value, tuple)
                else condition.value
                if condition.operator is Operator.EXISTS
                else python_type(condition.value)
            )
        except ValueError:
            return NO_ROWS
        return compare(F(column), condition.operator, value)
    try:
        field = collection.by_id.get(UUID(condition.name))
    except ValueError:
        return NO_ROWS
    if field is None or field.is_sealed or fields.get(field.type).kind is Kind.NONE:
        return NO_ROWS
    return compare_field(field, condition.operator, condition.value)


def clause_rows(clause: Clause, collection: CollectionSpec) -> Q:
    """Return the rows of one clause: all of its conditions."""
    rows = EVERY_ROW
    for condition in clause.rows:
        rows = (
            rows & condition_of(condition, collection)
            if rows is not EVERY_ROW
            else condition_of(condition, collection)
        )
    return rows


def rows_of(clauses: Grant | Iterable[Clause], collection: CollectionSpec) -> Q:
    """Return the rows of any of the clauses; of none, no rows."""
    chosen = clauses.clauses if isinstance(clauses, Grant) else tuple(clauses)
    if any(not clause.rows for clause in chosen):
        return EVERY_ROW
    rows = NO_ROWS
    for clause in chosen:
        rows = clause_rows(clause, collection) if rows is NO_ROWS else rows | clause_rows(clause, collection)
    return rows


def flag(rows: Q) -> Expression:
    """Return whether a row is among these, as a column."""
    return Case(When(rows, then=Value(True)), default=Value(False), output_field=BooleanField())


def moment(value: Json) -> Value:
    """Return a time (RFC 3339 text) as a parameter."""
    return Value(value, output_field=DateTimeField())
