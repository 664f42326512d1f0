"""The one sign-in, for the admin and the API: a password or a passkey, a second factor, and what is still missing."""

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Final, NoReturn
from uuid import uuid4

from axes.helpers import get_cool_off
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts.access import Principal
from accounts.addresses import canonical_email
from accounts.errors import (
    LockedOutError,
    NotAuthenticatedError,
    SecondFactorEnrolmentRequiredError,
    SecondFactorRequiredError,
    StrongerFactorRequiredError,
)
from accounts.log import Subject, record
from accounts.models.device import Authenticator, OwnedDevice, RecoveryCodes
from accounts.models.role import Strength
from accounts.models.session import Session, goes_on
from accounts.models.user import User
from accounts.principals import anonymous, at_request, of_user
from accounts.sign_in import lockout, sessions
from accounts.sign_in.devices import has_codes, has_factor
from accounts.sign_in.passwords import require_sane_size
from accounts.sign_in.tokens import ACCESS_LIFE, AccessToken, RefreshToken

PENDING_KEY: Final = "accounts_pending"
PENDING_LIFE: Final = timedelta(minutes=5)
# One sentence for all of it: which of these it was is nobody's business who does not know the password.
WRONG: Final = (
    "The e-mail address, the password or the code is wrong, or there were too many attempts."
    " After too many, wait a quarter of an hour, or choose a new password by mail."
)
# Whoever reads this has given the right password, or is signed in.
WRONG_CODE: Final = (
    "The code is wrong or was used before, or there were too many attempts. Wait for the next one that the app shows;"
    " after too many, wait a quarter of an hour."
)


class Next(Enum):
    """What is still to do after the password was right."""

    NOTHING = "nothing"
    CODE = "code"  # of an authenticator or on paper, or a passkey
    ENROLMENT = "enrolment"


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """A pair for an API session."""

    access: str
    refresh: str
    expires_in: int


# --- First step: the password -------------------------------------------------------------------------------


def check_password(request: HttpRequest, email: str, password: str, *, by: Principal | None = None) -> User:
    """Return the user. Raises NotAuthenticatedError, InvalidInputError (too long), UnavailableError (too many at once).

    `by` is whose session asks, in a step-up. Unknown, wrong, switched off and locked out give one answer, after one
    hash and the same time.
    """
    require_sane_size(password)
    started = time.monotonic()
    # What can't be anybody's address is counted as one name: made-up spellings are no way to fresh counters.
    username = canonical_email(email) or "-"
    if lockout.is_locked(request, username):
        User().set_password(password)  # the same work as for an account that is not locked
        _refuse(request, username, started, by=by, type_=lockout.LOCKED_OUT)
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        _refuse(request, username, started, by=by, type_=_failed(by))
    return user


def what_is_next(user: User) -> Next:
    """Tell which second step a user has before them."""
    if has_factor(user):
        return Next.CODE
    return Next.ENROLMENT if user.must_have_second_factor else Next.NOTHING


def is_strong_enough(user: User, strength: Strength) -> bool:
    """Tell whether what was given is all that the user's roles ask for."""
    return strength >= user.demands.strength


# --- Second step: the code ----------------------------------------------------------------------------------


def check_code(request: HttpRequest, user: User, code: str, *, by: Principal | None = None) -> OwnedDevice:
    """Return the device of a code: the authenticator for six digits, else the recovery codes.

    `by` is whose session asks, in a step-up. Raises NotAuthenticatedError, or LockedOutError after too many. Wrong
    codes count like wrong passwords, a code works once, and failures slow each other down.
    """
    if lockout.is_locked(request, user.email):
        _record_failure(request, user.email, lockout.LOCKED_OUT, by=by)
        raise LockedOutError(retry_after=_cool_off(request))
    text = "".join(code.split())
    kind = Authenticator if text.isdecimal() and len(text) == 6 else RecoveryCodes
    with transaction.atomic():
        device: OwnedDevice | None = (
            kind.objects.select_for_update().filter(user=user, confirmed=True).first()
        )
        is_right = device is not None and device.verify_token(text)
        if is_right and isinstance(device, RecoveryCodes):
            _record_use(request, user, device)
    if not is_right or device is None:
        fail(request, user, by=by)
    return device


def _record_use(request: HttpRequest, user: User, codes: RecoveryCodes) -> None:
    record(
        "recovery-code.used",
        actor=at_request(of_user(user), request),
        subject=Subject("user", str(user.pk)),
        detail={"left": len(codes.macs)},
    )


def count_failure(request: HttpRequest, user: User | None, *, by: Principal | None = None) -> None:
    """Count a factor that was refused elsewhere as a failed attempt, and write it down.

    `by` is whose session asks, in a step-up.
    """
    username = user.email if user is not None else "-"
    user_login_failed.send(sender=__name__, credentials={"username": username}, request=request)
    request.axes_locked_out = False  # type: ignore[attr-defined]  # as in `_refuse`
    _record_failure(request, username, _failed(by), by=by)


def fail(request: HttpRequest, user: User, *, by: Principal | None = None) -> NoReturn:
    """Refuse a factor that was wrong. Raises NotAuthenticatedError."""
    count_failure(request, user, by=by)
    raise NotAuthenticatedError(WRONG_CODE)


# --- The admin: what is remembered between the steps ------------------------------------------------------------


def remember_step(
    request: HttpRequest, user: User, next_url: str, *, given: Strength = Strength.PASSWORD
) -> None:
    """Note in the (anonymous) session what was right so far. Nothing else in the house looks at this."""
    request.session.flush()
    request.session[PENDING_KEY] = {
        "user": str(user.pk),
        "state": user.get_session_auth_hash(),
        "at": int(time.time()),
        "next": next_url,
        "given": int(given),
    }


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in between its steps: whose it is, what was given, and where to go after it."""

    user: User
    given: Strength
    next_url: str


def pending(request: HttpRequest) -> Pending | None:
    """Return what this session waits for; None without anything, or when it is too old."""
    found: dict[str, Any] | None = request.session.get(PENDING_KEY)
    if found is None or time.time() - found["at"] > PENDING_LIFE.total_seconds():
        return None
    user = User.objects.filter(pk=found["user"], is_active=True, is_service=False).first()
    if user is None or not secrets.compare_digest(user.get_session_auth_hash(), found["state"]):
        return None
    return Pending(user, Strength(found["given"]), str(found["next"]))


# --- The API ------------------------------------------------------------------------------------------------


def sign_in_api(request: HttpRequest, email: str, password: str, code: str | None) -> Tokens:
    """Sign in by API. Raises as the steps do, SecondFactorRequiredError without a code where one is needed."""
    user = check_password(request, email, password)
    step = what_is_next(user)
    if step is Next.ENROLMENT:
        raise SecondFactorEnrolmentRequiredError
    if step is Next.CODE and not has_codes(user):
        raise StrongerFactorRequiredError
    if step is Next.CODE and not code:
        raise SecondFactorRequiredError
    given = Strength.PASSWORD
    if step is Next.CODE and code:
        given = check_code(request, user, code).strength
    if not is_strong_enough(user, given):
        raise StrongerFactorRequiredError
    jti = uuid4()
    with transaction.atomic():
        session = sessions.start(request, user, Session.Kind.API, given, refresh_jti=jti)
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
        now = timezone.now()
        if session is None:
            raise NotAuthenticatedError("The session has ended.")
        user = session.user
        if (
            user.pk != claims.user_id
            or not user.is_active
            or user.token_version != claims.token_version
            or not goes_on(session, user.demands, now)
        ):
            raise NotAuthenticatedError("The session has ended.")
        if session.refresh_jti == claims.jti:
            session.refresh_jti = uuid4()
            session.last_seen_at = now
            session.save(update_fields=["refresh_jti", "last_seen_at"])
            return _tokens(session, user, session.refresh_jti)
        by = at_request(of_user(user), request)
        sessions.end_locked(session, by=by, type_="session.refresh-reused")
    raise NotAuthenticatedError("This refresh token was used before. The session was ended.")


def _tokens(session: Session, user: User, jti: Any) -> Tokens:
    return Tokens(
        access=AccessToken.issue(session, user),
        refresh=RefreshToken.issue(session, user, jti=jti, until=session.expires_at),
        expires_in=int(ACCESS_LIFE.total_seconds()),
    )


# --- Refusals -----------------------------------------------------------------------------------------------


def _refuse(
    request: HttpRequest, username: str, started: float, *, by: Principal | None, type_: str
) -> NoReturn:
    """Log the failure and raise. Known and unknown accounts leave the same trace and get the same answer."""
    # Or axes' middleware would put its own answer in the place of ours, which tells who is locked out.
    request.axes_locked_out = False  # type: ignore[attr-defined]
    _record_failure(request, username, type_, by=by)
    # What is looked up for one account and not for another must not show: every refusal takes the same time.
    time.sleep(max(0.0, settings.REFUSED_SIGN_IN_SECONDS - (time.monotonic() - started)))
    raise NotAuthenticatedError(WRONG)


def _failed(by: Principal | None) -> str:
    """Return what the log calls a failure: of a step-up where a session asks, else of signing in."""
    return lockout.STEP_UP_FAILED if by else lockout.FAILED


def _cool_off(request: HttpRequest) -> int:
    return int((get_cool_off(request) or timedelta(0)).total_seconds())


def _record_failure(request: HttpRequest, username: str, type_: str, *, by: Principal | None = None) -> None:
    # What was typed is not kept: people type their password into the wrong box.
    user_id = User.objects.filter(email=username).values_list("pk", flat=True).first()
    with transaction.atomic():
        record(
            type_,
            actor=by or at_request(anonymous()[0], request),
            subject=Subject("user", str(user_id)) if user_id else None,
        )
