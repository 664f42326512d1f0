"""Endpoints: the list with how each is doing, the page of one, its form, and what can be done with it."""

from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.acts import ActedOnAdmin
from accounts.errors import DomainError, InvalidInputError
from accounts.keys.usage import ago
from accounts.principals import of_request
from webhooks import asking, endpoints, health
from webhooks.admin import acts, checked, secrets
from webhooks.admin.endpoint_form import EndpointForm
from webhooks.admin.framed import FramedAdmin, answered, percent, pills_of, took, until
from webhooks.admin.lines import lines_of
from webhooks.admin.picture import picture, sparkline
from webhooks.endpoints import Made
from webhooks.health import Health
from webhooks.models import Delivery, Endpoint

LATEST: Final = 10  # deliveries on the page of an endpoint
_MOST_NAMED: Final = 3


class StateFilter(admin.SimpleListFilter):
    """By state; an active one that fails is one of its own."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 (Django's)
        return [("active", "Active"), ("failing", "Failing"), ("paused", "Paused"), ("disabled", "Off")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> QuerySet[Endpoint]:  # noqa: ARG002 (Django's)
        if self.value() == "failing":
            return queryset.filter(state=Endpoint.State.ACTIVE, failing_since__isnull=False)
        return queryset.filter(state=self.value()) if self.value() in Endpoint.State.values else queryset


@admin.register(Endpoint)
class EndpointAdmin(FramedAdmin[Endpoint], ActedOnAdmin[Endpoint]):
    """Endpoints. Their secrets are shown once, in the answer to what made them."""

    empty_text = (
        "No endpoint yet. Set one up, and a website or a search index hears at once of what is published."
    )
    change_form_template = "admin/webhooks/endpoint_form.html"
    list_display = ("named", "state_shown", "hears", "day", "waits", "last_error")
    list_filter = (StateFilter,)
    search_fields = ("name", "url")
    search_help_text = "Name or part of the address"
    ordering = ("name",)

    def get_urls(self) -> list[URLPattern]:
        act = path(
            "<uuid:endpoint_id>/do/<str:act>/", self.admin_site.admin_view(self.act_view), name="endpoint-act"
        )
        return [act, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Endpoint]:
        return super().get_queryset(request).select_related("owner", "created_by")

    def get_form(self, request: HttpRequest, obj: Endpoint | None = None, *args: Any, **kwargs: Any) -> Any:
        return super().get_form(request, obj, *args, **{**kwargs, "form": EndpointForm})

    def get_fieldsets(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        if self._is_closed(request, obj):
            return (
                (None, {"fields": ("name", "url", "hears", "about_shown", "owner_shown", "signed_with")}),
            )
        return (
            (None, {"fields": ("name", "url")}),
            ("What it hears of", {"fields": ("types", "about", "collections", "owner")}),
            ("How deliveries are signed", {"fields": ("algorithm",)}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> Any:
        is_closed = self._is_closed(request, obj)
        return ("url", "hears", "about_shown", "owner_shown", "signed_with") if is_closed else ()

    def _is_closed(self, request: HttpRequest, obj: Endpoint | None) -> bool:
        return obj is not None and not self.has_change_permission(request, obj)

    # The list

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Ask how all endpoints of the page are doing at once."""
        shown = super().get_changelist_instance(request)
        known = health.of_each([row.pk for row in shown.result_list])
        for row in shown.result_list:
            row.health = known[row.pk]
        return shown

    @admin.display(description="state", ordering="state")
    def state_shown(self, endpoint: Endpoint) -> SafeString:
        return pills_of(endpoint)

    @admin.display(description="name", ordering="name")
    def named(self, endpoint: Endpoint) -> SafeString:
        host = urlsplit(endpoint.url).hostname or ""
        return format_html('<bdi>{}</bdi> <span class="qk-quiet">{}</span>', endpoint.name, host)

    @admin.display(description="hears of")
    def hears(self, endpoint: Endpoint) -> str:
        more = len(endpoint.types) - _MOST_NAMED
        named = ", ".join(endpoint.types[:_MOST_NAMED])
        return f"{named} and {more} more" if more > 0 else named

    @admin.display(description="listens as", ordering="owner__email")
    def owner_shown(self, endpoint: Endpoint) -> str:
        return str(endpoint.owner)

    @admin.display(description="24 hours")
    def day(self, endpoint: Any) -> SafeString:
        """Return the picture and the share of what succeeded, or that nothing was sent."""
        known = _health(endpoint)
        if not known.attempts:
            return format_html('<span class="qk-quiet">{}</span>', "nothing sent")
        return format_html(
            '{} <span class="qk-hook-rate">{}</span>', sparkline(known), percent(known.success_rate)
        )

    @admin.display(description="waiting")
    def waits(self, endpoint: Any) -> str:
        return waiting_words(_health(endpoint))

    @admin.display(description="last error")
    def last_error(self, endpoint: Any) -> SafeString | str:
        failure = _health(endpoint).last_failure
        if failure is None:
            return "–"
        words = answered(failure.status, failure.error)
        return format_html('{} <span class="qk-quiet">{}</span>', words, ago(failure.at))

    @admin.display(description="of which collections")
    def about_shown(self, endpoint: Endpoint) -> str:
        return "every one" if not endpoint.collection_ids else "some"

    @admin.display(description="signed with")
    def signed_with(self, endpoint: Endpoint) -> str:
        return str(endpoint.get_algorithm_display())

    # The form

    def response_add(
        self,
        request: HttpRequest,
        obj: Endpoint,
        post_url_continue: str | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        return self._shown_once(request, _made(obj), is_new=True)

    def response_change(self, request: HttpRequest, obj: Endpoint) -> HttpResponse:
        """Show the secret that another algorithm has brought, or go back to the endpoint."""
        made = _made(obj)
        if made.secret:
            return self._shown_once(request, made)
        self.message_user(request, f"{obj.name} was saved.", messages.SUCCESS)
        return redirect("admin:webhooks_endpoint_change", obj.pk)

    def _shown_once(self, request: HttpRequest, made: Made, *, is_new: bool = False) -> HttpResponse:
        """Answer with the secret itself: a message after a redirect would keep it in a cookie or a session."""
        context = {
            "endpoint": made.endpoint,
            "is_new": is_new,
            "lines": secrets.lines(made.endpoint, made.secret),
            "snippets": secrets.snippets(made.endpoint),
            "until": secrets.overlap_end(made.endpoint),
        }
        title = "Its public key" if made.endpoint.algorithm == "v1a" else "Shown this once"
        return self.page(request, "admin/webhooks/endpoint_shown_once.html", title, context)

    # What can be done

    def act_view(self, request: HttpRequest, endpoint_id: UUID, act: str) -> HttpResponse:
        """Say what will happen, and with a POST let it happen."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        endpoint = self._endpoint(request, str(endpoint_id))
        if endpoint is None or act not in acts.ACTS:
            raise Http404
        form = acts.form_of(act, endpoint, request.POST if request.method == "POST" else None)
        is_asked = request.method == "POST" and acts.COUNT not in request.POST
        if is_asked and (form is None or form.is_valid()):
            try:
                return self._acted(request, endpoint, act, form)
            except DomainError as error:
                if form is None or not _is_placed(form, error):
                    return self.refused(request, str(endpoint.pk), error)
        context = {
            "endpoint": endpoint,
            "act": acts.ACTS[act],
            "form": form,
            "state": pills_of(endpoint),
            "is_possible": act in acts.acts_of(endpoint),
            "waiting": health.of(endpoint.pk).waiting
            if act in ("disable", acts.REMOVE, "pause", "enable")
            else 0,
            "takes_waiting": acts.ACTS[act].takes,
            "overlaps_until": secrets.overlap_end(endpoint) if act == acts.ROTATE else None,
            **(_counted(endpoint, form) if act == acts.RECOVER and form is not None else {}),
        }
        title = f"{acts.ACTS[act].name}: {endpoint.name}"
        return self.page(request, "admin/webhooks/endpoint_act.html", title, context)

    def _acted(
        self, request: HttpRequest, endpoint: Endpoint, act: str, form: forms.Form | None
    ) -> HttpResponse:
        by = of_request(request)
        if act == acts.ROTATE and form is not None:
            made = endpoints.rotate_secret(endpoint, overlap=acts.overlap_in(form), by=by)
            return self._shown_once(request, made)
        if act == acts.TEST:
            return redirect("admin:webhooks_delivery_change", asking.test(endpoint, by=by).pk)
        if act == acts.RECOVER and form is not None:
            asking.recover(endpoint, since=form.cleaned_data["since"], by=by)
        else:
            acts.perform(act, endpoint, by=by)
        if act == acts.REMOVE:
            self.message_user(request, f"{endpoint.name} is removed.", messages.SUCCESS)
            return redirect("admin:webhooks_endpoint_changelist")
        self.message_user(request, acts.DONE[act], messages.SUCCESS)
        return redirect("admin:webhooks_endpoint_change", endpoint.pk)

    def about(self, request: HttpRequest, row: Endpoint) -> dict[str, Any]:
        """Return how it is doing. A form that was refused stands alone."""
        title = {"title": row.name, "subtitle": None}
        return title | self._doing(request, row) if request.method in ("GET", "HEAD") else title

    def _doing(self, request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
        known = health.of(endpoint.pk)
        failure = known.last_failure
        may_act = self.has_change_permission(request, endpoint)
        deliveries = (
            Delivery.objects.select_related("endpoint").filter(endpoint=endpoint).order_by("-pk")[:LATEST]
        )
        return {
            "endpoint": endpoint,
            "state": pills_of(endpoint),
            "acts": [(act, acts.ACTS[act]) for act in acts.acts_of(endpoint)] if may_act else [],
            "health": known,
            "rate": percent(known.success_rate),
            "attempts": f"{known.attempts:,}",
            "p95": took(known.p95_milliseconds),
            "waits": waiting_words(known),
            "next": until(known.next_attempt_at) if known.next_attempt_at and endpoint.is_active else "",
            "failure": failure,
            "failure_words": answered(failure.status, failure.error) if failure else "",
            "failure_ago": ago(failure.at) if failure else "",
            "picture": picture(known),
            "most_of_an_hour": health.MOST_OF_AN_HOUR,
            "secrets": secrets.lives(endpoint),
            "check": checked.told(endpoint),
            "lines": lines_of(request, list(deliveries)),
        }

    def _endpoint(self, request: HttpRequest, text: str) -> Endpoint | None:
        try:
            return self.get_queryset(request).filter(pk=UUID(text)).first()
        except ValueError:
            return None


def waiting_words(known: Health) -> str:
    """Return how many deliveries wait."""
    return f"{known.waiting:,} or more" if known.waiting >= health.MOST_WAITING else f"{known.waiting:,}"


def _health(endpoint: Any) -> Health:
    known: Health = endpoint.health
    return known


def _counted(endpoint: Endpoint, form: forms.Form) -> dict[str, Any]:
    if form.is_bound:
        form.is_valid()
    return {"count": acts.counted(endpoint, form), "count_button": acts.COUNT}


def _is_placed(form: forms.Form, error: DomainError) -> bool:
    """Put what was refused at its input; tell whether every part of it found one."""
    if not isinstance(error, InvalidInputError):
        return False
    for problem in error.errors:
        place = (problem.pointer or "").strip("/")
        if place not in form.fields:
            return False
        form.add_error(place, problem.detail)
    return bool(error.errors)


def _made(endpoint: Endpoint) -> Made:
    found = getattr(endpoint, "made", None)
    return found if isinstance(found, Made) else Made(endpoint)
