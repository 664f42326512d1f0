"""Loading a backup: its database into an empty schema, its media files into an empty folder; compared as it goes.

A backup is loaded once all of it was verified. What is decrypted is kept aside until it is proven whole: the database
in a file without a name, so that who kills us leaves none behind; media files in a folder that only we can read.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from content.backups import media, postgres, snapshot, verifying
from content.backups.errors import BackupError, RefusedError
from content.backups.manifest import Manifest, Part
from content.backups.progress import Progress
from content.backups.stores import Store, object_key
from content.backups.streams import decrypt

MARGIN = 64 * 1024 * 1024  # bytes that are left free on the disk


def decrypt_part(place: Store, manifest: Manifest, name: str, target: IO[bytes], keys: list[Any]) -> None:
    """Decrypt a part. Raises RefusedError when what comes out is not what went in."""
    part: Part = manifest.part(name)
    with place.read(f"{manifest.name}/{name}") as source:
        out = decrypt(source, target, keys, most=part.plain_size)
    if (out.size, out.sha256) != (part.plain_size, part.plain_sha256):
        raise RefusedError(f"What is inside of {name} is not what went in.")


def require_room(folder: Path, needed: int) -> None:
    """Raise BackupError when a disk is too full, before anything is written."""
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN:
        raise BackupError(
            f"{(needed + MARGIN) // 2**20} MiB are needed in {folder.name or folder}, and {free // 2**20} MiB are "
            "free there. Make room, or choose another disk (TMPDIR, DATA_DIR)."
        )


def database(
    place: Store,
    manifest: Manifest,
    keys: list[Any],
    *,
    config: Mapping[str, Any],
    progress: Progress,
) -> None:
    """Fill the empty schema `public` of a database and compare every table. Raises BackupError, RefusedError."""
    part = manifest.part("database.age")
    require_room(Path(tempfile.gettempdir()), part.plain_size)
    with tempfile.TemporaryFile() as dump:
        progress.step("decrypting", part.plain_size)
        decrypt_part(place, manifest, "database.age", dump, keys)
        dump.flush()
        progress.advance(part.plain_size)
        progress.step("loading the database")
        _pg_restore(dump, config)
    progress.step("comparing tables", len(manifest.tables))
    with postgres.connect(config) as connection:
        after = snapshot.tables(connection, lambda _: progress.advance(1))
    found = snapshot.differences(dict(manifest.tables), after)
    if found:
        raise RefusedError("What was loaded is not what was backed up: " + "; ".join(found[:5]) + ".")


def _pg_restore(dump: IO[bytes], config: Mapping[str, Any]) -> None:
    with postgres.connect(config) as connection:
        program = postgres.tool("pg_restore", server=postgres.server_version(connection))
    with tempfile.TemporaryFile() as chosen:
        chosen.write(_all_but_the_schema(program, dump))
        chosen.flush()
        _load(program, dump, chosen, config)


def _named(file: IO[bytes]) -> str:
    """Return a name for a child that is given the file, which stands at its beginning."""
    file.seek(0)
    return f"/dev/fd/{file.fileno()}"


def _all_but_the_schema(program: Path, dump: IO[bytes]) -> bytes:
    """Return the list of what is in a dump, without the schema itself: it is there, empty and ours."""
    done = subprocess.run(
        [str(program), "--list", _named(dump)],
        stdin=subprocess.DEVNULL,
        pass_fds=(dump.fileno(),),
        capture_output=True,
        env={"LC_ALL": "C"},
    )
    if done.returncode:
        raise RefusedError(f"pg_restore can't read the dump: {postgres.last_words(done.stderr[-4000:])}")
    lines = [
        line for line in done.stdout.splitlines() if not re.match(rb"\d+; \d+ \d+ (SCHEMA|COMMENT) - ", line)
    ]
    return b"\n".join(lines) + b"\n"


def _load(program: Path, dump: IO[bytes], chosen: IO[bytes], config: Mapping[str, Any]) -> None:
    command = [
        str(program),
        "--use-list",
        _named(chosen),
        "--dbname",
        str(config["NAME"]),
        "--no-owner",
        "--no-privileges",
        "--no-password",
        "--exit-on-error",
        "--single-transaction",
        _named(dump),
    ]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=(dump.fileno(), chosen.fileno()),
        env=postgres.environment_of(config),
    )
    if done.returncode:
        raise RefusedError(f"pg_restore failed: {postgres.last_words(done.stderr[-4000:])}")


def empty(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether the schema holds nothing."""
    query = """
        SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s)
    """
    row = connection.execute(query, [snapshot.SCHEMA]).fetchone()
    return bool(row and row[0])


def wipe(connection: psycopg.Connection[Any]) -> None:
    """Make the schema anew, empty."""
    schema = sql.Identifier(snapshot.SCHEMA)
    with connection.transaction():
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))


def media_files(
    place: Store,
    manifest: Manifest,
    keys: list[Any],
    *,
    into: Path,
    progress: Progress,
    every: int = 1,
) -> int:
    """Write the media files below an empty folder, each proven by its hash; return how many.

    `every` 10 takes each tenth one: a sample for a proof. Raises BackupError, RefusedError.
    """
    progress.step("media", manifest.media_files)
    into.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    into.mkdir(mode=0o700, exist_ok=True)
    if every == 1:
        require_room(into, manifest.media_bytes)
    number = 0
    with media.Known() as known, tempfile.TemporaryFile() as index:
        for item in verifying.stored(place, manifest):
            known.add(item)
        decrypt_part(place, manifest, "media.age", index, keys)
        index.seek(0)
        for number, (file, name) in enumerate(media.index_lines(index), start=1):
            if number % every == 0 or number == 1:
                _write_file(place, known, file, name, into, keys)
            progress.advance(1)
    if number != manifest.media_files:
        raise RefusedError("The index of the media files names another number of files than the manifest.")
    return number


def _write_file(
    place: Store, known: media.Known, file: media.File, name: str, into: Path, keys: Sequence[Any]
) -> None:
    if known.get(name) is None:
        raise RefusedError("The index of the media files names an object that is not in the list.")
    path = into.joinpath(*file.path.split("/"))
    for folder in reversed(Path(file.path).parents):
        (into / folder).mkdir(
            mode=0o700, exist_ok=True
        )  # each by itself: `parents` forgets the mode of all but one
    made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(made, "wb") as target, place.read(object_key(name)) as source:
        out = decrypt(source, target, list(keys), most=file.size)
    if (out.size, out.sha256) != (file.size, file.sha256):
        raise RefusedError(f"media/{file.path} is not what went in.")
