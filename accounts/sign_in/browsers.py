"""Browsers that somebody has signed in with before: a signed cookie, which opens nothing by itself.

It keeps the failures of strangers apart from those of the person (OWASP calls it a device cookie), so that nobody
can lock somebody else out of their own browser.
"""

import re
import secrets
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts import environments
from accounts.keyring import key_ring

_PURPOSE: Final = "known-browser"
_LIFE: Final = 365 * 24 * 3600
_FORM: Final = re.compile(r"(?P<id>[A-Za-z0-9_-]{22})\.(?P<key>[a-z0-9_-]{1,32})\.(?P<mac>[0-9a-f]{64})")
_NAME: Final = settings.COOKIE_NAME.format("browser")


def known(request: HttpRequest, email: str) -> str:
    """Return the id of the browser if this very account was signed in to with it, else an empty text."""
    match = _FORM.fullmatch(request.COOKIES.get(_NAME, ""))
    if match is None:
        return ""
    is_ours = key_ring().verifies(
        _bytes(match["id"], email), match["mac"], purpose=_PURPOSE, key_id=match["key"]
    )
    return match["id"] if is_ours else ""


def remember(response: HttpResponse, email: str) -> None:
    """Let a browser be known as one of this account, after a whole sign-in."""
    identifier = secrets.token_urlsafe(16)
    key_id, mac = key_ring().mac(_bytes(identifier, email), purpose=_PURPOSE)
    response.set_cookie(
        _NAME,
        f"{identifier}.{key_id}.{mac}",
        max_age=_LIFE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _bytes(identifier: str, email: str) -> bytes:
    return f"{environments.name()}:{identifier}:{email}".encode()
