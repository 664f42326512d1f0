"""Proves that nobody altered, removed or inserted a row of the log, and names the place where somebody did."""

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from accounts.audit import archiving, epochs, exporting, heads
from accounts.audit.chain import Chain, Finding
from accounts.audit.epochs import jumps
from accounts.audit.lines import LineError, event_json, parse_line
from accounts.log import (
    Head,
    HeadError,
    beginning_of_the_tables,
    has_right_tag,
    head_path,
    is_repeated,
    read_head,
)
from accounts.models.archive import Archive, Epoch
from accounts.models.event import NEVER, UNREADABLE, Event, Seal, Unsealed

__all__ = ["Chain", "Finding", "Verification", "event_json", "verify"]

_BATCH: Final = 1000
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\.json")
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Verification:
    """What verifying found. `pending` events are written and wait for their seal; warnings are no findings."""

    checked: int = 0
    pending: int = 0
    last_position: int = 0
    archived: int = 0  # events that are in archives, by their rows
    archives: int = 0
    archive_files_checked: int = 0
    findings: list[Finding] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        return not self.findings

    @property
    def elsewhere(self) -> int:
        """How many archives were not looked into."""
        return self.archives - self.archive_files_checked

    def as_json(self) -> dict[str, Any]:
        return {
            "intact": self.is_intact,
            "checked": self.checked,
            "pending": self.pending,
            "last_position": self.last_position,
            "archived": self.archived,
            "archives": self.archives,
            "archives_elsewhere": self.elsewhere,
            "findings": [asdict(finding) for finding in self.findings],
            "warnings": self.warnings,
        }


def verify(
    progress: Progress | None = None, *, archives: Path | None = None, head: Path | None = None
) -> Verification:
    """Check every seal, every event, every archive's row and the heads. `progress(done, total)` is called as it goes.

    `archives` is a folder whose files are read too; `head` is one that was kept elsewhere. All of it is one look at
    the database: sealing and archiving may go on meanwhile, and what they do is left for the next time.
    """
    result = Verification()
    # The files first: what they tell of was committed before the look at the database.
    paths = [
        path
        for path in sorted(head_path().parent.glob("audit-head*.json"))
        if re.fullmatch(r"audit-head(\.[0-9T]+)?\.json", path.name)
    ]
    days = sorted(path for path in heads.folder().glob("*.json") if _DAY.fullmatch(path.name))
    known_heads = _read_heads(result, [*paths, *days, *([head] if head else [])])
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        end = _check_archives(result, archives)
        result.last_position = Seal.objects.aggregate(last=Max("position"))["last"] or end.expected - 1
        if not any(path.name == "audit-head.json" for path in paths) and result.last_position:
            result.findings.append(
                Finding("head", None, None, "audit-head.json is missing, so a cut tail could not be seen.")
            )
        for row in Epoch.objects.order_by("first_position"):
            if not epochs.is_ours(row):
                detail = "The application did not write this row of an epoch."
                result.findings.append(Finding("forged", row.first_position, None, detail))
        for path, known in known_heads:
            if (
                path not in days or known.position >= end.expected
            ):  # what is archived is proved by its own chain
                _compare_head(result, path, known, archives)
        first = end.expected
        _check_chain(result, end, progress or (lambda *_: None))
        _check_unsealed(result, first)
    return result


# The tables


def _check_chain(result: Verification, chain: Chain, progress: Progress) -> None:
    # The walk begins behind the archives: a row with a place before that would be read by people and by no proof.
    early = Seal.objects.filter(position__lt=chain.expected).order_by("position")
    for position, event_id in early.values_list("position", "event_id"):
        detail = (
            "A seal stands here, where the tables hold none: before the first position, or in an archive."
        )
        result.findings.append(Finding("inserted", position, str(event_id), detail))
    for seal, event in _chain(chain.expected - 1, result.last_position):
        result.findings += chain.take(seal, event)
        result.checked += 1
        if result.checked % 100 == 0 or seal.position == result.last_position:
            progress(seal.position, result.last_position)


def _chain(after: int, last: int) -> Iterator[tuple[Seal, Event | None]]:
    """Yield seals in order with their events, None for an event that is gone."""
    position = after
    while True:
        seals = _seals(position, last, _BATCH)
        if not seals:
            return
        events = Event.objects.by_id([seal.event_id for seal in seals])
        for seal in seals:
            yield seal, events.get(seal.event_id)
        position = seals[-1].position


def _seals(after: int, last: int, number: int) -> list[Seal]:
    """Return the next seals; in the place of one that can't be read stands one that fits nowhere."""
    found = Seal.objects.filter(position__gt=after, position__lte=last).order_by("position")[:number]
    try:
        return list(found)
    except UNREADABLE:
        if number > 1:
            return [
                seal
                for position in found.values_list("position", flat=True)
                for seal in _seals(position - 1, position, 1)
            ]
        position, event_id = found.values_list("position", "event_id")[0]
        return [Seal(position=position, event_id=event_id, mac="", key_id="", sealed_at=NEVER)]


def _check_unsealed(result: Verification, first: int) -> None:
    """Find events that have no seal and never will: inserted past the application, or taken out of the queue."""
    again = Seal.objects.filter(event_id__in=Unsealed.objects.values("event_id"), position__gte=first)
    for position, event_id in again.order_by("position").values_list("position", "event_id"):
        detail = "This event was put into the queue of the sealer once more."
        result.findings.append(Finding("inserted", position, str(event_id), detail))
    beginning = beginning_of_the_tables()
    query = """
        SELECT e.id, u.event_id IS NOT NULL AND u.refused_at IS NULL
        FROM accounts_event e
        LEFT JOIN accounts_seal s ON s.event_id = e.id
        LEFT JOIN accounts_unsealed u ON u.event_id = e.id
        WHERE s.event_id IS NULL
        ORDER BY e.id
    """
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[tuple[UUID, bool]] = cursor.fetchall()
    gone = Unsealed.objects.exclude(event_id__in=Event.objects.values("id")).order_by("event_id")
    for event_id in gone.values_list("event_id", flat=True):
        result.findings.append(
            Finding("removed", None, str(event_id), "The event was removed before it had its seal.")
        )
    for start in range(0, len(rows), _BATCH):
        queued = dict(rows[start : start + _BATCH])
        for event in sorted(Event.objects.by_id(queued).values(), key=lambda event: event.id):
            place = result.last_position + 1
            if not has_right_tag(event):
                detail = "The application did not write this event; it has no seal."
                result.findings.append(Finding("inserted", place, str(event.id), detail))
            elif is_repeated(event, beginning):
                detail = "This event was archived already, and somebody wrote it once more; it has no seal."
                result.findings.append(Finding("inserted", place, str(event.id), detail))
            elif not queued[event.id]:
                detail = "This event was taken out of the queue of the sealer."
                result.findings.append(Finding("removed", None, str(event.id), detail))
            else:
                result.pending += 1


# Archives


def _check_archives(result: Verification, place: Path | None) -> Chain:
    """Check the archives' rows, and their files as far as they are in the folder. Return where the tables go on.

    A row whose MAC is wrong covers nothing: its range is then found as removed.
    """
    known = jumps()
    chain = Chain(jumps=known)
    for archive in Archive.objects.order_by("first_position"):
        first = archive.first_position
        jump = known.get(chain.expected)
        if jump and first == jump.first_position and chain.previous_mac == jump.previous_mac:
            chain.expected = first
        if not archiving.is_ours(archive):
            result.findings.append(
                Finding("forged", first, None, "The application did not write this row of an archive.")
            )
            continue
        if first != chain.expected or archive.previous_mac != chain.previous_mac:
            detail = f"The archive that begins at position {first} does not follow what was before it."
            result.findings.append(Finding("removed", chain.expected, None, detail))
        chain = Chain(archive.last_position + 1, archive.last_mac, known)
        result.archives += 1
        result.archived += archive.count
        if place is not None:
            _check_file(result, archive, place)
    if result.archives and place is not None and result.elsewhere:
        result.warnings.append(
            f"{result.elsewhere} of {result.archives} archives are not in {place.name}/ and were not read."
        )
    return chain


def _check_file(result: Verification, archive: Archive, place: Path) -> None:
    path = place / (archive.file + exporting.SUFFIX)
    if not (place / archive.file).is_file():
        return
    result.archive_files_checked += 1
    checked = exporting.check(path)
    findings = checked.findings
    manifest = checked.manifest
    if manifest and not findings and manifest.sha256 != archive.sha256:
        detail = f"{archive.file} is another file than the one that was archived."
        findings = [Finding("file", archive.first_position, None, detail)]
    result.findings += [
        finding if finding.position else Finding("file", archive.first_position, None, finding.detail)
        for finding in findings
    ]


# Heads


def _read_heads(result: Verification, paths: list[Path]) -> list[tuple[Path, Head]]:
    found = []
    for path in paths:
        try:
            found.append((path, read_head(path)))
        except HeadError as error:
            result.findings.append(Finding("head", None, None, str(error)))
    return found


def _compare_head(result: Verification, path: Path, head: Head, archives: Path | None) -> None:
    """Compare with where the log ended when that head was signed."""
    seal = Seal.objects.filter(position=head.position).first()
    mac = seal.mac if seal else None
    if mac is None:
        archive = Archive.objects.filter(
            first_position__lte=head.position, last_position__gte=head.position
        ).first()
        if archive is not None and archiving.is_ours(archive):
            mac = _mac_in(archive, head.position, archives)
            if mac is None:
                result.warnings.append(
                    f"{path.name} saw position {head.position}, which is in {archive.file}; that file was not read."
                )
                return
    if mac is None and epochs.is_lost(head.position):
        result.warnings.append(
            f"{path.name} saw position {head.position}, which is of the history that a restore gave up."
        )
        return
    if mac != head.mac:
        last = Seal.objects.last_position()
        result.findings.append(
            Finding(
                "cut",
                min(last + 1, head.position),
                head.event_id,
                f"{path.name} saw position {head.position}, which is gone or another now.",
            )
        )


def _mac_in(archive: Archive, position: int, place: Path | None) -> str | None:
    """Return the MAC of a position that was archived, None when the file is not here or not whole."""
    if position == archive.last_position:
        return archive.last_mac
    if place is None or not (place / archive.file).is_file():
        return None
    try:
        for line in exporting.read_lines(place / archive.file, is_packed=True):
            seal, _ = parse_line(line)
            if seal.position == position:
                return seal.mac
    except (LineError, OSError, EOFError, zlib.error):
        pass  # the file's own check says what is wrong with it
    return None
