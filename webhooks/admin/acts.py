"""What can be done with an endpoint: each with a page that says what will happen, and a button that lets it happen."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils import timezone

from accounts.access import Principal
from accounts.admin.acts import Act
from accounts.admin.key_forms import OverlapForm
from webhooks import asking, endpoints
from webhooks.asking import LONGEST_AGO
from webhooks.models import Endpoint, EndpointSecret
from webhooks.tasks import check_soon

COUNT: Final = "_count"  # the button that only counts
MOST_COUNTED: Final = 10_000
TEST, CHECK, ROTATE, END, RECOVER, REMOVE = (
    "test", "check", "rotate-secret", "end-overlap", "recover", "remove",
)  # fmt: skip


ACTS: Final[Mapping[str, Act]] = {
    TEST: Act(
        "Send a test",
        "A delivery of the type webhook.test is sent, once, whatever the endpoint hears of and also while it is paused "
        "or off. You see at once what comes back.",
    ),
    CHECK: Act(
        "Check the receiver",
        "The receiver gets eight requests: good ones, which it must accept, and forged, altered and old ones, which it "
        "must refuse. All are of the type webhook.test. It takes up to a minute; then the result stands on the "
        "endpoint’s page.",
    ),
    ROTATE: Act(
        "New secret",
        "The endpoint gets a new secret, which is shown once. Deliveries are signed with both until the hours are "
        "over, so that the receiver can change over at its own time.",
    ),
    END: Act(
        "End the overlap",
        "Deliveries are signed with the new secret alone from now on. "
        "A receiver that still has the old one refuses them.",
        takes=True,
    ),
    RECOVER: Act(
        "Recover what was missed",
        "Everything since a time is sent, in order, that the endpoint was not told of: what was given up, "
        "and what it missed while it was off. What has arrived is not sent again.",
    ),
    "pause": Act("Pause", "Deliveries wait until it is switched on again. None is lost."),
    "enable": Act("Switch on", "Deliveries are sent from now on, and those that wait at once."),
    "disable": Act(
        "Switch off",
        "Nothing more is sent, and what waits is dropped. The log of the CMS still has it: after switching it on "
        "again, “Recover what was missed” brings it.",
        takes=True,
    ),
    REMOVE: Act(
        "Remove",
        "The endpoint, its secrets and its deliveries are removed. What happened stays in the log. "
        "This can’t be undone.",
        takes=True,
    ),
}
DONE: Final = {
    CHECK: "The receiver is being checked.",
    END: "Only the new secret signs now.",
    RECOVER: "What was missed is being queued.",
    "pause": "The endpoint is paused: deliveries wait.",
    "enable": "The endpoint is switched on.",
    "disable": "The endpoint is switched off.",
}
_PLAIN: Final[Mapping[str, Callable[..., object]]] = {
    CHECK: check_soon,
    END: endpoints.retire_secret,
    "pause": endpoints.pause,
    "enable": endpoints.enable,
    "disable": endpoints.disable,
    REMOVE: endpoints.remove,
}


def acts_of(endpoint: Endpoint) -> list[str]:
    """Return what can be done with an endpoint as it is."""
    overlaps = endpoint.secrets.filter(state=EndpointSecret.State.RETIRING).exists()
    secrets = [ROTATE, END] if overlaps else [ROTATE]
    by_state = {
        Endpoint.State.ACTIVE: [RECOVER, "pause", "disable"],
        Endpoint.State.PAUSED: ["enable", "disable"],
        Endpoint.State.DISABLED: ["enable"],
    }
    return [TEST, CHECK, *secrets, *by_state[Endpoint.State(endpoint.state)], REMOVE]


class RecoveryForm(forms.Form):
    """Since when."""

    since = forms.DateTimeField(
        label="Since (UTC)",
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
        help_text=f"Within the last {LONGEST_AGO.days} days.",
    )


class RotationForm(OverlapForm):
    """For how many hours both secrets sign."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["overlap_hours"].label = "Hours for which both secrets sign"
        self.fields["overlap_hours"].help_text = "0 to 720. With 0 the old one is over at once."


def form_of(act: str, endpoint: Endpoint, data: QueryDict | None) -> forms.Form | None:
    """Return the form of an act, None where it needs nothing."""
    if act == ROTATE:
        return RotationForm(data)
    if act == RECOVER:
        return RecoveryForm(data, initial={"since": _began(endpoint)})
    return None


def counted(endpoint: Endpoint, form: forms.Form) -> dict[str, Any]:
    """Return how many events a recovery is about at most, for the time that is in the form or begins there."""
    since = form.cleaned_data.get("since") if form.is_bound else form.initial["since"]
    if not isinstance(since, datetime):
        return {}
    number = asking.missed_at_most(endpoint, since=since, most=MOST_COUNTED)
    return {"number": number, "is_more": number == MOST_COUNTED, "since": since}


def perform(act: str, endpoint: Endpoint, *, by: Principal) -> None:
    """Do what needs no more than the endpoint. Raises DomainError."""
    _PLAIN[act](endpoint, by=by)


def overlap_in(form: forms.Form) -> timedelta:
    return timedelta(hours=form.cleaned_data["overlap_hours"])


def _began(endpoint: Endpoint) -> datetime:
    """Return since when something may be missing: where it was switched off or began to fail, else a day ago."""
    now = timezone.now().astimezone(UTC)
    last_off = (
        endpoint.deliveries.filter(state__in=("missed", "exhausted"), ended_at__isnull=False)
        .order_by("pk")
        .values_list("occurred_at", flat=True)
        .first()
    )
    began = min(filter(None, (endpoint.failing_since, last_off, now - timedelta(hours=24))))
    return max(began.astimezone(UTC), now - LONGEST_AGO + timedelta(minutes=1)).replace(
        second=0, microsecond=0
    )
