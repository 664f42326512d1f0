"""Roles: what each may in sentences, who has it, and what of it can be changed."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.admin.confirming import (
    PreviewedForm,
    PreviewingAdmin,
)
from accounts.audit.subject_links import of_user
from accounts.canonical import Json
from accounts.models.api_key import ApiKey
from accounts.models.role import ADMINISTRATOR, PUBLIC, Policy, Role
from accounts.models.user import User
from accounts.principals import of_request
from accounts.rights import granting, impact
from accounts.rights.sentences import AREAS, Speaker, areas_sentence, capital, role_sentences, who
from accounts.rights.warnings import AccessWarning, access_warnings, seen_by

# Groups are what roles stand on; changed as such they would escape the rules and the log of roles.
if isinstance(admin.site.get_model_admin(Group), GroupAdmin):
    admin.site.unregister(Group)

MOST_HOLDERS = 50


class RoleForm(PreviewedForm):
    """A role; its key is for ever."""

    areas = forms.MultipleChoiceField(
        label="Administers",
        required=False,
        choices=[(area.value, capital(words)) for area, words in AREAS.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text="Parts of administration, on top of what the policies allow. People, roles, policies, keys and "
        "operations are for those only whom you would make administrators: by them one can become anything.",
    )

    class Meta:
        model = Role
        fields = ("key", "name", *granting.SETTINGS)
        labels = {
            "require_second_factor": "Asks for a second factor",
            "require_phishing_resistant": "Asks for a passkey",
            "session_hours": "Hours that a session lasts",
            "idle_minutes": "Minutes that it may be idle",
        }
        help_texts = {
            "key": "Small letters, digits and underscores. It stays for ever.",
            "require_second_factor": "Whoever has this role signs in with a passkey or an authenticator app too.",
            "require_phishing_resistant": "Only a passkey will do: no false page can take it from anybody.",
            "session_hours": "Empty: as the house has it, 12 hours in the admin, two weeks by API. At most 336.",
            "idle_minutes": "Empty: as the house has it, 2 hours in the admin, a week by API. At least 5.",
            "requests_per_minute": "By API, of each person or key. Empty: as the house has it. Of several roles the "
            "highest number counts.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "areas" in self.fields and self.instance.pk:
            self.initial["areas"] = list(self.instance.areas)

    def change(self, data: dict[str, Any]) -> Model:
        settings = {name: data[name] for name in granting.SETTINGS if name in data}
        areas = [Area(name) for name in data["areas"]] if "areas" in data else None
        if self.instance.pk:
            return granting.change_role(
                self.instance, name=data["name"], areas=areas, by=self.principal, **settings
            )
        return granting.add_role(data["key"], data["name"], areas=areas or (), by=self.principal, **settings)

    def preview(self, data: dict[str, Any]) -> dict[str, Any]:
        key = self.instance.key if self.instance.pk else data["key"]
        about: list[Json] = [
            "role",
            key,
            data["name"],
            *(data.get(name) for name in granting.SETTINGS),
            sorted(data.get("areas", ())),
        ]
        return {
            "title": f"What changes for {data['name']}",
            "about": about,
            "measure": lambda: impact.of_role(key),
            "concerned": lambda: impact.concerned_by(Role.objects.get(key=key)),
        }


@admin.register(Role)
class RoleAdmin(PreviewingAdmin[Role]):
    """Roles."""

    empty_text = "No role yet. A role is what people get; its policies say what it may do."
    form = RoleForm
    change_form_template = "admin/accounts/role.html"
    change_list_template = "admin/accounts/roles.html"
    list_display = ("name", "key", "may", "require_second_factor")
    ordering = ("name",)
    actions = None

    def get_fields(self, request: HttpRequest, obj: Role | None = None) -> Any:  # noqa: ARG002
        """Leave out what a built-in role can't have: the public one asks nobody for anything, and neither has areas."""
        if obj is not None and obj.key == PUBLIC:
            return ("key", "name", "requests_per_minute")
        if obj is not None and obj.key == ADMINISTRATOR:
            return (
                "key",
                "name",
                *granting.DEMANDS,
            )  # who has it may only tighten it, and nobody else may at all
        return ("key", "name", *granting.SETTINGS, "areas")

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> tuple[str, ...]:  # noqa: ARG002
        return ("key",) if obj else ()

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Put the roles of the page into words with one look at policies and collections."""
        shown = super().get_changelist_instance(request)
        if of_request(request).administers(Area.POLICIES):
            speaker = Speaker()
            policies: dict[int, list[Policy]] = {}
            for policy in Policy.objects.filter(role__in=[role.pk for role in shown.result_list]).order_by(
                "pk"
            ):
                policies.setdefault(policy.role_id, []).append(policy)
            for role in shown.result_list:
                role.sentences = role_sentences(role, policies.get(role.pk, ()), speaker)
        return shown

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say above the list what about rights should worry somebody."""
        worries: list[tuple[str, str, bool]] = []
        if self.has_view_permission(request):
            found = seen_by(of_request(request), access_warnings())
            worries = [(item.text, _row_of(item), item.is_note) for item in found]
        return super().changelist_view(request, {**(extra_context or {}), "worries": worries})

    @admin.display(description="what it may")
    def may(self, role: Role) -> str:
        sentences: list[str] = getattr(role, "sentences", [])
        more = f" … and {len(sentences) - 1} more" if len(sentences) > 1 else ""
        return f"{sentences[0]}{more}" if sentences else ""

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        role = self.get_object(request, unquote(object_id))
        about = {}
        if role is not None and self.has_view_permission(request, role):
            about = {"title": role.name, "subtitle": None, **_about(role, of_request(request))}
        fewer = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **fewer, **about})

    def response_add(
        self,
        request: HttpRequest,
        obj: Role,
        post_url_continue: str | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        """Go on to the role's page: it may do nothing yet."""
        self.message_user(request, f"{obj} is there. Add what it may.", messages.SUCCESS)
        return redirect("admin:accounts_role_change", obj.pk)

    def log_subject(self, row: Role) -> str:
        return row.key

    def has_delete_permission(self, request: HttpRequest, obj: Role | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj is not None and obj.is_built_in)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:  # noqa: ARG002
        """Name the roles and their policies; whether they may go is the verb's decision."""
        policies = Policy.objects.filter(role__in=objs).order_by("pk")
        lines: list[Any] = [f"Role: {role}" for role in objs]
        if policies:
            lines.append([f"Policy: {policy}" for policy in policies.select_related("role")])
        return lines, {"roles": len(objs), "policies": len(policies)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        granting.remove_role(obj, by=of_request(request))


def _row_of(item: AccessWarning) -> str:
    table = f"admin:accounts_{item.kind}"
    return reverse(f"{table}_change", args=[item.id]) if item.id else reverse(f"{table}_changelist")


def _about(role: Role, principal: Principal) -> dict[str, Any]:
    """Return what the page of a role shows beside its form, as far as the looking person administers it."""
    found: dict[str, Any] = {
        "is_administrator_role": role.key == ADMINISTRATOR,
        "is_public_role": role.key == PUBLIC,
        "areas_sentence": areas_sentence(role),
        "sees_policies": principal.administers(Area.POLICIES),
        "may_change_policies": principal.administers(Area.POLICIES)
        and role.key != ADMINISTRATOR
        and role.key not in principal.roles,
    }
    if found["sees_policies"]:
        speaker = Speaker()
        found["policies"] = [
            (policy, speaker.policy(policy, role)) for policy in role.policies.order_by("pk")
        ]
        found["who"] = who(role)
    if principal.administers(Area.USERS) and role.key != PUBLIC:
        holders = User.objects.filter(groups=role).order_by("is_service", "email")
        found["holders"] = [(user, of_user(user)) for user in holders[:MOST_HOLDERS]]
        found["more_holders"] = max(holders.count() - MOST_HOLDERS, 0)
    if principal.administers(Area.KEYS) and role.key != PUBLIC:
        keys = ApiKey.objects.filter(owner__groups=role, expires_at__gt=timezone.now())
        keys = keys.exclude(state=ApiKey.State.REVOKED).select_related("owner").order_by("name")
        found["keys"] = list(keys[:MOST_HOLDERS])
    return found
