"""People, and where they are signed in."""

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import F, Model, QuerySet
from django.http import HttpRequest

from accounts import people
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.confirming import PreviewedForm, PreviewingAdmin
from accounts.canonical import Json
from accounts.models.role import PUBLIC, Role
from accounts.models.session import Session
from accounts.models.user import User
from accounts.principals import anonymous, of_request, of_user
from accounts.rights import impact
from accounts.sign_in import agents, devices, lockout, sessions


class RoleChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Roles that can be given."""

    def __init__(self) -> None:
        super().__init__(
            Role.objects.exclude(key=PUBLIC).order_by("name"),
            to_field_name="key",
            required=False,
            widget=forms.CheckboxSelectMultiple,
        )


class RolesForm(PreviewedForm):
    """What a person or a program is called and may; what that changes is shown before it is done."""

    roles = RoleChoice()
    made: User | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "roles" in self.fields and not self.is_new:
            self.initial["roles"] = Role.objects.filter(user=self.instance).values_list("key", flat=True)

    @property
    def is_new(self) -> bool:
        return bool(self.instance._state.adding)  # noqa: SLF001 (documented, "ModelState")

    def preview(self, data: dict[str, Any]) -> dict[str, Any]:
        user: User = self.instance
        typed: list[Json] = [data.get(name) for name in ("email", "name", "is_active")]
        roles: list[Json] = [role.key for role in data["roles"]]
        if self.is_new:
            return {
                "title": f"What {data['name'] or data.get('email') or 'somebody new'} may",
                "about": ["user", "new", *typed, roles],
                "measure": lambda: impact.as_somebody(of_user(self.made) if self.made else anonymous()[0]),
                "concerned": lambda: impact.concerned(cast("User", self.made)),
            }
        return {
            "title": f"What changes for {user}",
            "about": ["user", str(user.pk), *typed, roles],
            "measure": lambda: of_user(User.objects.get(pk=user.pk)),
            "concerned": lambda: impact.concerned(user),
        }


class AddUserForm(RolesForm):
    """A person is invited by mail."""

    email = forms.CharField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"class": "vTextField"}),
        help_text="A link to choose a password is mailed there; it works for three days.",
    )

    class Meta:
        model = User
        fields = ("email", "name")

    def change(self, data: dict[str, Any]) -> Model:
        roles = [role.key for role in data["roles"]]
        self.made = people.add_person(data["email"], name=data["name"], roles=roles, by=self.principal)
        return self.made


class ChangeUserForm(RolesForm):
    """What an administrator changes; passwords are only ever set by the person."""

    class Meta:
        model = User
        fields = ("email", "name", "is_active")

    def change(self, data: dict[str, Any]) -> Model:
        return people.change_user(
            self.instance,
            email=data.get("email"),
            name=data.get("name"),
            roles=[role.key for role in data["roles"]],
            is_active=data.get("is_active"),
            by=self.principal,
        )


@admin.register(User)
class UserAdmin(PreviewingAdmin[User]):
    """People; the accounts of programs have pages of their own."""

    empty_text = "Nobody is here yet. People are invited by mail, and choose how they sign in."
    form = ChangeUserForm
    list_display = ("email", "name", "role_names", "is_active", "last_login")
    list_filter = ("is_active",)
    search_fields = ("email", "name")
    search_help_text = "E-mail address or name"
    ordering = ("email",)
    actions = ("invite_again", "end_sessions", "remove_factors", "lift_lock")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).filter(is_service=False).prefetch_related("groups__role")

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
        for session in Session.objects.live().filter(user__in=users):
            sessions.end(session, by=by)
        self.message_user(request, "The sessions were ended.", messages.SUCCESS)

    @admin.action(description="Remove all second factors (lost phone)", permissions=["change"])
    def remove_factors(self, request: HttpRequest, users: QuerySet[User]) -> None:
        by = of_request(request)
        self.try_each(
            request, users, lambda user: devices.remove_all(user, by=by), "without a second factor now"
        )

    @admin.action(description="Lift the lock after failed sign-ins", permissions=["change"])
    def lift_lock(self, request: HttpRequest, users: QuerySet[User]) -> None:
        by = of_request(request)
        self.try_each(request, users, lambda user: lockout.lift(user, by=by), "free to sign in again")


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin[Session]):
    """Who is signed in, from where."""

    empty_text = "Nobody is signed in."
    list_display = ("user", "device", "address", "last_seen_at", "ended_at", "created_at")
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
    ordering = (F("ended_at").desc(nulls_first=True), "-pk")
    actions = ("end",)

    @admin.display(description="where")
    def device(self, session: Session) -> str:
        return agents.describe(session.agent) if session.kind == Session.Kind.ADMIN else "API"

    def has_end_permission(self, request: HttpRequest) -> bool:
        """Tell whether an action may end sessions: it is a change of the people whose they are."""
        return request.user.has_perm("accounts.change_user")

    @admin.action(description="End", permissions=["end"])
    def end(self, request: HttpRequest, chosen: QuerySet[Session]) -> None:
        by = of_request(request)
        live = Session.objects.live().filter(pk__in=chosen)
        self.try_each(request, live, lambda session: sessions.end(session, by=by), "ended")
