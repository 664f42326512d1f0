"""Whether a request was sent by its source: signatures over the raw bytes, strictly, before anything is parsed.

Standard Webhooks 1.0.0; GitHub, "Validating webhook deliveries"; Stripe, "Verify webhook signatures manually"; Slack,
"Verifying requests from Slack". Signatures are compared as the very text that we would have sent, in constant time:
what is cut, longer, in capitals or in another alphabet is another text.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webhooks.incoming.options import GITHUB, SLACK, Signed, signed_of, tolerance_of
from webhooks.incoming.secrets import Key
from webhooks.models.source import LONGEST_ID, Scheme

LONGEST_HEADER: Final = 4096
MOST_SIGNATURES: Final = 20
_TIMESTAMP: Final = re.compile(r"[1-9][0-9]{0,11}")  # Unix seconds, in their one form
_ID: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_ID}}}")
_ED25519_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Message:
    """What came: headers by their names in small letters, and the bytes of the body."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """What a right signature covers besides the body: the id, "" without, and the time."""

    message_id: str = ""
    timestamp: str = ""


class UnprovenError(Exception):
    """A request is not proven to come from its source; `reason` is for the log alone.

    `is_signed`: whether the signature was right, so that only the clocks differ, or somebody sends it again.
    """

    def __init__(self, reason: str, *, was_compared: bool = False, is_signed: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.was_compared, self.is_signed = reason, was_compared, is_signed


def prove(
    scheme: str, options: Mapping[str, Any], message: Message, keys: Iterable[Key], now: datetime
) -> Proven:
    """Return what the signature covers. Raises UnprovenError for whatever is wrong, and nothing else."""
    if scheme == Scheme.STANDARD:
        proven = _standard(message, keys)
    elif scheme == Scheme.STRIPE:
        proven = _stripe(message, keys)
    else:
        signed = {Scheme.GITHUB: GITHUB, Scheme.SLACK: SLACK}.get(Scheme(scheme)) or signed_of(options)
        proven = _hmac(message, signed, keys)
    if proven.timestamp:
        off = int(now.timestamp()) - int(proven.timestamp)
        if abs(off) > tolerance_of(options):
            reason = "timestamp-too-old" if off > 0 else "timestamp-in-future"
            raise UnprovenError(reason, was_compared=True, is_signed=True)
    return proven


def _standard(message: Message, keys: Iterable[Key]) -> Proven:
    proven = Proven(_id(message, "webhook-id", "."), _timestamp(_header(message, "webhook-timestamp")))
    given = _header(message, "webhook-signature").split(" ")
    if len(given) > MOST_SIGNATURES:
        raise UnprovenError("too-many-signatures")
    content = f"{proven.message_id}.{proven.timestamp}.".encode() + message.body
    is_right = False
    for key in keys:
        if key.is_public:
            is_right |= any(_is_ed25519(text, content, key) for text in given)
        else:
            mac = base64.b64encode(hmac.digest(key.raw, content, hashlib.sha256)).decode()
            is_right |= _is_among([f"v1,{mac}"], given)
    if not is_right:
        raise UnprovenError("wrong-signature", was_compared=True)
    return proven


def _is_ed25519(text: str, content: bytes, key: Key) -> bool:
    version, _, encoded = text.partition(",")
    if version != "v1a":
        return False
    try:
        signature = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(signature) != _ED25519_BYTES or base64.b64encode(signature).decode() != encoded:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _stripe(message: Message, keys: Iterable[Key]) -> Proven:
    parts = [part.partition("=") for part in _header(message, "stripe-signature").split(",")]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not 1 <= len(given) <= MOST_SIGNATURES:
        raise UnprovenError("malformed-signature")
    timestamp = _timestamp(times[0])
    content = f"{timestamp}.".encode() + message.body
    expected = [hmac.digest(key.raw, content, hashlib.sha256).hex() for key in keys]
    if not _is_among(expected, given):
        raise UnprovenError("wrong-signature", was_compared=True)
    return Proven(timestamp=timestamp)


def _hmac(message: Message, signed: Signed, keys: Iterable[Key]) -> Proven:
    given = _header(message, signed.header)
    proven = Proven(
        _id(message, signed.id_header, signed.separators) if signed.id_header else "",
        _timestamp(_header(message, signed.timestamp_header)) if signed.timestamp_header else "",
    )
    values = {
        "{id}": proven.message_id.encode(),
        "{timestamp}": proven.timestamp.encode(),
        "{body}": message.body,
    }
    content = b"".join(values.get(part, part.encode()) for part in signed.parts)
    expected = []
    for key in keys:
        mac = hmac.digest(key.raw, content, signed.algorithm)
        text = mac.hex() if signed.encoding == "hex" else base64.b64encode(mac).decode()
        expected.append(signed.prefix + text)
    if not _is_among(expected, [given]):
        raise UnprovenError("wrong-signature", was_compared=True)
    return proven


def _is_among(expected: Iterable[str], given: Iterable[str]) -> bool:
    """Compare each with every one that was given, whatever the others were, in a time that tells nothing."""
    found = False
    for right, text in product(expected, given):
        found |= hmac.compare_digest(right.encode(), text.encode())
    return found


def _header(message: Message, name: str) -> str:
    text = message.headers.get(name, "")
    if not text:
        raise UnprovenError("header-missing")
    if len(text) > LONGEST_HEADER or not text.isascii() or not text.isprintable():
        raise UnprovenError("malformed-header")
    return text


def _timestamp(text: str) -> str:
    if not _TIMESTAMP.fullmatch(text):
        raise UnprovenError("malformed-timestamp")
    return text


def _id(message: Message, name: str, separators: Iterable[str]) -> str:
    text = _header(message, name)
    if not _ID.fullmatch(text) or any(sign in text for sign in separators):
        raise UnprovenError("malformed-id")
    return text
