"""The secrets that are handed out: one-time codes and client secrets. Both are 256 random bits, kept as a hash."""

import hashlib
import hmac
import re
import secrets
from typing import Final

from accounts import environments

CODE: Final = "qkpc_"
CLIENT_SECRET: Final = "qkps_"  # noqa: S105 (a prefix)
# Those that were made before they named their environment have no such part.
_FORM: Final = re.compile(
    rf"qkp[cs]_(?:(?P<environment>{'|'.join(environments.NAMES)})_)?[A-Za-z0-9_-]{{43}}"
)


def new(prefix: str) -> str:
    """Return a new secret; the prefix lets scanners and our own log know it, and names the environment."""
    return f"{prefix}{environments.name()}_{secrets.token_urlsafe(32)}"


def is_one(text: str, prefix: str) -> bool:
    """Tell whether a text has the form of such a secret."""
    return text.startswith(prefix) and _FORM.fullmatch(text) is not None


def made_in(text: str) -> str:
    """Return the environment that such a secret says it is of, "" where it says none; no check."""
    match = _FORM.fullmatch(text)
    return (match["environment"] or "") if match else ""


def digest(text: str) -> str:
    """Return the SHA-256 in hex: of 256 random bits a slow hash would add nothing."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two digests in a time that tells nothing of them."""
    return hmac.compare_digest(one.encode(), other.encode())
