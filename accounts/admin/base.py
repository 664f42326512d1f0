"""What every page of accounts stands on: plain forms that call the same verbs as the API, so no rule is in one only."""

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import ForeignKey, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from accounts.access import Principal
from accounts.errors import DomainError
from accounts.principals import of_request

M = TypeVar("M", bound=Model)
_LOOKUPS = frozenset({"id", "exact", "in", "isnull", "year", "month", "day", "gte", "lt"})


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
        if lookup in _names_of_filters(self.list_filter):
            return True  # a filter of our own reads its value itself
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
        told = urlencode({"subject": self.log_subject(self.found(request, object_id))})
        return redirect(f"{reverse('admin:accounts_event_changelist')}?{told}")

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except DomainError as error:
            return self.refused(request, object_id, error)

    def found(self, request: HttpRequest, object_id: str) -> M:
        """Return a row that the viewer may see. Raises Http404, also for what is no id."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return row

    def require_a_look(self, request: HttpRequest) -> None:
        """Refuse what is more than a look at a page that shows a row; what changes it has pages of its own."""
        if not self.has_view_permission(request) or request.method not in ("GET", "HEAD"):
            raise PermissionDenied

    def page(self, request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
        """Return a page of ours in the frame of the admin, which no cache keeps."""
        frame = {**self.admin_site.each_context(request), "title": title, "opts": self.opts}
        response = TemplateResponse(request, template, {**frame, **context})
        response.headers["Cache-Control"] = "no-store"
        return response

    def refused(self, request: HttpRequest, object_id: str, error: DomainError) -> HttpResponse:
        """Go back to the row and say why nothing was done."""
        self.message_user(request, explain(error), messages.ERROR)
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", object_id)

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


def _names_of_filters(filters: Sequence[Any]) -> set[str | None]:
    """Return the parameters of the filters that are classes of ours."""
    classes = (item for item in filters if isinstance(item, type))
    return {item.parameter_name for item in classes if issubclass(item, admin.SimpleListFilter)}


class ReadOnlyAdmin(VerbAdmin[M]):
    """For tables that the admin only shows."""

    actions: Sequence[str] | None = None

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:  # noqa: ARG002
        return False
