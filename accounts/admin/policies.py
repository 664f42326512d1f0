"""Policies: a list of sentences, and a form that asks before it changes somebody's access."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.access import Area, Principal
from accounts.admin import policy_form
from accounts.admin.base import VerbAdmin
from accounts.admin.confirming import BACK, CONFIRMATION, NotConfirmedError, ask, tried
from accounts.canonical import Json
from accounts.directory import directory
from accounts.errors import DomainError
from accounts.models.role import ADMINISTRATOR, Policy, Role
from accounts.principals import of_request
from accounts.rights import granting, impact
from accounts.rights.granting import PolicyTerms
from accounts.rights.sentences import Speaker, who


@admin.register(Policy)
class PolicyAdmin(VerbAdmin[Policy]):
    """Policies: what a role may do with which rows and fields. Their form is `policy_form`, and asks first."""

    empty_text = (
        "No policy yet, so only administrators may do anything. A policy opens rows and fields to a role."
    )
    list_display = ("sentence",)
    list_filter = ("role",)
    list_select_related = ("role",)
    ordering = ("role__name", "pk")
    actions = None

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        shown = super().get_changelist_instance(request)
        speaker = Speaker()
        for policy in shown.result_list:
            policy.in_words = speaker.policy(policy, policy.role).sentence(who(policy.role))
        return shown

    @admin.display(description="policy")
    def sentence(self, policy: Policy) -> str:
        return str(policy.in_words)  # type: ignore[attr-defined]  # put there above

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show the form, or try the change and ask, or do it."""
        policy = self.get_object(request, unquote(object_id)) if object_id else None
        is_read_only = bool(object_id) and not self.has_change_permission(request, policy)
        is_open = self.has_view_permission(request, policy) if object_id else self.has_add_permission(request)
        # Django would heed `_saveasnew` whatever `save_as` says (CVE-2016-2048).
        if not is_open or (request.method == "POST" and (is_read_only or "_saveasnew" in request.POST)):
            raise PermissionDenied
        if object_id and policy is None:
            return self.gone(request, object_id)
        known = directory()
        if request.method != "POST":
            typed = policy_form.shown(policy, known) if policy else _new(request)
            return self._form(request, policy, typed)
        typed = policy_form.typed_of(request.POST)
        if "_save" not in request.POST or BACK in request.POST:
            if "_add_row" in request.POST:
                typed.rows.append(policy_form.Row())
            return self._form(request, policy, typed)
        role = policy.role if policy else _role(typed.role)
        if role is None:
            typed.add("role", "Choose who gets this.")
        terms = policy_form.terms_of(typed, known)
        if terms is None or role is None:
            return self._form(request, policy, typed)
        try:
            saved = _save(policy, role, terms, of_request(request), request.POST.get(CONFIRMATION, ""))
        except NotConfirmedError as error:
            return ask(request, error.asked)
        except DomainError as error:
            policy_form.put_in_place(error.errors, typed)
            if not error.errors:
                typed.add("", error.detail)
            return self._form(request, policy, typed)
        words = Speaker().policy(saved, role).sentence(who(role))
        self.message_user(request, f"Saved. {words}", messages.SUCCESS)
        return redirect(_page_of(role, request))

    def _form(self, request: HttpRequest, policy: Policy | None, typed: policy_form.Typed) -> HttpResponse:
        role = policy.role if policy else _role(typed.role)
        context = {
            **self.admin_site.each_context(request),
            **policy_form.drawing(typed, directory(), role),
            "title": f"A policy of {role}" if policy else "New policy",
            "opts": self.opts,
            "policy": policy,
            "may_change": policy is None or self.has_change_permission(request, policy),
            "may_delete": policy is not None and self.has_delete_permission(request, policy),
            "role": role,
            "roles": list(Role.objects.exclude(key=ADMINISTRATOR).order_by("name")),
            "back": _page_of(role, request) if role else reverse("admin:accounts_policy_changelist"),
            "words": Speaker().policy(policy, policy.role).sentence(who(policy.role)) if policy else "",
        }
        return TemplateResponse(request, "admin/accounts/policy.html", context)

    def gone(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say that there is no such policy, as the stock pages do."""
        answer: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]  # not in the stubs
        return answer

    def delete_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        """Show what removing the policy changes; remove it when that was confirmed."""
        policy = self.get_object(request, unquote(object_id))
        if not self.has_delete_permission(request, policy):
            raise PermissionDenied
        if policy is None:
            return self.gone(request, object_id)
        role, by = policy.role, of_request(request)
        words = Speaker().policy(policy, role).sentence(who(role))
        try:
            tried(
                lambda: granting.remove_policy(policy, by=by),
                by=by,
                title=f"Remove a policy of {role}",
                about=["policy", "remove", str(policy.pk)],
                measure=lambda: impact.of_role(role.key),
                concerned=lambda: impact.concerned_by(role),
                confirmation=request.POST.get(CONFIRMATION, "") if request.method == "POST" else "",
                always=True,
            )
        except NotConfirmedError as error:
            return ask(request, error.asked, verb="Remove it", back=_page_of(role, request), words=words)
        except DomainError as error:
            return self.refused(request, object_id, error)
        self.message_user(request, f"Removed: {words}", messages.SUCCESS)
        return redirect(_page_of(role, request))


def _save(policy: Policy | None, role: Role, terms: PolicyTerms, by: Principal, confirmation: str) -> Policy:
    def act() -> Policy:
        if policy is None:
            return granting.add_policy(role, terms, by=by)
        return granting.change_policy(policy, terms, by=by)

    about: list[Json] = [
        "policy",
        str(policy.pk) if policy else "new",
        role.key,
        str(terms.collection_id or "*"),
        [action.value for action in sorted(terms.actions)],
        [list(row) for row in terms.rows],
        terms.every_field,
        [str(item) for item in sorted(terms.field_ids)],
        [[str(field_id), value] for field_id, value in terms.presets],
    ]
    return tried(
        act,
        by=by,
        title=f"What changes for {role}",
        about=about,
        measure=lambda: impact.of_role(role.key),
        concerned=lambda: impact.concerned_by(role),
        confirmation=confirmation,
    )


def _new(request: HttpRequest) -> policy_form.Typed:
    return policy_form.Typed(
        role=request.GET.get("role", "")[:50], collection=request.GET.get("collection", "")[:50]
    )


def _role(pk: str) -> Role | None:
    is_number = pk.isascii() and pk.isdecimal() and len(pk) < 10
    return Role.objects.filter(pk=int(pk)).first() if is_number else None


def _page_of(role: Role, request: HttpRequest) -> str:
    if of_request(request).administers(Area.ROLES):
        return reverse("admin:accounts_role_change", args=[role.pk])
    return reverse("admin:accounts_policy_changelist")
