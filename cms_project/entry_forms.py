"""Who may send a whole form of an entry, and what people are told who are not signed in any more when they do.

Stands before Django's CSRF check, whose look at the token reads the body. It decides in `process_view`, when every
middleware has said who is there and the URL is known, and before anything of the body is read.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse

from cms_project import problems
from content.admin import reopened, whole_form

FORMS: Final = frozenset({"admin:content-add", "admin:content-change"})
_DRAIN: Final = 16 * 1024 * 1024


class EntryFormMiddleware:
    """Lets people who are signed in send a large form; asks the others to sign in, and loses nothing they typed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass it on, and where the entry turns out to be gone, give back what was typed."""
        response = self.get_response(request)
        match = request.resolver_match
        if (
            response.status_code == HTTPStatus.NOT_FOUND
            and request.method == "POST"
            and match is not None
            and match.view_name in FORMS
            and is_from_here(request)
            and not problems.is_script(request)
        ):
            return _give_back(request)
        return response

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],  # noqa: ARG002 (Django's signature)
        args: tuple[Any, ...],  # noqa: ARG002
        kwargs: dict[str, Any],  # noqa: ARG002
    ) -> HttpResponse | None:
        """Answer instead of the view where the form can't be taken; else let it be read whole."""
        match = request.resolver_match
        if request.method != "POST" or match is None or match.view_name not in whole_form.PAGES:
            return None
        size = _size(request)
        if not admin.site.has_permission(request):
            if problems.is_script(request):
                _drain(request, min(size, whole_form.MAX_BYTES))  # a script of ours sends no more
                return HttpResponse(status=HTTPStatus.UNAUTHORIZED)
            if match.view_name in FORMS and is_from_here(request):
                return keep(request)
            return None
        if request.content_type == "multipart/form-data":
            if size > whole_form.MAX_BYTES:
                _drain(request, size)
                return problems.bad_request(request, whole_form.FormTooLargeError(size))
            request.upload_handlers.insert(0, whole_form.WholeForm(request))
        return None


def is_from_here(request: HttpRequest) -> bool:
    """Tell whether a page of ours sent the form: browsers say so themselves, and no page can make them lie."""
    return request.headers.get("Sec-Fetch-Site") == "same-origin"


def keep(request: HttpRequest) -> HttpResponse:
    """Show what was typed and offer to send it once more, for a form whose session or token has gone.

    Only for forms of our own pages (`is_from_here`): what another site sends must neither be shown here nor sent on.
    """
    if _size(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and not admin.site.has_permission(request):
        return _too_much_to_keep(request)
    try:
        lists = request.POST.lists()
    except TooManyFieldsSent:
        return _too_much_to_keep(request)
    sent = [(name, value) for name, values in lists if name != "csrfmiddlewaretoken" for value in values]
    context = {
        "address": request.get_full_path(),
        "sent": sent,
        "sign_in": reverse("admin:login"),
        "token": get_token(request),
    }
    response = render(request, "admin/content/kept.html", context, status=HTTPStatus.FORBIDDEN)
    response.headers["Cache-Control"] = "no-store"
    return response


def _give_back(request: HttpRequest) -> HttpResponse:
    """Show what was typed into the form of an entry that is gone, or hidden now; that it is sent tells nothing new."""
    sent = [
        (name.removeprefix("f-"), value)
        for name, values in request.POST.lists()
        if name.startswith("f-") and not reopened.is_tool(name)
        for value in values
        if value.strip()
    ]
    response = render(request, "admin/content/given_back.html", {"sent": sent}, status=HTTPStatus.NOT_FOUND)
    response.headers["Cache-Control"] = "no-store"
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The view for a missing or wrong CSRF token; the forms of entries, when they are our own, are kept."""
    match = request.resolver_match
    is_form = match is not None and match.view_name in FORMS
    if is_form and is_from_here(request) and not problems.is_script(request):
        return keep(request)
    return problems.csrf_failure(request, reason)


def _too_much_to_keep(request: HttpRequest) -> HttpResponse:
    _drain(request, min(_size(request), whole_form.MAX_BYTES))
    detail = (
        "You are not signed in, and the form is too large to be kept here. Nothing was saved. Sign in in another tab, "
        "then go back in this one: your browser most likely still has what you typed."
    )
    return problems.refuse(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail=detail)


def _size(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdecimal() else 0


def _drain(request: HttpRequest, size: int) -> None:
    """Read the body and drop it: a browser that is answered while it sends shows an error of its own instead."""
    for _ in range(min(size, _DRAIN) // 65_536 + 1):
        if not request.read(65_536):
            break
