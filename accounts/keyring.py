"""The key ring: keys derived for each purpose, authenticated encryption, and MACs that name their key."""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from functools import cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

_NONCE_BYTES = 12


class KeyRingError(Exception):
    """A value can't be decrypted or checked: altered, moved elsewhere, or its key is gone from the ring."""


class KeyRing:
    """Named root keys of 32 bytes; the first one is active, the others only open and verify."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys or any(len(key) != 32 for key in keys.values()):
            raise ValueError("A key ring needs at least one key, each of 32 bytes.")
        self._keys = dict(keys)
        self.active_id = next(iter(self._keys))
        self._derived: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The names of the keys, the active one first."""
        return tuple(self._keys)

    def holds(self, key_id: str) -> bool:
        return key_id in self._keys

    def derive(self, purpose: str, key_id: str | None = None) -> bytes:
        """Return 32 bytes for one purpose by HKDF-SHA256 (RFC 5869), so that no key serves two. Raises KeyRingError."""
        key_id = key_id or self.active_id
        known = self._derived.get((purpose, key_id))
        if known is not None:
            return known
        if key_id not in self._keys:
            raise KeyRingError("The key is not in the ring.")
        info = f"quillkeep/v1/{purpose}".encode()
        derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._keys[key_id])
        self._derived[purpose, key_id] = derived
        return derived

    def encrypt(self, plaintext: bytes, *, context: str) -> str:
        """Encrypt with AES-256-GCM; the context (table, row) is authenticated too, so a value can't be moved.

        Returns `v1.<key id>.<base64url of nonce and ciphertext>`.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self.derive("encryption")).encrypt(nonce, plaintext, context.encode())
        return f"v1.{self.active_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, token: str, *, context: str) -> bytes:
        """Undo `encrypt`. Raises KeyRingError when anything is wrong; never returns the input."""
        try:
            version, key_id, text = token.split(".")
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise KeyRingError("The value is not an encrypted one.") from error
        if version != "v1" or len(raw) < _NONCE_BYTES + 16:
            raise KeyRingError("The value is not an encrypted one.")
        try:
            return AESGCM(self.derive("encryption", key_id)).decrypt(
                raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], context.encode()
            )
        except InvalidTag as error:
            raise KeyRingError("The value was altered, or belongs elsewhere.") from error

    def mac(self, data: bytes, *, purpose: str, key_id: str | None = None) -> tuple[str, str]:
        """Return (key id, HMAC-SHA-256 in hex) with the active key, or with the one named."""
        key_id = key_id or self.active_id
        return key_id, hmac.new(self.derive(purpose, key_id), data, hashlib.sha256).hexdigest()

    def verifies(self, data: bytes, mac: str, *, purpose: str, key_id: str) -> bool:
        """Tell whether a MAC is right; one of an unknown key is not."""
        if not self.holds(key_id):
            return False
        return hmac.compare_digest(self.mac(data, purpose=purpose, key_id=key_id)[1].encode(), mac.encode())

    def sign(self, data: bytes, *, purpose: str) -> tuple[str, str]:
        """Return (key id, Ed25519 signature in hex, RFC 8032) by a key pair that is derived from the active key.

        Not a MAC: who keeps the public half can check what we made without being able to make it.
        """
        return self.active_id, self._signer(purpose, self.active_id).sign(data).hex()

    def has_signed(self, data: bytes, signature: str, *, purpose: str, key_id: str) -> bool:
        """Tell whether a signature is right, to the letter; one of an unknown key is not."""
        try:
            raw = bytes.fromhex(signature)
            self._signer(purpose, key_id).public_key().verify(raw, data)
        except (KeyRingError, InvalidSignature, ValueError):
            return False
        return (
            raw.hex() == signature
        )  # `fromhex` takes capitals and spaces: one flipped bit makes an `a` an `A`

    def public_half(self, purpose: str, key_id: str | None = None) -> str:
        """Return the public key of what `sign` signs with, in hex."""
        return self._signer(purpose, key_id or self.active_id).public_key().public_bytes_raw().hex()

    def _signer(self, purpose: str, key_id: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.derive(f"ed25519/{purpose}", key_id))


@cache
def key_ring() -> KeyRing:
    """Return the key ring of this process, from `settings.KEY_RING`."""
    return KeyRing(dict(settings.KEY_RING))
