"""Files of the media library in a backup: each is stored once, under a name that tells nothing of what is in it."""

import hashlib
import hmac
import json
import os
import re
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from django.conf import settings

from accounts.keyring import key_ring
from content.backups.errors import BackupError, RefusedError
from content.backups.stores import OBJECT, Store, object_key
from content.backups.streams import encrypt

PURPOSE: Final = "backup-objects"
MOST_LINE: Final = 16 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """A file below the media folder: its path there, its length, and the SHA-256 of its bytes."""

    path: str
    size: int
    sha256: str

    def object(self, number: int = 0) -> str:
        """The name in the store: keyed, so that nobody can look there for a file that they know.

        It tells by whom it can be read as well: a backup must not rely on files that only former recipients open. A
        file has many names, by number: what lies under one is named by older backups, and never written over.
        """
        key = key_ring().derive(PURPOSE)
        words = " ".join([self.sha256, str(number), *sorted(set(settings.BACKUPS.recipients))])
        return hmac.new(key, words.encode(), hashlib.sha256).hexdigest()

    def line(self, object_name: str) -> bytes:
        """Return the line of the index, which is encrypted."""
        row = {"path": self.path, "size": self.size, "sha256": self.sha256, "object": object_name}
        return json.dumps(row, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def folder() -> Path:
    return Path(settings.MEDIA_ROOT)


def files(root: Path) -> Iterator[File]:
    """Yield the plain files below a folder, in order. A file that is named by its SHA-256 is taken at its word here:
    whoever copies it compares. Links, devices and pipes are not of the library, and are refused.
    """
    if not root.is_dir():
        return
    for path in _walk(root):
        name = path.name.split(".")[0]
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise BackupError(
                f"media/{path.relative_to(root)} is no plain file. Move it out of the media folder."
            )
        digest = name if _SHA256.fullmatch(name) else digest_of(path)
        yield File(path.relative_to(root).as_posix(), found.st_size, digest)


def _walk(root: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(root), key=lambda item: item.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def digest_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def copy(place: Store, root: Path, file: File, name: str, keys: list[Any]) -> "Stored":
    """Encrypt a file into the store. Raises BackupError when it is not what its name says, or changes meanwhile."""
    with (root / file.path).open("rb") as source, place.write(object_key(name)) as target:
        plain, sealed = encrypt(source, target, keys)
        if (plain.size, plain.sha256) != (file.size, file.sha256):
            raise BackupError(
                f"media/{file.path} is damaged: its bytes are not those that it is named for. Bring the file back "
                "from an older backup, or remove it."
            )
    return Stored(name, sealed.size, sealed.sha256)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as it lies in the store: name, length and SHA-256 of what is encrypted."""

    name: str
    size: int
    sha256: str

    def line(self) -> bytes:
        row = {"name": self.name, "size": self.size, "sha256": self.sha256}
        return json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"


class Known:
    """What lies in the store already, by name: on disk, so that a large library costs no memory."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="quillkeep-known-")  # noqa: SIM115 (closed below)
        self._rows = sqlite3.connect(self._file.name, isolation_level=None)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.execute(
            "CREATE TABLE known (name TEXT PRIMARY KEY, size INTEGER, sha256 TEXT) WITHOUT ROWID"
        )
        self._rows.execute("BEGIN")

    def add(self, item: Stored) -> None:
        self._rows.execute(
            "INSERT OR IGNORE INTO known VALUES (?, ?, ?)", (item.name, item.size, item.sha256)
        )

    def get(self, name: str) -> Stored | None:
        row = self._rows.execute("SELECT size, sha256 FROM known WHERE name = ?", (name,)).fetchone()
        return Stored(name, int(row[0]), str(row[1])) if row else None

    def all(self) -> Iterator[Stored]:
        for name, size, digest in self._rows.execute("SELECT name, size, sha256 FROM known ORDER BY name"):
            yield Stored(str(name), int(size), str(digest))

    def close(self) -> None:
        self._rows.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stored_lines(stream: IO[bytes]) -> Iterator[Stored]:
    """Yield the lines of `objects.jsonl`. Raises RefusedError for one that is not ours, or stands there twice."""
    last = ""
    for raw in _lines(stream):
        name, size, digest = raw.get("name"), raw.get("size"), raw.get("sha256")
        is_sound = isinstance(name, str) and isinstance(digest, str) and OBJECT.fullmatch(name)
        if not is_sound or not _SHA256.fullmatch(str(digest)) or type(size) is not int or size < 0:
            raise RefusedError("objects.jsonl holds a line that is not one of ours.")
        if str(name) <= last:
            raise RefusedError("objects.jsonl names a file twice, or is not in order.")
        last = str(name)
        yield Stored(last, size, str(digest))


def index_lines(stream: IO[bytes]) -> Iterator[tuple[File, str]]:
    """Yield files and the names of their objects from the index. Raises RefusedError for a path that leads away."""
    last: list[str] = []  # compared step by step, as folders are walked
    for raw in _lines(stream):
        path, size, digest, name = raw.get("path"), raw.get("size"), raw.get("sha256"), raw.get("object")
        if not isinstance(path, str) or not is_inside(path) or path.split("/") <= last:
            raise RefusedError(
                "The index of the media files names a path that leads elsewhere, or one twice."
            )
        if not _SHA256.fullmatch(str(digest)) or not OBJECT.fullmatch(str(name)) or type(size) is not int:
            raise RefusedError("The index of the media files holds a line that is not one of ours.")
        last = path.split("/")
        yield File(path, size, str(digest)), str(name)


def is_inside(path: str) -> bool:
    """Tell whether a path, as the index writes it, stays below the folder that it is put under (CWE-22)."""
    parts = path.split("/")
    return (
        len(path) <= 1024
        and "\\" not in path
        and "\x00" not in path
        and all(part not in ("", ".", "..") and len(part.encode()) <= 255 for part in parts)
    )


def _lines(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    while line := stream.readline(MOST_LINE + 1):
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RefusedError("A list in the backup holds a line that can't be read.") from error
        if len(line) > MOST_LINE or not isinstance(raw, dict):
            raise RefusedError("A list in the backup holds a line that is not one of ours.")
        yield raw
