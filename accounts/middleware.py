"""Looks at the state of an admin session on every request: one that was ended elsewhere is over at once."""

from collections.abc import Callable

from django.contrib.auth import logout
from django.db.models import Exists, Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts.models.role import Role
from accounts.models.session import Session
from accounts.models.user import User
from accounts.principals import SESSION_ID_KEY

SEEN_EVERY_SECONDS = 60


class LiveSessionMiddleware:
    """Signs out whoever's session row has ended. Stands behind Django's AuthenticationMiddleware.

    The row and not only the cookie decides, so that "end this session" works from another machine (CVE-2025-4643), and
    that a session of the password alone is over when its person gets a role that asks for more.
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
        needs_second_factor = Exists(Role.objects.filter(user=user, require_second_factor=True))
        session = (
            Session.objects.live()
            .filter(pk=identifier, user=user, kind=Session.Kind.ADMIN)
            .filter(Q(verified_at__isnull=False) | ~needs_second_factor)
            .first()
        )
        if session is None:
            return False
        now = timezone.now()
        if (now - session.last_seen_at).total_seconds() > SEEN_EVERY_SECONDS:
            Session.objects.filter(pk=session.pk).update(last_seen_at=now)
        return True
