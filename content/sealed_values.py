"""How a sealed value looks and how it is opened: AES-SIV with a key that one entry has for itself.

The same value of the same field and entry is always the same text (RFC 5297: deterministic, and safe so), so that what
changed between versions can be told without opening anything. Entry and field are authenticated: no value can be
moved.
"""

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from accounts.canonical import Json, canonical_bytes
from accounts.errors import ConflictError
from accounts.keyring import KeyRingError, key_ring

SEALED: Final = "_sealed"  # the one member of a sealed value; no field has such a key
KEY_BYTES: Final = 64  # two keys of 256 bits, as AES-SIV needs them
_FORM: Final = "v1."
_TAG_BYTES: Final = 16


class ValuesLostError(ConflictError, KeyRingError):
    """Values of an entry that can't be opened. Whoever needs them is told which entry it is, and what can be done."""

    code = "values-lost"

    def __init__(self, entry_id: UUID) -> None:
        super().__init__(
            f"The personal and secret values of the entry {entry_id} can't be opened: its key is gone from the key ring"
            " or the database, or they were altered. Bring the key back, or erase the entry."
        )


class EntryKey:
    """The key of one entry, for the values of all of its fields, locales and versions."""

    def __init__(self, entry_id: UUID, secret: bytes) -> None:
        self._entry_id = entry_id
        self._cipher = AESSIV(secret)

    @classmethod
    def made(cls, entry_id: UUID) -> tuple["EntryKey", str]:
        """Return a new key, and the same wrapped by the key ring."""
        secret = os.urandom(KEY_BYTES)
        return cls(entry_id, secret), key_ring().encrypt(secret, context=context_of(entry_id))

    @classmethod
    def unwrapped(cls, entry_id: UUID, wrapped: str) -> "EntryKey":
        """Return the key that a row holds. Raises ValuesLostError."""
        try:
            return cls(entry_id, key_ring().decrypt(wrapped, context=context_of(entry_id)))
        except (KeyRingError, ValueError) as error:
            raise ValuesLostError(entry_id) from error

    def seal(self, field_id: str, value: Json) -> Json:
        """Return a value of a field as tables hold it."""
        text = self._cipher.encrypt(canonical_bytes(value), self._bound(field_id))
        return {SEALED: _FORM + base64.urlsafe_b64encode(text).decode()}

    def open(self, field_id: str, value: Json) -> Json:
        """Undo `seal`; what is not sealed stays as it is. Raises ValuesLostError for what was altered or moved."""
        if not is_sealed(value):
            return value
        text = str(value[SEALED]) if isinstance(value, dict) else ""
        try:
            raw = base64.b64decode(text.removeprefix(_FORM), altchars=b"-_", validate=True)
            if len(raw) <= _TAG_BYTES:
                raise ValuesLostError(self._entry_id)
            opened: Json = json.loads(self._cipher.decrypt(raw, self._bound(field_id)))
        except (binascii.Error, ValueError, InvalidTag) as error:
            raise ValuesLostError(self._entry_id) from error
        return opened

    def _bound(self, field_id: str) -> list[bytes]:
        return [b"quillkeep/value/v1", self._entry_id.bytes, field_id.encode()]


def context_of(entry_id: UUID) -> str:
    """Return the context under which the key ring wraps an entry's key."""
    return f"content_datakey:{entry_id}"


def is_sealed(value: object) -> bool:
    """Tell whether a value is in its sealed form. `content.fields.json` refuses values that only look like it."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and isinstance(text := value.get(SEALED), str)
        and text.startswith(_FORM)
    )


def opened(values: Mapping[str, Json], key: Callable[[], EntryKey]) -> dict[str, Json]:
    """Return values by field id, opened; the key is asked for only when something is sealed."""
    if not any(is_sealed(value) for value in values.values()):
        return dict(values)
    entry_key = key()
    return {field_id: entry_key.open(field_id, value) for field_id, value in values.items()}
