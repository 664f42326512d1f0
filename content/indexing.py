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


def _is_indexed(spec: FieldSpec) -> bool:
    return spec.filterable and fields.get(spec.type).kind is not Kind.NONE


def _make(spec: FieldSpec, collection_id: UUID) -> None:
    kind = fields.get(spec.type).kind
    for table in TABLES:
        name = name_of(table, spec.id)
        if _state_of(name) is True:
            continue
        _execute(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name))
        )  # an invalid one
        key = sql.Literal(str(spec.id))
        text = sql.SQL("(data ->> {})").format(key)
        if kind is Kind.LIST:
            body = sql.SQL("USING gin ((data -> {}) jsonb_path_ops)").format(key)
        elif kind is Kind.NUMBER:
            body = sql.SQL("(locale, ({}::numeric), entry_id)").format(text)
        else:
            body = sql.SQL('(locale, ({}) COLLATE "C", entry_id)').format(text)
        statement = sql.SQL("CREATE INDEX CONCURRENTLY {} ON {} {} WHERE collection_id = {}").format(
            sql.Identifier(name), sql.Identifier(table), body, sql.Literal(str(collection_id))
        )
        _execute(statement)


def _drop(field_id: UUID) -> None:
    for table in TABLES:
        _execute(
            sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name_of(table, field_id)))
        )


def _drop_orphans() -> None:
    known = {
        name_of(table, field_id)
        for field_id in FieldIndex.objects.values_list("field_id", flat=True)
        for table in TABLES
    }
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname ~ '^fx_[pd]_[0-9a-f]{32}$'"
        )
        orphans = [name for (name,) in cursor.fetchall() if name not in known]
    for name in orphans:
        _execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))


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
