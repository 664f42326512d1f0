"""Signing keys: where each stands in its life, rotating an algorithm, ending a key. No private half is loaded."""

import json
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.key_forms import OverlapForm
from accounts.admin.marks import Mark, pill
from accounts.errors import DomainError
from accounts.keys.usage import ago
from accounts.principals import of_request
from previews.admin.framed import FramedAdmin
from previews.models import Preview, SigningKey
from previews.models.signing_key import Algorithm
from previews.signing import life

STATES: Final[dict[str, Mark]] = {
    "pending": ("qk-draft", "○", "Waits"),
    "active": ("qk-published", "●", "Signs"),
    "retiring": ("qk-changed", "◐", "Verifies only"),
    "retired": ("qk-none", "✓", "Over"),
    "revoked": ("qk-trashed", "✕", "Ended"),
}
STOPS: Final = ("pending", "active", "retiring", "retired")
_STEP, _EDGE = 24, 7  # of the picture, in its own units


class RotationForm(OverlapForm):
    """For how long the former key verifies, and whether the next one signs though caches may not know it."""

    at_once = forms.BooleanField(
        label="Although sites may not know the next key yet",
        required=False,
        help_text="It was published a moment ago. Sites that keep the JWKS may refuse previews for five minutes.",
    )

    def __init__(self, *args: Any, is_young: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["overlap_hours"].label = "Hours for which the old key still verifies"
        self.fields["overlap_hours"].help_text = "1 to 720. With 0 all that it signed is refused at once."
        if not is_young:
            del self.fields["at_once"]


@admin.register(SigningKey)
class SigningKeyAdmin(FramedAdmin[SigningKey], ReadOnlyAdmin[SigningKey]):
    """Signing keys."""

    empty_text = "No signing key yet. The first preview site gets one."
    change_list_template = "admin/previews/keys.html"
    list_display = ("name", "belongs_to", "state_shown", "picture", "since", "ends", "last_used")
    ordering = ("algorithm", "-pk")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("rotate/<str:algorithm>/", wrap(self.rotate_view), name="signing-rotate"),
            path("<uuid:key_id>/end/", wrap(self.end_view), name="signing-end"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningKey]:
        return super().get_queryset(request).select_related("site").defer("private")

    def may_act(self, request: HttpRequest) -> bool:
        """Tell whether keys may be rotated and ended. The admin's forms of them change nothing."""
        return request.user.has_perm("previews.change_signingkey")

    # The list

    @admin.display(description="key", ordering="algorithm")
    def name(self, key: SigningKey) -> SafeString:
        return format_html('{} <code class="qk-kid">{}</code>', key.algorithm, str(key.pk)[-12:])

    @admin.display(description="shared with", ordering="site__name")
    def belongs_to(self, key: SigningKey) -> str:
        return key.site.name if key.site is not None else "nobody"

    @admin.display(description="state", ordering="state")
    def state_shown(self, key: SigningKey) -> SafeString:
        return pill(STATES[key.state])

    @admin.display(description="life")
    def picture(self, key: SigningKey) -> SafeString:
        return picture(key)

    @admin.display(description="since")
    def since(self, key: SigningKey) -> datetime | None:
        return since(key)

    @admin.display(description="next")
    def ends(self, key: SigningKey) -> str:
        return next_of(key)

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, key: SigningKey) -> str:
        return ago(key.last_used_at)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what signs now before the list, and when it will be replaced."""
        known = (
            {"rotations": rotations(), "may_act": self.may_act(request)}
            if self.has_view_permission(request)
            else {}
        )
        return super().changelist_view(request, {**(extra_context or {}), **known})

    # One key

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show one key: its life, and its public half."""
        self.require_a_look(request)
        key = self.found(request, object_id)
        context = {
            "key": key,
            "state": pill(STATES[key.state]),
            "steps": steps(key),
            "next": next_of(key),
            "last_used": ago(key.last_used_at),
            "public": json.dumps(key.public, indent=2) if key.public else "",
            "can_end": self.may_act(request) and _can_end(key),
            "can_rotate": self.may_act(request) and key.state == "active" and key.site is None,
        }
        return self.page(request, "admin/previews/key.html", str(key), context)

    def end_view(self, request: HttpRequest, key_id: UUID) -> HttpResponse:
        """Say what ending a key does, and with a POST end it."""
        if not self.may_act(request):
            raise PermissionDenied
        key = self.found(request, str(key_id))
        if request.method == "POST":
            try:
                life.end(key, by=of_request(request))
            except DomainError as error:
                return self.refused(request, str(key.pk), error)
            self.message_user(request, "The key is over.", messages.SUCCESS)
            return redirect("admin:previews_signingkey_changelist")
        context = {"key": key, "state": pill(STATES[key.state]), "is_possible": _can_end(key)}
        return self.page(request, "admin/previews/key_end.html", f"End {key}", context)

    def rotate_view(self, request: HttpRequest, algorithm: str) -> HttpResponse:
        """Say what rotating an algorithm does, and with a POST rotate it."""
        if not self.may_act(request):
            raise PermissionDenied
        found = next((item for item in rotations() if item["algorithm"] == algorithm), None)
        if found is None:
            raise Http404
        form = RotationForm(request.POST or None, is_young=bool(found["wait"]))
        if request.method == "POST" and form.is_valid():
            try:
                life.rotate(
                    algorithm,
                    overlap=timedelta(hours=form.cleaned_data["overlap_hours"]),
                    at_once=form.cleaned_data.get("at_once", False),
                    by=of_request(request),
                )
            except DomainError as error:
                form.add_error(
                    "overlap_hours" if error.errors else None,
                    " ".join(problem.detail for problem in error.errors) or error.detail,
                )
            else:
                self.message_user(request, f"{algorithm} is rotated.", messages.SUCCESS)
                return redirect("admin:previews_signingkey_changelist")
        live = Preview.objects.live().filter(site__algorithm=algorithm).count()
        context = {"rotation": found, "form": form, "live": live}
        return self.page(request, "admin/previews/key_rotate.html", f"Rotate {algorithm}", context)


def rotations() -> list[dict[str, Any]]:
    """Return for each algorithm in use which key signs, since when, and when the next one will."""
    now = timezone.now()
    found = []
    for algorithm in life.used_algorithms():
        keys = SigningKey.objects.filter(algorithm=algorithm, site=None, state__in=("active", "pending"))
        by_state = {key.state: key for key in keys.defer("private")}
        active, pending = by_state["active"], by_state.get("pending")
        found.append(
            {
                "algorithm": algorithm,
                "label": Algorithm(algorithm).label,
                "key": active,
                "due": life.due_at(active),
                "wait": life.wait_for(pending, now) if pending is not None else 0,
            }
        )
    return found


def picture(key: SigningKey) -> SafeString:
    """Return a key's life as a line of four stops; the pill beside it says the same in a word."""
    now_at = STOPS.index(key.state) if key.state in STOPS else len(STOPS) - 1
    passed = {stop for stop, moment in zip(STOPS, _moments(key), strict=True) if moment is not None}

    def name_of(number: int) -> str:
        if number == now_at:
            return f"qk-life-now qk-life-{key.state}"
        return "qk-life-done" if number < now_at and STOPS[number] in passed else "qk-life-later"

    dots = format_html_join(
        "",
        '<circle cx="{}" cy="{}" r="{}" class="{}"/>',
        (
            (_EDGE + _STEP * number, _EDGE, 5 if number == now_at else 3.5, name_of(number))
            for number in range(len(STOPS))
        ),
    )
    is_cut = key.state == SigningKey.State.REVOKED
    walked = max(number for number in range(now_at) if STOPS[number] in passed) if is_cut else now_at
    end, reached = _EDGE + _STEP * (len(STOPS) - 1), _EDGE + _STEP * walked
    return format_html(
        '<svg class="qk-life" viewBox="0 0 {0} {1}" width="{0}" height="{1}" aria-hidden="true">'
        '<line x1="{2}" y1="{2}" x2="{3}" y2="{2}" class="qk-life-rest"/>'
        '<line x1="{2}" y1="{2}" x2="{4}" y2="{2}"/>{5}</svg>',
        end + _EDGE, 2 * _EDGE, _EDGE, end, reached, dots,
    )  # fmt: skip


def steps(key: SigningKey) -> list[dict[str, Any]]:
    """Return the stops of a key's life in words, each with its moment, or the one to come."""
    state = SigningKey.State
    stopped = life.stopped_signing_at(key) if key.state in (state.RETIRING, state.RETIRED) else None
    published = "Made and told to its site" if key.site_id else "Published, so that sites know it"
    words = (
        (published, key.created_at),
        ("Signs", key.activated_at or key.activates_at),
        ("Verifies what it signed", stopped),
        ("Ended" if key.state == state.REVOKED else "Over", key.ended_at or key.retires_at),
    )
    now, at = timezone.now(), STOPS.index(key.state) if key.state in STOPS else len(STOPS) - 1
    return [
        {
            "words": name,
            "at": moment,
            "is_now": number == at,
            "is_to_come": number > at or (moment is not None and moment > now),
        }
        for number, (name, moment) in enumerate(words)
    ]


def since(key: SigningKey) -> datetime | None:
    """Return since when a key is what it is."""
    if key.state == SigningKey.State.RETIRING:
        return life.stopped_signing_at(key)
    return {"pending": key.created_at, "active": key.activated_at}.get(key.state, key.ended_at)


def next_of(key: SigningKey) -> str:
    """Return what comes next, in a few words."""
    due = life.due_at(key)
    if key.state in (SigningKey.State.RETIRED, SigningKey.State.REVOKED):
        return "nothing"
    if due is None:
        return (
            "signs after the next rotation"
            if key.state == SigningKey.State.PENDING
            else "signs until you replace it"
        )
    words = {"active": "replaced", "pending": "signs", "retiring": "over"}[key.state]
    return f"{words} {due:%-d %b %Y, %H:%M}"


def _moments(key: SigningKey) -> tuple[datetime | None, ...]:
    return key.created_at, key.activated_at, key.retires_at, key.ended_at


def _can_end(key: SigningKey) -> bool:
    return key.state in (SigningKey.State.PENDING, SigningKey.State.RETIRING)
