"""Retention: old ranges of the log go to sealed files that still verify, and only then out of the tables.

The owner of the tables does it, since nobody else may delete (triggers let go what an archive covers). A file is
written, flushed to the disk and read again before the one transaction that notes it and deletes the rows: a process
that is killed leaves a file without a row at worst, and the next one takes its place.
"""

import gzip
import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from accounts.access import Principal
from accounts.audit.chain import Chain, Finding
from accounts.audit.epochs import jumps
from accounts.audit.exporting import SUFFIX, Manifest, Written, check, mac_before
from accounts.audit.lines import line_bytes, moment
from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring
from accounts.log import Subject, record, replace_whole, sync_folder
from accounts.models.archive import Archive
from accounts.models.event import Event, Position, Seal

logger = logging.getLogger("quillkeep.log")

OWNER: Final = "owner"
PURPOSE: Final = "log-archive"
MOST: Final = 100_000  # events in one file, and in one transaction
_BATCH: Final = 2000
_LOCK_ID: Final = 0x71_6B_61_72_63  # "qkarc": one archiver at a time
_NAME: Final = re.compile(r"log-(\d{12})-(\d{12})\.jsonl\.gz")


class ArchiveBlockedError(Exception):
    """The range can't be archived now; the text says why. No request archives, so no status belongs to it."""


@dataclass(frozen=True, slots=True)
class Archived:
    """One range that was put away."""

    first: int
    last: int
    file: str


def folder() -> Path:
    return Path(settings.DATA_DIR) / "audit-archive"


def archive_bytes(archive: Archive) -> bytes:
    """Return what the MAC of an archive's row is made over: every column."""
    return canonical_bytes(
        [
            archive.first_position,
            archive.last_position,
            archive.previous_mac,
            archive.last_mac,
            archive.file,
            archive.sha256,
            archive.size,
            moment(archive.made_at),
        ]
    )


def is_ours(archive: Archive) -> bool:
    """Tell whether the application made this row; somebody with SQL alone can't."""
    return key_ring().verifies(archive_bytes(archive), archive.mac, purpose=PURPOSE, key_id=archive.key_id)


def due(now: datetime | None = None) -> datetime | None:
    """Return before which moment events are old enough by `AUDIT_RETENTION_DAYS`, None when all are kept."""
    days = settings.AUDIT_RETENTION_DAYS
    return (now or timezone.now()) - timedelta(days=days) if days else None


def archive(
    before: datetime, *, by: Principal, progress: Callable[[int, int], None] | None = None
) -> Iterator[Archived]:
    """Put away, range by range and the oldest first, all that was sealed before a moment. The newest event stays.

    Raises ArchiveBlockedError when this process does not hold the owner, when somebody else is archiving, when a
    consumer has not read so far, and when the range is not intact: what was tampered with is evidence and stays.
    """
    if OWNER not in settings.DATABASES:
        raise ArchiveBlockedError("Archiving needs OWNER_DATABASE_URL: only the owner may delete old events.")
    while (done := _archive_range(before, by=by, progress=progress)) is not None:
        yield done


def _archive_range(
    before: datetime, *, by: Principal, progress: Callable[[int, int], None] | None
) -> Archived | None:
    with transaction.atomic(using=OWNER, durable=True):
        with connections[OWNER].cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK_ID])
            if not cursor.fetchone()[0]:
                raise ArchiveBlockedError("Another process is archiving just now.")
        bounds = _range(before)
        if bounds is None:
            return None
        first, last = bounds
        _require_read(last)
        manifest = _write(first, last, progress)
        row = _row(manifest, first, last)
        row.save(force_insert=True, using=OWNER)
        _delete(first, last)
        record(
            "log.archived",
            actor=by,
            subject=Subject("log", "log"),
            detail={"first": first, "last": last, "file": manifest.file, "sha256": manifest.sha256},
            using=OWNER,
        )
    return Archived(first, last, manifest.file)


def _range(before: datetime) -> tuple[int, int] | None:
    """Return the first and the last position to put away: the beginning of the log, never its newest event."""
    seals = Seal.objects.using(OWNER).order_by("position")
    first, newest = seals.first(), seals.last()
    if first is None or newest is None:
        return None
    young = seals.filter(sealed_at__gte=before).first()
    last = min((young or newest).position, newest.position) - 1
    last = min(last, first.position + MOST - 1)
    # Not over the beginning of an epoch: the positions of an archive have no gaps.
    last = min([last, *(expected - 1 for expected in jumps(using=OWNER) if expected > first.position)])
    return (first.position, last) if last >= first.position else None


def _require_read(last: int) -> None:
    """Refuse while a consumer of the log has still to read the range: it would never learn of those events."""
    behind = Position.objects.using(OWNER).filter(position__lt=last).order_by("position").first()
    if behind is not None:
        raise ArchiveBlockedError(
            f"The consumer {behind.consumer!r} has read up to position {behind.position} only; archiving up to "
            f"{last} would take events from it."
        )


def _write(first: int, last: int, progress: Callable[[int, int], None] | None) -> Manifest:
    """Write the file and its manifest, and return it once both were read again and found right."""
    place = folder()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"log-{first:012d}-{last:012d}.jsonl.gz"
    _set_aside_leftovers(place, name)
    previous_mac = mac_before(first)
    if not previous_mac:
        raise ArchiveBlockedError(f"What stands before position {first} is not known; run `audit verify`.")
    part = place / f".{name}.part"
    chain = Chain(first, previous_mac)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        out = Written(raw)
        # Without name and time, so that the same range makes the same file again.
        with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed:  # type: ignore[call-overload]
            for event in _events(first, last):
                findings = chain.take(event.seal, event)
                if findings:
                    raise _not_intact(findings[0])
                packed.write(line_bytes(event))
                if progress and event.seal.position % 1000 == 0:
                    progress(event.seal.position - first + 1, last - first + 1)
        raw.flush()
        os.fsync(raw.fileno())
    if chain.expected != last + 1:
        raise _not_intact(Finding("removed", chain.expected, None, "The log has a gap here."))
    head = Seal.objects.using(OWNER).order_by("-position")[0]
    manifest = Manifest(
        file=name,
        format="jsonl.gz",
        filters={},
        first_position=first,
        last_position=last,
        count=last - first + 1,
        size=out.size,
        sha256=out.sha256,
        previous_mac=previous_mac,
        last_mac=chain.previous_mac,
        head_position=head.position,
        head_mac=head.mac,
        made_at=moment(timezone.now()),
    )
    part.replace(place / name)
    sync_folder(place)
    replace_whole(place / (name + SUFFIX), manifest.text())
    again = check(place / (name + SUFFIX))
    if again.findings or again.checked != manifest.count:
        raise ArchiveBlockedError(f"{name} can't be read back as it was written; nothing was deleted.")
    return manifest


def _events(first: int, last: int) -> Iterator[Event]:
    position = first - 1
    while position < last:
        batch = list(Event.objects.using(OWNER).after(position).filter(seal__position__lte=last)[:_BATCH])
        if not batch:
            return
        yield from batch
        position = batch[-1].seal.position


def _row(manifest: Manifest, first: int, last: int) -> Archive:
    row = Archive(
        first_position=first,
        last_position=last,
        previous_mac=manifest.previous_mac,
        last_mac=manifest.last_mac,
        file=manifest.file,
        sha256=manifest.sha256,
        size=manifest.size,
        made_at=timezone.now(),
    )
    row.key_id, row.mac = key_ring().mac(archive_bytes(row), purpose=PURPOSE)
    return row


def _delete(first: int, last: int) -> None:
    """Delete the rows, events first: a trigger asks for their seals. Raises ArchiveBlockedError when some are gone."""
    with connections[OWNER].cursor() as cursor:
        cursor.execute(
            "DELETE FROM accounts_event e USING accounts_seal s"
            " WHERE s.event_id = e.id AND s.position BETWEEN %s AND %s",
            [first, last],
        )
        events = cursor.rowcount
        cursor.execute("DELETE FROM accounts_seal WHERE position BETWEEN %s AND %s", [first, last])
        if (events, cursor.rowcount) != (last - first + 1,) * 2:
            raise ArchiveBlockedError("The log changed meanwhile; nothing was deleted.")


def _not_intact(finding: Finding) -> ArchiveBlockedError:
    return ArchiveBlockedError(
        f"The log is not intact at position {finding.position} ({finding.detail}) It stays where it is, as evidence."
    )


def _set_aside_leftovers(place: Path, name: str) -> None:
    """Move files of an archiving that was cut off out of the way: no row tells of them, their events are still here."""
    known = set(Archive.objects.using(OWNER).values_list("file", flat=True))
    for path in place.glob("log-*.jsonl.gz"):
        if _NAME.fullmatch(path.name) and path.name not in known and path.name != name:
            logger.warning("%s belongs to no archive and was set aside.", path.name)
            path.rename(path.with_name(f"{path.name}.unused"))
            manifest = place / (path.name + SUFFIX)
            if manifest.exists():
                manifest.rename(manifest.with_name(f"{manifest.name}.unused"))
    for part in place.glob(".log-*.part"):
        part.unlink()
