"""Cursors: opaque, signed, and bound to one query of one grant (CVE-2026-33326)."""

import hashlib
import json

from accounts import cursors
from accounts.canonical import Json, canonical_bytes
from accounts.cursors import CursorError
from content.parameters import refuse

PURPOSE = "content-cursor"
MAX_LENGTH = 4_000


def binding_of(*parts: object) -> str:
    """Return a hash of everything that a cursor holds for."""
    return hashlib.sha256(canonical_bytes(list(parts))).hexdigest()[:32]


def write(values: list[Json], *, binding: str) -> str:
    """Return the cursor for the place after a document with these sort values."""
    return cursors.sealed(canonical_bytes([binding, values]), purpose=PURPOSE)


def read(cursor: str, *, binding: str) -> list[Json]:
    """Return the sort values of a cursor of ours for this very query, or raise the 400."""
    detail = "This cursor is not of this query. Start again without a cursor."
    try:
        if len(cursor) > MAX_LENGTH:
            raise CursorError
        bound_to, values = json.loads(cursors.opened(cursor, purpose=PURPOSE))
    except CursorError as error:
        raise refuse("cursor", "invalid-cursor", error.detail or detail) from None
    except (ValueError, TypeError):
        raise refuse("cursor", "invalid-cursor", detail) from None
    if bound_to != binding:
        raise refuse("cursor", "invalid-cursor", detail)
    return list(values)
