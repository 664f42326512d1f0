"""Users and service accounts: adding, changing, passwords. Nobody changes own rights; the last administrator stays."""

from collections.abc import Collection
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from accounts.access import Area, Principal
from accounts.addresses import canonical_email
from accounts.errors import ConflictError, InvalidInputError, NotAllowedError, Problem
from accounts.ids import uuid7
from accounts.log import Subject, record
from accounts.models.generation import ACCESS, KEYS, Generation
from accounts.models.role import ADMINISTRATOR, PUBLIC, Role
from accounts.models.user import User
from accounts.rights.granting import require_to_hold_roles
from accounts.sign_in import devices, sessions
from accounts.sign_in.passwords import ALONE, WITH_SECOND_FACTOR, require_good

INVITED: Final = "user.invited"
UPDATED: Final = "user.updated"
PASSWORD_CHANGED: Final = "user.password-changed"  # noqa: S105 (a type of event)


@transaction.atomic
def add_person(
    email: str,
    *,
    name: str = "",
    roles: Collection[str] = (),
    password: str | None = None,
    is_active: bool = True,
    by: Principal,
) -> User:
    """Add somebody who can sign in. Without a password they have none until an invitation is used.

    Raises InvalidInputError (address, unknown role, weak password), ConflictError (address taken).
    """
    by.require_area(Area.USERS)
    by.require_step_up()
    address = _free_address(email)
    user = User(id=uuid7(), email=address, name=name, is_active=is_active)
    if password is None:
        user.set_unusable_password()
    else:
        has_second_factor = Role.objects.filter(key__in=roles, require_second_factor=True).exists()
        check_new_password(password, user, has_second_factor=has_second_factor)
        user.set_password(password)
    _insert(user, roles, by)
    if password is None and is_active:
        invite(user, by=by)
    return user


@transaction.atomic
def invite(user: User, *, by: Principal) -> None:
    """Ask for a mail that lets somebody choose their password; `accounts.sign_in.mails` sends it after the commit."""
    by.require_area(Area.USERS)
    by.require_step_up()
    if user.is_service or not user.is_active:
        raise ConflictError("Only active people can be invited.")
    record(INVITED, actor=by, subject=_subject(user))


@transaction.atomic
def add_service(name: str, *, roles: Collection[str] = (), by: Principal) -> User:
    """Add a service account: it owns API keys and can't sign in."""
    by.require_area(Area.USERS if by.administers(Area.USERS) else Area.KEYS)
    by.require_step_up()
    identifier = uuid7()
    user = User(id=identifier, email=f"{identifier}@service.invalid", name=name, is_service=True)
    user.set_unusable_password()
    return _insert(user, roles, by)


def _insert(user: User, roles: Collection[str], by: Principal) -> User:
    found = _roles(roles)
    require_to_hold_roles(by, roles)
    user.save(force_insert=True)
    user.groups.set(role.pk for role in found)
    record(
        "user.created",
        actor=by,
        subject=_subject(user),
        detail={"roles": sorted(roles), "is_service": user.is_service, "is_active": user.is_active},
    )
    Generation.objects.bump(ACCESS, KEYS)
    return user


@transaction.atomic
def change_user(
    user: User,
    *,
    email: str | None = None,
    name: str | None = None,
    roles: Collection[str] | None = None,
    is_active: bool | None = None,
    by: Principal,
) -> User:
    """Change what is given. Every session and token ends when the address, a role, or being active changes.

    Raises NotAllowedError for own roles and own switching off, ConflictError for the last administrator.
    """
    by.require_area(Area.USERS)
    by.require_step_up()
    user = User.objects.select_for_update().get(pk=user.pk)
    changed: dict[str, object] = {}
    if email is not None and canonical_email(email) != user.email:
        if user.is_service:
            raise InvalidInputError(
                errors=[Problem.at(["email"], "not-possible", "Service accounts have no mail.")]
            )
        require_to_hold_roles(by, _role_keys(user))  # whoever gets its mail can become it
        # `sign_in.mails` tells it and forgets it.
        user.former_email = user.former_email or user.email
        user.email = _free_address(email)
        changed["email"] = True
    if name is not None and name != user.name:
        user.name = name
        changed["name"] = True
    if is_active is not None and is_active != user.is_active:
        if user.pk == by.user_id:
            raise NotAllowedError("Nobody switches their own account on or off.")
        require_to_hold_roles(by, _role_keys(user))
        user.is_active = is_active
        changed["is_active"] = is_active
    if roles is not None and (before := set(_role_keys(user))) != set(roles):
        changed |= _change_roles(user, before, set(roles), by)
    if set(changed) - {"name"}:
        user.token_version += 1
    if changed:
        user.save(force_update=True)
        _require_an_administrator()
        if set(changed) - {"name"}:
            sessions.end_all(user, by=by)
        record(UPDATED, actor=by, subject=_subject(user), detail=changed)
        Generation.objects.bump(ACCESS, KEYS)
    return User.objects.get(pk=user.pk)


def _change_roles(user: User, before: set[str], after: set[str], by: Principal) -> dict[str, object]:
    if user.pk == by.user_id:
        # Whoever can edit users could otherwise make themselves anything (E27).
        raise NotAllowedError("Nobody changes roles of their own.")
    found = _roles(after)
    require_to_hold_roles(by, before ^ after)
    user.groups.set(role.pk for role in found)
    return {"roles_added": sorted(after - before), "roles_removed": sorted(before - after)}


@transaction.atomic
def set_password(user: User, password: str, *, by: Principal) -> None:
    """Give a user a new password; every other session and token of theirs ends. Raises InvalidInputError (weak)."""
    if user.pk != by.user_id:
        by.require_area(Area.USERS)
        by.require_step_up()
        require_to_hold_roles(by, _role_keys(user))
    else:
        devices.require_proof(user, by)
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.is_service:
        raise InvalidInputError("Service accounts have no password.")
    check_new_password(password, user)
    user.set_password(password)
    user.token_version += 1
    user.save(force_update=True)
    sessions.end_all(user, by=by)
    record(PASSWORD_CHANGED, actor=by, subject=_subject(user))
    Generation.objects.bump(KEYS)


def least_length(user: User, *, has_second_factor: bool | None = None) -> int:
    """Return how long a password of this person must be: longer where it is all that is asked for."""
    if has_second_factor is None:
        is_asked_for = Role.objects.filter(user=user, require_second_factor=True).exists()
        has_second_factor = is_asked_for or devices.has_factor(user)
    return WITH_SECOND_FACTOR if has_second_factor else ALONE


def check_new_password(password: str, user: User, *, has_second_factor: bool | None = None) -> None:
    """Raise InvalidInputError when a password is too short for this person, known, or easily guessed."""
    least = least_length(user, has_second_factor=has_second_factor)
    require_good(password, least=least, about=[user.email, user.name])


def _free_address(email: str) -> str:
    address = canonical_email(email)
    try:
        validate_email(address)
    except ValidationError as error:
        raise InvalidInputError(
            errors=[Problem.at(["email"], "invalid", "This is no e-mail address.")]
        ) from error
    if address is None or address.endswith(".invalid"):
        raise InvalidInputError(errors=[Problem.at(["email"], "invalid", "This address can't be used.")])
    if User.objects.filter(email=address).exists():
        raise ConflictError(errors=[Problem.at(["email"], "taken", "Somebody has this address already.")])
    return address


def _roles(keys: Collection[str]) -> list[Role]:
    found = {role.key: role for role in Role.objects.filter(key__in=keys).exclude(key=PUBLIC)}
    problems = [
        Problem.at(["roles", number], "unknown-role", "There is no such role to give.")
        for number, key in enumerate(keys)
        if key not in found
    ]
    if problems:
        raise InvalidInputError(errors=problems)
    return list(found.values())


def _role_keys(user: User) -> list[str]:
    return list(Role.objects.filter(user=user).exclude(key=PUBLIC).values_list("key", flat=True))


def _require_an_administrator() -> None:
    """Refuse the change that would leave nobody who administers; the role's lock makes two such changes wait."""
    role = Role.objects.select_for_update().get(key=ADMINISTRATOR)
    if not User.objects.filter(groups=role, is_active=True, is_service=False).exists():
        raise ConflictError("This would leave nobody who can administer.")


def _subject(user: User) -> Subject:
    return Subject("user", str(user.pk))
