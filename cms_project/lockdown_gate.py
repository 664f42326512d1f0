"""Refuses what people send while the system is locked down, before it is read as an order; nothing typed is lost.

The API is closed by its permission class, tasks by theirs, and all three by the database (`cms_project.frozen`).
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from accounts.errors import LockedDownError
from accounts.models import Lockdown
from accounts.pages.step_up import FIELDS, SECRETS
from cms_project import lockdown, problems
from cms_project.entry_forms import FORMS

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
# Who gets in is asked where sessions start; ending them takes something away and gives nothing.
OPEN: Final = frozenset(
    f"admin:{name}"
    for name in ("login", "login-code", "passkey", "logout", "account-end-session", "account-end-others")
)


class LockdownMiddleware:
    """Stands last: behind the check of the token, and behind what keeps a form whose session has ended."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],  # noqa: ARG002 (Django's signature)
        args: tuple[Any, ...],  # noqa: ARG002
        kwargs: dict[str, Any],  # noqa: ARG002
    ) -> HttpResponse | None:
        """Refuse every unsafe method of a page that is not named here."""
        match = request.resolver_match
        if request.method in _SAFE or not problems.wants_pages(request):
            return None
        if match is not None and match.view_name in OPEN:
            return None
        return refuse(request) if Lockdown.objects.is_on() else None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Say so too where a view, of pages or not, got as far as the database."""
        if isinstance(exception, LockedDownError) or lockdown.is_refusal(exception):
            return refuse(request)
        return None


def refuse(request: HttpRequest) -> HttpResponse:
    """Answer that nothing was done, with what was typed."""
    if not problems.wants_pages(request):
        return problems.for_refusal(request, LockedDownError())
    context = {"why": LockedDownError.default_detail, "sent": _typed(request)}
    response = render(request, "admin/locked_down.html", context, status=HTTPStatus.LOCKED)
    response.headers["Cache-Control"] = "no-store"
    return response


def _typed(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what of a form people have typed themselves: of an entry its fields, else whatever is no secret."""
    match = request.resolver_match
    prefix = "f-" if match is not None and match.view_name in FORMS else ""
    hidden = FIELDS | SECRETS
    return [
        (name.removeprefix(prefix), str(value))
        for name, values in request.POST.lists()
        if name.startswith(prefix) and name not in hidden and not name.startswith("_")
        for value in values
        if str(value).strip()
    ]
