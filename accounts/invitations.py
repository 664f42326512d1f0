"""Inviting people by mail: a link that works once, for a few days, and lets them choose their password."""

from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts.errors import NotFoundError
from accounts.log import newest
from accounts.models.event import Event, Position
from accounts.models.user import User
from accounts.people import INVITED, set_password
from accounts.principals import of_user

_CONSUMER: Final = "invitations"


class InvitationTokens(PasswordResetTokenGenerator):
    """Tokens bound to the user's state: choosing a password, or any other end of sessions, uses them up."""

    key_salt = "accounts.invitations"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{user.pk}:{user.email}:{user.password}:{user.token_version}:{user.last_login}:{timestamp}"


_tokens = InvitationTokens()


def invited_user(user_id: str, token: str) -> User:
    """Return whom a link invites. Raises NotFoundError for one that is wrong, old or used."""
    try:
        user = User.objects.filter(pk=UUID(user_id), is_active=True, is_service=False).first()
    except (ValueError, ValidationError) as error:
        raise NotFoundError from error
    if user is None or not _tokens.check_token(user, token):
        raise NotFoundError
    return user


@transaction.atomic
def accept(user_id: str, token: str, password: str, *, address: str, request_id: str) -> User:
    """Give the invited person their password, once. Raises NotFoundError, InvalidInputError (weak password)."""
    user = invited_user(user_id, token)
    User.objects.select_for_update().get(pk=user.pk)
    user = invited_user(user_id, token)  # again behind the lock: of two at once, one wins
    set_password(user, password, by=of_user(user).at(address=address, request_id=request_id))
    return user


def send_due() -> int:
    """Send the invitations that the log asks for, each once it is sealed; return how many. Repeats after a crash."""
    sent = 0
    while True:
        with transaction.atomic(durable=True):
            position = Position.objects.of(_CONSUMER, lock=True)
            end, _ = newest()  # asked first: what is sealed after it is read the next time
            event = Event.objects.after(position).filter(type=INVITED).first()
            if event is None:
                # Past what is not ours as well, or the log could never be archived.
                Position.objects.advance(_CONSUMER, to=end)
                return sent
            user = User.objects.filter(pk=event.subject_id, is_active=True, is_service=False).first()
            if user is not None:
                _send(user)
                sent += 1
            Position.objects.advance(_CONSUMER, to=event.seal.position)


def _send(user: User) -> None:
    """Mail to the stored address, with an address built from settings alone (CVE-2019-19844, CVE-2026-34751)."""
    path = reverse("admin:invitation", kwargs={"user_id": str(user.pk), "token": _tokens.make_token(user)})
    text = render_to_string(
        "accounts/invitation.txt", {"name": user.name or user.email, "url": f"{settings.PUBLIC_URL}{path}"}
    )
    EmailMessage(subject="Your account on Quillkeep", body=text, to=[user.email]).send()
