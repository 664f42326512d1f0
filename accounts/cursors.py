"""The seal of cursors: opaque, signed with the key ring, and good in the environment that they were made in alone."""

import base64
import binascii
import json

from accounts import environments
from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring


class CursorError(ValueError):
    """A text is no cursor of ours; `detail` says so, or of which environment it says that it is."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


def sealed(body: bytes, *, purpose: str) -> str:
    """Return the cursor for a body. It names its key, so that it outlives a rotation of the ring."""
    made_in = environments.name()
    key_id, mac = key_ring().mac(body, purpose=_purpose(purpose, made_in))
    return (
        base64.urlsafe_b64encode(canonical_bytes([key_id, mac, made_in]) + b"\n" + body).rstrip(b"=").decode()
    )


def opened(cursor: str, *, purpose: str) -> bytes:
    """Return the body of a cursor of ours. Raises CursorError."""
    if not cursor.isascii():
        raise CursorError
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        seal, _, body = raw.partition(b"\n")
        key_id, mac, made_in = json.loads(seal)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise CursorError from error
    if not (isinstance(key_id, str) and isinstance(mac, str) and mac.isascii()):
        raise CursorError
    if made_in != environments.name():
        raise CursorError(environments.refusal("cursor", made_in))
    if not key_ring().verifies(body, mac, purpose=_purpose(purpose, made_in), key_id=key_id):
        raise CursorError
    return body


def _purpose(purpose: str, made_in: str) -> str:
    return f"{purpose}:{made_in}"
