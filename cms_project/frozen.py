"""Which tables PostgreSQL keeps as they are during a lockdown: all that the application may write, but a few.

A table that is not named here is refused. The triggers are made anew after every migrate, like the grants.
"""

from collections.abc import Mapping
from typing import Final

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from cms_project import grants

# What goes on, and why. Nothing here is content, or gives anybody a right.
OPEN: Final[Mapping[str, str]] = {
    "accounts_alert": "what the log tells of is told to people, above all now",
    "accounts_dailyhead": "the head of the log is kept and sent",
    "accounts_event": "what happens is written down, refusals above all",
    "accounts_generation": "processes must learn that sessions ended",
    "accounts_lockdown": "is how it begins; its end is the owner's",
    "accounts_logcheck": "the log is verified",
    "accounts_position": "mails and alerts about the log are still sent",
    "accounts_ringkey": "a new key of the ring is noted, above all now",
    "accounts_seal": "the log is sealed",
    "accounts_session": "administrators sign in to look, and sessions end",
    "accounts_tally": "what alerts count",
    "accounts_unsealed": "the queue of the sealer",
    "axes_accessattempt": "failed sign-ins are counted",
    "axes_accessattemptexpiration": "the same",
    "axes_accessfailurelog": "the same",
    "axes_accesslog": "the same",
    "django_session": "the cookies of those who sign in",
}
# What signing in and mails keep, and how previews end, in rows that are closed otherwise: these columns may change, no
# row may come or go.
_USE: Final = ("last_used_at", "throttling_failure_timestamp", "throttling_failure_count")
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "accounts_authenticator": (*_USE, "last_step"),
    "accounts_passkey": (*_USE, "sign_count", "is_synced"),
    "accounts_recoverycodes": (*_USE, "macs"),
    "accounts_user": ("last_login", "former_email"),
    "previews_preview": ("revoked_at", "open_count", "last_opened_at", "last_opened_from"),
}
_FUNCTION: Final = "accounts_refuse_while_locked_down"
_STATEMENT: Final = "refuse_while_locked_down"
_ROW: Final = "refuse_row_while_locked_down"


def frozen() -> list[str]:
    """Return the tables that a lockdown closes."""
    writing = {"INSERT", "UPDATE", "DELETE"}
    return sorted(table for table, (app, _) in grants.TABLES.items() if app & writing and table not in OPEN)


def apply(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers where they belong and take them from where they don't, in one transaction."""
    quote = connection.ops.quote_name
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute("SELECT to_regproc(%s) IS NULL", [_FUNCTION])
        if cursor.fetchone() == (True,):
            return  # migrated back to before there were lockdowns
        existing = set(connection.introspection.table_names(cursor))
        closed = [table for table in frozen() if table in existing]
        for table, name in in_force(connection):
            if table not in closed:
                cursor.execute(f"DROP TRIGGER {quote(name)} ON {quote(table)}")
        for table in closed:
            columns = COLUMNS.get(table)
            events = "INSERT OR DELETE" if columns else "INSERT OR UPDATE OR DELETE"
            cursor.execute(
                f"CREATE OR REPLACE TRIGGER {_STATEMENT} BEFORE {events} ON {quote(table)}"
                f" FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()"
            )
            if columns:
                listed = ", ".join(f"'{column}'" for column in columns)
                cursor.execute(
                    f"CREATE OR REPLACE TRIGGER {_ROW} BEFORE UPDATE ON {quote(table)}"
                    f" FOR EACH ROW EXECUTE FUNCTION {_FUNCTION}({listed})"
                )


def in_force(connection: BaseDatabaseWrapper) -> set[tuple[str, str]]:
    """Return the triggers that are there and on: (table, name)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, t.tgname FROM pg_trigger t"
            " JOIN pg_class c ON c.oid = t.tgrelid AND c.relnamespace = %s::regnamespace"
            " WHERE t.tgfoid = %s::regproc AND t.tgenabled = 'O'",
            [grants.SCHEMA, _FUNCTION],
        )
        return {(str(table), str(name)) for table, name in cursor.fetchall()}
