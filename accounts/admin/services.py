"""Service accounts, apart from people: what they may, and the keys that they hold."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Max, Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts import people
from accounts.admin.confirming import PreviewingAdmin
from accounts.admin.keys import STATES, state_of
from accounts.admin.people import RolesForm
from accounts.keys.usage import ago
from accounts.models.service import ServiceAccount


class ServiceForm(RolesForm):
    """A name and roles; there is nothing to sign in with."""

    name = forms.CharField(max_length=150)

    class Meta:
        model = ServiceAccount
        fields = ("name", "is_active")
        help_texts = {"is_active": "Switched off, all of its keys are refused from the next request on."}

    def change(self, data: dict[str, Any]) -> Model:
        roles = [role.key for role in data["roles"]]
        if self.is_new:
            self.made = people.add_service(data["name"], roles=roles, by=self.principal)
            return ServiceAccount.objects.get(pk=self.made.pk)  # as which the page tells of it
        return people.change_user(
            self.instance, name=data["name"], roles=roles, is_active=data.get("is_active"), by=self.principal
        )


@admin.register(ServiceAccount)
class ServiceAccountAdmin(PreviewingAdmin[ServiceAccount]):
    """Accounts of programs. They can't sign in anywhere: their keys are all they have."""

    empty_text = "No service account yet. A program has one of its own, so that nobody’s leaving stops it."
    form = ServiceForm
    list_display = ("name", "role_names", "is_active", "keys", "last_used")
    list_filter = ("is_active",)
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name", "pk")
    actions = None

    class Media:
        css = {"all": ["accounts/keys.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ServiceAccount]:
        works = Q(api_keys__state__in=("active", "retiring"))
        return (
            super()
            .get_queryset(request)
            .prefetch_related("groups__role")
            .annotate(
                working=Count("api_keys", filter=works, distinct=True),
                used_at=Max("api_keys__last_used_at"),
            )
        )

    def get_fields(self, request: HttpRequest, obj: ServiceAccount | None = None) -> Any:  # noqa: ARG002
        return ("name", "roles", "is_active", "its_keys") if obj else ("name", "roles")

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceAccount | None = None) -> Any:  # noqa: ARG002
        return ("its_keys",) if obj else ()

    @admin.display(description="roles")
    def role_names(self, account: ServiceAccount) -> str:
        return ", ".join(sorted(group.name for group in account.groups.all())) or "none"

    @admin.display(description="keys that work", ordering="working")
    def keys(self, account: Any) -> int:
        number: int = account.working
        return number

    @admin.display(description="last used", ordering="used_at")
    def last_used(self, account: Any) -> str:
        return ago(account.used_at)

    @admin.display(description="API keys")
    def its_keys(self, account: ServiceAccount) -> SafeString:
        rows = format_html_join(
            "",
            '<li><a href="{}">{}</a> <span class="quiet">{}, used {}</span></li>',
            (
                (
                    reverse("admin:accounts_apikey_change", args=[key.pk]),
                    key.name,
                    STATES[state_of(key)][2].lower(),
                    ago(key.last_used_at),
                )
                for key in account.api_keys.order_by("-pk")
            ),
        )
        add = f"{reverse('admin:accounts_apikey_add')}?owner={account.pk}"
        listed = format_html('<ul class="qk-plain">{}</ul>', rows) if rows else "None yet."
        return format_html('{} <p><a class="qk-button" href="{}">Make a key for it</a></p>', listed, add)
