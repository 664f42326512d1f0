"""Administration in the admin: plain forms that call the same verbs as the API, so no rule is in one of them only."""

from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import ForeignKey, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts import api_keys, devices, granting, people
from accounts.access import Action, Principal
from accounts.api.shapes import policy_json, policy_terms
from accounts.errors import DomainError
from accounts.log import seal_pending
from accounts.models.api_key import ApiKey
from accounts.models.event import Event
from accounts.models.role import PUBLIC, Policy, Role
from accounts.models.session import Session
from accounts.models.user import User
from accounts.principals import of_request, scopes_of
from accounts.sign_in import end_session

M = TypeVar("M", bound=Model)
_LOOKUPS = frozenset({"id", "exact", "in", "isnull", "year", "month", "day", "gte", "lt"})

# Groups are what roles stand on; changed as such they would escape the rules and the log of roles.
if isinstance(admin.site.get_model_admin(Group), GroupAdmin):
    admin.site.unregister(Group)


def explain(error: DomainError) -> str:
    """Return one sentence for people."""
    return " ".join(problem.detail for problem in error.errors) or error.detail


class ActingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form whose last step of cleaning is the verb itself, so that a refusal stands in the form where it was typed.

    The admin saves a valid form at once, in the same transaction; what `act` returns is then the row.
    """

    principal: ClassVar[Principal]

    def act(self, data: dict[str, Any]) -> Model:
        """Do it and return the row. Raises DomainError."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        try:
            with transaction.atomic():
                self.done = self.act(data)
        except DomainError as error:
            places = [(problem.pointer or "").strip("/").split("/")[0] for problem in error.errors]
            for problem, place in zip(error.errors, places, strict=True):
                self.add_error(place if place in self.fields else None, problem.detail)
            if not error.errors:
                self.add_error(None, error.detail)
        return data

    def _post_clean(self) -> None:
        """Leave the instance as it is: the verb wrote the row, under its own rules and constraints."""

    def save(self, commit: bool = True) -> Model:  # noqa: ARG002, FBT001, FBT002 (Django's signature)
        return self.done

    def save_m2m(self) -> None:
        """Nothing is left to save."""


class VerbAdmin(admin.ModelAdmin[M], Generic[M]):
    """Base: permissions ask `accounts.access` (through `User.has_perm`), and changes are the verbs' business."""

    actions_on_bottom = False
    list_per_page = 50
    show_full_result_count = False
    view_on_site = False
    empty_text: ClassVar[str]  # what would stand in the list, and why, while there is nothing

    def get_form(self, request: HttpRequest, obj: M | None = None, *args: Any, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, *args, **kwargs)
        return type(form.__name__, (form,), {"principal": of_request(request)})

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:  # noqa: ARG002
        """Allow the list's own filters, not any column: `?password__startswith=` would read hashes (CVE-2014-0483)."""
        name, *rest = lookup.split("__")
        offered = {item for item in (*self.list_filter, self.date_hierarchy) if isinstance(item, str)}
        if name not in offered:
            return False
        column = self.opts.get_field(name)
        # Django's own filter names the key of the other table, which is not `id` for all of them.
        key = {column.target_field.name} if isinstance(column, ForeignKey) else set[str]()
        return set(rest) <= _LOOKUPS | key

    def save_model(self, request: HttpRequest, obj: M, form: Any, change: bool) -> None:  # noqa: FBT001
        """The verb has written it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """The verb has written it."""

    def log_addition(self, *_: Any) -> Any:
        """The log of the house has it."""

    def log_change(self, *_: Any) -> Any:
        """The log of the house has it."""

    def log_deletions(self, *_: Any) -> Any:
        """The log of the house has it."""

    def log_subject(self, row: M) -> str:
        """Return under which name the log tells of the row."""
        return str(row.pk)

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        """Lead to what the log says of the row, since Django's own history of it stays empty."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        told = urlencode({"q": self.log_subject(row)})
        return redirect(f"{reverse('admin:accounts_event_changelist')}?{told}")

    def refused(self, request: HttpRequest, object_id: str, error: DomainError) -> HttpResponse:
        """Go back to the row and say why nothing was done."""
        self.message_user(request, explain(error), messages.ERROR)
        return redirect(f"admin:accounts_{self.opts.model_name}_change", object_id)

    def try_each(self, request: HttpRequest, rows: QuerySet[M], act: Any, done: str) -> None:
        """Apply a verb to each row and say what was refused."""
        number = 0
        for row in rows:
            try:
                act(row)
                number += 1
            except DomainError as error:
                self.message_user(request, f"{row}: {explain(error)}", messages.ERROR)
        if number:
            self.message_user(request, f"{number} {done}.", messages.SUCCESS)


# --- People -------------------------------------------------------------------------------------------------


class RoleChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Roles that can be given."""

    def __init__(self) -> None:
        super().__init__(
            Role.objects.exclude(key=PUBLIC).order_by("name"),
            to_field_name="key",
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )


class AddUserForm(ActingForm):
    """A person is invited by mail; a service account has a name only."""

    roles = RoleChoice()
    email = forms.CharField(
        label="E-mail address", max_length=254, required=False, help_text="Empty for a service account."
    )

    class Meta:
        model = User
        fields = ("email", "name", "is_service")

    def act(self, data: dict[str, Any]) -> Model:
        roles = [role.key for role in data["roles"]]
        if data["is_service"]:
            return people.add_service(data["name"], roles=roles, by=self.principal)
        return people.add_person(data["email"], name=data["name"], roles=roles, by=self.principal)


class ChangeUserForm(ActingForm):
    """What an administrator changes; passwords are only ever set by the person."""

    roles = RoleChoice()

    class Meta:
        model = User
        fields = ("email", "name", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "roles" in self.fields and self.instance.pk:
            self.initial["roles"] = Role.objects.filter(user=self.instance).values_list("key", flat=True)

    def act(self, data: dict[str, Any]) -> Model:
        user: User = self.instance
        email = None if user.is_service else data.get("email")
        return people.change_user(
            user,
            email=email,
            name=data.get("name"),
            roles=[role.key for role in data["roles"]],
            is_active=data.get("is_active"),
            by=self.principal,
        )


@admin.register(User)
class UserAdmin(VerbAdmin[User]):
    """People and service accounts."""

    empty_text = (
        "Nobody is here yet. People sign in with what they are invited by; service accounts hold API keys."
    )
    form = ChangeUserForm
    list_display = ("email", "name", "role_names", "is_active", "is_service", "last_login")
    list_filter = ("is_active", "is_service")
    search_fields = ("email", "name")
    search_help_text = "E-mail address or name"
    ordering = ("email",)
    actions = ("invite_again", "end_sessions", "remove_authenticator")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups__role")

    def get_form(self, request: HttpRequest, obj: User | None = None, *args: Any, **kwargs: Any) -> Any:
        return super().get_form(request, obj, *args, **(kwargs if obj else {**kwargs, "form": AddUserForm}))

    @admin.display(description="roles")
    def role_names(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all()))

    @admin.action(description="Invite again by mail", permissions=["change"])
    def invite_again(self, request: HttpRequest, users: QuerySet[User]) -> None:
        by = of_request(request)
        self.try_each(request, users, lambda user: people.invite(user, by=by), "invited")

    @admin.action(description="End all sessions", permissions=["change"])
    def end_sessions(self, request: HttpRequest, users: QuerySet[User]) -> None:
        by = of_request(request)
        sessions = Session.objects.live().filter(user__in=users)
        for session in sessions:
            end_session(session, by=by)
        self.message_user(request, "The sessions were ended.", messages.SUCCESS)

    @admin.action(description="Remove the authenticator (lost phone)", permissions=["change"])
    def remove_authenticator(self, request: HttpRequest, users: QuerySet[User]) -> None:
        by = of_request(request)
        self.try_each(
            request, users, lambda user: devices.remove_all(user, by=by), "without an authenticator now"
        )


# --- Roles and policies -------------------------------------------------------------------------------------


class RoleForm(ActingForm):
    """A role; its key is for ever."""

    class Meta:
        model = Role
        fields = ("key", "name", "require_second_factor")

    def act(self, data: dict[str, Any]) -> Model:
        second_factor = data["require_second_factor"]
        if self.instance.pk:
            return granting.change_role(
                self.instance, name=data["name"], require_second_factor=second_factor, by=self.principal
            )
        return granting.add_role(
            data["key"], data["name"], require_second_factor=second_factor, by=self.principal
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

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except DomainError as error:
            return self.refused(request, object_id, error)


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

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except DomainError as error:
            return self.refused(request, object_id, error)


# --- API keys -----------------------------------------------------------------------------------------------


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
        scopes = api_keys.parse_scopes(data["scope_lines"].split(), path=("scope_lines",))
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
        return ", ".join(api_keys.scope_texts(scopes_of(key.scopes)))

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


# --- Looking only -------------------------------------------------------------------------------------------


class ReadOnlyAdmin(VerbAdmin[M]):
    """For tables that the admin only shows."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    """The log."""

    empty_text = "Nothing has happened yet. Whatever happens stands here, sealed."
    list_display = ("position", "at", "type", "actor_label", "subject", "address")
    list_filter = ("type", "actor_kind")
    list_select_related = ("seal",)
    search_fields = ("subject_id", "actor_label")
    date_hierarchy = "at"
    fields = (
        "position", "id", "type", "at", "actor_kind", "actor_label", "credential", "subject_type", "subject_id",
        "collection_id", "locale", "address", "request_id", "detail",
    )  # fmt: skip
    ordering = ("-seal__position",)

    def log_subject(self, row: Event) -> str:
        return row.subject_id

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return super().get_queryset(request).filter(seal__isnull=False)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.has_view_permission(request):  # a request that is refused does nothing
            seal_pending(wait=False)
        return super().changelist_view(request, extra_context)

    @admin.display(description="position", ordering="seal__position")
    def position(self, event: Event) -> int:
        return event.seal.position

    @admin.display(description="subject")
    def subject(self, event: Event) -> str:
        """The kind, and as much of the id as tells rows apart; the event's page has all of it."""
        shown = event.subject_id if len(event.subject_id) < 20 else f"…{event.subject_id[-6:]}"
        return f"{event.subject_type} {shown}".strip()


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin[Session]):
    """Who is signed in, from where."""

    empty_text = "Nobody is signed in."
    list_display = ("user", "kind", "created_at", "last_seen_at", "ended_at", "address", "agent")
    list_filter = ("kind",)
    list_select_related = ("user",)
    search_fields = ("user__email", "address")
    fields = (
        "user",
        "kind",
        "created_at",
        "last_seen_at",
        "expires_at",
        "ended_at",
        "verified_at",
        "address",
        "agent",
    )
    ordering = ("-pk",)
