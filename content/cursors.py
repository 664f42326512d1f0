"""Cursors: opaque, signed, and bound to one query of one grant (CVE-2026-33326)."""

import base64
import binascii
import hashlib
import json

from accounts.canonical import Json, canonical_bytes
from accounts.keyring import key_ring
from content.parameters import refuse

PURPOSE = "content-cursor"
MAX_LENGTH = 4_000


def binding_of(*parts: object) -> str:
    """Return a hash of everything that a cursor holds for."""
    return hashlib.sha256(canonical_bytes(list(parts))).hexdigest()[:32]


def write(values: list[Json], *, binding: str) -> str:
    """Return the cursor for the place after a document with these sort values."""
    body = canonical_bytes([binding, values])
    key_id, mac = key_ring().mac(body, purpose=PURPOSE)
    return base64.urlsafe_b64encode(canonical_bytes([key_id, mac]) + b"\n" + body).rstrip(b"=").decode()


def read(cursor: str, *, binding: str) -> list[Json]:
    """Return the sort values of a cursor of ours for this very query, or raise the 400."""
    refusal = refuse(
        "cursor", "invalid-cursor", "This cursor is not of this query. Start again without a cursor."
    )
    try:
        if len(cursor) > MAX_LENGTH or not cursor.isascii():
            raise refusal
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        seal, _, body = raw.partition(b"\n")
        key_id, mac = json.loads(seal)
        if not isinstance(key_id, str) or not isinstance(mac, str):
            raise refusal
        if not mac.isascii() or not key_ring().verifies(body, mac, purpose=PURPOSE, key_id=key_id):
            raise refusal
        bound_to, values = json.loads(body)
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise refusal from None
    if bound_to != binding:
        raise refusal
    return list(values)
