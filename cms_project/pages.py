"""Middleware that only pages for people need: sessions, sign-in, messages, forms. The API goes past all of it.

An API request carries its credential in a header; with no session there is no cookie that another site could ride on,
no `Vary: Cookie` on public answers, and no session row for a visitor (CVE-2015-5143).
"""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django_otp.middleware import OTPMiddleware

from accounts.middleware import LiveSessionMiddleware
from cms_project.problems import is_script, refuse, wants_pages


def for_pages(middleware: type[Any]) -> type[Any]:
    """Return a middleware class that does its work below /admin/ and steps aside elsewhere."""

    class ForPages(middleware):  # type: ignore[misc]  # the base is a parameter
        def __call__(self, request: HttpRequest) -> Any:
            return super().__call__(request) if wants_pages(request) else self.get_response(request)

    ForPages.__name__ = ForPages.__qualname__ = middleware.__name__
    return ForPages


Sessions = for_pages(SessionMiddleware)
Authentication = for_pages(AuthenticationMiddleware)
LiveSessions = for_pages(LiveSessionMiddleware)
SecondFactors = for_pages(OTPMiddleware)
Messages = for_pages(MessageMiddleware)


class FormSizeMiddleware:
    """Lets people who are signed in send long forms, and nobody else.

    Django has one limit for all: `DATA_UPLOAD_MAX_MEMORY_SIZE` is theirs, `ANONYMOUS_FORM_BYTES` that of the doors. The
    length is asked before anything is read; a body without one never comes this far (`GuardMiddleware`).
    """

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        """Answer 413 with the numbers, or pass it on; 401 to a script whose session has ended: it asks again."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        size = int(length) if length.isascii() and length.isdecimal() and len(length) < 16 else 0
        is_known = request.user.is_authenticated
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE if is_known else settings.ANONYMOUS_FORM_BYTES
        if size <= most:
            return self.get_response(request)
        if is_script(request) and not is_known:
            return HttpResponse(status=HTTPStatus.UNAUTHORIZED)
        detail = f"The form has {_megabytes(size)}; at most {_megabytes(most)} can be saved at once."
        return refuse(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail=detail)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"


FormSizes = for_pages(FormSizeMiddleware)
