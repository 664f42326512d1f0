"""What the last check of a receiver found, as people read it. What was written may be of any form."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from webhooks.models import Endpoint

LONGEST_RUN: Final = timedelta(minutes=10)  # then nothing will come of it
MOST_CHECKS: Final = 50
_LONGEST: Final = 300


def told(endpoint: Endpoint) -> dict[str, Any]:
    """Return what the page of an endpoint shows of its last check."""
    found = endpoint.conformance
    if not isinstance(found, Mapping):
        return {"is_known": False}
    running_since = _moment(found.get("running_since"))
    if running_since is not None:
        is_running = timezone.now() - running_since < LONGEST_RUN
        return {"is_known": True, "is_running": is_running, "is_lost": not is_running, "since": running_since}
    checks = found.get("checks")
    listed = [item for item in checks if isinstance(item, Mapping)] if isinstance(checks, list) else []
    shown = [_check(item) for item in listed[:MOST_CHECKS]]
    return {
        "is_known": True,
        "at": _moment(found.get("at")),
        "passed": found.get("passed") is True,
        "checks": shown,
        "failed": sum(not item["passed"] for item in shown),
    }


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    status = item.get("status")
    return {
        "title": _text(item.get("title")) or _text(item.get("name")),
        "expected": _text(item.get("expected")),
        "status": _text(status) or "no answer",
        "passed": item.get("passed") is True,
        "advice": _text(item.get("advice")),
    }


def _moment(value: object) -> datetime | None:
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: object) -> str:
    """Return a word or a number; whatever else there is says nothing to people."""
    return str(value)[:_LONGEST] if isinstance(value, str | int) and not isinstance(value, bool) else ""
