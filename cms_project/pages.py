"""Middleware that only pages for people need: sessions, sign-in, messages. The API goes past all of it.

An API request carries its credential in a header; with no session there is no cookie that another site could ride on,
no `Vary: Cookie` on public answers, and no session row for a visitor (CVE-2015-5143).
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django_otp.middleware import OTPMiddleware

from accounts.sign_in.middleware import LiveSessionMiddleware
from cms_project.problems import wants_pages


class MessageCookie(CookieStorage):
    """Messages for the next page, in a cookie of this environment."""

    cookie_name = settings.COOKIE_NAME.format("messages")


class MessageStorage(FallbackStorage):
    """In the cookie; in the session what does not fit."""

    storage_classes = (MessageCookie, SessionStorage)


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
