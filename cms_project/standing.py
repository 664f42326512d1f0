"""Whether this process may work on this database: it is of the same environment, and the key ring opens what is in it.

Asked once at start. Where the database does not answer then, web processes ask again before they take a request.
"""

import logging
import sys
import time
from typing import Final, NoReturn

from django.conf import settings
from django.db import DatabaseError, ProgrammingError, connections
from psycopg.errors import UndefinedTable

from accounts import environments, ring
from accounts.access import system
from accounts.models import Installation
from accounts.models.installation import ONLY
from cms_project import lockdown
from cms_project.environment import STATUS_OF_FAULTS, EnvironmentFaultsError

logger = logging.getLogger("quillkeep.start")

REPLACED: Final = "quillkeep_replaced"  # the schema that a restore puts aside until what it brings is whole

ASK_AGAIN_SECONDS: Final = 1.0
# Commands that have to work where the rest must not: they make the tables, mend what is wrong, or ask no database.
ANYWHERE: Final = frozenset(
    {
        "backup", "check", "collectstatic", "compilemessages", "environment", "help", "keys", "lockdown",
        "makemigrations", "migrate", "runserver", "showmigrations", "sqlmigrate", "version",
    }
)  # fmt: skip

_CUT_OFF: Final = (
    "leads to a database in which a restore was cut off, or is going on. `manage.py backup restore --undo` puts back"
    " what it was to replace; `--finish` keeps what was restored, where it was whole"
)


class _Standing:
    """What is known so far. A process that never asked (a test, a shell) is not held up."""

    is_open = False  # it could not be asked at start
    asked_at = 0.0


_standing = _Standing()


def stamp(*, using: str) -> None:
    """Note which environment this database is of, where nobody has. Only the owner of the tables may."""
    try:
        Installation.objects.using(using).get_or_create(
            pk=ONLY, defaults={"environment": environments.name()}
        )
    except ProgrammingError as error:
        if not is_no_table(error):  # migrated back to before there was one
            raise


def faults() -> list[tuple[str, str]]:
    """Return what is wrong, by the variable that it is wrong with. Raises DatabaseError while nobody answers."""
    alias = "delivery" if settings.ENVIRONMENT.plane == "delivery" else "default"
    if is_cut_off(alias):
        name = "DATABASE_URL" if alias == "default" else "DELIVERY_DATABASE_URL"
        return [(name, _CUT_OFF)]  # half of a restore, or with doors that are still open
    try:
        found = Installation.objects.using(alias).filter(pk=ONLY).first()
    except ProgrammingError as error:
        if is_no_table(error):
            return []  # not migrated yet
        raise
    wrong = []
    if found is not None and found.environment != environments.name():
        sentence = (
            f"is {environments.name()}, and this database is of {found.environment}. Point at another one, or run"
            f" `manage.py environment adopt --from {found.environment}` where it is a copy"
        )
        wrong.append(("QUILLKEEP_ENVIRONMENT", sentence))
    elif alias == "default":
        wrong += [("QUILLKEEP_KEY_RING", sentence) for sentence in ring.faults()]
    return wrong


def is_cut_off(alias: str) -> bool:
    """Tell whether a restore was cut off in this database, or is on its way."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", [REPLACED])
        row = cursor.fetchone()
    return bool(row and row[0])


def require_whole_or_exit() -> None:
    """End the process with status 2 where a restore was cut off: migrating would begin a new house beside it."""
    alias = "owner" if "owner" in settings.DATABASES else "default"
    try:
        if is_cut_off(alias):
            _exit([("OWNER_DATABASE_URL", _CUT_OFF)])
    except DatabaseError:
        pass  # whoever migrates is told by that
    finally:
        connections.close_all()


def require_or_exit(*, notes: bool = True) -> None:
    """End the process with status 2 where it may not work here. `notes`: remember the active key of the ring."""
    try:
        found = faults()
        if found:
            _exit(found)
        if notes:
            _note()
    except DatabaseError as error:
        logger.warning("The database can't be asked whether it is ours: %s.", type(error).__name__)
        _standing.is_open = True
    finally:
        connections.close_all()


def _exit(found: list[tuple[str, str]]) -> NoReturn:
    print(EnvironmentFaultsError(found), file=sys.stderr)  # noqa: T201 (for whoever starts it)
    sys.exit(STATUS_OF_FAULTS)


def is_refused() -> bool:
    """Tell whether requests are refused, since what could not be asked at start is wrong. Cheap once it is known."""
    if not _standing.is_open:
        return False
    now = time.monotonic()
    if now - _standing.asked_at < ASK_AGAIN_SECONDS:
        return True
    _standing.asked_at = now
    try:
        found = faults()
        if not found:
            _note()
    except DatabaseError:
        return True
    for name, sentence in found:
        logger.critical("Every request is refused: %s %s.", name, sentence)
    _standing.is_open = bool(found)
    return bool(found)


def _note() -> None:
    if settings.ENVIRONMENT.plane == "delivery":
        return  # its role reads nothing of that, and it encrypts nothing
    try:
        ring.note_active(by=system("start"))
    except DatabaseError as error:
        if not (is_no_table(error) or lockdown.is_refusal(error)):
            raise


def is_no_table(error: DatabaseError) -> bool:
    """Tell whether an error says that a table is not there: nobody migrated yet."""
    return isinstance(error.__cause__, UndefinedTable)
