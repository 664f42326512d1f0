"""The form of signed tokens: one compact JWS with one header, read before any key is touched (RFC 7515, RFC 8725)."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 4096  # characters of a whole token
_LONGEST_HEADER: Final = 600
_HEADER: Final = frozenset({"alg", "kid", "typ"})


class MalformedTokenError(ValueError):
    """What was sent is not a token of our form."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a token says of itself; nothing of it is believed before its key has verified it."""

    alg: str
    kid: str
    typ: str


def header_of(token: object) -> Header:
    """Return the header of a token, when header, claims and signature are all well formed. Raises MalformedTokenError.

    Exactly `alg`, `kid` and `typ`: `jku`, `x5u`, `jwk`, `crit`, `zip`, `b64` and whatever comes next have no say here.
    """
    if not isinstance(token, str) or len(token) > LONGEST or token.count(".") != 2:
        raise MalformedTokenError("This is not a compact JWS.")
    header_part, claims_part, signature_part = token.split(".")
    if len(header_part) > _LONGEST_HEADER or not signature_part:
        raise MalformedTokenError("This is not a compact JWS.")
    header = _loads(header_part)
    _loads(claims_part)
    _decoded(signature_part)
    if header.keys() != _HEADER or not all(isinstance(value, str) for value in header.values()):
        raise MalformedTokenError("The header of the token is not one of ours.")
    return Header(**header)


def split(token: str) -> tuple[bytes, bytes]:
    """Return what is signed, and the signature, of a token whose form is right (RFC 7515, section 5.2)."""
    signed, _, signature = token.rpartition(".")
    return signed.encode(), _decoded(signature)


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token whose form is right. They count once its signature is verified, and not before."""
    return _loads(token.split(".")[1])


def _decoded(part: str) -> bytes:
    """Decode base64url strictly: one byte string has one text, so that no signature has two spellings."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as error:
        raise MalformedTokenError("The token is not base64url.") from error
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
        raise MalformedTokenError("The token is not canonical base64url.")
    return raw


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, unless a name comes twice: two readers could believe different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A name comes twice.")
    return found


_JSON: Final = json.JSONDecoder(object_pairs_hook=_once)


def _loads(part: str) -> dict[str, Any]:
    """Parse an object in which no name comes twice."""
    try:
        value = _JSON.decode(_decoded(part).decode())
    except (ValueError, RecursionError) as error:
        raise MalformedTokenError("The token is not JSON.") from error
    if not isinstance(value, dict):
        raise MalformedTokenError("The token is not a JSON object.")
    return value
