"""The page of the admin that shows how far the keys of the ring and Django's secret key are in their lives."""

from typing import Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts import ring
from accounts.access import Area
from accounts.keys.kinds import kinds
from accounts.pages.frame import show
from accounts.principals import of_request
from accounts.ring import Shown

STEPS: Final = ("pending", "active", "retiring", "retired")
# What is to be done next, in words; the acts are the operator's, on the machine.
NEXT: Final = {
    "pending": "Waits: it becomes the active key when it stands first in the ring.",
    "active": "Encrypts and signs.",
    "retired": "Verifies what it signed. Keep it in the ring for the log and for backups of its time.",
    "retired, gone": "Is no longer in the ring. What it signed and backups of its time can't be verified any more.",
    "missing": "Is not in the ring, and values need it: they can't be opened. Put it back.",
    "changed": "Is another key than the one that values were encrypted with. Put the former one back.",
}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the ring and the secret key, by ids, fingerprints and counts; never a key."""
    if not of_request(request).administers(Area.OPERATIONS):
        raise PermissionDenied
    found = ring.shown(with_signed=False)  # counting the log takes longer than a page may
    whole = sum(key.needs for key in found)
    context: dict[str, Any] = {
        "title": "Keys and secrets",
        "keys": [_key(key, whole) for key in found],
        "is_whole": not any(key.state in ("missing", "changed") for key in found),
        "secret_keys": kinds()["secret-key"].rows(),
        "places": sorted(settings.ENVIRONMENT.places.items()),
    }
    return show(request, "admin/keys_and_secrets.html", context)


def _key(key: Shown, whole: int) -> dict[str, Any]:
    row = key.row
    reached = STEPS.index(key.state) if key.state in STEPS else -1
    return {
        "id": key.id,
        "state": key.state,
        "steps": [
            {"name": name, "is_now": number == reached, "at": _at(row, name) if number <= reached else None}
            for number, name in enumerate(STEPS)
        ],
        "needs": key.needs,
        "percent": 100 * key.needs // whole if whole else 0,
        "tables": sorted(key.encrypts.items()),
        "next": _next(key),
        "is_wrong": key.state in ("missing", "changed"),
    }


def _next(key: Shown) -> str:
    if key.state != "retiring":
        return NEXT.get(key.state, "")
    if key.needs:
        return "What it encrypts moves to the active key in the background, a part each minute."
    return f"Nothing is encrypted with it any more: manage.py keys retire ring:{key.id}"


def _at(row: Any, name: str) -> Any:
    times = {"active": "active_at", "retiring": "retiring_at", "retired": "retired_at"}
    return getattr(row, times[name]) if row is not None and name in times else None
