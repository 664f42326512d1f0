"""Reads that leave a trace: of drafts, and of personal and secret fields. One event a request, names and never values.

The same principal reading the same again within some minutes is one event. When that can't be known (Valkey is gone)
it is written once more. A read that can't be logged is refused.

A process of the delivery plane alone can't write the log. It hands the event on through Valkey, tagged already, so
that nobody with Valkey alone can make one up; a worker writes it down. What Valkey loses before that is lost.
"""

import contextlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction

from accounts.access import Principal
from accounts.audit.lines import WRONG, body_json, event_of
from accounts.canonical import canonical_bytes
from accounts.errors import UnavailableError
from accounts.keyring import key_ring
from accounts.log import Subject, has_right_tag, record, tagged
from accounts.models.event import Event
from accounts.valkey import valkey

logger = logging.getLogger("quillkeep.log")

DRAFT: Final = "draft.read"
SENSITIVE: Final = "sensitive.read"
MARK_PURPOSE: Final = "read-mark"
WINDOW: Final = timedelta(minutes=5)
MAX_IDS: Final = 20  # named in the event; all of them count for telling reads apart
QUEUE: Final = "quillkeep:reads"
WORKING: Final = "quillkeep:reads:working"  # what a worker has in hand; left over when it is killed
MAX_WAITING: Final = 500_000
_SEEN: Final = "quillkeep:read:"


@dataclass(frozen=True, slots=True)
class Read:
    """What one request read. `sensitive` is field keys by collection key; `versions` those that were looked at."""

    collection: str
    collection_id: UUID
    ids: Sequence[str]
    is_list: bool = False
    is_draft: bool = False
    locale: str = ""
    sensitive: Mapping[str, Sequence[str]] = field(default_factory=dict)
    versions: Sequence[int] = ()
    where: str = "api"


def note(read: Read, *, by: Principal) -> None:
    """Log a read before it is answered. Raises UnavailableError when that is not possible.

    Nothing is noted of what public and internal fields say in published documents, nor of readers without a
    credential: what they may read, everybody may. The access log has those requests.
    """
    if by.kind == "system" or not (read.is_draft or (read.sensitive and by.kind != "anonymous")):
        return
    if not read.ids and not read.sensitive:
        return  # an empty answer tells of drafts nothing, but of a wage that was asked by it does
    mark = _mark(read, by)
    if _is_seen(mark):
        return
    told: dict[str, Any] = {
        "actor": by,
        "subject": _subject(read),
        "locale": read.locale,
        "detail": _detail(read),
    }
    if settings.ENVIRONMENT.plane == "delivery":
        _hand_on(tagged(_type(read), **told))
        _remember(mark)
        return
    with transaction.atomic():
        record(_type(read), **told)
        # Once it is committed: remembered before, a failure would hide the next read.
        transaction.on_commit(lambda: _remember(mark))


def record_handed_on() -> int:
    """Write down what processes of the delivery plane handed on; return how many. Repeats are known by their id."""
    client = valkey()
    written = 0
    # What an earlier worker had in hand when it was killed; another one's at work now is written twice at worst.
    for line in _lines(client.lrange(WORKING, 0, -1)):
        written += _write(client, line)
    while (moved := cast("bytes | None", client.lmove(QUEUE, WORKING, "LEFT", "RIGHT"))) is not None:
        written += _write(client, moved)
    return written


def _write(client: redis.Redis, line: bytes) -> int:
    try:
        event = event_of(json.loads(line))
        is_ours = has_right_tag(event)
    except WRONG:
        is_ours, event = False, None
    if event is None or not is_ours:
        logger.critical("Somebody put a read into the queue that the application did not write.")
        client.lrem(WORKING, 1, cast("Any", line))
        return 0
    with transaction.atomic():
        Event.objects.bulk_create([event], ignore_conflicts=True)
    client.lrem(WORKING, 1, cast("Any", line))
    return 1


def _hand_on(event: Event) -> None:
    line = {**body_json(event), "tag": event.tag}
    try:
        waiting = valkey().rpush(QUEUE, json.dumps(line))
    except redis.RedisError as error:
        raise UnavailableError(retry_after=5) from error
    if waiting > MAX_WAITING:
        logger.critical("%d reads wait to be logged; is there a worker?", waiting)
        raise UnavailableError(retry_after=60)


def _type(read: Read) -> str:
    return SENSITIVE if read.sensitive else DRAFT


def _subject(read: Read) -> Subject:
    if read.is_list:
        return Subject("collection", str(read.collection_id), read.collection_id)
    return Subject("entry", read.ids[0], read.collection_id)


def _detail(read: Read) -> dict[str, object]:
    detail: dict[str, object] = {
        "collection": read.collection,
        "of": "drafts" if read.is_draft else "published",
        "where": read.where,
    }
    if read.is_list:
        detail |= {"count": len(read.ids), "ids": list(read.ids[:MAX_IDS])}
    if read.sensitive:
        detail["fields"] = {key: sorted(names) for key, names in sorted(read.sensitive.items())}
    if read.versions:
        detail["versions"] = list(read.versions)
    return detail


def _mark(read: Read, by: Principal) -> str:
    """Return what tells a read from others: who, by what, from where, what of which."""
    parts = [
        str(by.user_id), by.credential, by.credential_id, by.address, _type(read), read.is_list, read.is_draft,
        str(read.collection_id), list(read.ids), read.locale, list(read.versions), read.where,
        {key: sorted(names) for key, names in read.sensitive.items()},
    ]  # fmt: skip
    # With a key, or somebody with Valkey could say beforehand that a read is in the log.
    return _SEEN + key_ring().mac(canonical_bytes(parts), purpose=MARK_PURPOSE)[1]


def _is_seen(mark: str) -> bool:
    try:
        return bool(valkey().exists(mark))
    except redis.RedisError:
        return False  # in doubt it is logged once more


def _remember(mark: str) -> None:
    """Remember a read that is in the log."""
    with contextlib.suppress(redis.RedisError):
        valkey().set(mark, 1, ex=int(WINDOW.total_seconds()))


def _lines(found: Any) -> list[bytes]:
    return list(found)
