"""Second factors of people: enrolling and removing them."""

from django.db import transaction

from accounts.access import Area, Principal
from accounts.errors import ConflictError
from accounts.granting import require_to_hold_roles
from accounts.log import Subject, record
from accounts.models.device import Authenticator
from accounts.models.generation import KEYS, Generation
from accounts.models.user import User


@transaction.atomic
def enrol(user: User, *, by: Principal) -> Authenticator:
    """Give a user a confirmed authenticator at once (first administrator, demo). ConflictError if there is one."""
    by.require_area(Area.USERS)
    User.objects.select_for_update().get(pk=user.pk)
    if Authenticator.objects.filter(user=user, confirmed=True).exists():
        raise ConflictError("There is an authenticator already.")
    device = Authenticator(user=user, name="Authenticator app", confirmed=True)
    device.set_new_secret()
    device.save(force_insert=True)
    record("device.enrolled", actor=by, subject=Subject("user", str(user.pk)), detail={"device": "totp"})
    Generation.objects.bump(KEYS)
    return device


@transaction.atomic
def remove_all(user: User, *, by: Principal) -> int:
    """Take a lost authenticator from somebody else, ending their sessions; return how many were removed.

    Nobody does it to themselves this way: a stolen session could then shed the second factor (CVE-2020-5240).
    """
    by.require_area(Area.USERS)
    if user.pk == by.user_id:
        raise ConflictError("Ask another administrator to take your authenticator away.")
    user = User.objects.select_for_update().get(pk=user.pk)
    require_to_hold_roles(by, user.role_keys)
    removed: int = Authenticator.objects.filter(user=user).delete()[0]
    if removed:
        user.token_version += 1
        user.save(update_fields=["token_version"])
        record("device.removed", actor=by, subject=Subject("user", str(user.pk)), detail={"device": "totp"})
        Generation.objects.bump(KEYS)
    return removed
