"""Streams that count and hash what passes through them, and age around them: nothing is ever held whole."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, Final

import pyrage

from content.backups.errors import BackupError, RefusedError, WrongKeyError

PIECE: Final = 1024 * 1024
_WRONG: Final = "The private key is not one of those that this backup is encrypted to"


class Counted:
    """A stream to read from or to write to, with the number and the SHA-256 of its bytes so far.

    age wraps what a stream raises into an error of its own without its kind; `error` keeps the first one.
    """

    def __init__(
        self, stream: IO[bytes], *, most: int | None = None, told: Callable[[int], None] | None = None
    ):
        self.stream, self.most, self.told = stream, most, told
        self.size = 0
        self.error: BaseException | None = None
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def read(self, size: int = -1) -> bytes:
        try:
            data = self.stream.read(size if size >= 0 else PIECE)
            self._take(data)
        except BaseException as error:
            self.error = self.error or error
            raise
        return data

    def write(self, data: bytes) -> int:
        try:
            self._take(data)
            self.stream.write(data)
        except BaseException as error:
            self.error = self.error or error
            raise
        return len(data)

    def flush(self) -> None:
        """Do nothing: who gave the stream flushes it."""

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        if self.most is not None and self.size > self.most:
            raise RefusedError("There is more inside than the manifest says.")
        self._hash.update(data)
        if self.told is not None and data:
            self.told(len(data))


class Generated:
    """A stream to read from that is made piece by piece."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            try:
                self._rest = next(self._pieces)
            except StopIteration:
                return b""
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def copy(source: IO[bytes], target: Counted) -> None:
    """Copy a stream, a piece at a time."""
    while piece := source.read(PIECE):
        target.write(piece)


def recipients(keys: Iterable[str]) -> list[Any]:
    """Return age's recipients of public keys that the environment has checked."""
    return [pyrage.x25519.Recipient.from_str(key) for key in keys]


def identities(keys: Iterable[str]) -> list[Any]:
    """Return age's identities of private keys. Raises BackupError for one that is none."""
    try:
        found = [pyrage.x25519.Identity.from_str(key) for key in keys]
    except pyrage.IdentityError as error:
        raise BackupError("The identity is no private key of age (AGE-SECRET-KEY-…).") from error
    if not found:
        raise BackupError(
            "To read a backup its private key is needed: --identity FILE, or BACKUP_IDENTITY for a process that proves."
        )
    return found


def require_key(keys: list[Any], readers: Iterable[str]) -> None:
    """Raise WrongKeyError where none of these private keys belongs to a public one that a backup is encrypted to.

    Asked before anything is read: verifying takes as long as the backup is large.
    """
    ours, theirs = [str(key.to_public()) for key in keys], list(readers)
    if not set(ours) & {reader.lower() for reader in theirs}:
        raise WrongKeyError(f"{_WRONG} ({', '.join(theirs)}): it is that of {', '.join(ours)}.")


def encrypt(source: Any, target: IO[bytes], keys: list[Any]) -> tuple[Counted, Counted]:
    """Encrypt a stream into another; return both sides with their sizes and hashes. Raises what the streams raised."""
    plain, sealed = Counted(source), Counted(target)
    try:
        pyrage.encrypt_io(plain, sealed, keys)
    except (pyrage.EncryptError, OSError) as error:
        raise (plain.error or sealed.error or BackupError(f"age failed: {error}")) from error
    return plain, sealed


def decrypt(source: IO[bytes], target: IO[bytes], keys: list[Any], *, most: int) -> Counted:
    """Decrypt a stream into another, at most so many bytes; return what came out.

    What comes out before the end is not proven yet: the caller keeps it aside until this returns. Raises RefusedError.
    """
    plain, sealed = Counted(target, most=most), Counted(source)
    try:
        pyrage.decrypt_io(sealed, plain, keys)
    except (pyrage.DecryptError, OSError) as error:
        cause = plain.error or sealed.error
        if cause is not None:
            raise cause from error
        if "matching keys" in str(error):
            raise RefusedError(f"{_WRONG}.") from error
        raise RefusedError(f"It can't be decrypted: {error}.") from error
    return plain
