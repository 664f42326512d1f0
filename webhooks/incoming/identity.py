"""Under which id a message is remembered: only what the signature covers can be one, or a replay would be a new one."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from accounts.canonical import canonical_bytes
from accounts.errors import InvalidInputError, Problem
from webhooks.incoming import pointers
from webhooks.incoming.schemes import Message, Proven
from webhooks.models.source import LONGEST_ID, Scheme

# What a sender counts down in the bodies of one event while it delivers it elsewhere.
_MOVING: Final = {Scheme.STRIPE: "pending_webhooks"}


def message_id(
    scheme: str, options: Mapping[str, Any], message: Message, proven: Proven, payload: Mapping[str, Any]
) -> str:
    """Return the id of a message. Raises InvalidInputError where it has to stand in the body, and does not."""
    if proven.message_id:
        return proven.message_id
    if scheme == Scheme.STRIPE:
        return _in_body("/id", payload)
    if scheme == Scheme.SLACK and "event_id" in payload:
        return _in_body("/event_id", payload)
    if scheme == Scheme.HMAC and "id_pointer" in options:
        return _in_body(options["id_pointer"], payload)
    # GitHub's X-GitHub-Delivery is not signed: whoever replays a body would only have to make another one up.
    dated = f"{proven.timestamp}.".encode() if proven.timestamp else b""
    return f"sha256:{hashlib.sha256(dated + message.body).hexdigest()}"


def digest(scheme: str, message: Message, payload: Mapping[str, Any]) -> str:
    """Return the hash by which a message that comes again is known to be the same one."""
    moving = _MOVING.get(Scheme(scheme))
    if moving is None:
        return hashlib.sha256(message.body).hexdigest()
    steady = {name: value for name, value in payload.items() if name != moving}
    return hashlib.sha256(canonical_bytes(steady)).hexdigest()


def _in_body(pointer: str, payload: Mapping[str, Any]) -> str:
    found = pointers.at(pointer, payload)
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_ID or not found.isprintable():
        detail = f"Here stands the id of the message: a text of at most {LONGEST_ID} printable characters."
        raise InvalidInputError(errors=[Problem("no-id", detail, pointer=pointer)])
    return found
