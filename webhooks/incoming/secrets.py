"""What sources sign with: shared secrets and public keys, as they are given, made, kept and opened."""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from typing import Final

from accounts.keyring import key_ring
from webhooks.models.source import Scheme, SourceSecret

SHARED: Final = "whsec_"  # Standard Webhooks: base64 of 24 to 64 bytes
OURS: Final = "qkhs_"  # any other that we make: used as the very text that it is
PUBLIC: Final = "whpk_"  # the same: an Ed25519 public key
FEWEST, MOST = 24, 64  # bytes of a shared secret of Standard Webhooks
LEAST_TEXT, MOST_TEXT = (
    16,
    256,
)  # characters of any other secret; each is used as the bytes that it is written in
ISSUED: Final = frozenset(
    {Scheme.STRIPE, Scheme.SLACK}
)  # they make the secret, and say it on a page of theirs
_TEXT: Final = re.compile(r"[\x21-\x7e]+")
_PUBLIC_BYTES: Final = 32
# Points of small order (RFC 8032 leaves them open): under them a signature of zeros is right for one message in eight,
# or for all. Nobody has such a key, but a placeholder of zeros is one. Without the sign, which is the highest bit.
_EVERYBODYS: Final = frozenset(
    int(text, 16).to_bytes(32, "little")
    for text in (
        "0",
        "1",
        "05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
        "7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed",
        "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffee",
    )
)


class SecretError(ValueError):
    """A text is no secret of this scheme; says what one is, and never the text."""


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A secret that was opened: bytes for an HMAC, or a public key."""

    raw: bytes
    is_public: bool = False


def new(scheme: str) -> str:
    """Return a new secret for a scheme whose secrets we may make: 256 random bits."""
    if scheme == Scheme.STANDARD:
        return SHARED + base64.b64encode(secrets.token_bytes(32)).decode()
    return OURS + secrets.token_urlsafe(32)


def canonical(scheme: str, text: str) -> str:
    """Return a secret as it is kept. Raises SecretError for what is none of this scheme."""
    text = text.strip()
    if scheme == Scheme.STANDARD and not text.startswith((SHARED, PUBLIC)):
        text = SHARED + text
    key_of(scheme, text)
    return text


def key_of(scheme: str, text: str) -> Key:
    """Return the key that a kept text stands for. Raises SecretError."""
    if scheme == Scheme.STANDARD:
        return _standard(text)
    if not LEAST_TEXT <= len(text) <= MOST_TEXT or not _TEXT.fullmatch(text):
        raise SecretError(f"A secret has {LEAST_TEXT} to {MOST_TEXT} letters, digits and signs, no blanks.")
    return Key(text.encode())


def _standard(text: str) -> Key:
    is_public = text.startswith(PUBLIC)
    try:
        raw = base64.b64decode(text.removeprefix(PUBLIC if is_public else SHARED), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SecretError("After whsec_ or whpk_ stands base64.") from error
    if is_public and len(raw) != _PUBLIC_BYTES:
        raise SecretError("A public key (whpk_) is of 32 bytes.")
    if is_public and raw[:-1] + bytes([raw[-1] & 0x7F]) in _EVERYBODYS:
        raise SecretError("Under this public key (whpk_) anybody could sign.")
    if not is_public and not FEWEST <= len(raw) <= MOST:
        raise SecretError(f"A secret (whsec_) is of {FEWEST} to {MOST} random bytes, in base64.")
    return Key(raw, is_public=is_public)


def seal(row: SourceSecret, text: str) -> None:
    """Put a secret into its row, encrypted and bound to it."""
    row.secret = key_ring().encrypt(text.encode(), context=row.context)


def opened(row: SourceSecret) -> Key:
    """Return the key of a row. Raises KeyRingError when its key is gone from the ring."""
    return key_of(row.source.scheme, key_ring().decrypt(row.secret, context=row.context).decode())
