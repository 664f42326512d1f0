"""Where backups lie: a folder, or S3-compatible storage. Keys are ours; nothing is ever named by what is inside.

<name>/manifest.json, database.age, media.age, objects.jsonl     one backup; the manifest is its last file
objects/<two hex>/<64 hex>.age                                   files of the media library, shared by backups
proofs/<name>/<time>.json                                        what proofs found
"""

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Protocol
from urllib.parse import urlsplit

from django.conf import settings

from accounts.log import sync_folder
from content.backups.errors import BackupError, RefusedError

NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[a-z]{1,20}-[0-9a-f]{6}")
OBJECT: Final = re.compile(r"[0-9a-f]{64}")
NOTE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z\.json")
MANIFEST: Final = "manifest.json"
PARTS: Final = ("database.age", "media.age", "objects.jsonl")
_LEFTOVER: Final = re.compile(r"\.[0-9a-f]{64}\.age\.[0-9]+")  # a media file whose writing was cut off
_ASIDE: Final = ".writing"  # where a folder keeps what is not whole yet


class Store(Protocol):
    """Files by key. What is written is there whole or not at all; a backup is there once its manifest is."""

    def write(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Give a stream; the file is there, durable, when the block ends well, and not at all when it does not."""
        ...

    def read(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Give a stream. Raises RefusedError for what is missing, or is no plain file."""
        ...

    def size(self, key: str) -> int | None:
        """Return how long a file is, None where there is none."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below `prefix/`, everything that lies there, in no order."""
        ...

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the files below `prefix/` with their lengths, without a question for each where that costs time."""
        ...

    def tops(self) -> Iterator[str]:
        """Yield the first steps of all keys, each once."""
        ...

    def remove(self, key: str) -> None: ...

    def publish(self, name: str, manifest: bytes) -> None:
        """Make a backup whose parts were written to `draft(name)` one of the list, at once."""
        ...

    def withdraw(self, name: str) -> None:
        """Take a backup out of the list, at once; its parts lie in `draft(name)` again, to be removed."""
        ...

    def draft(self, name: str) -> str:
        """Return under which prefix the parts of a backup are written."""
        ...

    def clear_drafts(self) -> int:
        """Remove what backups that were cut off have left; return of how many. Only while nobody else makes one."""
        ...


def store() -> Store:
    """Return the store of `BACKUP_TO`. Raises BackupError where none is set or its package is missing."""
    to = settings.BACKUPS.to
    if not to:
        raise BackupError(
            "BACKUP_TO is not set, so there is nowhere to put backups. docs/operations/backups.md says how."
        )
    parts = urlsplit(to)
    if parts.scheme == "file":
        return FolderStore(Path(parts.path))
    try:
        from content.backups.s3 import S3Store  # noqa: PLC0415 (boto3 is an extra; without it this import fails)
    except ImportError as error:
        raise BackupError(
            "Backups in S3 need the extra: pip install -r deploy/requirements-extras.txt"
        ) from error
    return S3Store.of(to)


def names(place: Store) -> list[str]:
    """Return the backups that are whole, by name and so by time."""
    return sorted(
        name for name in place.tops() if NAME.fullmatch(name) and place.size(f"{name}/{MANIFEST}") is not None
    )


def object_key(name: str) -> str:
    """Return the key of a file of the media library."""
    return f"objects/{name[:2]}/{name}.age"


def object_name(key: str) -> str | None:
    """Return the name of the media file that lies under a key, None for what is none."""
    name = key.rpartition("/")[2].removesuffix(".age")
    return name if OBJECT.fullmatch(name) and key == object_key(name) else None


class FolderStore:
    """A folder of this machine, or one that is mounted. Folders are 0700, files 0600, links are never followed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def draft(self, name: str) -> str:
        return f"{_ASIDE}/{name}"

    @contextlib.contextmanager
    def write(self, key: str) -> Iterator[IO[bytes]]:
        path = self._path(key)
        self._make(path.parent)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        aside.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(aside, flags, 0o600), "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def read(self, key: str) -> Iterator[IO[bytes]]:
        path = self._path(key)
        try:
            # Not blocking: opening a pipe that somebody put there would wait for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise RefusedError(f"{key} is missing, or can't be read ({error.strerror}).") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise RefusedError(f"{key} is no plain file.")
        with os.fdopen(descriptor, "rb") as stream:
            yield stream

    def size(self, key: str) -> int | None:
        try:
            found = self._path(key).lstat()
        except (
            FileNotFoundError,
            NotADirectoryError,
            RefusedError,
        ):  # a folder that is a link is none of ours
            return None
        except OSError as error:
            # Not None: what can't be looked at is not gone, and pruning would take what it needs along.
            raise BackupError(f"{key} can't be looked at ({error.strerror}).") from error
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def keys(self, prefix: str) -> Iterator[str]:
        start = self._path(prefix) if prefix else self.folder
        if prefix and start.is_symlink():  # walking begins behind a link
            return
        for folder, folders, files in os.walk(start, followlinks=False):
            folders[:] = [item for item in folders if item != _ASIDE]
            for item in (*files, *(item for item in folders if (Path(folder) / item).is_symlink())):
                yield (Path(folder) / item).relative_to(self.folder).as_posix()

    def sizes(self, prefix: str) -> Iterator[tuple[str, int]]:
        for key in self.keys(prefix):
            size = self.size(key)
            if size is not None:
                yield key, size

    def tops(self) -> Iterator[str]:
        if self.folder.is_dir():
            yield from (item.name for item in self.folder.iterdir() if item.name != _ASIDE)

    def remove(self, key: str) -> None:
        path = self._path(key)
        with contextlib.suppress(NotADirectoryError):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the folder is not empty
            path.parent.rmdir()

    def publish(self, name: str, manifest: bytes) -> None:
        draft = self._path(self.draft(name))
        with self.write(f"{self.draft(name)}/{MANIFEST}") as stream:
            stream.write(manifest)
        sync_folder(draft)
        draft.rename(self.folder / name)
        sync_folder(self.folder)

    def withdraw(self, name: str) -> None:
        source, target = self._path(f"{name}/{MANIFEST}").parent, self._path(self.draft(name))
        self._make(target.parent)
        source.rename(target)
        sync_folder(self.folder)

    def clear_drafts(self) -> int:
        aside = self.folder / _ASIDE
        found = []
        if aside.is_dir():
            self._require_real(aside)  # what lies behind a link is not ours to remove
            found = list(aside.iterdir())
        for item in found:
            shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()
        for key in self.keys("objects"):
            if _LEFTOVER.fullmatch(key.rpartition("/")[2]):
                self.remove(key)
        return len(found)

    def _path(self, key: str) -> Path:
        """Return where a key lies. Raises RefusedError where it leads out of the store, by its steps or by a link."""
        parts = key.split("/")
        if any(part in ("", ".", "..") or "\\" in part or "\x00" in part for part in parts):
            raise RefusedError("A key leads out of the store.")
        path = self.folder.joinpath(*parts)
        self._require_real(path.parent)
        return path

    def _make(self, folder: Path) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for step in [*reversed(folder.relative_to(self.folder).parents), folder.relative_to(self.folder)]:
            (self.folder / step).mkdir(mode=0o700, exist_ok=True)
        self._require_real(folder)

    def _require_real(self, folder: Path) -> None:
        """Refuse a folder that is a link, at any step below ours: what is read or written would lie elsewhere."""
        step = self.folder
        for part in folder.relative_to(self.folder).parts:
            step /= part
            if step.is_symlink():
                raise RefusedError(f"{step.relative_to(self.folder)} is a link.")
