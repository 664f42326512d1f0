"""Looks at the state of an admin session on every request: one that was ended elsewhere is over at once."""

from collections.abc import Callable

from django.contrib.auth import logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts.models.credential import Bearer
from accounts.models.session import Session, goes_on
from accounts.models.user import User
from accounts.principals import SESSION_ID_KEY

SEEN_EVERY_SECONDS = 60


class LiveSessionMiddleware:
    """Signs out whoever's session row has ended. Stands behind Django's AuthenticationMiddleware.

    The row and not only the cookie decides, so that "end this session" works from another machine (CVE-2025-4643), that
    a session of the password alone is over when its person gets a role that asks for more, and that idle ones end.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if isinstance(request.user, User) and not self._is_live(request, request.user):
            logout(request)
        return self.get_response(request)

    @staticmethod
    def _is_live(request: HttpRequest, user: User) -> bool:
        identifier = request.session.get(SESSION_ID_KEY)
        if identifier is None:
            return False  # signed in by some other door than ours
        session = Bearer.objects.filter(pk=identifier, user_id=user.pk, kind=Session.Kind.ADMIN).first()
        now = timezone.now()
        if session is None or not goes_on(session, session.demands, now):
            return False
        request.live_session = session  # type: ignore[attr-defined]  # read by accounts.principals
        if (now - session.last_seen_at).total_seconds() > SEEN_EVERY_SECONDS:
            Session.objects.filter(pk=session.pk).update(last_seen_at=now)
        return True
