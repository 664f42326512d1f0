"""The one sign-in, for the admin and the API: password, second factor, session, and how sessions end."""

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final, NoReturn
from uuid import UUID, uuid4

from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_cool_off
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django_otp import login as otp_login
from django_otp import match_token

from accounts.access import Area, Principal
from accounts.addresses import canonical_email, client_address
from accounts.errors import (
    InvalidInputError,
    LockedOutError,
    NotAuthenticatedError,
    Problem,
    SecondFactorEnrolmentRequiredError,
    SecondFactorRequiredError,
)
from accounts.log import Subject, record
from accounts.models.device import Authenticator
from accounts.models.generation import KEYS, Generation
from accounts.models.session import Session
from accounts.models.user import User
from accounts.people import LONGEST_PASSWORD
from accounts.principals import SESSION_ID_KEY, anonymous, at_request, of_user
from accounts.tokens import ACCESS_LIFE, SESSION_LIFE, AccessToken, RefreshToken

BACKEND: Final = "accounts.backends.PasswordBackend"
PENDING_KEY: Final = "accounts_pending"
PENDING_LIFE: Final = timedelta(minutes=5)
WRONG: Final = "The e-mail address, the password or the code is wrong."


class Next(Enum):
    """What is still to do after the password was right."""

    NOTHING = "nothing"
    CODE = "code"
    ENROLMENT = "enrolment"


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """A pair for an API session."""

    access: str
    refresh: str
    expires_in: int


# --- First step: the password -------------------------------------------------------------------------------


def check_password(request: HttpRequest, email: str, password: str) -> User:
    """Return the user. Raises NotAuthenticatedError (same for unknown and known), LockedOutError, InvalidInputError.

    A hash of an endless password would be an easy way to keep all processors busy, so its length
    is checked first.
    """
    if len(password.encode(errors="replace")) > LONGEST_PASSWORD:
        raise InvalidInputError(errors=[Problem.at(["password"], "too-long", "At most 4096 bytes.")])
    # What can't be anybody's address is counted as one name: made-up spellings are no way to fresh counters.
    username = canonical_email(email) or "-"
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        _refuse(request, username)
    return user


def what_is_next(user: User) -> Next:
    """Tell which second step a user has before them."""
    if Authenticator.objects.filter(user=user, confirmed=True).exists():
        return Next.CODE
    return Next.ENROLMENT if user.must_have_second_factor else Next.NOTHING


# --- Second step: the code ----------------------------------------------------------------------------------


def check_code(request: HttpRequest, user: User, code: str) -> Authenticator:
    """Return the authenticator that made the code. Raises NotAuthenticatedError, or LockedOutError after too many.

    Wrong codes count like wrong passwords, a code works once, and failures slow each other down.
    """
    credentials = {"username": user.email}
    if not AxesProxyHandler.is_allowed(request, credentials):
        _raise_locked(request, user.email)
    device = match_token(user, "".join(code.split()))
    if device is None or not device.confirmed:
        user_login_failed.send(sender=__name__, credentials=credentials, request=request)
        _refuse(request, user.email)
    found: Authenticator = Authenticator.objects.get(pk=device.pk)
    return found


def new_authenticator(user: User) -> Authenticator:
    """Return the authenticator that a user is about to enrol; its secret stays the same until it is confirmed."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # two tabs must not show two secrets
        device: Authenticator | None = Authenticator.objects.filter(user=user, confirmed=False).first()
        if device is None:
            device = Authenticator(user=user, name="Authenticator app", confirmed=False)
            device.set_new_secret()
            device.save(force_insert=True)
    return device


def confirm_authenticator(request: HttpRequest, user: User, code: str) -> Authenticator:
    """Take a new authenticator into use by its first code. Raises NotAuthenticatedError when it is wrong."""
    device = _confirmed(request, user, "".join(code.split()))
    if device is None:
        user_login_failed.send(sender=__name__, credentials={"username": user.email}, request=request)
        _refuse(request, user.email)
    return device


@transaction.atomic
def _confirmed(request: HttpRequest, user: User, code: str) -> Authenticator | None:
    User.objects.select_for_update().get(pk=user.pk)
    if Authenticator.objects.filter(user=user, confirmed=True).exists():
        raise NotAuthenticatedError("There is an authenticator already.")
    waiting = Authenticator.objects.select_for_update().filter(user=user, confirmed=False)
    device: Authenticator | None = waiting.first()
    if device is None or not device.verify_token(code):
        return None
    device.confirmed = True
    device.save()
    by = at_request(of_user(user), request)
    record("device.enrolled", actor=by, subject=Subject("user", str(user.pk)), detail={"device": "totp"})
    Generation.objects.bump(KEYS)
    return device


# --- The admin ----------------------------------------------------------------------------------------------


def remember_password_step(request: HttpRequest, user: User, next_url: str) -> None:
    """Note in the (anonymous) session that the password was right. Nothing else in the house looks at this."""
    request.session.flush()
    request.session[PENDING_KEY] = {
        "user": str(user.pk),
        "state": user.get_session_auth_hash(),
        "at": int(time.time()),
        "next": next_url,
    }


def pending_user(request: HttpRequest) -> tuple[User, str] | None:
    """Return whose second step this session waits for, and where to go after it; None without one, or an old one."""
    pending: dict[str, Any] | None = request.session.get(PENDING_KEY)
    if pending is None or time.time() - pending["at"] > PENDING_LIFE.total_seconds():
        return None
    user = User.objects.filter(pk=pending["user"], is_active=True, is_service=False).first()
    if user is None or not secrets.compare_digest(user.get_session_auth_hash(), pending["state"]):
        return None
    return user, str(pending["next"])


def start_admin_session(request: HttpRequest, user: User, device: Authenticator | None) -> Session:
    """Sign in to the admin: a new session key, whatever was planted before, and a row that can be seen and ended."""
    request.session.flush()
    with transaction.atomic():
        session = _new_session(request, user, Session.Kind.ADMIN, is_verified=device is not None)
    login(request, user, backend=BACKEND)
    request.session[SESSION_ID_KEY] = str(session.pk)
    if device is not None:
        otp_login(request, device)
    return session


def end_admin_session(request: HttpRequest) -> None:
    """Sign out of the admin."""
    identifier = request.session.get(SESSION_ID_KEY)
    session = Session.objects.filter(pk=identifier).first() if identifier else None
    if session is not None:
        end_session(session, by=at_request(of_user(session.user), request))
    logout(request)


# --- The API ------------------------------------------------------------------------------------------------


def sign_in_api(request: HttpRequest, email: str, password: str, code: str | None) -> Tokens:
    """Sign in by API. Raises as the steps do, SecondFactorRequiredError without a code where one is needed."""
    user = check_password(request, email, password)
    step = what_is_next(user)
    if step is Next.ENROLMENT:
        raise SecondFactorEnrolmentRequiredError
    if step is Next.CODE and not code:
        raise SecondFactorRequiredError
    if step is Next.CODE and code:
        check_code(request, user, code)
    jti = uuid4()
    with transaction.atomic():
        session = _new_session(
            request, user, Session.Kind.API, is_verified=step is Next.CODE, refresh_jti=jti
        )
    user_logged_in.send(sender=User, request=request, user=user)
    return _tokens(session, user, jti)


def refresh(request: HttpRequest, text: str) -> Tokens:
    """Exchange a refresh token for a new pair; the old one is dead. Raises NotAuthenticatedError.

    A second use of one means that it was stolen, from us or from them: the session ends (RFC 9700, 4.14).
    """
    claims = RefreshToken.read(text)
    with transaction.atomic():
        session = (
            Session.objects.select_for_update().filter(pk=claims.session_id, kind=Session.Kind.API).first()
        )
        if session is None or session.ended_at is not None or session.expires_at <= timezone.now():
            raise NotAuthenticatedError("The session has ended.")
        user = session.user
        if user.pk != claims.user_id or not user.is_active or user.token_version != claims.token_version:
            raise NotAuthenticatedError("The session has ended.")
        if session.refresh_jti == claims.jti:
            session.refresh_jti = uuid4()
            session.last_seen_at = timezone.now()
            session.save(update_fields=["refresh_jti", "last_seen_at"])
            return _tokens(session, user, session.refresh_jti)
        by = at_request(of_user(user), request)
        _end(session, by=by, type_="session.refresh-reused")
    raise NotAuthenticatedError("This refresh token was used before. The session was ended.")


# --- Sessions -----------------------------------------------------------------------------------------------


@transaction.atomic
def end_session(session: Session, *, by: Principal) -> None:
    """End a session and every token of it at once. Own sessions by anybody, others' by administrators of users."""
    if session.user_id != by.user_id:
        by.require_area(Area.USERS)
    session = Session.objects.select_for_update().get(pk=session.pk)
    if session.ended_at is None:
        _end(session, by=by, type_="session.ended")


def _end(session: Session, *, by: Principal, type_: str) -> None:
    session.ended_at = timezone.now()
    session.refresh_jti = None
    session.save(update_fields=["ended_at", "refresh_jti"])
    record(
        type_, actor=by, subject=Subject("session", str(session.pk)), detail={"user": str(session.user_id)}
    )
    Generation.objects.bump(KEYS)


def _new_session(
    request: HttpRequest,
    user: User,
    kind: Session.Kind,
    *,
    is_verified: bool,
    refresh_jti: UUID | None = None,
) -> Session:
    now = timezone.now()
    session = Session.objects.create(
        user=user,
        kind=kind,
        created_at=now,
        last_seen_at=now,
        expires_at=now + SESSION_LIFE,
        address=client_address(request),
        agent=request.META.get("HTTP_USER_AGENT", "")[:200].replace("\x00", ""),
        refresh_jti=refresh_jti,
        verified_at=now if is_verified else None,
    )
    record(
        "session.started",
        actor=at_request(of_user(user), request),
        subject=Subject("session", str(session.pk)),
        detail={"kind": str(kind.value), "second_factor": is_verified},
    )
    return session


def _tokens(session: Session, user: User, jti: UUID) -> Tokens:
    return Tokens(
        access=AccessToken.issue(session, user),
        refresh=RefreshToken.issue(session, user, jti=jti, until=session.expires_at),
        expires_in=int(ACCESS_LIFE.total_seconds()),
    )


# --- Refusals -----------------------------------------------------------------------------------------------


def _refuse(request: HttpRequest, username: str) -> NoReturn:
    """Log the failure and raise. Known and unknown accounts leave the same trace and get the same answer."""
    if getattr(request, "axes_locked_out", False):
        _raise_locked(request, username)
    _record_failure(request, username, "sign-in.failed")
    raise NotAuthenticatedError(WRONG)


def _raise_locked(request: HttpRequest, username: str) -> NoReturn:
    # Or axes' middleware would put its own answer in the place of ours.
    request.axes_locked_out = False  # type: ignore[attr-defined]
    _record_failure(request, username, "sign-in.locked-out")
    wait = get_cool_off(request) or timedelta(0)
    raise LockedOutError(retry_after=int(wait.total_seconds()))


def _record_failure(request: HttpRequest, username: str, type_: str) -> None:
    # What was typed is not kept: people type their password into the wrong box.
    user_id = User.objects.filter(email=username).values_list("pk", flat=True).first()
    principal, _ = anonymous()
    with transaction.atomic():
        record(
            type_,
            actor=at_request(principal, request),
            subject=Subject("user", str(user_id)) if user_id else None,
        )
