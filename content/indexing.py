"""Expression indexes for filterable fields: planned with the schema change, made concurrently by a task.

Index building needs the tables' owner, which only the worker has. The expressions are those of `content.rows.value_of`.
"""

from uuid import UUID

from django.db import DatabaseError, connections, transaction
from django.utils import timezone
from psycopg import sql

from content import fields
from content.fields.base import FieldSpec, Kind
from content.models import Collection, FieldIndex
from content.schema import read

TABLES = ("content_publisheddocument", "content_draftdocument")
# One value stands in many documents, of which a reader wants the newest: found in order, not sorted afterwards.
TIMED_TYPES = frozenset({"boolean", "choice", "reference"})


def plan(collection_id: UUID) -> None:
    """Note which indexes a collection needs and which it no longer needs. Call it in the schema's transaction."""
    wanted = {spec.id for spec in read().by_id[collection_id].fields if _is_indexed(spec)}
    held = {row.field_id: row for row in FieldIndex.objects.filter(collection_id=collection_id)}
    FieldIndex.objects.bulk_create(
        FieldIndex(collection_id=collection_id, field_id=field_id)
        for field_id in sorted(wanted - held.keys())
    )
    gone = held.keys() - wanted
    FieldIndex.objects.filter(field_id__in=gone).update(
        state=FieldIndex.State.DROPPING, changed_at=timezone.now()
    )
    again = [
        row.pk for row in held.values() if row.field_id in wanted and row.state == FieldIndex.State.DROPPING
    ]
    FieldIndex.objects.filter(pk__in=again).update(state=FieldIndex.State.PENDING, changed_at=timezone.now())


def drop_later(collection: Collection) -> None:
    """Nothing is left to index once a collection is gone; the empty partial indexes are dropped by the sweep."""
    FieldIndex.objects.filter(collection=collection).delete()


def work_through() -> int:
    """Make and drop what is waiting; returns how many indexes changed. Run by one worker at a time."""
    done = 0
    waiting = FieldIndex.objects.filter(
        state__in=[FieldIndex.State.PENDING, FieldIndex.State.BUILDING, FieldIndex.State.DROPPING]
    ).select_related("collection")
    for row in waiting:
        spec = read().by_id[row.collection_id].by_id.get(row.field_id)
        if row.state == FieldIndex.State.DROPPING or spec is None:
            _drop(row.field_id)
            row.delete()
        else:
            _set(row, FieldIndex.State.BUILDING)
            try:
                _make(spec, row.collection_id)
            except DatabaseError as error:  # its text could hold content; the type is enough to look further
                _set(row, FieldIndex.State.FAILED, type(error).__name__)
                _drop(row.field_id)
                continue
            _set(row, FieldIndex.State.READY)
        done += 1
    if done:
        for table in TABLES:
            # After the last one: statistics of expressions are costly, and each run makes those of all indexes.
            _execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))
    _drop_orphans()
    return done


def name_of(table: str, field_id: UUID) -> str:
    """Return the name of a field's index; it says which field, so that orphans can be found."""
    return f"fx_{'p' if table == TABLES[0] else 'd'}_{field_id.hex}"


def name_by_time(field_id: UUID) -> str:
    """Return the name of the index that holds a field's values in the order in which readers get documents."""
    return f"fx_t_{field_id.hex}"


def _index_names(field_id: UUID) -> list[str]:
    return [*(name_of(table, field_id) for table in TABLES), name_by_time(field_id)]


def _statistics_of(table: str, field_id: UUID) -> str:
    return f"fs_{'p' if table == TABLES[0] else 'd'}_{field_id.hex}"


def _is_indexed(spec: FieldSpec) -> bool:
    return spec.filterable and fields.get(spec.type).kind is not Kind.NONE


def _make(spec: FieldSpec, collection_id: UUID) -> None:
    where = sql.SQL("WHERE collection_id = {}").format(sql.Literal(str(collection_id)))
    for name, table, body in _indexes_of(spec):
        if _state_of(name) is True:
            continue
        _drop_index(name)  # an invalid one
        _execute(
            sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} {} {}").format(
                sql.Identifier(name), sql.Identifier(table), body, where
            )
        )
    expression = _expression_of(spec)
    if expression is None:
        return
    for table in TABLES:
        # PostgreSQL keeps no statistics of partial indexes. Without these it takes every value for one row in two
        # hundred, and walks a whole collection by time in search of twenty rows that it could find by the index.
        _execute(
            sql.SQL("CREATE STATISTICS IF NOT EXISTS {} (dependencies) ON collection_id, {} FROM {}").format(
                sql.Identifier(_statistics_of(table, spec.id)), expression, sql.Identifier(table)
            )
        )


def _expression_of(spec: FieldSpec) -> sql.Composed | None:
    """Return the expression of `content.rows.value_of` for a field that is compared as one value."""
    kind = fields.get(spec.type).kind
    if kind is Kind.LIST:
        return None
    text = sql.SQL("(data ->> {})").format(sql.Literal(str(spec.id)))
    return sql.SQL("({}::numeric)").format(text) if kind is Kind.NUMBER else text


def _indexes_of(spec: FieldSpec) -> list[tuple[str, str, sql.Composable]]:
    """Return the name, table and body of every index that a field has."""
    expression = _expression_of(spec)
    if expression is None:
        body: sql.Composable = sql.SQL("USING gin ((data -> {}) jsonb_path_ops)").format(
            sql.Literal(str(spec.id))
        )
        return [(name_of(table, spec.id), table, body) for table in TABLES]
    collation = sql.SQL("" if fields.get(spec.type).kind is Kind.NUMBER else ' COLLATE "C"')
    body = sql.SQL("(locale, {}{}, entry_id)").format(expression, collation)
    found: list[tuple[str, str, sql.Composable]] = [
        (name_of(table, spec.id), table, body) for table in TABLES
    ]
    if spec.type in TIMED_TYPES:
        body = sql.SQL("(locale, {}{}, published_at, entry_id)").format(expression, collation)
        found.append((name_by_time(spec.id), TABLES[0], body))
    return found


def _drop(field_id: UUID) -> None:
    for name in _index_names(field_id):
        _drop_index(name)
    for table in TABLES:
        _drop_statistics(_statistics_of(table, field_id))


def _drop_index(name: str) -> None:
    _execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))


def _drop_statistics(name: str) -> None:
    _execute(sql.SQL("DROP STATISTICS IF EXISTS {}").format(sql.Identifier(name)))


def _drop_orphans() -> None:
    field_ids = list(FieldIndex.objects.values_list("field_id", flat=True))
    indexes = {name for field_id in field_ids for name in _index_names(field_id)}
    statistics = {_statistics_of(table, field_id) for field_id in field_ids for table in TABLES}
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname ~ '^fx_[pdt]_[0-9a-f]{32}$'"
        )
        lost_indexes = [name for (name,) in cursor.fetchall() if name not in indexes]
        cursor.execute(
            "SELECT stxname FROM pg_statistic_ext WHERE stxnamespace = 'public'::regnamespace"
            " AND stxname ~ '^fs_[pd]_[0-9a-f]{32}$'"
        )
        lost_statistics = [name for (name,) in cursor.fetchall() if name not in statistics]
    for name in lost_indexes:
        _drop_index(name)
    for name in lost_statistics:
        _drop_statistics(name)


def _state_of(name: str) -> bool | None:
    """Return whether an index is valid, None when there is none."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [name])
        row = cursor.fetchone()
    return row[0] if row else None


def _execute(statement: sql.Composable) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute(statement)  # autocommit: CONCURRENTLY can't run in a transaction


def _set(row: FieldIndex, state: FieldIndex.State, detail: str = "") -> None:
    row.state, row.detail, row.changed_at = state, detail, timezone.now()
    with transaction.atomic():
        row.save(update_fields=["state", "detail", "changed_at"])
