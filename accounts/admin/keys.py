"""API keys; the text of one is shown once."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts import api_keys, key_scopes
from accounts.admin.base import ActingForm, VerbAdmin
from accounts.models.api_key import ApiKey
from accounts.models.role import PUBLIC, Role
from accounts.principals import of_request, scopes_of


class AddKeyForm(ActingForm):
    """A key of an existing owner, or of a new service account with one role."""

    role = forms.ModelChoiceField(
        Role.objects.exclude(key=PUBLIC).order_by("name"),
        required=False,
        help_text="Makes a service account with this role to own the key. Or name an owner.",
    )
    scope_lines = forms.CharField(
        label="Scopes",
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One a line: articles:read, *:read, admin:webhooks",
    )
    network_lines = forms.CharField(
        label="Allowed networks",
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One a line, such as 192.0.2.0/24. Empty means from anywhere.",
    )

    # One input of the browser's own, not the stock admin's two, which have no labels.
    expires_at = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
        help_text="In UTC. Empty means in 90 days; at most a year.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "owner", "browser")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "owner" in self.fields:
            self.fields["owner"].required = False

    def act(self, data: dict[str, Any]) -> Model:
        scopes = key_scopes.parse_scopes(data["scope_lines"].split(), path=("scope_lines",))
        options = {
            "name": data["name"],
            "scopes": scopes,
            "expires_at": data["expires_at"],
            "allowed_networks": data["network_lines"].split(),
            "browser": data["browser"],
            "by": self.principal,
        }
        if bool(data["role"]) == bool(data["owner"]):
            raise forms.ValidationError("Name either an owner or a role.")
        if data["role"]:
            self.minted = api_keys.mint_for_role(data["role"].key, **options)
        else:
            self.minted = api_keys.mint(data["owner"], **options)
        return self.minted.key


@admin.register(ApiKey)
class ApiKeyAdmin(VerbAdmin[ApiKey]):
    """API keys. The text of a key is shown once, on the page after making it."""

    empty_text = "No API key yet. Websites and scripts read and write with one."
    list_display = ("name", "public_id", "owner", "state", "expires_at", "last_used_at")
    list_filter = ("state",)
    list_select_related = ("owner",)
    search_fields = ("name", "public_id")
    ordering = ("-pk",)
    actions = ("rotate", "revoke")
    fields = (
        "name",
        "public_id",
        "owner",
        "scopes_shown",
        "state",
        "created_at",
        "expires_at",
        "last_used_at",
        "allowed_networks",
        "browser",
    )

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, *args: Any, **kwargs: Any) -> Any:
        return super().get_form(request, obj, *args, **(kwargs if obj else {**kwargs, "form": AddKeyForm}))

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:  # noqa: ARG002
        if obj is None:
            return ("name", "role", "owner", "scope_lines", "expires_at", "network_lines", "browser")
        return self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:  # noqa: ARG002
        return self.fields if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """A key is rotated and revoked from the list; its own page has nothing to save."""
        return obj is None and super().has_change_permission(request, obj)

    @admin.display(description="scopes")
    def scopes_shown(self, key: ApiKey) -> str:
        return ", ".join(key_scopes.scope_texts(scopes_of(key.scopes)))

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
        context = {
            **self.admin_site.each_context(request),
            "title": "Shown this once",
            "keys": keys,
            "opts": self.opts,
        }
        response = TemplateResponse(request, "accounts/keys_shown_once.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    @admin.action(description="Revoke at once", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        by = of_request(request)
        self.try_each(request, keys, lambda key: api_keys.revoke(key, by=by), "revoked")
