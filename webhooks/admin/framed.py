"""What the tables of webhooks have in common in the admin: styles, the marks of states, and how things are said."""

from datetime import datetime
from typing import Final, TypeVar

from django.db.models import Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.base import VerbAdmin
from accounts.admin.marks import Mark, pill
from webhooks import outcomes
from webhooks.leasing import LOST
from webhooks.models import Delivery, Endpoint

M = TypeVar("M", bound=Model)
ENDPOINTS: Final[dict[str, Mark]] = {
    Endpoint.State.ACTIVE: ("qk-published", "●", "Active"),
    Endpoint.State.PAUSED: ("qk-changed", "‖", "Paused"),
    Endpoint.State.DISABLED: ("qk-draft", "○", "Off"),
}
FAILING: Final[Mark] = ("qk-trashed", "✕", "Failing")
DELIVERIES: Final[dict[str, Mark]] = {
    Delivery.State.WAITING: ("qk-draft", "○", "Waits"),
    Delivery.State.DELIVERED: ("qk-published", "●", "Delivered"),
    Delivery.State.EXHAUSTED: ("qk-trashed", "✕", "Given up"),
    Delivery.State.WITHHELD: ("qk-none", "⊘", "Withheld"),
    Delivery.State.MISSED: ("qk-none", "–", "Missed"),
}
RETRYING: Final[Mark] = ("qk-changed", "↻", "Tries again")
ERRORS: Final = {
    outcomes.UNREACHABLE: "no answer",
    outcomes.UNSIGNED: "no secret could be opened, so nothing was sent",
    LOST: "its process ended before it could say what came of it",
}
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class FramedAdmin(VerbAdmin[M]):
    """A table of webhooks."""

    class Media:
        css = {"all": ["accounts/keys.css", "webhooks/webhooks.css"]}


def pills_of(endpoint: Endpoint) -> SafeString:
    """Return the state of an endpoint, and that it fails if it does."""
    shown = pill(ENDPOINTS[endpoint.state])
    if endpoint.is_active and endpoint.failing_since is not None:
        return format_html("{} {}", shown, pill(FAILING))
    return shown


def pill_of(delivery: Delivery) -> SafeString:
    """Return the state of a delivery; one that waits after a failure says so."""
    is_again = delivery.state == Delivery.State.WAITING and delivery.attempt_count > 0
    return pill(RETRYING if is_again else DELIVERIES[delivery.state])


def answered(status: int | None, error: str) -> str:
    """Return what came of an attempt in a word or two."""
    return str(status) if status is not None else ERRORS.get(error, error or "no answer")


def length(seconds: float) -> str:
    """Return how long something takes: "5 minutes"."""
    if seconds < 1:
        return "less than a second"
    for unit, word in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= 2 * unit or (seconds >= unit and unit != _DAY):
            number = round(seconds / unit)
            return f"{number} {word}{'' if number == 1 else 's'}"
    number = round(seconds)
    return f"{number} second{'' if number == 1 else 's'}"


def until(moment: datetime) -> str:
    """Return how far off something is: "in 5 minutes", or "now"."""
    seconds = (moment - timezone.now()).total_seconds()
    return f"in {length(seconds)}" if seconds >= 1 else "now"


def took(milliseconds: int | None) -> str:
    """Return a duration as people read it."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds} ms" if milliseconds < 1_000 else f"{milliseconds / 1_000:.1f} s"


def percent(share: float | None) -> str:
    """Return a share; only all of it is 100 %, only nothing is 0 %."""
    if share is None:
        return "–"
    if share in (0, 1):
        return f"{share:.0%}"
    return f"{min(max(share, 0.001), 0.999):.1%}"
