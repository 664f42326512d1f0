"""JSON values, and the one byte form of a JSON value that is hashed, signed or compared."""

import json
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def canonical_bytes(value: object) -> bytes:
    """Return UTF-8 JSON with sorted keys and no spaces; NaN and infinities are refused (after RFC 8785's idea)."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
