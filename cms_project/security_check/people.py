"""Who administers, and how surely it is they who sign in."""

from collections.abc import Iterator
from typing import Final

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.access import POWERFUL_AREAS
from accounts.models import Authenticator, Passkey, User
from accounts.models.alert import Severity
from accounts.models.role import ADMINISTRATOR, Role
from accounts.rights import warnings
from cms_project.security_check.check import Check, Found

HAS_APP: Final = Exists(Authenticator.objects.filter(user=OuterRef("pk"), confirmed=True))
HAS_PASSKEY: Final = Exists(Passkey.objects.filter(user=OuterRef("pk"), confirmed=True))


def administrators() -> QuerySet[User]:
    """Return the people who administer anything by which they could become anything."""
    areas = [area.value for area in POWERFUL_AREAS]
    powerful = Q(groups__role__key=ADMINISTRATOR) | Q(groups__role__areas__overlap=areas)
    return User.objects.filter(powerful, is_active=True, is_service=False).distinct().order_by("email")


def second_factor() -> Iterator[Found]:
    """Look for administrators who sign in with a password alone."""
    for user in administrators().filter(~HAS_APP, ~HAS_PASSKEY):
        yield Found(f"{user} has no second factor.")


def passkey() -> Iterator[Found]:
    """Look for administrators whom a page that looks like ours could rob."""
    for user in administrators().filter(HAS_APP, ~HAS_PASSKEY):
        yield Found(f"{user} has no passkey.")


def demands() -> Iterator[Found]:
    """Look for roles that administer and ask for no second factor."""
    areas = [area.value for area in POWERFUL_AREAS]
    for role in Role.objects.filter(Q(key=ADMINISTRATOR) | Q(areas__overlap=areas)).order_by("key"):
        if not role.require_second_factor:
            yield Found(f"{role} asks for no second factor.")


def number() -> Iterator[Found]:
    """Look for too many administrators, for absent ones, and for one who is alone."""
    absent = warnings.absent_administrators(timezone.now())
    for warning in (*warnings.too_many_administrators(), *absent):
        yield Found(warning.text)
    if administrators().filter(groups__role__key=ADMINISTRATOR).count() == 1:
        yield Found("There is one administrator: when they are away, nobody can act.", Severity.NOTICE)


CHECKS: Final = (
    Check("second-factor", "Administrators have a second factor", Severity.CRITICAL,
          "Let them add a passkey or an authenticator app; until then take the role away.", second_factor,
          page="accounts_user_changelist"),
    Check("passkeys", "Administrators have a passkey", Severity.NOTICE,
          "A passkey can't be phished. Let them add one in their account.", passkey, page="account"),
    Check("role-demands", "Roles that administer ask for a second factor", Severity.WARNING,
          "Tick “Require a second factor” in the role.", demands, page="accounts_role_changelist"),
    Check("administrators", "A few people administer", Severity.WARNING,
          "Take the role from who does not need it; have two who do.", number, page="accounts_user_changelist"),
)  # fmt: skip
