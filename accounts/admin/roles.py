"""Roles, and the policies that say what they may do."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest

from accounts import granting
from accounts.access import Action
from accounts.admin.base import ActingForm, VerbAdmin
from accounts.api.shapes import policy_json, policy_terms
from accounts.models.role import Policy, Role
from accounts.principals import of_request

# Groups are what roles stand on; changed as such they would escape the rules and the log of roles.
if isinstance(admin.site.get_model_admin(Group), GroupAdmin):
    admin.site.unregister(Group)


class RoleForm(ActingForm):
    """A role; its key is for ever."""

    class Meta:
        model = Role
        fields = ("key", "name", "require_second_factor", "requests_per_minute")
        help_texts = {
            "requests_per_minute": "By API, of each person or key. Empty: as the house has it. Of several roles the "
            "highest number counts."
        }

    def act(self, data: dict[str, Any]) -> Model:
        second_factor, number = data["require_second_factor"], data["requests_per_minute"]
        if self.instance.pk:
            return granting.change_role(
                self.instance,
                name=data["name"],
                require_second_factor=second_factor,
                requests_per_minute=number,
                by=self.principal,
            )
        return granting.add_role(
            data["key"],
            data["name"],
            require_second_factor=second_factor,
            requests_per_minute=number,
            by=self.principal,
        )


@admin.register(Role)
class RoleAdmin(VerbAdmin[Role]):
    """Roles."""

    empty_text = "No role yet. A role is what people get; its policies say what it may do."
    form = RoleForm
    list_display = ("name", "key", "require_second_factor")
    ordering = ("name",)
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> tuple[str, ...]:  # noqa: ARG002
        return ("key",) if obj else ()

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


class PolicyForm(ActingForm):
    """A policy in keys, as the API has it."""

    collection = forms.CharField(max_length=41, help_text="The key of a collection, or * for every one.")
    actions = forms.MultipleChoiceField(
        choices=[(action.value, action.value.replace("_", " ")) for action in Action],
        widget=forms.CheckboxSelectMultiple,
    )
    filter = forms.JSONField(
        label="Only rows where",
        required=False,
        initial=dict,
        help_text='For example {"author": {"eq": "$user"}}. Empty means every row.',
    )
    field_names = forms.CharField(
        label="Fields",
        initial="*",
        help_text="Keys with commas between. * covers what is not personal or secret; those must be named.",
    )
    presets = forms.JSONField(
        required=False, initial=dict, help_text="What new entries start with, by field key."
    )

    class Meta:
        model = Policy
        fields = ("role",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.role_id:
            shown = policy_json(self.instance)
            fields = shown["fields"]
            self.initial = {
                **self.initial,
                "collection": shown["collection"],
                "actions": shown["actions"],
                "filter": shown["filter"],
                "presets": shown["presets"],
                "field_names": fields if isinstance(fields, str) else ", ".join(fields),
            }

    def act(self, data: dict[str, Any]) -> Model:
        names = [name.strip() for name in data["field_names"].split(",") if name.strip()]
        terms = policy_terms(
            {
                "collection": data["collection"],
                "actions": data["actions"],
                "filter": data["filter"] or {},
                "fields": names,
                "presets": data["presets"] or {},
            }
        )
        if self.instance.role_id and "role" not in self.fields:
            return granting.change_policy(self.instance, terms, by=self.principal)
        return granting.add_policy(data["role"], terms, by=self.principal)


@admin.register(Policy)
class PolicyAdmin(VerbAdmin[Policy]):
    """Policies: what a role may do with which rows and fields."""

    empty_text = (
        "No policy yet, so only administrators may do anything. A policy opens rows and fields to a role."
    )
    form = PolicyForm
    list_display = ("role", "what", "may", "on_rows", "on_fields")
    list_filter = ("role",)
    list_select_related = ("role",)
    ordering = ("role__name", "pk")
    actions = None

    def get_readonly_fields(self, request: HttpRequest, obj: Policy | None = None) -> tuple[str, ...]:  # noqa: ARG002
        return ("role",) if obj else ()

    @admin.display(description="collection")
    def what(self, policy: Policy) -> str:
        return str(policy_json(policy)["collection"])

    @admin.display(description="may")
    def may(self, policy: Policy) -> str:
        return ", ".join(action.replace("_", " ") for action in policy.actions)

    @admin.display(description="rows")
    def on_rows(self, policy: Policy) -> str:
        return ", ".join(policy_json(policy)["filter"]) or "all"

    @admin.display(description="fields")
    def on_fields(self, policy: Policy) -> str:
        fields = policy_json(policy)["fields"]
        return fields if isinstance(fields, str) else ", ".join(fields)

    def delete_model(self, request: HttpRequest, obj: Policy) -> None:
        granting.remove_policy(obj, by=of_request(request))
