"""One look at the database that several connections share, and what a backup says of each table."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from content.backups.manifest import Table

SCHEMA: Final = "public"
# How a row is written as text depends on these; with them set, the same row is the same text on every server.
_TEXT: Final = (
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO, YMD'",
    "SET intervalstyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET statement_timeout = 0",
    "SET lock_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = 0",
)
# Rows have no order, so their hashes are added up: 128 bits of SHA-256 each, as two halves.
_SUM: Final = """
SELECT count(*),
    coalesce(sum(('x' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0),
    coalesce(sum(('x' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)
FROM (SELECT encode(sha256(convert_to(t::text, 'UTF8')), 'hex') AS h FROM {} t) rows
"""
_TABLES: Final = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
"""
_KEY_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A transaction that stays open, and the name by which others join it."""

    connection: psycopg.Connection[Any]
    id: str


@contextlib.contextmanager
def taken(connection: psycopg.Connection[Any]) -> Iterator[Snapshot]:
    """Open a snapshot for others to join until the block ends."""
    connection.execute("SET idle_in_transaction_session_timeout = 0")
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        yield Snapshot(connection, str(row[0] if row else ""))
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.execute("ROLLBACK")


def join(connection: psycopg.Connection[Any], snapshot_id: str) -> None:
    """Have a connection see what the snapshot sees, until its transaction ends."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot_id)))


def tables(
    connection: psycopg.Connection[Any], told: Callable[[str], None] | None = None
) -> dict[str, Table]:
    """Return rows and hash of every table, as this connection sees them."""
    for setting in _TEXT:
        connection.execute(sql.SQL(setting))
    found = {}
    for (name,) in connection.execute(_TABLES, [SCHEMA]).fetchall():
        row = connection.execute(sql.SQL(_SUM).format(sql.Identifier(SCHEMA, name))).fetchone()
        rows, first, second = row or (0, 0, 0)
        found[name] = Table(int(rows), f"{int(first) % 2**64:016x}{int(second) % 2**64:016x}")
        if told is not None:
            told(name)
    return found


def migrations(connection: psycopg.Connection[Any]) -> list[str]:
    """Return what was migrated, as `app.name`."""
    query = "SELECT app, name FROM public.django_migrations ORDER BY app, name"
    return [f"{app}.{name}" for app, name in connection.execute(query).fetchall()]


def newest_seal(connection: psycopg.Connection[Any]) -> tuple[int, str]:
    """Return position and MAC of the newest event of the log; 0 and "" while the tables hold none."""
    row = connection.execute(
        "SELECT position, mac FROM public.accounts_seal ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "")


def differences(before: dict[str, Table], after: dict[str, Table]) -> list[str]:
    """Say, table by table, where two looks differ; [] when every row of every table is the same."""
    found = [f"{name} is missing" for name in before if name not in after]
    found += [f"{name} was not there" for name in after if name not in before]
    for name in sorted(before.keys() & after.keys()):
        if before[name].rows != after[name].rows:
            found.append(f"{name} has {after[name].rows} rows instead of {before[name].rows}")
        elif before[name].hash != after[name].hash:
            found.append(f"{name} has as many rows, and other ones")
    return found
