"""The log of deliveries: what was sent where and what came back, a page at a time; and sending it once more."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone

from accounts.admin.base import ReadOnlyAdmin
from accounts.audit.searching import TooSlowError, in_time
from accounts.errors import DomainError
from accounts.principals import of_request
from webhooks import asking, payload, retrying, types
from webhooks.admin.framed import DELIVERIES, FramedAdmin, answered, length, pill_of, took, until
from webhooks.admin.lines import Line, about_each, lines_of
from webhooks.models import Attempt, Delivery, Endpoint

PAGE_SIZE: Final = 50
MOST_ATTEMPTS: Final = 50  # on the page of a delivery, the newest
MOST_NAMED: Final = 500  # endpoints that the filter offers
FILTERS: Final = ("endpoint", "state", "type")
SOON: Final = timedelta(seconds=30)  # what is tried within it is waited for by the page


@admin.register(Delivery)
class DeliveryAdmin(FramedAdmin[Delivery], ReadOnlyAdmin[Delivery]):
    """Deliveries."""

    empty_text = (
        "Nothing was sent yet. As soon as something happens that an endpoint hears of, it stands here."
    )
    search_fields = ("id",)  # for Django's own checks; the page below has filters of its own

    def get_urls(self) -> list[URLPattern]:
        again = path(
            "<uuid:delivery_id>/redeliver/",
            self.admin_site.admin_view(self.redeliver_view),
            name="delivery-redeliver",
        )
        return [again, *super().get_urls()]

    def may_act(self, request: HttpRequest) -> bool:
        """Tell whether deliveries may be sent once more. The admin's forms of them change nothing."""
        return request.user.has_perm("webhooks.change_delivery")

    def log_subject(self, row: Delivery) -> str:
        """Return the endpoint: under its name the log tells what was done with its deliveries."""
        return str(row.endpoint_id)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        return super().get_queryset(request).select_related("endpoint")

    # The list

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        """Show the newest first, a page at a time; by POST, send what is ticked once more."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._redeliver_ticked(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        chosen = _chosen(request)
        if chosen is None:
            return HttpResponseRedirect(f"{request.path}?e=1")
        filters = {name: chosen[name] for name in FILTERS if chosen[name]}
        lines: list[Line] = []
        older, is_slow = "", False
        try:
            lines, older = self._lines(request, chosen)
        except TooSlowError:
            is_slow = True
        context = {
            "lines": lines,
            "older": f"?{urlencode({**filters, 'before': older})}" if older else "",
            "newest": f"?{urlencode(filters)}",
            "is_first": not chosen["before"],
            "is_filtered": bool(filters),
            "is_slow": is_slow,
            "was_strange": "e" in request.GET,
            "chosen": chosen,
            "endpoints": _endpoints(chosen["endpoint"]),
            "states": [(state, DELIVERIES[state][2]) for state in Delivery.State.values],
            "types": [*types.GROUPS, *types.TYPES],
            "may_act": self.may_act(request),
            "has_endpoints": Endpoint.objects.exists(),
            "may_add": request.user.has_perm("webhooks.add_endpoint"),
            "empty_text": self.empty_text,
        }
        return self.page(request, "admin/webhooks/deliveries.html", "Deliveries", context)

    def _lines(self, request: HttpRequest, chosen: dict[str, str]) -> tuple[list[Line], str]:
        """Return a page of lines and the id behind which the next one begins. Raises TooSlowError."""
        rows = _filtered(self.get_queryset(request), chosen).order_by("-pk").defer("body")
        found = in_time(lambda: list(rows[: PAGE_SIZE + 1]))
        lines = lines_of(request, found[:PAGE_SIZE])
        return lines, str(lines[-1].delivery.pk) if len(found) > PAGE_SIZE else ""

    def _redeliver_ticked(self, request: HttpRequest) -> HttpResponse:
        """Send each that is ticked once more, and go back to where they stood."""
        chosen = _chosen(request) or {}
        back = f"{request.path}?{urlencode({name: value for name, value in chosen.items() if value})}".rstrip(
            "?"
        )
        ids = [
            name for text in request.POST.getlist("delivery")[:PAGE_SIZE] if (name := _id(text)) is not None
        ]
        if not self.may_act(request):
            self.message_user(request, "You may look at deliveries, and not send them again.", messages.ERROR)
        elif not ids:
            self.message_user(request, "Tick the deliveries that shall be sent once more.", messages.WARNING)
        else:
            self._redeliver_each(request, ids)
        return HttpResponseRedirect(back)

    def _redeliver_each(self, request: HttpRequest, ids: list[UUID]) -> None:
        rows = self.get_queryset(request).filter(pk__in=ids).order_by("position", "pk")
        try:
            number = asking.redeliver_each(rows, by=of_request(request))
        except DomainError as error:
            self.message_user(request, error.detail, messages.ERROR)
            return
        if number:
            words = "delivery is" if number == 1 else "deliveries are"
            self.message_user(request, f"{number} {words} sent once more.", messages.SUCCESS)
        if left := len(ids) - number:
            words = "delivery was" if left == 1 else "deliveries were"
            text = f"{left} {words} left out: being sent just now, or of an endpoint that is off."
            self.message_user(request, text, messages.WARNING)

    # One delivery

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show one delivery: its body, every attempt with what came back, and when it is tried again."""
        self.require_a_look(request)
        delivery = self.found(request, object_id)
        newest = list(delivery.attempts.order_by("-number")[:MOST_ATTEMPTS])
        body = payload.shown(delivery, by=of_request(request))
        now = timezone.now()
        context = {
            "delivery": delivery,
            "state": pill_of(delivery),
            "sentence": _sentence(delivery, newest[0] if newest else None),
            "about": about_each(request, [delivery])[delivery.pk],
            "body": _pretty(body),
            "attempts": [_told(attempt, shows_answer=body == delivery.body) for attempt in newest],
            "more_attempts": max(delivery.attempt_count - len(newest), 0),
            "steps": list(_steps(delivery, newest, now)),
            "is_live": _is_soon(delivery, now),
            "may_act": self.may_act(request),
            "is_again_possible": _can_go_again(delivery, now),
        }
        return self.page(request, "admin/webhooks/delivery.html", f"{delivery.type}", context)

    def redeliver_view(self, request: HttpRequest, delivery_id: UUID) -> HttpResponse:
        """Send one delivery once more."""
        if not self.may_act(request):
            raise PermissionDenied
        delivery = self.found(request, str(delivery_id))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            asking.redeliver(delivery, by=of_request(request))
        except DomainError as error:
            return self.refused(request, str(delivery.pk), error)
        self.message_user(request, "It is sent once more, with the same id.", messages.SUCCESS)
        return redirect("admin:webhooks_delivery_change", delivery.pk)


def _chosen(request: HttpRequest) -> dict[str, str] | None:
    """Return the filters of the address, None for one that holds what this page does not know."""
    known = {"state": {"", *Delivery.State.values}, "type": {"", *types.CHOICES}}
    found = dict.fromkeys((*FILTERS, "before"), "")
    for name, values in request.GET.lists():
        value = str(values[0]) if len(values) == 1 else "\x00"
        if name == "e":
            continue
        if name not in found or (name in known and value not in known[name]):
            return None
        if name not in known and value and _id(value) is None:
            return None
        found[name] = value
    return found


def _filtered(rows: QuerySet[Delivery], chosen: dict[str, str]) -> QuerySet[Delivery]:
    if chosen["endpoint"]:
        rows = rows.filter(endpoint_id=chosen["endpoint"])
    if chosen["state"]:
        rows = rows.filter(state=chosen["state"])
    if chosen["type"]:
        rows = rows.filter(type__in=[name for name in types.TYPES if types.covers([chosen["type"]], name)])
    return rows.filter(pk__lt=chosen["before"]) if chosen["before"] else rows


def _endpoints(chosen: str) -> list[tuple[str, str]]:
    """Return what the filter offers; the one that is chosen in any case."""
    rows = list(Endpoint.objects.order_by("name").values_list("pk", "name")[:MOST_NAMED])
    if chosen and not any(str(pk) == chosen for pk, _ in rows):
        rows += Endpoint.objects.filter(pk=chosen).values_list("pk", "name")
    return [(str(pk), name) for pk, name in rows]


def _can_go_again(delivery: Delivery, now: datetime) -> bool:
    is_closed = delivery.endpoint.state == Endpoint.State.DISABLED and delivery.type != types.TEST
    return not is_closed and (delivery.leased_until is None or delivery.leased_until <= now)


def _is_soon(delivery: Delivery, now: datetime) -> bool:
    """Tell whether something is about to happen, so that the page looks again by itself."""
    if delivery.state != Delivery.State.WAITING or delivery.next_attempt_at is None:
        return False
    if delivery.leased_until is not None and delivery.leased_until > now:
        return True
    return _is_sent_now(delivery) and delivery.next_attempt_at - now < SOON


def _is_sent_now(delivery: Delivery) -> bool:
    return delivery.type == types.TEST or delivery.endpoint.is_active


def _sentence(delivery: Delivery, last: Attempt | None) -> str:
    """Return in words where a delivery stands."""
    state, now = Delivery.State, timezone.now()
    number = delivery.attempt_count
    tries = f"{number} attempt{'' if number == 1 else 's'}"
    if delivery.state == state.WAITING:
        if delivery.leased_until is not None and delivery.leased_until > now:
            return "It is being sent."
        if not _is_sent_now(delivery):
            return "It waits until the endpoint is switched on again."
        when = until(delivery.next_attempt_at) if delivery.next_attempt_at is not None else "later"
        return f"It is tried again {when}, after {tries}." if number else f"It is sent {when}."
    came = f" The last answer: {answered(last.status, last.error)}." if last is not None else ""
    return {
        state.DELIVERED: f"It arrived, with {tries}.",
        state.EXHAUSTED: f"It was given up after {tries}.{came}",
        state.WITHHELD: "It was not sent: who the endpoint listens as may not read what it is about.",
        state.MISSED: "It was not sent: the endpoint was switched off.",
    }[state(delivery.state)]


def _told(attempt: Attempt, *, shows_answer: bool) -> dict[str, Any]:
    """Return an attempt as the page shows it. What was written may be of any form."""
    return {
        "number": attempt.number,
        "at": attempt.at,
        "is_success": attempt.is_success,
        "answer": answered(attempt.status, attempt.error),
        "took": took(attempt.milliseconds),
        "sent": _headers(attempt.request_headers),
        "received": _headers(attempt.response_headers),
        "body": attempt.response_body if shows_answer else "",
        "is_hidden": bool(attempt.response_body) and not shows_answer,
        "has_answer": attempt.status is not None,
    }


def _pretty(body: str) -> str:
    """Return a body for people; what is sent has no spaces."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2) if body else ""
    except ValueError:
        return body


def _headers(found: object) -> list[tuple[str, str]]:
    pairs = [(str(name), str(value)) for name, value in found.items()] if isinstance(found, dict) else []
    return sorted(pairs, key=lambda pair: pair[0].lower())


def _steps(delivery: Delivery, newest: list[Attempt], now: datetime) -> Iterable[dict[str, Any]]:
    """Yield the line of time: what was tried, and what would be tried until it is given up."""
    if delivery.state != Delivery.State.WAITING and len(newest) <= 1:
        return  # the list of attempts says it all
    for attempt in reversed(newest[:10]):
        css = "qk-step-done" if attempt.is_success else "qk-step-failed"
        yield {"css": css, "words": answered(attempt.status, attempt.error), "at": attempt.at}
    if delivery.state != Delivery.State.WAITING or delivery.next_attempt_at is None:
        return
    yield {
        "css": "qk-step-now",
        "words": "Next attempt",
        "at": max(delivery.next_attempt_at, now),
        "note": until(delivery.next_attempt_at)
        if _is_sent_now(delivery)
        else "when the endpoint is on again",
    }
    if delivery.type == types.TEST:
        return
    for pause in retrying.SCHEDULE[delivery.tries + 1 :]:
        yield {"css": "qk-step-later", "words": f"{length(pause.total_seconds())} later", "at": None}
    yield {"css": "qk-step-later", "words": "Given up, and its owner is told by mail", "at": None}


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
