"""The manifest of a backup: what it holds, by whom it can be opened, and a signature over exactly these bytes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring
from content.backups.errors import RefusedError
from content.backups.stores import MANIFEST, NAME, PARTS, Store

FORMAT: Final = 1
PURPOSE: Final = "backup"
MOST_BYTES: Final = 16 * 1024 * 1024
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SUM: Final = re.compile(r"[0-9a-f]{32}")
_LONGEST_NAME: Final = (
    63  # bytes of a table's name; somebody else's tables may lie there, with capitals and spaces
)
_MOST_NUMBER: Final = 2**62


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a backup: as it lies in the store, and what is inside (both in bytes, hashes SHA-256 in hex)."""

    name: str
    size: int
    sha256: str
    plain_size: int
    plain_sha256: str


@dataclass(frozen=True, slots=True)
class Table:
    """What one table held: rows, and a hash over all of them that no order changes (content.backups.snapshot)."""

    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class Golden:
    """One document as the delivery API answered it: the hash of its bytes. Ids only."""

    collection: str
    entry: str
    locale: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that can be known of a backup without a private key. It holds counts, hashes and ids, never content."""

    format: int
    name: str
    environment: str
    made_at: str
    versions: Mapping[str, str]
    migrations: Sequence[str]
    log_position: int
    log_mac: str
    key_ids: Sequence[str]  # of the key ring: what is encrypted inside can be opened with these
    tables: Mapping[str, Table]
    golden: Sequence[Golden]
    media_files: int
    media_bytes: int
    recipients: Sequence[str]
    parts: Sequence[Part]

    @property
    def made(self) -> datetime:
        return datetime.fromisoformat(self.made_at)

    @property
    def size(self) -> int:
        """Bytes that lie in the store for this backup alone; files of the media library are shared."""
        return sum(part.size for part in self.parts)

    def part(self, name: str) -> Part:
        return next(part for part in self.parts if part.name == name)

    def signed_bytes(self) -> bytes:
        """Return the file: canonical JSON, so that a flipped bit anywhere in it shows."""
        body = asdict(self)
        key_id, signature = key_ring().sign(canonical_bytes(body), purpose=PURPOSE)
        return _file(body, key_id, signature)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return a manifest that this key ring signed. Raises RefusedError before anything of it is believed."""
        try:
            document = json.loads(raw)
            body, key_id, signature = document["manifest"], document["key_id"], document["signature"]
            is_exact = _file(body, str(key_id), str(signature)) == raw
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RefusedError("The manifest can't be read: it is damaged, or is not one of ours.") from error
        if not is_exact or not isinstance(key_id, str) or not isinstance(signature, str):
            raise RefusedError("The manifest is not as we write it: it is damaged, or is not one of ours.")
        if not key_ring().holds(key_id):
            raise RefusedError(
                f"The manifest is signed with the key {key_id[:40]!r}, which is not in QUILLKEEP_KEY_RING. Put the "
                "key ring of that time there; without it nothing that is encrypted inside could be read either."
            )
        if not key_ring().has_signed(canonical_bytes(body), signature, purpose=PURPOSE, key_id=key_id):
            raise RefusedError(
                "The signature of the manifest is wrong: it was altered, or is not one of ours, or QUILLKEEP_KEY_RING"
                f" holds another key of the name {key_id!r} than the one of then."
            )
        return cls._of(body)

    @classmethod
    def _of(cls, body: Any) -> Self:
        """Build it from what was signed; a future version signs with the same key, and may say more."""
        if not isinstance(body, dict) or not isinstance(body.get("format"), int):
            raise RefusedError("The manifest does not say which format it has.")
        if body["format"] != FORMAT:
            raise RefusedError(
                f"The backup has format {body['format']}, and this version knows format {FORMAT} only. Restore it "
                "with the version that made it, or a newer one."
            )
        try:
            found = cls(
                **{
                    **body,
                    "tables": {name: Table(**item) for name, item in body["tables"].items()},
                    "golden": [Golden(**item) for item in body["golden"]],
                    "parts": [Part(**item) for item in body["parts"]],
                }
            )
            found._require_sense()
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise RefusedError("The manifest is signed, and makes no sense: it lacks something.") from error
        return found

    def _require_sense(self) -> None:
        """Raise ValueError for what can't be: names that lead elsewhere, parts that are missing or there twice."""
        if not NAME.fullmatch(self.name):
            raise ValueError("name")
        if [part.name for part in self.parts] != list(PARTS):
            raise ValueError("parts")
        if not all(0 < len(name.encode()) <= _LONGEST_NAME for name in self.tables):
            raise ValueError("tables")
        numbers = [number for part in self.parts for number in (part.size, part.plain_size)]
        numbers += [table.rows for table in self.tables.values()]
        numbers += [self.log_position, self.media_files, self.media_bytes]
        if not all(_SUM.fullmatch(table.hash) for table in self.tables.values()):
            raise ValueError("hashes of tables")
        if not all(type(number) is int and 0 <= number < _MOST_NUMBER for number in numbers):
            raise ValueError("numbers")
        hashes = [text for part in self.parts for text in (part.sha256, part.plain_sha256)]
        if not all(_SHA256.fullmatch(text) for text in hashes):
            raise ValueError("hashes")
        if self.made.tzinfo is None:
            raise ValueError("time")


def _file(body: Any, key_id: str, signature: str) -> bytes:
    return canonical_bytes({"manifest": body, "key_id": key_id, "signature": signature}) + b"\n"


def read(place: Store, name: str) -> Manifest:
    """Return the manifest of a backup by name. Raises RefusedError."""
    if not NAME.fullmatch(name):
        raise RefusedError(f"{name[:80]!r} is no name of a backup. `backup list` shows those that there are.")
    if place.size(f"{name}/{MANIFEST}") is None:
        raise RefusedError(f"There is no backup {name}. `backup list` shows those that there are.")
    with place.read(f"{name}/{MANIFEST}") as stream:
        raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise RefusedError("The manifest is too long to be one of ours.")
    manifest = Manifest.parse(raw)
    if manifest.name != name:
        raise RefusedError(f"This is the manifest of {manifest.name}, in the place of {name}.")
    return manifest
