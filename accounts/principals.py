"""Who asks: builds the frozen principal from a session, a token, a key, or nothing at all."""

import logging
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from django.apps import apps
from django.db import connection, connections
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts.access import (
    UNNAMED_FIELDS,
    UNNAMED_PUBLIC_FIELDS,
    Action,
    Area,
    Condition,
    FieldSet,
    Operator,
    Principal,
    Rule,
    Scopes,
)
from accounts.addresses import client_address
from accounts.canonical import canonical_bytes
from accounts.models.credential import Bearer, Credential
from accounts.models.generation import ACCESS, Freshness, Generation
from accounts.models.lockdown import LOCKDOWN
from accounts.models.role import ADMINISTRATOR, PUBLIC, Policy, Role
from accounts.models.session import Session
from accounts.models.user import User

logger = logging.getLogger("quillkeep.access")

RulesByRole = Mapping[str, tuple[Rule, ...]]
AreasByRole = Mapping[str, frozenset[Area]]
Numbers = Mapping[str, int]  # role → requests a minute, of those that say one
Held = tuple[RulesByRole, AreasByRole, Numbers]
_ENTRY: Final = ("content", "entry")
# Asked in every request of management: to have the ORM build it took longer than all else that authentication does.
_GRANTED: Final = """
    SELECT held.object_pk, permission.codename
    FROM (
        SELECT object_pk, permission_id, content_type_id
        FROM guardian_userobjectpermission WHERE user_id = %(user)s
        UNION ALL
        SELECT object_pk, permission_id, content_type_id
        FROM guardian_groupobjectpermission JOIN accounts_user_groups USING (group_id) WHERE user_id = %(user)s
    ) held
    JOIN auth_permission permission ON permission.id = held.permission_id
    JOIN django_content_type about ON about.id = held.content_type_id
    WHERE about.app_label = %(app)s AND about.model = %(model)s
"""


class RuleCache:
    """What every role holds, kept by each process for one generation of `access`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._generation = -1
        self._held: Held = ({}, {}, {})

    def held(self, generation: int, *, using: str) -> Held:
        """Return rules, areas and limits as of a generation that was just read from the same database."""
        with self._lock:
            if generation == self._generation:
                return self._held
        held = load_rules(using=using), load_areas(using=using), _load_numbers(using=using)
        # In a transaction the generation may be one that is rolled back, and its number come again with other rules.
        if not connections[using].in_atomic_block:
            with self._lock:
                self._generation, self._held = generation, held
        return held


_cache = RuleCache()


def load_rules(*, using: str = "default") -> RulesByRole:
    """Read every policy; one that can't be understood is left out, which refuses."""
    rules: dict[str, list[Rule]] = {}
    for policy in Policy.objects.using(using).annotate(role_key=F("role__key")).order_by("pk"):
        rule = rule_of(policy, is_public=policy.role_key == PUBLIC)
        if rule is not None:
            rules.setdefault(policy.role_key, []).append(rule)
    return MappingProxyType({key: tuple(found) for key, found in rules.items()})


def load_areas(*, using: str = "default") -> AreasByRole:
    """Read what each role administers: `public` nothing, whatever its row says, and no area that is not known."""
    rows = Role.objects.using(using).exclude(key=PUBLIC).values_list("key", "areas")
    return MappingProxyType(
        {key: frozenset(area for area in Area if area.value in areas) for key, areas in rows}
    )


def _load_numbers(*, using: str) -> Numbers:
    """Read how many requests a minute the roles let through, of those that say so."""
    found = Role.objects.using(using).values_list("key", "requests_per_minute")
    return {key: number for key, number in found if number is not None}


def rule_of(policy: Policy, *, is_public: bool) -> Rule | None:
    """Turn a policy into a rule; None, with a line in the log, for one that makes no sense (CVE-2024-39701)."""
    unnamed = UNNAMED_PUBLIC_FIELDS if is_public else UNNAMED_FIELDS
    try:
        actions = frozenset(Action(action) for action in policy.actions)
        return Rule(
            collection_id=None if policy.every_collection else _required(policy.collection_id),
            actions=actions & {Action.READ} if is_public else actions,
            rows=tuple(condition_of(row) for row in _listed(policy.rows)),
            fields=FieldSet(
                ids=frozenset(UUID(item) for item in policy.field_ids),
                classes=unnamed.classes if policy.every_field else frozenset(),
            ),
            presets=tuple(
                (UUID(key), canonical_bytes(value).decode()) for key, value in policy.presets.items()
            ),
        )
    except (ValueError, TypeError, AttributeError):
        logger.exception("Policy %s can't be understood and grants nothing.", policy.id)
        return None


def condition_of(row: Any) -> Condition:
    """Parse `[name, operator, value]`. Raises ValueError for what could come out as "always true"."""
    name, operator, value = row
    parsed = Operator(operator)
    if not isinstance(name, str):
        raise ValueError("A condition names its field by a text.")
    if parsed in (Operator.IN, Operator.NIN):
        if not isinstance(value, list) or not value or not all(_is_comparable(item) for item in value):
            raise ValueError("A list condition needs a list with values.")
        return Condition(name, parsed, tuple(value))
    if not _is_comparable(value):
        raise ValueError("A condition needs a value.")
    return Condition(name, parsed, value)


def anonymous(*, using: str = "default") -> tuple[Principal, dict[str, int]]:
    """Return the principal without credentials, and the generations that were read for it (one query)."""
    generations = dict(Freshness.objects.using(using).values_list("name", "value"))
    rules, _, number = _held_by((), generations, using=using)
    is_locked_down = LOCKDOWN in generations
    principal = Principal(
        kind="anonymous", rules=rules, requests_per_minute=number, is_locked_down=is_locked_down
    )
    return principal, generations


def of_bearer(row: Bearer, *, using: str) -> Principal:
    """Return the principal of an access token, from the row that it was checked against."""
    principal = _principal(
        kind="user",
        user_id=row.user_id,
        email=row.user_email,
        label=row.user_email,
        roles=row.roles,
        generations=row.generations,
        using=using,
        credential="jwt",
        credential_id=str(row.id),
    )
    return confirmed_by(row, principal)


def of_credential(row: Credential, *, using: str) -> Principal:
    """Return the principal of an API key: what its owner may, cut down to its scopes."""
    principal = _principal(
        kind="service" if row.owner_is_service else "user",
        user_id=row.owner_id,
        email=row.owner_email,
        # A service account's address is made up: its key's name says more.
        label=(f"{row.name} (API key)" if row.owner_is_service else f"{row.owner_email} ({row.name})")[:320],
        roles=row.roles,
        generations=row.generations,
        using=using,
        credential="api-key",
        credential_id=row.public_id,
    )
    scopes = replace(scopes_of(row.scopes), used=set())
    return replace(
        principal, scopes=scopes, requests_per_minute=row.rate_limit or principal.requests_per_minute
    )


def of_user(user: User) -> Principal:
    """Return the principal of a user as such, with object grants, outside of any request."""
    generations = Generation.objects.current()
    principal = _principal(
        kind="service" if user.is_service else "user",
        user_id=user.id,
        email=user.email,
        label=user.email,
        roles=user.role_keys if user.is_active else (),
        generations=generations,
        using="default",
        credential="",
        credential_id="",
    )
    return with_object_grants(principal) if user.is_active else replace(principal, rules=())


def of_signed_in(user: User) -> Principal:
    """Return the principal of a request's user, kept on that instance: Django asks dozens of times for one page."""
    known = getattr(user, "access_principal", None)
    if not isinstance(known, Principal):
        known = of_user(user)
        user.access_principal = known  # type: ignore[attr-defined]  # through a lazy user it lands on the real one
    return known


def of_request(request: HttpRequest) -> Principal:
    """Return the principal of a Django request (the admin, pages): its session's user, or anonymous. Kept on it."""
    known = getattr(request, "_principal", None)
    if isinstance(known, Principal):
        return known
    user = getattr(request, "user", None)
    if isinstance(user, User):
        principal = replace(
            of_signed_in(user),
            credential="session",
            credential_id=str(request.session.get(SESSION_ID_KEY, "")),
        )
        session = getattr(request, "live_session", None)
        if isinstance(session, Session | Bearer):
            principal = confirmed_by(session, principal)
    else:
        principal, _ = anonymous()
    principal = at_request(principal, request)
    request._principal = principal  # type: ignore[attr-defined]  # noqa: SLF001 (ours; nobody else reads it)
    return principal


def confirmed_by(session: Session | Bearer, principal: Principal) -> Principal:
    """Add what a session's person has shown within the last ten minutes."""
    limit = timezone.now() - CONFIRMED_FOR
    if session.verified_at is not None and session.verified_at > limit:
        return principal.having_confirmed("factor", reason=session.reason)
    return principal.having_confirmed("password" if session.confirmed_at > limit else "")


def forget(request: HttpRequest) -> None:
    """Let the principal of a request be built anew: its session has changed meanwhile."""
    if hasattr(request, "_principal"):
        del request._principal  # noqa: SLF001 (ours)


CONFIRMED_FOR: Final = timedelta(minutes=10)
SESSION_ID_KEY: Final = "accounts_session_id"  # where a Django session names its `accounts.Session`


def at_request(principal: Principal, request: HttpRequest) -> Principal:
    """Add the place that the log notes."""
    return principal.at(address=client_address(request), request_id=str(getattr(request, "request_id", "")))


def with_object_grants(principal: Principal) -> Principal:
    """Add what is granted on single entries, to the user or to a role (management and previews only)."""
    if principal.user_id is None:
        return principal
    wanted: dict[str, set[Action]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_GRANTED, {"user": principal.user_id, "app": _ENTRY[0], "model": _ENTRY[1]})
        for entry_id, codename in cursor:
            action = action_of(codename)
            if action is not None:
                wanted.setdefault(entry_id, set()).add(action)
    if not wanted:
        return principal
    entries = apps.get_model(*_ENTRY)._default_manager.filter(pk__in=wanted)  # noqa: SLF001 (Django's API)
    grants: dict[tuple[Action, UUID], set[UUID]] = {}
    for entry_id, collection_id in entries.values_list("pk", "collection_id"):
        for action in wanted[str(entry_id)]:
            grants.setdefault((action, collection_id), set()).add(entry_id)
    return replace(principal, object_grants={key: frozenset(ids) for key, ids in grants.items()})


def action_of(codename: str) -> Action | None:
    """Return the action that an object permission's codename (`update_entry`) stands for, None for another one."""
    action, _, model = codename.rpartition("_")
    return Action(action) if model == "entry" and action in set(Action) else None


def rules_of_role(key: str) -> tuple[Rule, ...]:
    """Return what a role holds now, without what `public` adds."""
    return load_rules().get(key, ())


def scopes_of(raw: Any) -> Scopes:
    """Parse the scopes that a key's row keeps. What can't be understood gives nothing."""
    actions: set[tuple[UUID | None, Action]] = set()
    areas: set[Area] = set()
    try:
        for collection, action in raw["actions"]:
            actions.add((None if collection == "*" else UUID(collection), Action(action)))
        areas.update(Area(area) for area in raw["areas"])
    except (ValueError, TypeError, KeyError, AttributeError):
        logger.exception("The scopes of a key can't be understood and cover nothing.")
        return Scopes(frozenset(), frozenset())
    return Scopes(frozenset(actions), frozenset(areas))


def _principal(
    *,
    kind: Any,
    user_id: UUID,
    email: str,
    label: str,
    roles: Iterable[str],
    generations: Mapping[str, int],
    using: str,
    credential: Any,
    credential_id: str,
) -> Principal:
    keys = tuple(sorted(set(roles) - {PUBLIC}))
    rules, areas, number = _held_by(keys, generations, using=using)
    return Principal(
        kind=kind,
        user_id=user_id,
        email=email,
        label=label,
        roles=keys,
        rules=rules,
        requests_per_minute=number,
        is_administrator=ADMINISTRATOR in keys,
        areas=areas,
        credential=credential,
        credential_id=credential_id,
        is_locked_down=LOCKDOWN in generations,
    )


def _held_by(
    keys: Collection[str], generations: Mapping[str, int], *, using: str
) -> tuple[tuple[Rule, ...], frozenset[Area], int | None]:
    """Return rules, areas and the requests a minute: the most that a role allows; `public`'s for anonymous only."""
    rules, areas, numbers = _cache.held(generations.get(ACCESS, 0), using=using)
    return (
        tuple(rule for key in (*keys, PUBLIC) for rule in rules.get(key, ())),
        frozenset(area for key in keys for area in areas.get(key, ())),
        max((numbers[key] for key in keys or (PUBLIC,) if key in numbers), default=None),
    )


def _listed(rows: object) -> list[object]:
    # An object or a text would be read as no condition at all, which is every row.
    if not isinstance(rows, list):
        raise ValueError("The conditions of a policy are a list.")
    return rows


def _is_comparable(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _required(collection_id: UUID | None) -> UUID:
    # A rule without collection is one for all: a row that lost its collection must never become that.
    if collection_id is None:
        raise ValueError("A policy without a collection must say that it is about every one.")
    return collection_id
