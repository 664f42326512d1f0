"""What about rights should worry an administrator: plain functions, for the admin and for a command alike."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from django.db.models import Count, Q
from django.utils import timezone

from accounts.access import POWERFUL_AREAS, Action, Area, Principal
from accounts.models.role import ADMINISTRATOR, PUBLIC, Policy, Role
from accounts.models.user import User
from accounts.rights.sentences import ACTIONS, AREAS, Speaker, listed

MOST_ADMINISTRATORS: Final = 5
MANY_PEOPLE: Final = 10  # from here on, more than a fifth of them is too many as well
ABSENT: Final = timedelta(days=90)
READING: Final = frozenset({Action.READ.value, Action.READ_DRAFT.value, Action.PREVIEW.value})


@dataclass(frozen=True, slots=True)
class AccessWarning:
    """One thing to look at. `code` is kebab-case; `kind` and `id` name the row that it is about.

    A note is about what may well be meant so: worth a look now and then, no cause for alarm.
    """

    code: str
    text: str
    kind: Literal["role", "policy", "user"]
    id: str = ""
    is_note: bool = False


def access_warnings(now: datetime | None = None) -> list[AccessWarning]:
    """Return every warning about roles, policies and administrators, the most urgent ones first."""
    policies = list(Policy.objects.select_related("role").order_by("pk"))
    return [
        *public_writes(policies),
        *public_reads_sensitive(policies),
        *too_many_administrators(),
        *absent_administrators(now or timezone.now()),
        *wide_writes(policies),
        *powerful_roles(),
    ]


def seen_by(principal: Principal, found: Iterable[AccessWarning]) -> list[AccessWarning]:
    """Return the warnings about rows that the principal looks after."""
    areas = {"role": Area.ROLES, "policy": Area.POLICIES, "user": Area.USERS}
    return [item for item in found if principal.administers(areas[item.kind])]


def public_writes(policies: Iterable[Policy]) -> Iterator[AccessWarning]:
    """Yield policies of `public` that name more than reading. No rule comes of it; somebody put it there by SQL."""
    for policy in policies:
        more = [
            words
            for action, words in ACTIONS.items()
            if action.value in policy.actions and action != Action.READ
        ]
        if policy.role.key == PUBLIC and more:
            text = f"A policy of everybody names more than reading: {listed(more)}. It was not made by Quillkeep."
            yield AccessWarning("public-may-write", text, "policy", str(policy.pk))


def public_reads_sensitive(policies: Iterable[Policy]) -> Iterator[AccessWarning]:
    """Yield policies by which everybody on the internet reads personal or secret fields."""
    naming = [policy for policy in policies if policy.role.key == PUBLIC and policy.field_ids]
    if not naming:
        return
    speaker = Speaker()
    for policy in naming:
        sensitive = speaker.policy(policy, policy.role).sensitive
        if sensitive:
            names = listed(f"{name} ({data_class})" for name, data_class in sensitive)
            text = f"Everybody on the internet may read {names} {speaker.where(policy.collection_id)}."
            yield AccessWarning("public-reads-sensitive", text, "policy", str(policy.pk))


def too_many_administrators() -> Iterator[AccessWarning]:
    """Yield one warning when there are more administrators than a team needs."""
    people = User.objects.filter(is_active=True, is_service=False)
    administrators = Count("pk", filter=Q(pk__in=User.objects.filter(groups__role__key=ADMINISTRATOR)))
    everybody, number = people.aggregate(all=Count("pk"), some=administrators).values()
    if number > MOST_ADMINISTRATORS:
        yield _many(f"{number} people are administrators; {MOST_ADMINISTRATORS} are plenty.")
    elif everybody >= MANY_PEOPLE and number * 5 > everybody:
        yield _many(f"{number} of {everybody} people are administrators: more than a fifth.")


def absent_administrators(now: datetime) -> Iterator[AccessWarning]:
    """Yield the administrators who could sign in and have not for 90 days: nobody would miss them, but a thief."""
    since = now - ABSENT
    absent = User.objects.filter(is_active=True, is_service=False, groups__role__key=ADMINISTRATOR).filter(
        Q(last_login__lt=since) | Q(last_login=None, created_at__lt=since)
    )
    for user in absent.order_by("email"):
        seen = (
            f"has not signed in since {user.last_login:%-d %B %Y}"
            if user.last_login
            else "has never signed in"
        )
        yield AccessWarning(
            "absent-administrator", f"{user} is an administrator and {seen}.", "user", str(user.pk)
        )


def wide_writes(policies: Iterable[Policy]) -> Iterator[AccessWarning]:
    """Yield the roles that somebody has and that may write every entry of every collection, of later ones too."""
    found: dict[str, Role] = {}
    for policy in policies:
        is_wide = policy.every_collection and not policy.rows and set(policy.actions) - READING
        if is_wide and policy.role.key != PUBLIC:
            found[policy.role.key] = policy.role
    if not found:
        return
    held = set(
        User.objects.filter(is_active=True, groups__in=found.values()).values_list("groups", flat=True)
    )
    for role in found.values():
        if role.pk not in held:
            continue
        text = f"{role} may write in every collection, also in those that are made later."
        yield AccessWarning("writes-everywhere", text, "role", str(role.pk), is_note=True)


def powerful_roles() -> Iterator[AccessWarning]:
    """Yield roles beside Administrator by which one could become one."""
    for role in Role.objects.exclude(areas=[]).order_by("name"):
        powerful = [
            words for area, words in AREAS.items() if area in POWERFUL_AREAS and area.value in role.areas
        ]
        if powerful:
            text = f"{role} administers {listed(powerful)}: by that one can become almost anything."
            yield AccessWarning("powerful-role", text, "role", str(role.pk))


def _many(text: str) -> AccessWarning:
    return AccessWarning("too-many-administrators", text, "user")
