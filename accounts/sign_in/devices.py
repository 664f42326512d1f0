"""Second factors of people: enrolling, naming and removing them. A change of them ends every other session."""

from collections.abc import Sequence

from django.db import transaction

from accounts.access import Area, Principal
from accounts.errors import ConflictError, InvalidInputError, NotAuthenticatedError, NotFoundError, Problem
from accounts.log import Subject, record
from accounts.models.device import Authenticator, OwnedDevice, Passkey, RecoveryCodes
from accounts.models.generation import KEYS, Generation
from accounts.models.role import Strength
from accounts.models.user import User
from accounts.rights.granting import require_to_hold_roles
from accounts.sign_in import sessions

ENROLLED, REMOVED, CODES_MADE = "device.enrolled", "device.removed", "recovery-codes.made"
MOST_PASSKEYS = 20


def factors(user: User) -> list[OwnedDevice]:
    """Return the authenticator and the passkeys of a user. Recovery codes stand in for one, and are none."""
    return [
        *Authenticator.objects.filter(user=user, confirmed=True),
        *Passkey.objects.filter(user=user, confirmed=True).order_by("pk"),
    ]


def has_factor(user: User) -> bool:
    return bool(factors(user))


def has_codes(user: User) -> bool:
    """Tell whether there is anything that can be typed as a code."""
    kinds = (Authenticator, RecoveryCodes)
    return any(kind.objects.filter(user=user, confirmed=True).exists() for kind in kinds)


# --- The authenticator app ----------------------------------------------------------------------------------


@transaction.atomic
def new_authenticator(user: User, *, shown: str = "") -> Authenticator:
    """Return the authenticator that a user is about to enrol.

    `shown` is the id of the one that this browser was shown already: its secret stays the same until it is confirmed.
    Nobody else's browser gets to see it, or whoever looked first could read along for ever.
    """
    _locked(user)  # two tabs must not show two secrets
    waiting = Authenticator.objects.filter(user=user, confirmed=False)
    device: Authenticator | None = waiting.filter(pk=shown).first() if shown else None
    if device is None:
        waiting.delete()
        device = Authenticator(user=user, name="Authenticator app", confirmed=False)
        device.set_new_secret()
        device.save(force_insert=True)
    return device


@transaction.atomic
def confirm_authenticator(user: User, code: str, *, by: Principal) -> Authenticator | None:
    """Take the new authenticator into use by its first code, in the place of a former one; None for a wrong code."""
    _require_own(user, by)
    user = _locked(user)
    waiting = Authenticator.objects.select_for_update().filter(user=user, confirmed=False)
    device: Authenticator | None = waiting.first()
    if device is None:
        raise NotAuthenticatedError("There is no authenticator to confirm. Start again.")
    if not device.verify_token("".join(code.split())):
        return None
    Authenticator.objects.filter(user=user, confirmed=True).delete()
    device.confirmed = True
    device.save()
    _changed(ENROLLED, user, by, {"device": "totp"})
    return device


@transaction.atomic
def enrol(user: User, *, by: Principal) -> Authenticator:
    """Give a user a confirmed authenticator at once (first administrator, demo). ConflictError if there is one."""
    by.require_area(Area.USERS)
    by.require_step_up()
    user = _locked(user)
    if Authenticator.objects.filter(user=user, confirmed=True).exists():
        raise ConflictError("There is an authenticator already.")
    device = Authenticator(user=user, name="Authenticator app", confirmed=True)
    device.set_new_secret()
    device.save(force_insert=True)
    _changed(ENROLLED, user, by, {"device": "totp"})
    return device


# --- Passkeys -------------------------------------------------------------------------------------------------


@transaction.atomic
def add_passkey(passkey: Passkey, *, by: Principal) -> Passkey:
    """Keep a passkey that was just checked. Raises ConflictError for one that is known, of whomever."""
    user: User = passkey.user
    _require_own(user, by)
    user = _locked(user)
    if Passkey.objects.filter(credential_id=passkey.credential_id).exists():
        raise ConflictError("This passkey is in use already.")
    if Passkey.objects.filter(user=user).count() >= MOST_PASSKEYS:
        raise ConflictError(f"There are {MOST_PASSKEYS} passkeys already. Remove one first.")
    passkey.save(force_insert=True)
    _changed(ENROLLED, user, by, {"device": "passkey", "id": str(passkey.pk)})
    return passkey


@transaction.atomic
def rename(device_id: object, name: str, *, by: Principal) -> None:
    """Give an own passkey another name."""
    device = Passkey.objects.select_for_update().filter(pk=device_id, user=by.user_id).first()
    if device is None:
        raise NotFoundError
    device.name = clean_name(name)
    device.save(update_fields=["name"])


def clean_name(name: str) -> str:
    """Return the name of a device as it is kept. Raises InvalidInputError."""
    text = " ".join(name.split())
    if not text or len(text) > 64 or not text.isprintable():
        raise InvalidInputError(errors=[Problem.at(["name"], "invalid", "A name of at most 64 characters.")])
    return text


# --- Recovery codes -------------------------------------------------------------------------------------------


@transaction.atomic
def make_recovery_codes(user: User, *, by: Principal) -> Sequence[str]:
    """Make ten new codes, which ends the old ones, and return them, this once."""
    _require_own(user, by)
    user = _locked(user)
    if not has_factor(user):
        raise ConflictError("Recovery codes stand in for a second factor, and there is none.")
    device: RecoveryCodes | None = RecoveryCodes.objects.select_for_update().filter(user=user).first()
    is_new = device is None
    if device is None:
        device = RecoveryCodes(user=user, name="Recovery codes", confirmed=True)
    codes = device.set_new_codes()
    device.save(force_insert=is_new)
    record(CODES_MADE, actor=by, subject=Subject("user", str(user.pk)), detail={"codes": len(codes)})
    return codes


# --- Removing -----------------------------------------------------------------------------------------------------


@transaction.atomic
def remove(device: OwnedDevice, *, by: Principal) -> None:
    """Remove an own device. Raises ConflictError for the last one that the roles ask for (threats, 2.11)."""
    user: User = _locked(device.user)
    _require_own(user, by)
    left = [other for other in factors(user) if other.pk != device.pk]
    strength = max((other.strength for other in left), default=Strength.PASSWORD)
    if strength < user.demands.strength:
        why = (
            "Your roles ask for a passkey."
            if user.demands.strength is Strength.PHISHING_RESISTANT and left
            else "Your roles ask for a second factor."
            if user.has_long_password
            else "Your password is too short to stand alone."
        )
        raise ConflictError(f"{why} Add another one before you remove this one.")
    kind = "passkey" if isinstance(device, Passkey) else "totp"
    device.delete()
    if not left:
        RecoveryCodes.objects.filter(user=user).delete()
    _changed(REMOVED, user, by, {"device": kind, "id": str(device.pk)})


@transaction.atomic
def remove_all(user: User, *, by: Principal) -> int:
    """Take lost devices from somebody else, ending their sessions; return how many were removed.

    Nobody does it to themselves this way: a stolen session could then shed the second factor (CVE-2020-5240).
    """
    by.require_area(Area.USERS)
    by.require_step_up()
    if user.pk == by.user_id:
        raise ConflictError("Ask another administrator to take your second factors away.")
    user = _locked(user)
    require_to_hold_roles(by, user.role_keys)
    removed: int = sum(
        kind.objects.filter(user=user).delete()[0] for kind in (Authenticator, Passkey, RecoveryCodes)
    )
    if removed:
        _changed(REMOVED, user, by, {"device": "all"})
    return removed


def _changed(type_: str, user: User, by: Principal, detail: dict[str, object]) -> None:
    """End every session and token that began before, and write it down."""
    user.token_version += 1
    user.save(update_fields=["token_version"])
    sessions.end_all(user, by=by)
    record(type_, actor=by, subject=Subject("user", str(user.pk)), detail=detail)
    Generation.objects.bump(KEYS)


def _require_own(user: User, by: Principal) -> None:
    """Raise NotFoundError for the account of somebody else, StepUpRequiredError without a fresh proof."""
    if by.user_id != user.pk:
        raise NotFoundError
    require_proof(user, by)


def require_proof(user: User, by: Principal) -> None:
    """Raise StepUpRequiredError unless who changes their own account has shown their best proof a moment ago."""
    if has_factor(user):
        by.require_step_up(own_account=True)
    else:
        by.require_confirmation()


def _locked(user: User) -> User:
    return User.objects.select_for_update().get(pk=user.pk)
