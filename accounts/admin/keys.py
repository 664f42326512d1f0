"""API keys: the list, the form of a new one, a page that explains each, and what can be done with it."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.access import Area, Principal
from accounts.admin.base import VerbAdmin
from accounts.admin.key_forms import AddKeyForm, OverlapForm
from accounts.errors import DomainError
from accounts.keys import api_keys, scopes, usage
from accounts.keys.explaining import explain as explain_scopes
from accounts.keys.hints import hint
from accounts.models.api_key import ApiKey
from accounts.models.event import Event
from accounts.models.generation import Generation
from accounts.principals import of_request

EXPIRES_SOON: Final = timedelta(days=14)
EVENTS_SHOWN: Final = 20
# state → (the class of its mark, the mark, the word)
STATES: Final = {
    "active": ("qk-published", "●", "Active"),
    "retiring": ("qk-changed", "◐", "Two secrets work"),
    "disabled": ("qk-draft", "‖", "Off"),
    "revoked": ("qk-trashed", "✕", "Revoked"),
    "expired": ("qk-trashed", "⌛", "Expired"),
}


# act → (what the button says, what happens, in which states it can be done, whether it takes something away)
ACTS: Final = {
    "rotate": (
        "Rotate",
        "The key gets a new secret, which is shown once. Both work until the hours are over.",
        ("active", "retiring"),
        False,
    ),
    "retire": (
        "Retire the old secret",
        "The secret from before the rotation stops working at once. The new one stays.",
        ("retiring",),
        True,
    ),
    "disable": (
        "Switch off",
        "Whoever uses the key is refused from the next request on. It can be switched on again.",
        ("active", "retiring"),
        True,
    ),
    "enable": ("Switch on", "The key works again, and its idle time starts anew.", ("disabled",), False),
    "revoke": (
        "Revoke",
        "Whoever uses the key is refused from the next request on. This can’t be undone.",
        ("active", "retiring", "disabled", "expired"),
        True,
    ),
}


def state_of(key: ApiKey) -> str:
    """Return the state as people see it: a key whose time is over is expired, whatever its row says."""
    return "expired" if key.is_expired and key.state != ApiKey.State.REVOKED else key.state


@admin.register(ApiKey)
class ApiKeyAdmin(VerbAdmin[ApiKey]):
    """API keys. The text of a key is shown once, on the page after making it."""

    empty_text = "No API key yet. Websites and scripts read and write with one."
    list_display = ("name", "owner", "state_shown", "expires_at", "last_used")
    list_filter = ("state",)
    list_select_related = ("owner",)
    search_fields = ("name", "public_id")
    search_help_text = "Name or public id"
    ordering = ("-pk",)
    actions = ("rotate", "revoke")
    fields = ("name", "role", "owner", "scopes", "expires_at", "network_lines", "rate_limit", "browser")

    class Media:
        css = {"all": ["accounts/keys.css"]}

    def get_urls(self) -> list[URLPattern]:
        act = path("<uuid:key_id>/do/<str:act>/", self.admin_site.admin_view(self.act_view), name="key-act")
        return [act, *super().get_urls()]

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, *args: Any, **kwargs: Any) -> Any:
        return super().get_form(request, obj, *args, **{**kwargs, "form": AddKeyForm})

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key is changed by what can be done with it; its page has nothing to save."""
        return obj is None and super().has_change_permission(request, obj)

    # The list

    @admin.display(description="state", ordering="state")
    def state_shown(self, key: ApiKey) -> SafeString:
        css, mark, word = STATES[state_of(key)]
        shown = [
            format_html(
                '<span class="qk-pill {}"><span aria-hidden="true">{}</span> {}</span>', css, mark, word
            )
        ]
        shown += [
            format_html('<span class="qk-pill qk-none"><span aria-hidden="true">⚠</span> {}</span>', remark)
            for remark in remarks(key)
        ]
        return format_html_join(" ", "{}", ((item,) for item in shown))

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return usage.ago(key.last_used_at)

    # A new one

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Start from a key that is named by `narrower`: with what it used; or from an owner. Nothing else is taken."""
        by = of_request(request)
        key = _found(request.GET.get("narrower", ""))
        if key is not None and by.administers(Area.KEYS) and (narrower := hint(key).narrower) is not None:
            return {
                "name": f"{key.name}, narrower"[:150],
                "owner": key.owner_id,
                "scopes": scopes.scope_texts(narrower),
                "network_lines": "\n".join(key.allowed_networks),
                "browser": key.browser,
                "rate_limit": key.rate_limit,
            }
        owner = request.GET.get("owner", "")
        return {"owner": owner} if _is_id(owner) else {}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer one way to save: what follows is the key itself, whatever was pressed."""
        one = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**(extra_context or {}), **one})

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:  # noqa: FBT001
        key = super().save_form(request, form, change)
        key.text = form.minted.text  # for the answer to this very request
        return key

    def response_add(
        self,
        request: HttpRequest,
        obj: ApiKey,
        post_url_continue: str | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        return self._shown_once(request, [(obj.name, obj.text)])  # type: ignore[attr-defined]  # put there above

    @admin.action(description="Rotate: a new secret; the old one works for 24 hours", permissions=["change"])
    def rotate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse:
        by = of_request(request)
        shown: list[tuple[str, str]] = []
        self.try_each(
            request, keys, lambda key: shown.append((key.name, api_keys.rotate(key, by=by).text)), "rotated"
        )
        return self._shown_once(request, shown)

    def _shown_once(self, request: HttpRequest, keys: list[tuple[str, str]]) -> HttpResponse:
        """Answer with the keys themselves: a message after a redirect would keep them in a cookie or a session."""
        return self.page(request, "accounts/keys_shown_once.html", "Shown this once", {"keys": keys})

    @admin.action(description="Revoke at once", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        by = of_request(request)
        self.try_each(request, keys, lambda key: api_keys.revoke(key, by=by), "revoked")

    # The page of one

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Explain the key."""
        self.require_a_look(request)
        key = _found(object_id)
        if key is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined, no-any-return]  # not in the stubs
        return self.page(request, "accounts/key.html", key.name, about(key, by=of_request(request)))

    def act_view(self, request: HttpRequest, key_id: UUID, act: str) -> HttpResponse:
        """Say what will happen, and with a POST let it happen."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        key = _found(str(key_id))
        if key is None or act not in ACTS:
            raise Http404
        name, effect, states, takes = ACTS[act]
        form = OverlapForm(request.POST or None) if act == "rotate" else None
        if request.method == "POST" and (form is None or form.is_valid()):
            try:
                return self._acted(request, key, act, form)
            except DomainError as error:
                return self.refused(request, str(key.pk), error)
        context = {"name": name, "effect": effect, "takes": takes, "form": form, **_facts(key)}
        context["is_possible"] = state_of(key) in states
        return self.page(request, "accounts/key_act.html", f"{name}: {key.name}", context)

    def _acted(self, request: HttpRequest, key: ApiKey, act: str, form: Any) -> HttpResponse:
        by = of_request(request)
        if form is not None:
            overlap = timedelta(hours=form.cleaned_data["overlap_hours"])
            return self._shown_once(request, [(key.name, api_keys.rotate(key, overlap=overlap, by=by).text)])
        verbs = {
            "retire": api_keys.retire,
            "disable": api_keys.disable,
            "enable": api_keys.enable,
            "revoke": api_keys.revoke,
        }
        verbs[act](key, by=by)
        done = {
            "retire": "The old secret no longer works.",
            "disable": "The key is switched off.",
            "enable": "The key works again.",
            "revoke": "The key is revoked.",
        }
        self.message_user(request, done[act], messages.SUCCESS)
        return redirect("admin:accounts_apikey_change", key.pk)

    def page(self, request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
        rights = {
            "may_act": self.has_change_permission(request),
            "may_add": self.has_add_permission(request),
        }
        return super().page(request, template, title, {**rights, **context})


def remarks(key: ApiKey) -> list[str]:
    """Return what somebody should look at."""
    found = []
    if state_of(key) in ("active", "retiring"):
        left = key.expires_at - timezone.now()
        if left <= EXPIRES_SOON:
            found.append(f"Expires in {left.days} day{'' if left.days == 1 else 's'}")
        if api_keys.is_flagged_idle(key):
            found.append(f"Idle for {(timezone.now() - key.idle_since).days} days")
        if not key.owner.is_active:
            found.append("Owner switched off")
    return found


def about(key: ApiKey, *, by: Principal) -> dict[str, Any]:
    """Return everything that the page of a key says."""
    events = None
    if by.administers(Area.AUDIT):
        events = Event.objects.filter(subject_type="api-key", subject_id=str(key.pk)).order_by("-at", "-pk")
    state = state_of(key)
    return {
        **_facts(key),
        "lines": explain_scopes(key),
        "hint": hint(key),
        "acts": [(act, name, takes) for act, (name, _, states, takes) in ACTS.items() if state in states],
        "events": events if events is None else events[:EVENTS_SHOWN],
    }


def _facts(key: ApiKey) -> dict[str, Any]:
    css, mark, word = STATES[state_of(key)]
    return {
        "key": key,
        "state": {"css": css, "mark": mark, "word": word},
        "remarks": remarks(key),
        "last_used": usage.ago(key.last_used_at),
        "verdict": usage.verdict(key, is_known=api_keys.is_use_known(Generation.objects.current())),
        "old_refused": usage.ago(key.old_refused_at) if key.old_refused_at else "",
    }


def _found(text: str) -> ApiKey | None:
    rows = ApiKey.objects.select_related("owner", "created_by")
    return rows.filter(pk=text).first() if _is_id(text) else None


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
