"""Making a backup: one snapshot of the database, streamed through pg_dump and age; media files that are new; then
every byte is read back, and only then the signed manifest makes a backup of it.

This process can't read what it makes: it holds the public keys only.
"""

import contextlib
import importlib.metadata
import json
import logging
import secrets
import subprocess
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import django
import psycopg
from django.conf import settings

from accounts import encrypted
from accounts.keyring import key_ring
from content.backups import children, media, postgres, snapshot, verifying
from content.backups.children import ChildError
from content.backups.errors import BackupError, BusyError, RefusedError
from content.backups.manifest import FORMAT, MOST_BYTES, Golden, Manifest, Part, Table, read
from content.backups.progress import Progress, Silent
from content.backups.stores import Store, names, object_key, object_name
from content.backups.streams import Counted, Generated, encrypt, recipients

logger = logging.getLogger("quillkeep.backup")

LOCK_ID: Final = 0x71_6B_62_61_6B  # "qkbak": one backup of a database at a time; it ends with its connection
_GOLDEN_SECONDS: Final = 600.0
_MOST_NAMES: Final = 1_000  # of one media file in one store: it has a second one where the first is damaged


@dataclass(slots=True)
class Made:
    """A backup that is whole, and what making it did."""

    manifest: Manifest
    seconds: float
    new_objects: int = 0
    new_bytes: int = 0  # of media files, as they lie in the store
    cleared: int = 0  # drafts of backups that were cut off


@dataclass(slots=True)
class _Work:
    """One backup that is being made."""

    name: str
    made_at: datetime
    place: Store
    prefix: str
    keys: list[Any]
    progress: Progress
    there: media.Known  # media files that lie in the store, by name and length
    written: media.Known  # those that were not there before
    doubts: bool
    parts: list[Part] = field(default_factory=list)


def new_name(now: datetime) -> str:
    """Return a name that sorts by time, also within a second; it tells the environment, and nothing else."""
    rest = f"{now.microsecond // 1000:03x}{secrets.token_hex(2)[:3]}"
    return f"{now:%Y%m%dT%H%M%SZ}-{settings.ENVIRONMENT.name}-{rest}"


def create(
    place: Store,
    *,
    progress: Progress | None = None,
    now: datetime | None = None,
    doubts: bool = False,
) -> Made:
    """Make a backup. Raises BackupError; nothing of a backup that failed is in the list, and its files are removed.

    With `doubts` media files that lie in the store are read before it relies on them, and copied anew where damaged.
    """
    began = time.monotonic()
    config = postgres.owner_config()
    if not settings.BACKUPS.recipients:
        raise BackupError("BACKUP_RECIPIENTS is not set: a backup that anybody could read is not made.")
    keys = recipients(settings.BACKUPS.recipients)
    with (
        postgres.connect(config) as connection,
        only_one(connection),
        media.Known() as there,
        media.Known() as written,
    ):
        cleared = place.clear_drafts()
        made_at = now or datetime.now(UTC)  # before the look at the database: what happens later is not in it
        name = new_name(made_at)
        work = _Work(
            name, made_at, place, place.draft(name), keys, progress or Silent(), there, written, doubts
        )
        try:
            made = _create(work, connection, config)
        except BaseException:
            _abandon(work)
            raise
    made.cleared = cleared
    made.seconds = time.monotonic() - began
    return made


@contextlib.contextmanager
def only_one(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Keep others from making or removing backups until the block ends. Raises BusyError when somebody is at it."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_ID]).fetchone()
    if not row or not row[0]:
        raise BusyError(
            "Another process makes or removes backups of this database just now. Wait for it, or end that process."
        )
    yield


def _abandon(work: _Work) -> None:
    """Remove what was written. What can't be removed now is cleared by the next backup."""
    try:
        for key in list(work.place.keys(work.prefix)):
            work.place.remove(key)
        for item in work.written.all():
            work.place.remove(object_key(item.name))
    except (BackupError, OSError):
        logger.warning("What a failed backup has written could not be removed; the next one clears it.")


def _create(work: _Work, connection: psycopg.Connection[Any], config: dict[str, Any]) -> Made:
    # Before the look: what the worker moves to the active key meanwhile stands under the former one in the backup.
    key_ids = sorted({key_ring().active_id, *encrypted.counts()})
    with snapshot.taken(connection) as taken:
        migrations = snapshot.migrations(connection)
        position, mac = snapshot.newest_seal(connection)
        counted = _Counting(taken.id, config)
        with counted:
            _dump(work, taken, config)
            work.progress.step("counting tables")
        golden = _golden(taken.id, config)
    found = _media(work)
    size = sum(part.size for part in work.parts) + found.new_bytes
    work.progress.step("reading back", size)
    _read_back(work)
    manifest = Manifest(
        format=FORMAT,
        name=work.name,
        environment=settings.ENVIRONMENT.name,
        made_at=work.made_at.isoformat(timespec="seconds"),
        versions={
            "quillkeep": version(),
            "django": django.get_version(),
            "postgresql": str(connection.info.server_version),
        },
        migrations=migrations,
        log_position=position,
        log_mac=mac,
        key_ids=key_ids,
        tables=counted.tables,
        golden=golden,
        media_files=found.files,
        media_bytes=found.bytes,
        recipients=list(settings.BACKUPS.recipients),
        parts=work.parts,
    )
    raw = manifest.signed_bytes()
    _require_readable(raw)
    work.place.publish(work.name, raw)
    return Made(manifest, 0.0, found.new, found.new_bytes)


def _require_readable(raw: bytes) -> None:
    """Raise BackupError for a manifest that nobody could read again: a backup that is found out when it is needed."""
    try:
        Manifest.parse(raw)
    except RefusedError as error:
        raise BackupError(f"The manifest could not be read again: {error}") from error
    if len(raw) > MOST_BYTES:
        raise BackupError("The manifest would be too long to be read again.")


def version() -> str:
    """Return our own version, as the project's file or the installed package says."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version("quillkeep")
    project = tomllib.loads(children.MANAGE.with_name("pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


class _Counting:
    """Counts and hashes the tables on a connection of its own, in the same snapshot, while pg_dump runs."""

    def __init__(self, snapshot_id: str, config: dict[str, Any]) -> None:
        self.tables: dict[str, Table] = {}
        self._error: Exception | None = None
        self._connection = postgres.connect(config)
        snapshot.join(self._connection, snapshot_id)  # before the thread: the snapshot is surely still there
        self._thread = threading.Thread(target=self._count, name="backup-counting", daemon=True)

    def _count(self) -> None:
        try:
            self.tables = snapshot.tables(self._connection)
        except Exception as error:  # noqa: BLE001 (raised where the thread is joined; else nothing would be counted)
            self._error = error

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._connection.cancel()
        self._thread.join()
        self._connection.close()
        if kind is None and self._error is not None:
            raise BackupError(
                f"The tables could not be counted ({type(self._error).__name__})."
            ) from self._error


def _dump(work: _Work, taken: snapshot.Snapshot, config: dict[str, Any]) -> None:
    program = postgres.tool("pg_dump", server=postgres.server_version(taken.connection))
    command = [
        str(program),
        "--format=custom",
        f"--snapshot={taken.id}",
        f"--schema={snapshot.SCHEMA}",
        "--no-owner",
        "--no-privileges",
        "--no-password",
        "--lock-wait-timeout=60s",
    ]
    work.progress.step("database", database_size(taken.connection))
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=postgres.environment_of(config),
        ) as process,
    ):
        try:
            _write(work, "database.age", process.stdout, ends=lambda: _require_end(process, complaints))
        except BaseException:
            process.kill()
            raise


def _require_end(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> None:
    if process.wait():
        complaints.seek(0)
        raise BackupError(f"pg_dump failed: {postgres.last_words(complaints.read()[-4000:])}")


def database_size(connection: psycopg.Connection[Any]) -> int:
    """Return bytes of the database on disk: of what is dumped only an estimate."""
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def _write(work: _Work, name: str, source: Any, *, ends: Any = None) -> None:
    """Encrypt a stream into a part. `ends` is asked before the part is there: whether the stream came to its end."""
    told = Counted(source, told=work.progress.advance)
    with work.place.write(f"{work.prefix}/{name}") as target:
        plain, sealed = encrypt(told, target, work.keys)
        if ends is not None:
            ends()
    work.parts.append(Part(name, sealed.size, sealed.sha256, plain.size, plain.sha256))


@dataclass(slots=True)
class _Media:
    files: int = 0
    bytes: int = 0
    new: int = 0
    new_bytes: int = 0  # as they lie in the store


def _media(work: _Work) -> _Media:
    """Write the index of the media files, the files that are not in the store yet, and the list of all objects."""
    found = _Media()
    root = media.folder()
    work.progress.step("media")
    with media.Known() as before, media.Known() as now:
        for key, size in work.place.sizes("objects"):
            name = object_name(key)
            if name is not None:
                work.there.add(media.Stored(name, size, ""))
        for item in _stored_before(work):
            before.add(item)

        def lines() -> Iterator[bytes]:
            for file in media.files(root):
                stored, is_new = _stored(work, root, file, before, now)
                now.add(stored)
                found.new += is_new
                found.new_bytes += stored.size * is_new
                found.files += 1
                found.bytes += file.size
                yield file.line(stored.name)

        _write(work, "media.age", Generated(lines()))
        with work.place.write(f"{work.prefix}/objects.jsonl") as target:
            out = Counted(target)
            for item in now.all():
                out.write(item.line())
        work.parts.append(Part("objects.jsonl", out.size, out.sha256, out.size, out.sha256))
    return found


def _stored(
    work: _Work, root: Path, file: media.File, before: media.Known, now: media.Known
) -> tuple[media.Stored, bool]:
    """Return where a file lies in the store, and whether it was put there just now.

    What lies there and is not known (a backup older than the newest one names it) is left as it is: encrypted once
    more the file has other bytes, and every backup that names it would be damaged.
    """
    for number in range(_MOST_NAMES):
        name = file.object(number)
        stored = before.get(name) or now.get(name)
        if stored is not None:
            return stored, False
        if work.there.get(name) is None:
            stored = media.copy(work.place, root, file, name, work.keys)
            work.written.add(stored)
            work.progress.advance(stored.size)
            return stored, True
    raise BackupError("The storage says of every name that something lies there: it can't be right.")


def _stored_before(work: _Work) -> Iterator[media.Stored]:
    """Yield what the newest backup that can be read has stored, as far as it still lies there.

    It must have the same length, and with `doubts` (some file was found damaged) the same bytes.
    """
    for name in reversed(names(work.place)):
        try:
            for item in verifying.stored(work.place, read(work.place, name)):
                if _lies_there(work, item):
                    yield item
        except RefusedError:
            logger.warning("%s can't be read, so files are copied that it may hold.", name)
            continue
        return


def _lies_there(work: _Work, item: media.Stored) -> bool:
    found = work.there.get(item.name)
    if found is None or found.size != item.size:
        return False
    if not work.doubts:
        return True
    try:
        return verifying.seen(work.place, object_key(item.name)) == (item.size, item.sha256)
    except (BackupError, OSError):
        return False  # a bad disk: the file is copied anew, under another name


def _read_back(work: _Work) -> None:
    """Read what was written: what the storage gives back is what the manifest will be believed for."""
    for part in work.parts:
        _require_same(work, f"{work.prefix}/{part.name}", part.size, part.sha256)
    for item in work.written.all():
        _require_same(work, object_key(item.name), item.size, item.sha256)


def _require_same(work: _Work, key: str, size: int, sha256: str) -> None:
    if verifying.seen(work.place, key, told=work.progress.advance) != (size, sha256):
        raise BackupError(f"The storage gave {key} back in another form than it was written.")


def _golden(snapshot_id: str, config: dict[str, Any]) -> list[Golden]:
    """Have a process of its own read documents through the delivery API in the same snapshot."""
    rows = run_golden(config, snapshot_id=snapshot_id)
    return [Golden(**row) for row in rows]


def run_golden(
    config: dict[str, Any], *, snapshot_id: str = "", wanted: list[dict[str, str]] | None = None
) -> Any:
    """Return what `backup golden` prints for a database. Raises BackupError."""
    try:
        return children.ask(
            "golden",
            *(["--snapshot", snapshot_id] if snapshot_id else []),
            values={"DELIVERY_DATABASE_URL": postgres.url_of(config)},
            given=json.dumps(wanted).encode() if wanted is not None else b"",
            seconds=_GOLDEN_SECONDS,
        )
    except ChildError as error:
        raise BackupError(f"Documents could not be read as the API gives them: {error}") from error
