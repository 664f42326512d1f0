"""Links that work once and lead to choosing a password: for people who are invited, and who forgot theirs.

The secret stands behind the `#` of the address: no browser sends that part to a server, so it is in no log, no
history of a proxy and no `Referer`.
"""

import base64
import binascii
import re
import time
from datetime import timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse

from accounts import environments
from accounts.addresses import canonical_email
from accounts.canonical import canonical_bytes
from accounts.errors import NotFoundError
from accounts.keyring import key_ring
from accounts.log import Subject, record
from accounts.models.user import User
from accounts.people import set_password
from accounts.principals import anonymous, at_request, of_user
from accounts.sign_in import lockout

RESET_ASKED: Final = "user.reset-asked"
_FORM: Final = re.compile(
    r"(?P<purpose>[a-z]{1,12})\.(?P<environment>[a-z]{1,20})\.(?P<user>[0-9a-f]{32})\.(?P<made>[0-9]{10})\.(?P<key>[a-z0-9_-]{1,32})\.(?P<mac>[A-Za-z0-9_-]{43})"
)


class Purpose(StrEnum):
    """What a link is for; one for the one is no good for the other."""

    INVITATION = "invitation"
    RESET = "reset"


LIVES: Final = {Purpose.INVITATION: timedelta(days=3), Purpose.RESET: timedelta(hours=1)}


def make_address(user: User, purpose: Purpose) -> str:
    """Return the whole address of a new link; host and path come from settings alone (CVE-2026-34751)."""
    return f"{settings.PUBLIC_URL}{reverse('admin:link')}#{make_token(user, purpose)}"


def make_token(user: User, purpose: Purpose) -> str:
    """Return a token that is bound to the person, the purpose and all that using it changes."""
    made = int(time.time())
    key_id, mac = key_ring().mac(_bytes(user, purpose, made), purpose=f"link:{purpose.value}")
    text = base64.urlsafe_b64encode(bytes.fromhex(mac)).decode().rstrip("=")
    return f"{purpose.value}.{environments.name()}.{user.pk.hex}.{made}.{key_id}.{text}"


def read(token: str) -> tuple[User, Purpose]:
    """Return whose link it is and for what. Raises NotFoundError for one that is wrong, old or used.

    Raises OtherEnvironmentError for one that says that it is of another environment.
    """
    match = _FORM.fullmatch(token)
    try:
        if match is None:
            raise NotFoundError
        environments.require_own("link", match["environment"])
        if match["environment"] != environments.name():
            raise NotFoundError
        purpose, made = Purpose(match["purpose"]), int(match["made"])
        mac = base64.urlsafe_b64decode(match["mac"] + "=").hex()
        user = User.objects.filter(pk=UUID(match["user"]), is_active=True, is_service=False).first()
    except (ValueError, binascii.Error) as error:
        raise NotFoundError from error
    is_young = 0 <= time.time() - made <= LIVES[purpose].total_seconds()
    if user is None or not is_young:
        raise NotFoundError
    is_ours = key_ring().verifies(
        _bytes(user, purpose, made), mac, purpose=f"link:{purpose.value}", key_id=match["key"]
    )
    if not is_ours:
        raise NotFoundError
    return user, purpose


@transaction.atomic
def use(request: HttpRequest, token: str, password: str) -> User:
    """Give its person a new password, once. Raises NotFoundError, InvalidInputError (a weak one; the link stays good).

    It lets nobody in: whoever reads the mail alone has still no second factor.
    """
    user, purpose = read(token)
    User.objects.select_for_update().get(pk=user.pk)
    user, purpose = read(token)  # again behind the lock: of two at once, one wins
    by = at_request(of_user(user), request).having_confirmed(
        "factor"
    )  # the mail is the proof, for this one act
    set_password(user, password, by=by)
    if purpose is Purpose.RESET:
        lockout.lift(user, by=by)
    return user


@transaction.atomic
def ask_for_reset(request: HttpRequest, email: str) -> None:
    """Note that somebody forgot a password; `accounts.sign_in.mails` sends the link after the commit.

    The same is done for an address that nobody has, so that neither the answer nor its time tells (CVE-2024-45231).
    """
    user = User.objects.filter(email=canonical_email(email) or "-", is_active=True, is_service=False).first()
    principal, _ = anonymous()
    subject = Subject("user", str(user.pk)) if user is not None else None
    record(RESET_ASKED, actor=at_request(principal, request), subject=subject)


def _bytes(user: User, purpose: Purpose, made: int) -> bytes:
    state = [user.password, user.token_version, user.email, str(user.last_login or "")]
    return canonical_bytes([environments.name(), purpose.value, str(user.pk), made, *state])
