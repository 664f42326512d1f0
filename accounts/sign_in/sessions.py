"""Sessions: how one starts, is confirmed again, goes on under a new key, and ends."""

from typing import Final
from uuid import UUID

from django.contrib.auth import login, logout, update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django_otp import login as otp_login

from accounts.access import Area, Principal
from accounts.addresses import client_address
from accounts.errors import (
    InvalidInputError,
    LockedDownError,
    NotAuthenticatedError,
    Problem,
    StrongerFactorRequiredError,
)
from accounts.log import Subject, record
from accounts.models.device import OwnedDevice
from accounts.models.generation import KEYS, Generation
from accounts.models.lockdown import Lockdown
from accounts.models.role import Strength
from accounts.models.session import LIVES, Session
from accounts.models.user import User
from accounts.principals import SESSION_ID_KEY, at_request, of_user

BACKEND: Final = "accounts.sign_in.backends.PasswordBackend"
LONGEST_REASON: Final = 200


def start(
    request: HttpRequest,
    user: User,
    kind: Session.Kind,
    strength: Strength,
    *,
    refresh_jti: UUID | None = None,
) -> Session:
    """Make the row of a sign-in, in the caller's transaction. Raises LockedDownError.

    Asked in that transaction: one that began before a lockdown is waited for, and its session ended with the others.
    """
    if Lockdown.objects.is_on():
        require_may_look(user)
    now = timezone.now()
    session = Session.objects.create(
        user=user,
        kind=kind,
        created_at=now,
        last_seen_at=now,
        expires_at=now + user.demands.life(LIVES[kind]),
        address=client_address(request),
        agent=request.META.get("HTTP_USER_AGENT", "")[:200].replace("\x00", ""),
        refresh_jti=refresh_jti,
        strength=strength,
        verified_at=now if strength > Strength.PASSWORD else None,
        confirmed_at=now,
    )
    record(
        "session.started",
        actor=at_request(of_user(user), request),
        subject=Subject("session", str(session.pk)),
        detail={
            "kind": str(kind.value),
            "second_factor": strength > Strength.PASSWORD,
            "phishing_resistant": strength == Strength.PHISHING_RESISTANT,
        },
    )
    return session


def require_may_look(user: User) -> None:
    """Let in, while the system is locked down, who administers any of it: to look. Raises LockedDownError."""
    principal = of_user(user)
    if not any(principal.administers(area) for area in Area):
        raise LockedDownError("The system is locked down. Only administrators can sign in for now, to look.")


def start_in_admin(request: HttpRequest, user: User, device: OwnedDevice | None) -> Session:
    """Sign in to the admin: a new session key, whatever was planted before, and a row that can be seen and ended."""
    request.session.flush()
    strength = device.strength if device is not None else Strength.PASSWORD
    with transaction.atomic():
        session = start(request, user, Session.Kind.ADMIN, strength)
    login(request, user, backend=BACKEND)
    request.session[SESSION_ID_KEY] = str(session.pk)
    request.session.set_expiry(int((session.expires_at - timezone.now()).total_seconds()))
    if device is not None:
        otp_login(request, device)
    return session


def end_in_admin(request: HttpRequest) -> None:
    """Sign out of the admin."""
    identifier = request.session.get(SESSION_ID_KEY)
    session = Session.objects.filter(pk=identifier).first() if identifier else None
    if session is not None:
        end(session, by=at_request(of_user(session.user), request))
    logout(request)


def of_principal(principal: Principal) -> Session:
    """Return the live row of the session that a principal acts in. Raises NotAuthenticatedError for API keys."""
    if principal.credential not in ("session", "jwt"):
        raise NotAuthenticatedError("An API key has no session.")
    found = Session.objects.filter(pk=principal.credential_id, ended_at__isnull=True).first()
    if found is None:
        raise NotAuthenticatedError("The session has ended.")
    return found


@transaction.atomic
def confirm(session: Session, *, strength: Strength, reason: str, by: Principal) -> Session:
    """Note that its person has shown again who they are, with a factor or with the password, and why.

    Raises InvalidInputError without a reason, StrongerFactorRequiredError for less than the roles ask for. A passkey
    makes the session as strong as one that began with it.
    """
    if strength < session.user.demands.strength:
        raise StrongerFactorRequiredError("Your role asks for a passkey, here too.")
    reason = " ".join(reason.split())
    if not reason or len(reason) > LONGEST_REASON:
        raise InvalidInputError(
            errors=[
                Problem.at(["reason"], "required", "Say why, in at most 200 characters: the log keeps it.")
            ]
        )
    session = Session.objects.select_for_update().get(pk=session.pk)
    now = timezone.now()
    session.confirmed_at = now
    session.reason = reason
    if strength > Strength.PASSWORD:
        session.verified_at = now
        session.strength = max(session.strength, strength)
    session.save(update_fields=["confirmed_at", "verified_at", "strength", "reason"])
    record(
        "session.stepped-up",
        actor=by,
        subject=Subject("session", str(session.pk)),
        detail={"second_factor": strength > Strength.PASSWORD, "reason": reason},
    )
    Generation.objects.bump(KEYS)
    return session


@transaction.atomic
def strengthen(session: Session, device: OwnedDevice, *, by: Principal) -> None:
    """Let a session count as one with the factor that was enrolled in it."""
    session = Session.objects.select_for_update().get(pk=session.pk)
    now = timezone.now()
    session.strength = max(session.strength, device.strength)
    session.verified_at = session.confirmed_at = now
    session.save(update_fields=["strength", "verified_at", "confirmed_at"])
    detail = {"phishing_resistant": session.strength == Strength.PHISHING_RESISTANT}
    record("session.strengthened", actor=by, subject=Subject("session", str(session.pk)), detail=detail)


def keep(request: HttpRequest, user: User, *, device: OwnedDevice | None = None) -> None:
    """Let this session go on after its person's password or factors have changed, under a new key.

    All others were bound to the state before and are over.
    """
    update_session_auth_hash(request, user)
    if device is not None:
        otp_login(request, device)


@transaction.atomic
def end(session: Session, *, by: Principal) -> None:
    """End a session and every token of it at once. Own sessions by anybody, others' by administrators of users."""
    if session.user_id != by.user_id:
        by.require_area(Area.USERS)
    session = Session.objects.select_for_update().get(pk=session.pk)
    if session.ended_at is None:
        end_locked(session, by=by, type_="session.ended")


@transaction.atomic
def end_all(user: User, *, by: Principal) -> int:
    """End every session of somebody; return how many. Who does it to themselves stays in the one that they act in."""
    if user.pk != by.user_id:
        by.require_area(Area.USERS)
    found = Session.objects.select_for_update().filter(user=user, ended_at__isnull=True)
    stays = by.credential_id if user.pk == by.user_id else ""
    ended = [session for session in found if str(session.pk) != stays]
    for session in ended:
        end_locked(session, by=by, type_="session.ended")
    return len(ended)


def end_locked(session: Session, *, by: Principal, type_: str) -> None:
    """End a session whose row is locked."""
    session.ended_at = timezone.now()
    session.refresh_jti = None
    session.save(update_fields=["ended_at", "refresh_jti"])
    record(
        type_, actor=by, subject=Subject("session", str(session.pk)), detail={"user": str(session.user_id)}
    )
    Generation.objects.bump(KEYS)
