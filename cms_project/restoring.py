"""Restoring a backup: nothing is touched before all of it is verified, nothing is lost before the new is proven, and
whatever could open a door that was shut since the backup was made is shut again.

The schema that is replaced stays beside under another name until the restored one has passed every comparison. A
restore that is cut off is undone by `backup restore --undo`.
"""

import contextlib
import logging
import os
import shutil
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from psycopg import sql

from accounts.access import Principal
from accounts.keyring import key_ring
from accounts.log import seal_pending
from cms_project import replaced, restored_doors
from cms_project.restored_doors import Report
from cms_project.standing import REPLACED
from content.backups import creating, loading, media, postgres, proving, snapshot, verifying
from content.backups.errors import BackupError, RefusedError
from content.backups.manifest import Manifest, read
from content.backups.progress import Progress, Silent
from content.backups.stores import Store
from content.backups.streams import identities, require_key

logger = logging.getLogger("quillkeep.backup")

SHUT: Final = "quillkeep: restored, every door shut at "  # then the time: a comment on the restored schema
WATCHED: Final = timedelta(
    seconds=4
)  # the sealer asks every two seconds, the web server holds on to a connection
PATIENCE: Final = timedelta(seconds=15)  # until connections of a restore that was killed are gone
HIGHEST: Final = 2**52  # of a position: above 2**53 clients that read numbers as fractions mix them up


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked to restore, and what they know."""

    name: str
    replaces: bool = False
    environment: str = ""  # the one that the backup is of, where that is another one than ours
    known_position: int = 0  # the highest position of the log that anybody outside has seen
    keys: tuple[str, ...] = ()  # private keys of age


def restore(place: Store, wish: Wish, *, by: Principal, progress: Progress | None = None) -> Report:
    """Restore a backup into this installation. Raises BackupError and RefusedError with the target unchanged."""
    progress = progress or Silent()
    began = timezone.now()
    if not 0 <= wish.known_position < HIGHEST:
        raise BackupError(f"A position of the log is a number from 0 to {HIGHEST - 1:,}.")
    opened = identities(wish.keys or settings.BACKUPS.identities)
    require_key(opened, read(place, wish.name).recipients)
    manifest = verifying.verify(place, wish.name, progress=progress).require_whole()
    _require_fit(manifest, wish)
    config = postgres.owner_config()
    connections.close_all()  # ours must not count among those that use the database
    with postgres.connect(config) as connection:
        _require_target(connection, replaces=wish.replaces)
        _clear_leftovers()
        report = Report(wish.name, manifest.made_at)
        try:
            report.media_files = loading.media_files(
                place, manifest, opened, into=_staged(), progress=progress
            )
            _require_target(connection, replaces=wish.replaces)  # that took its time: somebody may have come
            before = replaced.doors(connection)
            with _replaced(connection):
                loading.database(place, manifest, opened, config=config, progress=progress)
                progress.step("bringing up to date")
                _bring_up_to_date()
                progress.step("comparing answers")
                other_answers = proving.golden_differences(manifest, config)
                if other_answers and manifest.versions["quillkeep"] == creating.version():
                    raise RefusedError(other_answers)
                progress.step("shutting doors")
                restored_doors.shut(
                    manifest,
                    before=before,
                    after=replaced.doors(connection),
                    known_position=wish.known_position,
                    report=report,
                    by=by,
                )
                if other_answers:
                    report.next_steps.insert(0, f"{other_answers} Another version made the backup: compare.")
                _comment(connection, SHUT + timezone.now().isoformat())
                _put_media()
        except BaseException:
            _remove(_staged())
            raise
        _let_go(connection)
    report.seconds = round((timezone.now() - began).total_seconds())
    try:
        seal_pending()
    except (OSError, DatabaseError):  # the sealer does it later; what the report lists is told nowhere else
        logger.exception("What the restore wrote to the log is not sealed yet.")
    return report


# --- Before anything is touched -------------------------------------------------------------------------------------


def _require_fit(manifest: Manifest, wish: Wish) -> None:
    """Refuse a backup of a newer version, of another environment, or whose keys are gone."""
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    newer = [name for name in manifest.migrations if name not in known]
    if newer:
        raise RefusedError(
            f"The backup is from a newer version: this one does not know {newer[0]} and {len(newer) - 1} more "
            "migrations. Install the version that made it, or a newer one, then restore."
        )
    ours = settings.ENVIRONMENT.name
    if manifest.environment != (wish.environment or ours):
        raise RefusedError(
            f"The backup is of {manifest.environment}, and this is {ours}. To bring its content here all the same, "
            f"say --from-environment {manifest.environment}."
        )
    missing = [key_id for key_id in manifest.key_ids if not key_ring().holds(key_id)]
    if missing:
        raise RefusedError(
            f"The key {missing[0]} was in the key ring when the backup was made, and is not now: what it encrypted "
            "could not be read. Put it into QUILLKEEP_KEY_RING behind the others, then restore."
        )


def _require_target(connection: psycopg.Connection[Any], *, replaces: bool) -> None:
    """Refuse a database that is in use, that is not empty, or in which a restore was cut off."""
    if _exists(connection, REPLACED):
        raise BackupError(
            "A restore was cut off here. `backup restore --undo` puts back what it was about to replace; "
            "`--finish` keeps what was restored, where it was whole."
        )
    if os.path.ismount(_present()):
        raise BackupError(
            "The media folder is a mount of its own, and one of them can't be put in the place of another: mount the "
            "folder above it (DATA_DIR)."
        )
    has_media = _present().is_dir() and any(_present().iterdir())
    if not replaces and (not loading.empty(connection) or has_media):
        raise BackupError(
            "The target is not empty: say --replace, and type the name of the backup, to replace all that it holds."
        )
    _require_nobody_else(connection)


def _require_nobody_else(connection: psycopg.Connection[Any], *, patience: timedelta = timedelta(0)) -> None:
    """Refuse while others use the database. Workers come and go within seconds, so one look is not enough.

    `patience` is for those that are about to go.
    """
    users = [str(item["USER"]) for item in settings.DATABASES.values()]
    began = quiet_since = time.monotonic()
    while True:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = ANY(%s)"
            " AND pid <> pg_backend_pid()",
            [users],
        ).fetchone()
        if row and row[0] and time.monotonic() - began < patience.total_seconds():
            quiet_since = time.monotonic()
        elif row and row[0]:
            raise BackupError(
                "Web processes or workers use the database. Stop all of them first (web, workers, beat): what they "
                "write meanwhile would be lost. In development: stop `make run`, start `make servers`."
            )
        if time.monotonic() - quiet_since > WATCHED.total_seconds():
            return
        time.sleep(0.05)


def _exists(connection: psycopg.Connection[Any], schema: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", [schema]
    ).fetchone()
    return bool(row and row[0])


# --- The schema -----------------------------------------------------------------------------------------------------


class _replaced:  # noqa: N801 (used as a statement)
    """Puts the present schema aside and an empty one in its place; brings it back when the block fails."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        with self.connection.transaction():
            self.connection.execute(
                sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                    sql.Identifier(snapshot.SCHEMA), sql.Identifier(REPLACED)
                )
            )
            self.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(snapshot.SCHEMA)))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            connections.close_all()
            _put_back(self.connection)


def undo(connection: psycopg.Connection[Any]) -> None:
    """Put back what a restore that was cut off was about to replace.

    Raises BackupError when there is nothing, and when what was restored is in use since: it would be lost.
    """
    _require_cut_off(connection)
    connections.close_all()
    _require_nobody_else(connection, patience=PATIENCE)
    shut_at = _shut_at(connection)
    if shut_at is not None:
        row = connection.execute(
            "SELECT count(*) FROM public.accounts_event WHERE at > %s", [shut_at]
        ).fetchone()
        if row and row[0]:
            raise BackupError(
                f"What was restored is whole and in use: {row[0]} events were written since, and would be lost. "
                "`backup restore --finish` keeps it, and lets go of what it replaced."
            )
    _put_back(connection)


def finish(connection: psycopg.Connection[Any]) -> None:
    """Let go of what a restore replaced that was cut off when it was whole. Raises BackupError for one that was not."""
    _require_cut_off(connection)
    if _shut_at(connection) is None:
        raise BackupError(
            "The restore was cut off before it was whole. `backup restore --undo` puts back what it was to replace."
        )
    _put_media()
    _let_go(connection)


def _require_cut_off(connection: psycopg.Connection[Any]) -> None:
    if not _exists(connection, REPLACED):
        raise BackupError("No restore was cut off here, so there is nothing to undo or to finish.")


def _put_back(connection: psycopg.Connection[Any]) -> None:
    """Take the restore back: files first, since it can be done once more as long as the schema is there."""
    if _aside().exists():
        _remove(_present())
        _aside().rename(_present())
    _remove(_staged())
    with connection.transaction():
        connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(snapshot.SCHEMA))
        )
        connection.execute(
            sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(
                sql.Identifier(REPLACED), sql.Identifier(snapshot.SCHEMA)
            )
        )


def _let_go(connection: psycopg.Connection[Any]) -> None:
    """Drop what was replaced: from here on nothing can be undone."""
    with connection.transaction():
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(REPLACED)))
        _comment(connection, None)
    _remove(_aside())


def _comment(connection: psycopg.Connection[Any], text: str | None) -> None:
    connection.execute(
        sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(snapshot.SCHEMA), sql.Literal(text))
    )


def _shut_at(connection: psycopg.Connection[Any]) -> datetime | None:
    """Return when the doors of what was restored were shut, None where it did not come so far."""
    row = connection.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", [snapshot.SCHEMA]
    ).fetchone()
    text = str(row[0]) if row and row[0] else ""
    return datetime.fromisoformat(text.removeprefix(SHUT)) if text.startswith(SHUT) else None


# --- Media files ----------------------------------------------------------------------------------------------------


def _present() -> Path:
    return media.folder().resolve()  # a link to another disk stays one


def _staged() -> Path:
    return _present().with_name(f"{_present().name}.restoring")


def _aside() -> Path:
    """Where what is replaced lies until it is let go. While it is there, the other folder is the restored one."""
    return _present().with_name(f"{_present().name}.replaced")


def _put_media() -> None:
    """Put the restored files in the place of those that are there; cut off anywhere, it goes on where it was."""
    if not _aside().exists():
        if not _staged().exists():
            return
        _present().mkdir(mode=0o700, parents=True, exist_ok=True)
        _present().rename(_aside())
    with contextlib.suppress(FileNotFoundError):
        _staged().rename(_present())


def _clear_leftovers() -> None:
    """Remove what restores of before have left. Raises BackupError: else it would be taken for what is replaced now."""
    for folder in (_staged(), _aside()):
        _remove(folder)
        if folder.exists():
            raise BackupError(
                f"{folder.name} is left of a restore before, and can't be removed: remove it by hand."
            )


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _bring_up_to_date() -> None:
    """Migrate what an older version made, and give the roles their grants."""
    connections.close_all()
    call_command("migrate", verbosity=0, interactive=False)
