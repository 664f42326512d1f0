"""That a preview is live, as Valkey knows it for some seconds, and how often it was opened since that was written down.

Only ever a shortcut: what is absent is asked of PostgreSQL, and PostgreSQL is asked again when the draft is read.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final, Literal, cast
from uuid import UUID

import redis
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from accounts.buckets import Notes
from accounts.valkey import circuit, valkey
from previews.models import Preview

logger = logging.getLogger("quillkeep.previews")

LIVE_SECONDS: Final = 25
_LIVE: Final = "quillkeep:preview:live:"
OPENS: Final = "quillkeep:preview:opens"  # field `<preview id>:n|at|from`
_WORKING: Final = "quillkeep:preview:opens:working"
_LOCK_ID: Final = 0x71_6B_6F_70_6E  # "qkopn": the advisory lock of whoever writes the opens down
_MOST_OPENS: Final = 2_000_000_000  # of one preview: more would not fit its column

Kind = Literal["session", "key"]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a preview is bound to: the session, or the API key, that asked for it."""

    kind: Kind
    id: UUID


def known(preview_id: UUID) -> Bound | None:
    """Return what a live preview is bound to; None where Valkey doesn't know it, or doesn't answer. One round trip."""
    try:
        found = cast("bytes | None", circuit.call(lambda: valkey().get(f"{_LIVE}{preview_id}")))
        if found is None:
            return None
        kind, _, identifier = found.decode().partition(":")
        return Bound(cast("Kind", kind), UUID(identifier)) if kind in ("session", "key") else None
    except (redis.RedisError, ValueError) as error:
        logger.warning("Valkey does not tell whether a preview is live (%s).", type(error).__name__)
        return None


def remember(preview_id: UUID, bound: Bound, expires_at: datetime) -> None:
    """Let Valkey know for some seconds that a preview is live."""
    seconds = min(LIVE_SECONDS, int((expires_at - timezone.now()).total_seconds()))
    if seconds > 0:
        _try(lambda: valkey().set(f"{_LIVE}{preview_id}", f"{bound.kind}:{bound.id}", ex=seconds))


def forget(preview_ids: Iterable[UUID]) -> None:
    """Let Valkey know no more of previews that ended."""
    keys = [f"{_LIVE}{preview_id}" for preview_id in preview_ids]
    if keys:
        _try(lambda: valkey().delete(*keys))


def opened(preview_id: UUID, address: str) -> Notes:
    """Return what is noted of an open, along with the count of the request."""
    at = str(timezone.now().timestamp())
    return Notes(
        OPENS,
        (
            ("hincrby", f"{preview_id}:n", 1),
            ("hset", f"{preview_id}:at", at),
            ("hset", f"{preview_id}:from", address),
        ),
    )


def flush_opens() -> int:
    """Add what Valkey counted to the register; return how many previews that was.

    One at a time, since two would add the same notes. Where one is at work nothing is done: the next turn has the rest.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK_ID])
        if not cursor.fetchone()[0]:
            return 0
    try:
        return _flushed()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_ID])


def _flushed() -> int:
    """Move the notes aside, add them, forget them: a worker that is killed leaves them for the next one.

    That may count them twice, but loses none.
    """
    client = valkey()
    if not client.exists(_WORKING):
        try:
            client.rename(OPENS, _WORKING)
        except redis.ResponseError:
            return 0  # there is none
    try:
        notes = cast("dict[bytes, bytes]", client.hgetall(_WORKING))
    except redis.ResponseError:
        # Somebody else wrote there, which would stop all that follows.
        logger.error("The notes of opens make no sense.")
        client.delete(_WORKING)
        return 0
    by_preview: dict[UUID, dict[str, str]] = {}
    for name, value in notes.items():
        identifier, _, what = name.decode(errors="replace").partition(":")
        try:
            by_preview.setdefault(UUID(identifier), {})[what] = value.decode(errors="replace")
        except ValueError:
            logger.error("A note of an open makes no sense.")
    with transaction.atomic():
        for preview_id, told in sorted(by_preview.items()):
            _add(preview_id, told)
    client.delete(_WORKING)
    return len(by_preview)


def _add(preview_id: UUID, told: dict[str, str]) -> None:
    try:
        number = min(max(int(told["n"]), 0), 1_000_000)
        at = min(datetime.fromtimestamp(float(told["at"]), UTC), timezone.now())
        address = told.get("from", "")
        if address:
            ip_address(address)
    except (KeyError, ValueError, OverflowError):
        logger.error("A note of an open makes no sense.")
        return
    Preview.objects.filter(pk=preview_id).update(
        open_count=Least(F("open_count"), _MOST_OPENS - number) + number,
        last_opened_at=Greatest("last_opened_at", at),
        last_opened_from=address[:45],
    )


def _try(command: Any) -> None:
    """Send a command that may fail: what it says is asked of PostgreSQL otherwise."""
    try:
        circuit.call(command)
    except redis.RedisError as error:
        logger.warning("Valkey does not take the state of a preview (%s).", type(error).__name__)
