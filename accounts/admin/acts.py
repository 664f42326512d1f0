"""Things with which more is done than editing: each act has a page of its own; secrets are shown once."""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.contrib.admin.utils import unquote
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from accounts.admin.base import VerbAdmin

M = TypeVar("M", bound=Model)
_ONE_WAY: Final = {"show_save_and_add_another": False, "show_save_and_continue": False}


@dataclass(frozen=True, slots=True)
class Act:
    """What the button says, what happens, and whether it takes something away."""

    name: str
    effect: str
    takes: bool = False


class ActedOnAdmin(VerbAdmin[M]):
    """Base: a form with one way to save, since a secret may follow, and before it what there is to know of the thing.

    No cache keeps these pages. A form may leave in `made` what its verb returned, for the answer to this very request.
    """

    actions = None
    save_on_top = False

    def about(self, request: HttpRequest, row: M) -> dict[str, Any]:
        """Return what the page says before the form, with its title."""
        raise NotImplementedError

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Offer one way to save: what follows is the secret, whatever was pressed."""
        return super().add_view(request, form_url, {**(extra_context or {}), **_ONE_WAY})

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form, with what there is to know before it."""
        row = self.get_object(request, unquote(object_id))
        known = self.about(request, row) if row is not None and self.has_view_permission(request, row) else {}
        response = super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **_ONE_WAY, **known}
        )
        response.headers["Cache-Control"] = "no-store"
        return response

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:  # noqa: FBT001 (Django's signature)
        row = super().save_form(request, form, change)
        row.made = getattr(form, "made", None)
        return row
