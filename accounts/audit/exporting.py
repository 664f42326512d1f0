"""Writing the log out: JSON lines or CSV, with a signed manifest that says what the file holds and where it ended."""

import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal

from django.utils import timezone

from accounts.access import Principal
from accounts.audit.chain import Chain, Finding, Jump
from accounts.audit.epochs import jumps
from accounts.audit.lines import MAX_LINE, WRONG, LineError, line_bytes, line_json, moment, parse_line
from accounts.audit.searching import Sought
from accounts.canonical import canonical_bytes
from accounts.keyring import key_ring
from accounts.log import GENESIS, Subject, has_right_tag, newest, record
from accounts.models.archive import Archive
from accounts.models.event import Event, EventQuerySet, Seal

Format = Literal["jsonl", "csv", "jsonl.gz"]
FORMATS: Final = ("jsonl", "csv")  # what can be asked for; archives are `jsonl.gz`
PURPOSE: Final = "log-manifest"
SUFFIX: Final = ".manifest.json"
MAX_MANIFEST: Final = 64 * 1024
_BATCH: Final = 1000
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
# What spreadsheets run as a formula (OWASP, CSV injection; CVE-2024-34448), also behind blanks and quotes.
_FORMULA: Final = frozenset("=+-@＝＋－＠")
_BEGINNING: Final = frozenset("\t\r\n\x00")
# Where another locale's spreadsheet begins a cell: behind its separator, quotes or not (OWASP).
_NEXT_CELL: Final = re.compile(r"([;\t\r\n][\s\"']*)(?=[=+\-@＝＋－＠])")
COLUMNS: Final = (
    "position", "id", "type", "at", "actor_kind", "actor_id", "actor_label", "credential", "subject_type",
    "subject_id", "collection_id", "locale", "address", "request_id", "detail", "sealed_at", "mac", "key_id",
)  # fmt: skip


class ManifestError(Exception):
    """A manifest can't be read, or is not signed by this installation's key ring."""


class TooManyError(Exception):
    """There are more events than the bound that was set."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file of the log holds. `previous_mac` proves its chain; it is "" where a filter left gaps."""

    file: str
    format: str
    filters: dict[str, str]
    first_position: int | None
    last_position: int | None
    count: int
    size: int
    sha256: str
    previous_mac: str
    last_mac: str
    head_position: int
    head_mac: str
    made_at: str
    jumps: list[list[Any]] = field(
        default_factory=list
    )  # epochs inside: [expected, first position, MAC before]

    def as_bytes(self) -> bytes:
        return canonical_bytes(asdict(self))

    def chain(self) -> Chain:
        """Return where a walk along the file's lines begins."""
        jumps = {int(expected): Jump(int(first), str(mac)) for expected, first, mac in self.jumps}
        return Chain(self.first_position or 1, self.previous_mac, jumps)

    def signed(self) -> dict[str, Any]:
        """Return the manifest with its signature, as JSON values."""
        key_id, signature = key_ring().mac(self.as_bytes(), purpose=PURPOSE)
        return asdict(self) | {"key_id": key_id, "signature": signature}

    def text(self) -> bytes:
        return json.dumps(self.signed(), indent=1, ensure_ascii=False).encode() + b"\n"


def read_manifest(path: Path) -> Manifest:
    """Return a manifest that this key ring signed. Raises ManifestError."""
    try:
        with path.open("rb") as stream:
            raw = json.loads(stream.read(MAX_MANIFEST))
        key_id, signature = str(raw.pop("key_id")), str(raw.pop("signature"))
        manifest = Manifest(**raw)
        signed = manifest.as_bytes()
    except (OSError, *WRONG) as error:
        raise ManifestError(f"{path.name} can't be read as a manifest of the log.") from error
    if not key_ring().verifies(signed, signature, purpose=PURPOSE, key_id=key_id):
        raise ManifestError(f"{path.name} has a wrong signature.")
    if not is_name(manifest.file):
        raise ManifestError(f"{path.name} names no file beside it.")
    return manifest


def is_name(text: str) -> bool:
    """Tell whether a manifest may name a file so."""
    return _NAME.fullmatch(text) is not None


# Writing


@dataclass(slots=True)
class Written:
    """Counts and hashes what goes into a stream."""

    stream: IO[bytes]
    size: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        self.stream.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def sha256(self) -> str:
        return str(self._hash.hexdigest())


def sealed(sought: Sought, *, after: int = 0, up_to: int | None = None) -> Iterator[Event]:
    """Yield sealed events in order, a batch at a time. What is sealed after the start is not among them."""
    end = newest()[0] if up_to is None else up_to
    position = after
    while batch := list(_behind(sought, position).filter(seal__position__lte=end)[:_BATCH]):
        yield from batch
        position = batch[-1].seal.position


def _behind(sought: Sought, position: int) -> EventQuerySet:
    return sought.filter(Event.objects.after(position))


def lines(format: str, events: Iterator[Event]) -> Iterator[tuple[Event | None, bytes]]:  # noqa: A002
    """Yield each event with its bytes; CSV opens with a header, which belongs to none."""
    if format == "jsonl":
        for event in events:
            yield event, line_bytes(event)
        return
    yield None, csv_row(COLUMNS)
    for event in events:
        yield event, csv_row(_cells(event))


def write(
    stream: IO[bytes],
    *,
    format: str,  # noqa: A002 (the word that people use)
    sought: Sought,
    name: Callable[[int | None, int | None], str] | str,
    after: int = 0,
    most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Write what is sought to a stream and return its manifest. Raises TooManyError beyond `most` events.

    `name` is the file's, or makes it of the first and the last position.
    """
    head_position, head_mac = newest()
    out = Written(stream)
    first: Event | None = None
    last: Event | None = None
    count = 0
    for event, data in lines(format, sealed(sought, after=after, up_to=head_position)):
        out.write(data)
        if event is None:
            continue
        count += 1
        if most is not None and count > most:
            raise TooManyError
        first, last = first or event, event
        if progress and count % _BATCH == 0:
            progress(event.seal.position, head_position)
    positions = (first.seal.position, last.seal.position) if first and last else (None, None)
    is_whole = first is not None and not sought.as_json()
    return Manifest(
        file=name if isinstance(name, str) else name(*positions),
        format=format,
        filters=sought.as_json(),
        first_position=positions[0],
        last_position=positions[1],
        count=count,
        size=out.size,
        sha256=out.sha256,
        previous_mac=mac_before(positions[0]) if is_whole and positions[0] else "",
        last_mac=last.seal.mac if last else "",
        head_position=head_position,
        head_mac=head_mac,
        made_at=moment(timezone.now()),
        jumps=jumps_between(*positions) if is_whole else [],
    )


def jumps_between(first: int | None, last: int | None) -> list[list[Any]]:
    """Return the epochs that begin within a range, as a manifest tells of them."""
    return [
        [expected, jump.first_position, jump.previous_mac]
        for expected, jump in jumps().items()
        if first and last and first < expected and jump.first_position <= last
    ]


def note_export(manifest: Manifest | None, *, format: str, sought: Sought, by: Principal) -> None:  # noqa: A002
    """Record that somebody took the log, or a part of it, away. In a transaction."""
    detail: dict[str, object] = {"format": format, "filters": sought.as_json()}
    if manifest is not None:
        detail |= {
            "count": manifest.count,
            "first": manifest.first_position,
            "last": manifest.last_position,
            "sha256": manifest.sha256,
        }
    record("log.exported", actor=by, subject=Subject("log", "log"), detail=detail)


def mac_before(position: int) -> str:
    """Return the MAC that the seal at a position is chained to; "" where it is not known."""
    if position == 1:
        return GENESIS
    seal = Seal.objects.filter(position=position - 1).first()
    if seal is not None:
        return seal.mac
    archive = Archive.objects.filter(last_position=position - 1).first()
    if archive is not None:
        return archive.last_mac
    epoch = next((item for item in jumps().values() if item.first_position == position), None)
    return epoch.previous_mac if epoch else ""


def safe_cell(value: object) -> str:
    """Return a cell that no spreadsheet runs: what would be a formula gets an apostrophe (OWASP, ASVS 1.2.10)."""
    text = "" if value is None else str(value)
    bare = text.lstrip(" \u00a0\u3000\"'\ufeff\u200b")
    if text[:1] in _BEGINNING or bare[:1] in _FORMULA or bare[:1] in _BEGINNING:
        rest = bare.lstrip()
        return f"'{text[: len(text) - len(rest)]}" + _NEXT_CELL.sub(r"\1'", rest)
    return _NEXT_CELL.sub(r"\1'", text)


def _cells(event: Event) -> list[object]:
    line = line_json(event)
    actor, subject = line["actor"], line["subject"] or {}
    detail = json.dumps(line["detail"], ensure_ascii=False, sort_keys=True) if line["detail"] else ""
    return [
        line["position"], line["id"], line["type"], line["at"], actor["kind"], actor["id"], actor["label"],
        actor["credential"], subject.get("type"), subject.get("id"), subject.get("collection_id"), line["locale"],
        line["address"], line["request_id"], detail, line["sealed_at"], line["mac"], line["key_id"],
    ]  # fmt: skip


def csv_row(cells: Iterable[object]) -> bytes:
    """Return one record (RFC 4180), every cell in quotes, and none that a spreadsheet would run."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(map(safe_cell, cells))
    return out.getvalue().encode()


# Checking


@dataclass(slots=True)
class Checked:
    """What checking a file found."""

    manifest: Manifest | None = None
    checked: int = 0
    findings: list[Finding] = field(default_factory=list)


def check(path: Path, progress: Callable[[int, int], None] | None = None) -> Checked:
    """Check a manifest and the file beside it; a finding names the position where it can."""
    result = Checked()
    try:
        manifest = result.manifest = read_manifest(path)
    except ManifestError as error:
        result.findings.append(Finding("file", None, None, str(error)))
        return result
    file = path.parent / manifest.file
    if not file.is_file():
        result.findings.append(
            Finding("file", manifest.first_position, None, f"{manifest.file} is not there.")
        )
        return result
    is_same = _digest(file) == (manifest.sha256, manifest.size)
    if manifest.format != "csv":
        _check_lines(result, manifest, file, progress)
    if not is_same and not result.findings:
        result.findings.append(
            Finding("file", manifest.first_position, None, f"{file.name} is not the file that was written.")
        )
    return result


def _check_lines(
    result: Checked, manifest: Manifest, file: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Check each line: its tag, its place, and the chain where the file has no gaps."""
    chain = manifest.chain()
    is_whole = bool(manifest.previous_mac)
    position: int | None = None
    last_mac = ""
    try:
        for line in read_lines(file, is_packed=manifest.format == "jsonl.gz"):
            seal, event = parse_line(line)
            if position is not None and seal.position <= position:
                raise LineError(f"Position {seal.position} stands behind {position}.")
            if is_whole:
                result.findings += chain.take(seal, event)
            elif not has_right_tag(event):
                result.findings.append(
                    Finding("altered", seal.position, str(event.id), "The event was changed.")
                )
            position, last_mac = seal.position, seal.mac
            result.checked += 1
            if progress and result.checked % _BATCH == 0:
                progress(result.checked, manifest.count)
    except (LineError, OSError, EOFError, zlib.error) as error:
        place = (position or (manifest.first_position or 1) - 1) + 1
        detail = str(error) if isinstance(error, LineError) else "The file is cut off or damaged here."
        result.findings.append(Finding("file", place, None, f"{file.name}: {detail}"))
        return
    if (result.checked, position, last_mac) != (manifest.count, manifest.last_position, manifest.last_mac):
        is_short = result.checked < manifest.count
        result.findings.append(
            Finding(
                "file",
                (position or 0) + 1 if is_short else position,
                None,
                f"{file.name} does not end as its manifest says: lines are missing.",
            )
        )


def read_lines(file: Path, *, is_packed: bool) -> Iterator[bytes]:
    """Yield the lines of a file. Raises LineError for one that can't be ours, OSError, EOFError, zlib.error."""
    with gzip.open(file, "rb") if is_packed else file.open("rb") as stream:
        while line := stream.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE or not line.endswith(b"\n"):
                raise LineError("A line is not whole.")
            yield line


def _digest(file: Path) -> tuple[str, int]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return digest, file.stat().st_size
