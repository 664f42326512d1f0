"""Sources in the admin: the list, the form, the secret that is shown once, and what can be done with a source."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.admin.acts import Act, ActedOnAdmin
from accounts.admin.key_forms import OverlapForm
from accounts.admin.marks import Mark, pill
from accounts.errors import DomainError
from accounts.keys.usage import ago
from accounts.principals import of_request
from webhooks.incoming import actions, sources
from webhooks.incoming.admin.framed import FramedAdmin
from webhooks.incoming.admin.source_form import DOINGS, SourceForm
from webhooks.incoming.examples import lines_for
from webhooks.incoming.secrets import ISSUED
from webhooks.incoming.sources import Made
from webhooks.models import Source, SourceSecret
from webhooks.models.source import Scheme

STATES: Final[dict[str, Mark]] = {
    "active": ("qk-published", "●", "On"),
    "disabled": ("qk-draft", "‖", "Off"),
}


ACTS: Final = {
    "rotate-secret": Act(
        "New secret",
        "From now on the source signs with another secret. What it signs with the one before is taken until the "
        "hours are over.",
    ),
    "disable": Act(
        "Switch off",
        "Nothing that the source sends is taken from the next request on. What it sent before, and nobody has acted on "
        "yet, waits until the source is switched on again.",
        takes=True,
    ),
    "enable": Act("Switch on", "What the source sends is taken again, and what waits is acted on."),
    "remove": Act(
        "Remove",
        "The source, its secrets and its receipts are removed, also those that wait. The entries that it made stay, "
        "and so does what happened in the log. This can’t be undone.",
        takes=True,
    ),
}
_HMAC: Final = (
    "header",
    "text_before",
    "encoding",
    "algorithm",
    "timestamp_header",
    "id_header",
    "id_pointer",
    "signed",
)
_ACTION: Final = (
    "do",
    "account",
    "collection",
    "locale",
    "when_pointer",
    "when_values",
    "match_field",
    "match_pointer",
    "mapping",
    "publish",
)
_SHOWN: Final = ("key", "scheme", "options", "schema", "action_shown", "account")


class RotationForm(OverlapForm):
    """A new secret, and for how long the one before counts."""

    field_order = ("secret", "overlap_hours")
    secret = forms.CharField(
        label="The new secret",
        required=False,
        max_length=300,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )


def acts_of(source: Source) -> list[str]:
    """Return what can be done with a source as it is."""
    return ["rotate-secret", "disable" if source.is_active else "enable", "remove"]


@admin.register(Source)
class SourceAdmin(FramedAdmin[Source], ActedOnAdmin[Source]):
    """Sources. A secret of ours is shown once, in the answer to what made it."""

    empty_text = (
        "No source yet. What other services send by webhook is taken once their source is set up here."
    )
    change_form_template = "admin/webhooks/source_form.html"
    list_display = ("key", "state_shown", "scheme", "does", "waiting", "failed", "last_used")
    search_fields = ("key",)
    search_help_text = "Key"
    ordering = ("key",)

    def get_urls(self) -> list[URLPattern]:
        act = path(
            "<uuid:source_id>/do/<str:act>/", self.admin_site.admin_view(self.act_view), name="source-act"
        )
        return [act, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        counted = {
            f"{state}_receipts": Count("receipts", filter=Q(receipts__state=state))
            for state in ("waiting", "failed")
        }
        return super().get_queryset(request).select_related("account").annotate(**counted)

    def get_form(self, request: HttpRequest, obj: Source | None = None, *args: Any, **kwargs: Any) -> Any:
        is_closed = obj is not None and not self.has_change_permission(request, obj)
        return super().get_form(
            request, obj, *args, **(kwargs if is_closed else {**kwargs, "form": SourceForm})
        )

    def get_fieldsets(self, request: HttpRequest, obj: Source | None = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return ((None, {"fields": _SHOWN}),)
        first = ("key", "scheme", "secret") if obj is None else ()
        is_own = obj is None or obj.scheme == Scheme.HMAC
        tolerance = () if obj is not None and obj.scheme == Scheme.GITHUB else ("tolerance_seconds",)
        return (
            *(((None, {"fields": first}),) if first else ()),
            *(
                (("A signature of your own", {"fields": _HMAC, "classes": ("qk-own-hmac",)}),)
                if is_own
                else ()
            ),
            ("What is expected", {"fields": (*tolerance, "schema")}),
            ("What is done", {"fields": _ACTION}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> Any:
        is_closed = obj is not None and not self.has_change_permission(request, obj)
        return ("action_shown",) if is_closed else ()

    # The list

    @admin.display(description="state", ordering="state")
    def state_shown(self, source: Source) -> SafeString:
        return pill(STATES[source.state])

    @admin.display(description="does")
    def does(self, source: Source) -> str:
        return dict(DOINGS).get(str(source.action["do"]), "")

    @admin.display(description="action")
    def action_shown(self, source: Source) -> str:
        return str(actions.shown(source.action))

    @admin.display(description="waiting", ordering="waiting_receipts")
    def waiting(self, source: Any) -> int:
        return int(source.waiting_receipts)

    @admin.display(description="failed", ordering="failed_receipts")
    def failed(self, source: Any) -> int:
        return int(source.failed_receipts)

    @admin.display(description="last heard from", ordering="last_used_at")
    def last_used(self, source: Source) -> str:
        return ago(source.last_used_at)

    # The form

    def response_add(
        self,
        request: HttpRequest,
        obj: Source,
        post_url_continue: str | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        made = getattr(obj, "made", None)
        return self._shown_once(request, made if isinstance(made, Made) else Made(obj), is_new=True)

    def response_change(self, request: HttpRequest, obj: Source) -> HttpResponse:
        self.message_user(request, f"{obj.key} was saved.", messages.SUCCESS)
        return redirect("admin:webhooks_source_change", obj.pk)

    def _shown_once(self, request: HttpRequest, made: Made, *, is_new: bool = False) -> HttpResponse:
        """Answer with the secret itself: a message after a redirect would keep it in a cookie or a session."""
        retiring = made.source.secrets.filter(state=SourceSecret.State.RETIRING).first()
        context = {
            "source": made.source,
            "is_new": is_new,
            "url": sources.address_of(made.source),
            "secret": made.secret,
            "until": retiring.retires_at if retiring is not None else None,
        }
        title = "Shown this once" if made.secret else "The source is ready"
        return self.page(request, "admin/webhooks/source_shown_once.html", title, context)

    # What can be done

    def act_view(self, request: HttpRequest, source_id: UUID, act: str) -> HttpResponse:
        """Say what will happen, and with a POST let it happen."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        source = _found(str(source_id))
        if source is None or act not in ACTS:
            raise Http404
        form = _rotation_form(request, source) if act == "rotate-secret" else None
        if request.method == "POST" and (form is None or form.is_valid()):
            try:
                return self._acted(request, source, act, form)
            except DomainError as error:
                if form is None or not error.errors:
                    return self.refused(request, str(source.pk), error)
                for problem in error.errors:
                    place = (problem.pointer or "").strip("/")
                    form.add_error(place if place in form.fields else None, problem.detail)
        context = {
            "source": source,
            "act": ACTS[act],
            "form": form,
            "state": pill(STATES[source.state]),
            "is_possible": act in acts_of(source),
            "waiting": source.receipts.filter(state="waiting").count() if act in ("disable", "remove") else 0,
            "last_used": ago(source.last_used_at) if source.last_used_at else "",
        }
        return self.page(
            request, "admin/webhooks/source_act.html", f"{ACTS[act].name}: {source.key}", context
        )

    def _acted(
        self, request: HttpRequest, source: Source, act: str, form: RotationForm | None
    ) -> HttpResponse:
        by = of_request(request)
        if form is not None:
            made = sources.rotate_secret(
                source,
                secret=form.cleaned_data["secret"].strip() or None,
                overlap=timedelta(hours=form.cleaned_data["overlap_hours"]),
                by=by,
            )
            return self._shown_once(request, made)
        if act == "remove":
            sources.remove(source, by=by)
            self.message_user(request, f"{source.key} is removed.", messages.SUCCESS)
            return redirect("admin:webhooks_source_changelist")
        sources.switch(source, is_on=act == "enable", by=by)
        words = "on" if act == "enable" else "off"
        self.message_user(request, f"{source.key} is switched {words}.", messages.SUCCESS)
        return redirect("admin:webhooks_source_change", source.pk)

    def about(self, request: HttpRequest, row: Source) -> dict[str, Any]:
        """Return what the page says before the form."""
        source = row
        states = dict(source.receipts.values_list("state").annotate(number=Count("pk")).order_by())
        return {
            "title": source.key,
            "subtitle": None,
            "source": source,
            "state": pill(STATES[source.state]),
            "scheme": Scheme(source.scheme).label,
            "acts": [(act, ACTS[act]) for act in acts_of(source)]
            if self.has_change_permission(request)
            else [],
            "url": sources.address_of(source),
            "last_used": ago(source.last_used_at),
            "received": states,
            "secrets": list(source.secrets.verifying(timezone.now()).order_by("-pk")),
            "example": lines_for(source),
        }


def _rotation_form(request: HttpRequest, source: Source) -> RotationForm:
    form = RotationForm(request.POST or None)
    is_issued = source.scheme in ISSUED
    form.fields["secret"].help_text = (
        f"{Scheme(source.scheme).label} makes it: copy it from there."
        if is_issued
        else "Leave it empty: we make one, and show it once."
    )
    return form


def _found(text: str) -> Source | None:
    try:
        return Source.objects.select_related("account", "created_by").filter(pk=UUID(text)).first()
    except ValueError:
        return None
