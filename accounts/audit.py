"""Proves that nobody altered, removed or inserted a row of the log, and names the place where somebody did."""

import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Max

from accounts.keyring import key_ring
from accounts.log import (
    GENESIS,
    SEAL_PURPOSE,
    HeadError,
    has_right_tag,
    head_path,
    read_head,
    seal_bytes,
)
from accounts.models.event import Event, Seal, Unsealed

_BATCH: Final = 1000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: `altered`, `removed`, `inserted`, `cut` or `head`, and where."""

    problem: str
    position: int | None
    event_id: str | None
    detail: str


@dataclass(slots=True)
class Verification:
    """What verifying found. `pending` events are written and wait for their seal."""

    checked: int = 0
    pending: int = 0
    last_position: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        return {
            "intact": self.is_intact,
            "checked": self.checked,
            "pending": self.pending,
            "last_position": self.last_position,
            "findings": [asdict(finding) for finding in self.findings],
        }


def verify(progress: Progress | None = None) -> Verification:
    """Check every seal, every event and the head file. `progress(done, total)` is called as it goes.

    Sealing may go on meanwhile: what is sealed after the start is left for the next time.
    """
    result = Verification()
    heads = sorted(head_path().parent.glob("audit-head*.json"))
    _check_heads(result, heads)
    result.last_position = Seal.objects.aggregate(last=Max("position"))["last"] or 0
    _check_chain(result, progress or (lambda *_: None))
    _check_unsealed(result)
    return result


def _check_chain(result: Verification, progress: Progress) -> None:
    expected, previous_mac = 1, GENESIS
    for seal, event in _chain(result.last_position):
        if seal.position > expected:
            missing = (
                f"position {expected}"
                if seal.position == expected + 1
                else f"positions {expected} to {seal.position - 1}"
            )
            result.findings.append(
                Finding(
                    "removed",
                    expected,
                    None,
                    f"The seal of {missing} is gone; what follows can't be chained to it.",
                )
            )
            # The chain is taken up again behind the gap, so that one removed row is one finding.
            previous_mac = ""
        if event is None:
            result.findings.append(
                Finding("removed", seal.position, str(seal.event_id), "The event of this seal is gone.")
            )
        elif previous_mac and not key_ring().verifies(
            seal_bytes(previous_mac, seal.position, event, seal.sealed_at),
            seal.mac,
            purpose=SEAL_PURPOSE,
            key_id=seal.key_id,
        ):
            result.findings.append(_explain(seal, event))
        elif not has_right_tag(event):
            result.findings.append(Finding("altered", seal.position, str(event.id), "The event was changed."))
        expected, previous_mac = seal.position + 1, seal.mac
        result.checked += 1
        if result.checked % 100 == 0 or seal.position == result.last_position:
            progress(seal.position, result.last_position)


def _explain(seal: Seal, event: Event) -> Finding:
    """Say what a broken seal most likely means."""
    if not key_ring().holds(seal.key_id):
        return Finding(
            "altered", seal.position, str(event.id), "The key of this seal is not in the key ring."
        )
    if has_right_tag(event):
        return Finding(
            "altered",
            seal.position,
            str(event.id),
            "The seal does not fit here: it was changed, moved or inserted.",
        )
    return Finding("altered", seal.position, str(event.id), "The event or its seal was changed or inserted.")


def _chain(last: int) -> Iterator[tuple[Seal, Event | None]]:
    """Yield seals in order with their events, None for an event that is gone."""
    position = 0
    while True:
        seals = list(
            Seal.objects.filter(position__gt=position, position__lte=last).order_by("position")[:_BATCH]
        )
        if not seals:
            return
        events = {event.id: event for event in Event.objects.filter(id__in=[seal.event_id for seal in seals])}
        for seal in seals:
            yield seal, events.get(seal.event_id)
        position = seals[-1].position


def _check_unsealed(result: Verification) -> None:
    """Find events that have no seal and never will: inserted past the application, or taken out of the queue."""
    query = """
        SELECT e.id, u.event_id IS NOT NULL
        FROM accounts_event e
        LEFT JOIN accounts_seal s ON s.event_id = e.id
        LEFT JOIN accounts_unsealed u ON u.event_id = e.id
        WHERE s.event_id IS NULL
        ORDER BY e.id
    """
    with connection.cursor() as cursor:
        cursor.execute(
            query
        )  # one statement, one snapshot: an event that is being sealed is in the queue or has its seal
        rows: list[tuple[UUID, bool]] = cursor.fetchall()
    gone = Unsealed.objects.exclude(event_id__in=Event.objects.values("id")).order_by("event_id")
    for event_id in gone.values_list("event_id", flat=True):
        result.findings.append(
            Finding("removed", None, str(event_id), "The event was removed before it had its seal.")
        )
    for start in range(0, len(rows), _BATCH):
        queued = dict(rows[start : start + _BATCH])
        for event in Event.objects.filter(id__in=queued).order_by("id"):
            if not has_right_tag(event):
                place = result.last_position + 1
                result.findings.append(
                    Finding(
                        "inserted",
                        place,
                        str(event.id),
                        "The application did not write this event; it has no seal.",
                    )
                )
            elif not queued[event.id]:
                result.findings.append(
                    Finding(
                        "removed", None, str(event.id), "This event was taken out of the queue of the sealer."
                    )
                )
            else:
                result.pending += 1


def _check_heads(result: Verification, paths: list[Path]) -> None:
    """Compare with where the log ended when it was last sealed on this machine."""
    if not any(path.name == "audit-head.json" for path in paths) and Seal.objects.exists():
        result.findings.append(
            Finding("head", None, None, "audit-head.json is missing, so a cut tail could not be seen.")
        )
    for path in paths:
        if not re.fullmatch(r"audit-head(\.[0-9T]+)?\.json", path.name):
            continue
        try:
            head = read_head(path)
        except HeadError as error:
            result.findings.append(Finding("head", None, None, str(error)))
            continue
        seal = Seal.objects.filter(position=head.position).first()
        if seal is None or seal.mac != head.mac:
            last = Seal.objects.aggregate(last=Max("position"))["last"] or 0
            place = min(last + 1, head.position)
            result.findings.append(
                Finding(
                    "cut",
                    place,
                    head.event_id,
                    f"{path.name} saw position {head.position}, which is gone or another now.",
                )
            )


def export(after: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the sealed log in order, whole enough for somebody else to keep and compare."""
    position = after
    while batch := list(Event.objects.after(position)[:_BATCH]):
        for event in batch:
            yield event_json(event) | {"mac": event.seal.mac, "key_id": event.seal.key_id}
        position = batch[-1].seal.position


def event_json(event: Event) -> dict[str, Any]:
    """Return an event as the API and the export show it."""
    return {
        "position": event.seal.position,
        "id": str(event.id),
        "type": event.type,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "actor": {
            "kind": event.actor_kind,
            "id": str(event.actor_id) if event.actor_id else None,
            "label": event.actor_label,
            "credential": event.credential or None,
        },
        "subject": {
            "type": event.subject_type,
            "id": event.subject_id,
            "collection_id": str(event.collection_id) if event.collection_id else None,
        }
        if event.subject_type
        else None,
        "locale": event.locale or None,
        "address": event.address or None,
        "request_id": event.request_id or None,
        "detail": event.detail,
    }
