"""Who made a bundle: an Ed25519 key of each house, made of its key ring, whose public half another house trusts."""

import base64
import binascii
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from accounts.keyring import key_ring

PURPOSE: Final = "content-bundle"
PREFIX: Final = "ed25519:"
_PUBLIC_BYTES, _SIGNATURE_BYTES = 32, 64


class KeyTextError(ValueError):
    """A text is no public key of a bundle."""


def own_keys() -> list[str]:
    """Return the public keys of this house, the one that signs first."""
    return [_public_text(_private(key_id)) for key_id in key_ring().ids]


def sign(message: bytes) -> tuple[str, str]:
    """Return (public key, signature) of a message, as texts."""
    private = _private(key_ring().active_id)
    return _public_text(private), _encoded(private.sign(message))


def canonical_key(text: str) -> str:
    """Return a public key in its one spelling. Raises KeyTextError."""
    raw = _decoded(text.strip().removeprefix(PREFIX), _PUBLIC_BYTES)
    if not text.strip().startswith(PREFIX) or raw is None:
        raise KeyTextError(f"A key is {PREFIX} and 43 characters, as `content keys` shows it.")
    return PREFIX + _encoded(raw)


def is_signed_by(key: str, signature: str, message: bytes) -> bool:
    """Tell whether a key that is trusted already has signed a message."""
    raw_key = _decoded(key.removeprefix(PREFIX), _PUBLIC_BYTES)
    raw_signature = _decoded(signature, _SIGNATURE_BYTES)
    if raw_key is None or raw_signature is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw_key).verify(raw_signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _private(key_id: str) -> Ed25519PrivateKey:
    # Not the pair of `KeyRing.sign`, which is derived in another way: other houses know the public half of this one.
    return Ed25519PrivateKey.from_private_bytes(key_ring().derive(PURPOSE, key_id))


def _public_text(private: Ed25519PrivateKey) -> str:
    return PREFIX + _encoded(private.public_key().public_bytes_raw())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str, length: int) -> bytes | None:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == length and _encoded(raw) == text else None
