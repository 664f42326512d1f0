"""The one log: recording what happened, and sealing it into a chain. `accounts.audit.verifying` proves it untouched."""

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, connections, transaction
from django.utils import timezone

from accounts.access import Principal
from accounts.canonical import canonical_bytes
from accounts.ids import uuid7
from accounts.keyring import key_ring
from accounts.models.archive import Archive, Epoch
from accounts.models.event import UNREADABLE, Event, Position, Seal, Unsealed

logger = logging.getLogger("quillkeep.log")

TAG_PURPOSE: Final = "log-event"
SEAL_PURPOSE: Final = "log-seal"
HEAD_PURPOSE: Final = "log-head"
GENESIS: Final = "0" * 64  # what the first seal is chained to
# Whose changes ask for a step-up.
DANGEROUS: Final = frozenset(
    {"user", "role", "policy", "api-key", "session", "lockdown", "endpoint", "source", "log"}
)
_LOCK_ID: Final = 0x71_6B_6C_6F_67  # "qklog": the advisory lock that one sealer holds
_BATCH: Final = 500
LONGEST_WAIT: Final = timedelta(days=1)  # of an event for its seal
MAX_HEAD_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """What an event is about: a kind of thing in one word, its id, and its collection where it has one."""

    type: str
    id: str
    collection_id: UUID | None = None


def record(
    type: str,  # noqa: A002 (the word that the contract uses)
    *,
    actor: Principal,
    subject: Subject | None,
    locale: str = "",
    detail: Mapping[str, object] | None = None,
    using: str = "default",
) -> Event:
    """Write an event in the transaction of the change that it tells of. Raises RuntimeError outside of one.

    `detail` names fields, versions and counts, never content or secrets. `using` is the connection of the change.
    """
    if not connections[using].in_atomic_block:
        raise RuntimeError(
            "An event is recorded in the transaction of its change, or it could tell of nothing."
        )
    event = tagged(type, actor=actor, subject=subject, locale=locale, detail=detail)
    event.save(force_insert=True, using=using)
    return event


def tagged(
    type: str,  # noqa: A002
    *,
    actor: Principal,
    subject: Subject | None,
    locale: str = "",
    detail: Mapping[str, object] | None = None,
) -> Event:
    """Return an event with its tag, not written: `record` writes it; `audit.reads` may hand it on to a worker."""
    event = Event(
        id=uuid7(),
        type=type,
        at=timezone.now(),
        actor_kind=actor.kind,
        actor_id=actor.user_id,
        actor_label=_clean(actor.label)[:320],
        credential=f"{actor.credential}:{actor.credential_id}"[:120] if actor.credential else "",
        subject_type=subject.type if subject else "",
        subject_id=_clean(subject.id)[:120] if subject else "",
        collection_id=subject.collection_id if subject else None,
        locale=locale,
        request_id=actor.request_id,
        address=actor.address,
        detail=_clean(_with_reason(detail or {}, actor, subject)),
    )
    event.tag = ":".join(key_ring().mac(event_bytes(event), purpose=TAG_PURPOSE))
    return event


def _with_reason(
    detail: Mapping[str, object], actor: Principal, subject: Subject | None
) -> dict[str, object]:
    """Keep the reason of a step-up with the acts that it was given for, not with every edit of those ten minutes."""
    if actor.reason and subject is not None and subject.type in DANGEROUS:
        return {**detail, "reason": actor.reason}
    return dict(detail)


def event_bytes(event: Event) -> bytes:
    """Return the one byte form of an event that its tag and its seal are made over."""
    return canonical_bytes(
        [
            str(event.id),
            event.type,
            event.at.astimezone(UTC).isoformat(timespec="microseconds"),
            event.actor_kind,
            str(event.actor_id or ""),
            event.actor_label,
            event.credential,
            event.subject_type,
            event.subject_id,
            str(event.collection_id or ""),
            event.locale,
            event.request_id,
            event.address,
            event.detail,
        ]
    )


def has_right_tag(event: Event) -> bool:
    """Tell whether the application wrote this row just so; somebody with SQL alone can't make the tag."""
    key_id, _, mac = event.tag.partition(":")
    try:
        body = event_bytes(event)
    except UNREADABLE:
        return False  # JSON that can be read and not be written
    return key_ring().verifies(body, mac, purpose=TAG_PURPOSE, key_id=key_id)


def seal_bytes(previous_mac: str, position: int, event: Event, sealed_at: datetime) -> bytes:
    """Return what the seal at a position is the MAC of."""
    stamp = sealed_at.astimezone(UTC).isoformat(timespec="microseconds")
    return canonical_bytes([previous_mac, position, stamp, event.tag]) + b"\n" + event_bytes(event)


def seal_pending(*, wait: bool = True) -> int:
    """Seal every committed event that has no seal yet; return how many. Commits on its own, so not in a transaction.

    One sealer works at a time; with `wait=False` a second one returns 0 at once. Events are taken from the queue of
    unsealed ones, so one with an early id that commits late gets a later place, and is never skipped.
    """
    total = 0
    while True:
        sealed = _seal_batch(wait=wait)
        total += sealed
        if sealed < _BATCH:
            return total


def pass_over(*consumers: str) -> None:
    """Let consumers take what is in the log so far for read: the demo sets up what would be news anywhere else."""
    seal_pending()
    last = Seal.objects.last_position()
    for consumer in consumers:
        with transaction.atomic(durable=True):
            Position.objects.of(consumer, lock=True)
            Position.objects.advance(consumer, to=last)


@transaction.atomic(durable=True)
def _seal_batch(*, wait: bool) -> int:
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_ID])
        else:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK_ID])
            if not cursor.fetchone()[0]:
                return 0
    ids = list(
        Unsealed.objects.filter(refused_at__isnull=True)
        .order_by("pk")
        .values_list("event_id", flat=True)[:_BATCH]
    )
    if not ids:
        return 0
    now = timezone.now()
    position, mac = newest()
    position = max(position, _before_the_epoch())
    seals: list[Seal] = []
    # What is left in it in the end: without a right tag, with a seal already, archived before, or gone.
    refused = set(ids)
    has_seal = set(Seal.objects.filter(event_id__in=ids).values_list("event_id", flat=True))
    events = Event.objects.by_id(ids)
    beginning = beginning_of_the_tables()
    for event in (events[event_id] for event_id in ids if event_id in events):
        if not has_right_tag(event) or event.id in has_seal or is_repeated(event, beginning):
            continue
        refused.discard(event.id)
        position += 1
        key_id, mac = key_ring().mac(seal_bytes(mac, position, event, now), purpose=SEAL_PURPOSE)
        seals.append(Seal(position=position, event=event, mac=mac, key_id=key_id, sealed_at=now))
    Seal.objects.bulk_create(seals)
    if refused:
        logger.critical(
            "The log has %d rows that the application did not write so, or lacks them; run `audit verify`.",
            len(refused),
        )
        Unsealed.objects.filter(event_id__in=refused).update(refused_at=now)
    Unsealed.objects.filter(event_id__in=[seal.event_id for seal in seals]).delete()
    if seals:
        transaction.on_commit(lambda: write_head(seals[-1]))
    return len(ids)


def beginning_of_the_tables() -> datetime | None:
    """Return when the oldest event behind the archives was sealed, None while nothing is archived."""
    archive = Archive.objects.order_by("-last_position").first()
    if archive is None:
        return None
    behind = Seal.objects.filter(position=archive.last_position + 1)
    return behind.values_list("sealed_at", flat=True).first()


def is_repeated(event: Event, beginning: datetime | None) -> bool:
    """Tell whether an event without a seal was archived already, so that somebody wrote it back: its tag is right."""
    return beginning is not None and event.at < min(beginning, timezone.now() - LONGEST_WAIT)


def newest(*, using: str = "default") -> tuple[int, str]:
    """Return position and MAC of the newest seal, or of the end of the archives; before the first one 0 and GENESIS."""
    last = Seal.objects.using(using).order_by("-position").values_list("position", "mac").first()
    if last is not None:
        return last
    archive = Archive.objects.using(using).order_by("-last_position").first()
    return (archive.last_position, archive.last_mac) if archive else (0, GENESIS)


def _before_the_epoch() -> int:
    """Return the position before which nothing is sealed any more: what a restore gave up is not given away again."""
    first = Epoch.objects.order_by("-first_position").values_list("first_position", flat=True).first()
    return first - 1 if first else 0


# --- The head: where the log ended, kept outside the database, so that a cut tail shows -----------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """A signed note of the newest seal."""

    position: int
    event_id: str
    mac: str
    sealed_at: str

    def as_bytes(self) -> bytes:
        return canonical_bytes([self.position, self.event_id, self.mac, self.sealed_at])


class HeadError(Exception):
    """The head file is not one that the application wrote."""


def head_path() -> Path:
    return Path(settings.DATA_DIR) / "audit-head.json"


def write_head(seal: Seal) -> None:
    """Replace the head file, whole or not at all.

    A head that the database contradicts is evidence and is moved aside, not overwritten: cutting the tail of the
    log and waiting for the next event would hide the cut.
    """
    path = head_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        known = _confirmed_head(path)
        if known is None:
            path.rename(path.with_name(f"audit-head.{timezone.now():%Y%m%dT%H%M%S%f}.json"))
        elif known.position >= seal.position:
            return  # another sealer was quicker
    replace_whole(path, json.dumps(signed_head(seal), indent=1).encode())


def signed_head(seal: Seal) -> dict[str, Any]:
    """Return the signed note of a seal, as JSON values."""
    head = Head(seal.position, str(seal.event_id), seal.mac, seal.sealed_at.astimezone(UTC).isoformat())
    key_id, signature = key_ring().mac(head.as_bytes(), purpose=HEAD_PURPOSE)
    return {
        "position": head.position,
        "event_id": head.event_id,
        "mac": head.mac,
        "sealed_at": head.sealed_at,
        "key_id": key_id,
        "signature": signature,
    }


def replace_whole(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, whole or not at all, and durable once this returns."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_head(path: Path) -> Head:
    """Return a head that is signed by us. Raises HeadError for anything else."""
    try:
        with path.open("rb") as file:
            raw: Any = json.loads(file.read(MAX_HEAD_BYTES))
        head = Head(int(raw["position"]), str(raw["event_id"]), str(raw["mac"]), str(raw["sealed_at"]))
        key_id, signature = str(raw["key_id"]), str(raw["signature"])
    except (OSError, KeyError, TypeError, *UNREADABLE) as error:
        raise HeadError(f"{path.name} can't be read as a head of the log.") from error
    if not key_ring().verifies(head.as_bytes(), signature, purpose=HEAD_PURPOSE, key_id=key_id):
        raise HeadError(f"{path.name} has a wrong signature.")
    return head


def _confirmed_head(path: Path) -> Head | None:
    """Return the head of a file if it is ours and the database still has that very seal."""
    try:
        head = read_head(path)
    except HeadError:
        return None
    return head if Seal.objects.filter(position=head.position, mac=head.mac).exists() else None


def _clean(value: Any) -> Any:
    """Make a value one that JSONB gives back unchanged: no NUL, no lone surrogates, no fractions."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", errors="replace").decode()
    if isinstance(value, float):
        raise TypeError("The log holds no fractions: JSONB may give them back in another form.")
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)
