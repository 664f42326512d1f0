"""Alerts: open ones first, each with what happened, what to do, and the events behind it; acknowledged with a note."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.admin.base import ReadOnlyAdmin, explain
from accounts.alerting import mailing
from accounts.alerting.acknowledging import acknowledge, reopen
from accounts.alerting.registry import RULES
from accounts.alerting.rule import Rule
from accounts.audit.subject_links import Links, of_user
from accounts.errors import DomainError
from accounts.models.alert import LONGEST_NOTE, Alert, AlertQuerySet, Severity
from accounts.models.user import User
from accounts.places import country
from accounts.principals import of_request

PAGE_SIZE: Final = 25
MOST_AT_ONCE: Final = 100
STATES: Final = (("open", "Open"), ("acknowledged", "Acknowledged"), ("all", "All"))


@dataclass(frozen=True, slots=True)
class Line:
    """One alert as the pages show it."""

    alert: Alert
    rule: Rule | None
    title: str
    severity: Severity
    subject: str  # the page of what it is about, "" where there is none
    actor: str  # the page of who did it
    country: str


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert]):
    """Alerts."""

    empty_text = "Rules look at whatever happens; what one of them finds stands here, and comes by mail."

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        """Show the open ones first; by POST, acknowledge those that are ticked."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._acknowledge_ticked(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        chosen = _chosen(request)
        if chosen is None:
            return HttpResponseRedirect(f"{request.path}?e=1")
        page = Paginator(_filtered(chosen).select_related("acknowledged_by"), PAGE_SIZE).get_page(chosen["p"])
        kept = urlencode({name: value for name, value in chosen.items() if value and name != "p"})
        context = {
            "title": "Alerts",
            "lines": _lines(list(page)),
            "page": page,
            "kept": kept,
            "chosen": chosen,
            "states": STATES,
            "severities": [(item.word, item.label) for item in reversed(Severity)],
            "rules": sorted(((rule.key, rule.title) for rule in RULES.values()), key=lambda item: item[1]),
            "is_filtered": bool(chosen["severity"] or chosen["rule"]),
            "longest_note": LONGEST_NOTE,
            "empty_text": self.empty_text,
            "is_stuck": mailing.is_stuck(),
            "was_strange": "e" in request.GET,
        }
        return self._show(request, "admin/alerts/list.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show one alert; by POST, acknowledge it or open it again."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        alert = self.found(request, object_id)
        if request.method == "POST":
            return self._answer(request, alert)
        (line,) = _lines([alert])
        context = {
            "title": line.title,
            "line": line,
            "alert": alert,
            "events": alert.events(),
            "longest_note": LONGEST_NOTE,
        }
        return self._show(request, "admin/alerts/alert.html", context)

    def _answer(self, request: HttpRequest, alert: Alert) -> HttpResponse:
        by = of_request(request)
        try:
            if "reopen" in request.POST:
                reopen(alert.pk, by=by)
                self.message_user(request, "The alert is open again.", messages.SUCCESS)
                return HttpResponseRedirect(request.path)
            acknowledge(alert.pk, note=request.POST.get("note", ""), by=by)
        except DomainError as error:
            self.message_user(request, explain(error), messages.ERROR)
            return HttpResponseRedirect(request.path)
        self.message_user(
            request, "Acknowledged. If it happens again, there is a new alert.", messages.SUCCESS
        )
        return HttpResponseRedirect(reverse("admin:accounts_alert_changelist"))

    def _acknowledge_ticked(self, request: HttpRequest) -> HttpResponse:
        by, note, done = of_request(request), request.POST.get("note", ""), 0
        ids = [text for text in request.POST.getlist("alert") if _is_uuid(text)][:MOST_AT_ONCE]
        if not ids:
            self.message_user(request, "Tick the alerts that you have looked at.", messages.WARNING)
        for text in ids:
            try:
                acknowledge(text, note=note, by=by)
                done += 1
            except DomainError as error:
                self.message_user(request, explain(error), messages.ERROR)
        if done:
            self.message_user(request, f"{done} acknowledged.", messages.SUCCESS)
        return HttpResponseRedirect(request.path)

    def _show(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        response = TemplateResponse(request, template, whole)
        response.headers["Cache-Control"] = "private, no-store"
        return response


def _chosen(request: HttpRequest) -> dict[str, str] | None:
    """Return the filters of the address, None for one that holds what this page does not know."""
    known: dict[str, set[str]] = {
        "state": {key for key, _ in STATES},
        "severity": {item.word for item in Severity},
        "rule": set(RULES),
    }
    given = request.GET
    if set(given) - {*known, "p", "e"} or any(len(values) > 1 for _, values in given.lists()):
        return None
    chosen = {name: given.get(name, "") for name in known}
    if any(value and value not in known[name] for name, value in chosen.items()):
        return None
    number = given.get("p", "1")
    if not (number.isascii() and number.isdecimal() and len(number) <= 6):
        return None
    return {**chosen, "state": chosen["state"] or "open", "p": number}


def _filtered(chosen: dict[str, str]) -> AlertQuerySet:
    alerts = Alert.objects.pressing()
    if chosen["state"] != "all":
        alerts = alerts.filter(acknowledged_at__isnull=chosen["state"] == "open")
    if chosen["severity"]:
        alerts = alerts.filter(severity=Severity[chosen["severity"].upper()])
    if chosen["rule"]:
        alerts = alerts.filter(rule=chosen["rule"])
    return alerts


def _lines(alerts: list[Alert]) -> list[Line]:
    actors = {alert.actor_id for alert in alerts if alert.actor_id is not None}
    users = User.objects.in_bulk(actors)
    links = Links()
    return [
        Line(
            alert,
            RULES.get(alert.rule),
            RULES[alert.rule].title if alert.rule in RULES else alert.rule,
            Severity(alert.severity),
            links.page(alert.subject_type, alert.subject_id, None) or "",
            of_user(users[alert.actor_id]) if alert.actor_id in users else "",
            country(alert.address) if alert.address else "",
        )
        for alert in alerts
    ]


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
