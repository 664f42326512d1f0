"""The form of a bundle, and the strict reader of it.

    quillkeep-content-bundle 1
    {"environment": …, "made_at": …, "collections": …, "left_out": …, "parts": [{"kind", "bytes", "sha256", "count"}]}
    {"key": "ed25519:…", "signature": …}
    …the parts, one after the other, without anything between

It has no names of files, no links, no offsets and nothing packed, so nothing can climb out of a folder, overlap or
swell. The signature covers the first two lines, and they the size and the SHA-256 of every part. The part `entries` has
a line for each entry in each locale and step. Parts of the kind `media` will hold files, once there is a media library.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID

from accounts.api.json_body import MalformedBodyError, loads
from content.bundles import signing

MAGIC: Final = b"quillkeep-content-bundle "
VERSION: Final = 1
MAX_MANIFEST: Final = 1024 * 1024
MAX_SIGNATURE: Final = 512
MAX_LINE: Final = 8 * 1024 * 1024
MAX_ENTRY: Final = 64 * 1024 * 1024  # of the lines of one entry, which are held at once
MAX_PART: Final = 4 * 1024**3
MAX_ENTRIES: Final = 100_000
MAX_LINES: Final = 1_000_000
_CHUNK: Final = 1024 * 1024
_MANIFEST_KEYS: Final = {"environment", "made_at", "collections", "left_out", "parts"}
_PART_KEYS: Final = {"kind", "bytes", "sha256", "count"}
_LINE_KEYS: Final = {"id", "collection", "step", "locale", "public", "fields"}
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


class BundleError(Exception):
    """A file is no bundle that can be taken; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in one locale ("*": not localized), in one step of its life: what is public, then what is newest."""

    id: UUID
    collection: str
    step: int
    locale: str
    public: bool
    fields: Mapping[str, Any]

    def as_bytes(self) -> bytes:
        values = {
            "id": str(self.id),
            "collection": self.collection,
            "step": self.step,
            "locale": self.locale,
            "public": self.public,
            "fields": self.fields,
        }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says of itself, signed."""

    environment: str
    made_at: str
    collections: Mapping[str, Mapping[str, str]]  # key → field key → type
    left_out: Mapping[str, list[str]]  # collection → keys of sensitive fields
    size: int
    sha256: str
    count: int

    @property
    def name(self) -> str:
        """What versions and events call the bundle."""
        return self.sha256[:12]

    def as_bytes(self) -> bytes:
        part = {"kind": "entries", "bytes": self.size, "sha256": self.sha256, "count": self.count}
        values = {
            "environment": self.environment,
            "made_at": self.made_at,
            "collections": self.collections,
            "left_out": self.left_out,
            "parts": [part],
        }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def head(manifest: Manifest) -> bytes:
    """Return what stands before the parts, signed with the key of this house."""
    signed = MAGIC + f"{VERSION}\n".encode() + manifest.as_bytes()
    key, signature = signing.sign(signed)
    return signed + json.dumps({"key": key, "signature": signature}).encode() + b"\n"


class Bundle:
    """A bundle whose maker is trusted and whose every byte was checked."""

    def __init__(self, file: IO[bytes], manifest: Manifest, key: str, start: int) -> None:
        self.manifest = manifest
        self.key = key
        self._file = file
        self._start = start

    def lines(self) -> Iterator[Line]:
        """Yield the lines. Raises BundleError for one that is not of the form, or when the file changed meanwhile."""
        self._file.seek(self._start)
        left, number, digest = self.manifest.size, 0, hashlib.sha256()
        last, together = None, 0
        while left:
            raw = self._file.readline(min(left, MAX_LINE + 1))
            left -= len(raw)
            number += 1
            if not raw.endswith(b"\n") or len(raw) > MAX_LINE or number > MAX_LINES:
                raise BundleError(f"Line {number} of the entries is broken off or too long.")
            digest.update(raw)
            line = _line(raw, number)
            together = together + len(raw) if line.id == last else len(raw)
            last = line.id
            if together > MAX_ENTRY:
                raise BundleError(f"The entry {line.id} is larger than a bundle takes.")
            yield line
        if digest.hexdigest() != self.manifest.sha256:
            raise BundleError("The file was changed while it was read.")


def open_bundle(path: Path, *, trusted: Collection[str]) -> tuple[IO[bytes], Bundle]:
    """Open a bundle that one of the keys has signed; the caller closes the file.

    Raises BundleError for any other, of which nothing but the first three lines was read.
    """
    file = _regular(path)
    try:
        version = _version(file)
        raw = _bounded_line(file, MAX_MANIFEST, "manifest")
        key = _signed_by(file, MAGIC + f"{version}\n".encode() + raw, trusted)
        manifest = _manifest(raw)
        start = file.tell()
        if os.fstat(file.fileno()).st_size != start + manifest.size:
            raise BundleError("The file is longer or shorter than its manifest says.")
        digest, left = hashlib.sha256(), manifest.size
        while left and (chunk := file.read(min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
        if left or digest.hexdigest() != manifest.sha256:
            raise BundleError("The entries are not those that were signed.")
    except BaseException:
        file.close()
        raise
    return file, Bundle(file, manifest, key, start)


def _regular(path: Path) -> IO[bytes]:
    try:
        # Not to wait for a pipe: what is no file is refused below.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BundleError(f"{path} is no file.")
    return os.fdopen(descriptor, "rb")


def _version(file: IO[bytes]) -> int:
    first = file.readline(len(MAGIC) + 10)
    number = first.removeprefix(MAGIC).strip()
    if not first.startswith(MAGIC) or not first.endswith(b"\n") or not number.isdigit():
        raise BundleError("This is no bundle of content: `content export` makes them.")
    if first != MAGIC + f"{VERSION}\n".encode():
        raise BundleError(
            "This bundle has another form than this release reads. Update this house, or export again."
        )
    return VERSION


def _bounded_line(file: IO[bytes], most: int, what: str) -> bytes:
    raw = file.readline(most + 1)
    if len(raw) > most or not raw.endswith(b"\n"):
        raise BundleError(f"The {what} is broken off or too long.")
    return raw


def _signed_by(file: IO[bytes], signed: bytes, trusted: Collection[str]) -> str:
    raw = _object(_bounded_line(file, MAX_SIGNATURE, "signature"), {"key", "signature"}, "signature")
    try:
        key = signing.canonical_key(str(raw["key"]))
    except signing.KeyTextError as error:
        raise BundleError("The bundle is not signed.") from error
    if key not in trusted:
        raise BundleError(
            f"The bundle was made by {key}, which is not trusted here. Compare that with `content keys` over there;"
            " if they are the same, add --trust and the key."
        )
    if not signing.is_signed_by(key, str(raw["signature"]), signed):
        raise BundleError("The signature is wrong: the bundle was changed on its way.")
    return key


def _manifest(raw: bytes) -> Manifest:
    """Read a manifest. It is signed, and read as strictly all the same: the other house may have been taken over."""
    found = _object(raw, _MANIFEST_KEYS, "manifest")
    parts = found["parts"]
    if not isinstance(parts, list) or not all(
        isinstance(part, dict) and part.keys() == _PART_KEYS for part in parts
    ):
        raise BundleError("The manifest lists its parts in another form.")
    if [part["kind"] for part in parts] != ["entries"]:
        raise BundleError(
            "The bundle holds other parts than entries, which this release can't take: it has no media."
        )
    part = parts[0]
    is_measured = (
        type(part["bytes"]) is int
        and type(part["count"]) is int
        and 0 <= part["bytes"] <= MAX_PART
        and 0 <= part["count"] <= MAX_ENTRIES
        and isinstance(part["sha256"], str)
        and _SHA256.fullmatch(part["sha256"])
    )
    if not is_measured:
        raise BundleError("The manifest has no size and sum of its entries, or ones that are too large.")
    if not _is_texts_by_key(found["collections"], dict) or not _is_texts_by_key(found["left_out"], list):
        raise BundleError("The manifest lists its collections in another form.")
    for name in ("environment", "made_at"):
        if not isinstance(found[name], str) or not found[name].isprintable() or len(found[name]) > 40:
            raise BundleError("The manifest does not say when and where it was made.")
    return Manifest(
        environment=found["environment"],
        made_at=found["made_at"],
        collections=found["collections"],
        left_out=found["left_out"],
        size=part["bytes"],
        sha256=part["sha256"],
        count=part["count"],
    )


def _is_texts_by_key(value: Any, kind: type[dict[str, Any]] | type[list[Any]]) -> bool:
    def is_fine(inner: Any) -> bool:
        texts = [*inner, *inner.values()] if isinstance(inner, dict) else inner
        return all(isinstance(text, str) and _KEY.fullmatch(text) for text in texts)

    return isinstance(value, dict) and all(
        _KEY.fullmatch(key) and isinstance(inner, kind) and is_fine(inner) for key, inner in value.items()
    )


def _line(raw: bytes, number: int) -> Line:
    what = f"line {number} of the entries"
    found = _object(raw, _LINE_KEYS, what)
    try:
        entry_id = UUID(found["id"])
    except (ValueError, TypeError, AttributeError) as error:
        raise BundleError(f"The {what} has no id.") from error
    is_formed = (
        str(entry_id) == found["id"]
        and isinstance(found["collection"], str)
        and _KEY.fullmatch(found["collection"])
        and type(found["step"]) is int
        and 0 <= found["step"] < 100
        and isinstance(found["locale"], str)
        and len(found["locale"]) <= 24
        and type(found["public"]) is bool
        and isinstance(found["fields"], dict)
    )
    if not is_formed:
        raise BundleError(f"The {what} has another form.")
    return Line(
        entry_id, found["collection"], found["step"], found["locale"], found["public"], found["fields"]
    )


def _object(raw: bytes, keys: set[str], what: str) -> dict[str, Any]:
    try:
        value = loads(raw)
    except MalformedBodyError as error:
        raise BundleError(f"The {what} can't be read: {error.problem.detail}") from error
    if not isinstance(value, dict) or value.keys() != keys:
        raise BundleError(f"The {what} has another form.")
    return value
