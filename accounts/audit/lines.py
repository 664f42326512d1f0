"""An event as JSON, and back: exports and archives hold all that its tag and its seal are made over."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from accounts.models.event import Event, Seal

MAX_LINE: Final = 1024 * 1024  # bytes; an event is far below


# What reading a line raises that is not one of ours.
WRONG: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class LineError(Exception):
    """A line is not one of ours."""


def moment(value: datetime) -> str:
    """Return a time to the microsecond, in UTC, with `Z`."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event_json(event: Event) -> dict[str, Any]:
    """Return a sealed event as the API and the export show it."""
    return {"position": event.seal.position, **body_json(event)}


def body_json(event: Event) -> dict[str, Any]:
    """Return an event without its place in the log, which it may not have yet."""
    return {
        "id": str(event.id),
        "type": event.type,
        "at": moment(event.at),
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


def line_json(event: Event) -> dict[str, Any]:
    """Return the same with what proves it: the application's tag and the seal."""
    seal = event.seal
    return event_json(event) | {
        "tag": event.tag,
        "sealed_at": moment(seal.sealed_at),
        "mac": seal.mac,
        "key_id": seal.key_id,
    }


def line_bytes(event: Event) -> bytes:
    return json.dumps(line_json(event), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse_line(line: bytes) -> tuple[Seal, Event]:
    """Return the seal and the event of a line, not saved. Raises LineError."""
    try:
        raw = json.loads(line)
        event = event_of(raw)
        seal = Seal(
            position=int(raw["position"]),
            event_id=event.id,
            mac=str(raw["mac"]),
            key_id=str(raw["key_id"]),
            sealed_at=datetime.fromisoformat(raw["sealed_at"]).astimezone(UTC),
        )
    except WRONG as error:
        raise LineError("This line is not one of the log.") from error
    return seal, event


def event_of(raw: dict[str, Any]) -> Event:
    """Return the event that `body_json` and its tag describe, not saved. Raises one of WRONG."""
    actor, subject = raw["actor"], raw["subject"] or {}
    return Event(
        id=UUID(raw["id"]),
        type=str(raw["type"]),
        at=datetime.fromisoformat(raw["at"]).astimezone(UTC),
        actor_kind=str(actor["kind"]),
        actor_id=UUID(actor["id"]) if actor["id"] else None,
        actor_label=str(actor["label"]),
        credential=actor["credential"] or "",
        subject_type=subject.get("type") or "",
        subject_id=subject.get("id") or "",
        collection_id=UUID(subject["collection_id"]) if subject.get("collection_id") else None,
        locale=raw["locale"] or "",
        request_id=raw["request_id"] or "",
        address=raw["address"] or "",
        detail=dict(raw["detail"]),
        tag=str(raw["tag"]),
    )
