"""The one question: what may this principal do with this resource? The answer is a grant; the default is refusal."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol, Self
from uuid import UUID

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.canonical import Scalar, canonical_bytes
from accounts.errors import LockedDownError, NotAllowedError, NotAuthenticatedError, StepUpRequiredError

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time a circle: DRF's views load our default permission


class Action(StrEnum):
    """What can be done with a collection's entries, or with the collection itself."""

    READ = "read"
    READ_DRAFT = "read_draft"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PUBLISH = "publish"
    UNPUBLISH = "unpublish"
    RESTORE = "restore"
    PURGE = "purge"
    PREVIEW = "preview"
    EXPORT = "export"
    MANAGE_SCHEMA = "manage_schema"


# All that is left of them while the system is locked down: who is let in may look, and take nothing out.
LOOKING: frozenset[Action] = frozenset({Action.READ, Action.READ_DRAFT})


class Area(StrEnum):
    """The parts of administration that are not content. Administrators hold all of them, a role those it names.

    An API key has of its owner's areas those that its `admin:` scopes name.
    """

    USERS = "users"
    ROLES = "roles"
    POLICIES = "policies"
    KEYS = "keys"
    AUDIT = "audit"
    LOCALES = "locales"
    PREVIEWS = "previews"
    WEBHOOKS = "webhooks"
    OPERATIONS = "operations"


# Who holds one of these could make themselves, or somebody, anything: only administrators hand them out.
POWERFUL_AREAS = frozenset({Area.USERS, Area.ROLES, Area.POLICIES, Area.KEYS, Area.OPERATIONS})


class DataClass(StrEnum):
    """How sensitive a field is. A policy's `"*"` covers public and internal ones; the rest must be named."""

    PUBLIC = "public"
    INTERNAL = "internal"
    PERSONAL = "personal"
    SECRET = "secret"  # noqa: S105 -- the name of a class of data, not a password


class Operator(StrEnum):
    """How a condition or a filter compares."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    NIN = "nin"
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    EXISTS = "exists"


class Classified(Protocol):
    """Anything that is a field to a grant."""

    @property
    def id(self) -> UUID: ...
    @property
    def data_class(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a row: `name` is a field id, or a system name (`_id`, `_created_by`, `_locale`).

    `value` is a scalar, or a tuple of scalars for `in` and `nin`.
    """

    name: str
    operator: Operator
    value: "Scalar | tuple[Scalar, ...]"

    def resolved_for(self, principal: "Principal") -> "Condition | None":
        """Put the principal in for `$user` and `$user.email`; None when it has none, which denies (CVE-2024-39701)."""
        variables = {"$user": str(principal.user_id or ""), "$user.email": principal.email}

        def put_in(value: Scalar) -> Scalar:
            return variables[value] or None if isinstance(value, str) and value in variables else value

        if isinstance(self.value, tuple):
            values = tuple(put_in(item) for item in self.value)
            return replace(self, value=values) if values and None not in values else None
        value = put_in(self.value)
        return None if value is None else replace(self, value=value)


@dataclass(frozen=True, slots=True)
class FieldSet:
    """Which fields: those named by id, and all those of some data classes."""

    ids: frozenset[UUID] = frozenset()
    classes: frozenset[str] = frozenset()

    def allows(self, item: Classified) -> bool:
        return item.id in self.ids or item.data_class in self.classes


EVERY_FIELD = FieldSet(classes=frozenset(DataClass))
SENSITIVE = frozenset({DataClass.PERSONAL, DataClass.SECRET})
UNNAMED_FIELDS = FieldSet(classes=frozenset({DataClass.PUBLIC, DataClass.INTERNAL}))
UNNAMED_PUBLIC_FIELDS = FieldSet(classes=frozenset({DataClass.PUBLIC}))


@dataclass(frozen=True, slots=True)
class Clause:
    """These fields of those rows: all conditions must hold; no condition means every row."""

    rows: tuple[Condition, ...]
    fields: FieldSet
    presets: tuple[
        tuple[UUID, str], ...
    ] = ()  # field id → canonical JSON of the value that a new entry starts with

    def as_json(self) -> dict[str, object]:
        return {
            "rows": [
                [c.name, c.operator.value, list(c.value) if isinstance(c.value, tuple) else c.value]
                for c in self.rows
            ],
            "ids": sorted(str(item) for item in self.fields.ids),
            "classes": sorted(self.fields.classes),
        }


@dataclass(frozen=True, slots=True)
class Grant:
    """The answer: a list of clauses, never a union of them (GHSA-99vm-5v2h-h6r6). Empty means no."""

    clauses: tuple[Clause, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.clauses)

    def allows(self, item: Classified) -> bool:
        """Tell whether any clause holds the field, so that its name may be used at all."""
        return any(clause.fields.allows(item) for clause in self.clauses)

    def holding(self, item: Classified) -> tuple[Clause, ...]:
        """Return the clauses that hold the field: only their rows may be filtered, sorted or searched by it."""
        return tuple(clause for clause in self.clauses if clause.fields.allows(item))

    def digest(self) -> str:
        """Return a hash of the grant, to bind cursors and cache entries to it."""
        return hashlib.sha256(canonical_bytes([clause.as_json() for clause in self.clauses])).hexdigest()


NOTHING = Grant()
EVERYTHING = Grant((Clause(rows=(), fields=EVERY_FIELD),))


@dataclass(frozen=True, slots=True)
class Resource:
    """A collection, by id; or one entry of it."""

    collection_id: UUID
    entry_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One policy as it is asked: `collection_id` None means every collection."""

    collection_id: UUID | None
    actions: frozenset[Action]
    rows: tuple[Condition, ...]
    fields: FieldSet
    presets: tuple[tuple[UUID, str], ...] = ()

    def covers(self, action: Action, on: Resource) -> bool:
        return action in self.actions and self.collection_id in (None, on.collection_id)


@dataclass(frozen=True, slots=True)
class Scopes:
    """What an API key is cut down to: (collection or None for all, action) pairs, and areas of administration."""

    actions: frozenset[tuple[UUID | None, Action]]
    areas: frozenset[Area]
    # Where it is given, what was asked for and granted is put in: `<collection id>:<action>`, `admin:<area>`.
    used: "set[str] | None" = field(default=None, compare=False, repr=False)

    def note(self, text: str) -> None:
        if self.used is not None:
            self.used.add(text)

    def cover(self, action: Action, on: Resource) -> bool:
        return (on.collection_id, action) in self.actions or (None, action) in self.actions

    @property
    def only_read_what_is_published(self) -> bool:
        return not self.areas and all(action is Action.READ for _, action in self.actions)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, frozen at the start of a request: rights, caps, and what the log wants to know."""

    kind: Literal["anonymous", "user", "service", "system"]
    user_id: UUID | None = None
    email: str = ""
    label: str = "anonymous"
    credential: Literal["", "session", "jwt", "api-key", "preview"] = ""
    credential_id: str = ""
    roles: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    is_administrator: bool = False
    areas: frozenset[Area] = frozenset()  # what the roles administer, before scopes
    scopes: Scopes | None = None
    object_grants: Mapping[tuple[Action, UUID], frozenset[UUID]] = field(default_factory=dict)
    confirmed: Literal["", "password", "factor"] = ""  # what was given within the last ten minutes
    reason: str = ""  # why it was given again: for the log
    address: str = ""
    request_id: str = ""
    requests_per_minute: int | None = None  # what the key or a role says; None for the limits of the house
    is_locked_down: bool = False  # whether the system was, when the request began

    @property
    def rights(self) -> tuple[object, ...]:
        """Return everything that a grant depends on: two principals with the same rights get the same grants."""
        return (
            self.kind,
            self.user_id,
            self.email,
            self.rules,
            self.is_administrator,
            self.scopes,
            frozenset(self.object_grants.items()),
            self.is_locked_down,
        )

    def grant(self, action: Action, *, on: Resource) -> Grant:
        """Answer for one collection (or one entry's collection). An empty grant is a refusal."""
        if self.kind == "system":
            return EVERYTHING
        if self.is_locked_down and action not in LOOKING:
            return NOTHING
        if self.scopes is not None and not self.scopes.cover(action, on):
            return NOTHING
        granted = EVERYTHING if self.is_administrator else self._granted(action, on)
        if granted and self.scopes is not None:
            self.scopes.note(f"{on.collection_id}:{action.value}")
        return granted

    def _granted(self, action: Action, on: Resource) -> Grant:
        clauses = [
            Clause(rows=rows, fields=rule.fields, presets=rule.presets)
            for rule in self.rules
            if rule.covers(action, on) and (rows := self._resolved(rule.rows)) is not None
        ]
        if entries := self.object_grants.get((action, on.collection_id)):
            single = Condition("_id", Operator.IN, tuple(sorted(str(entry) for entry in entries)))
            clauses.append(Clause(rows=(single,), fields=UNNAMED_FIELDS))
        return Grant(tuple(dict.fromkeys(clauses)))

    def require(self, action: Action, *, on: Resource) -> Grant:
        """Return the grant, or raise `NotAllowedError`. Who must hide the thing asks to read it first.

        While the system is locked down, changes raise LockedDownError for everybody, administrators too.
        """
        if action not in LOOKING:
            self.require_no_lockdown()
        granted = self.grant(action, on=on)
        if not granted:
            raise NotAllowedError(f"You may not {action.value.replace('_', ' ')} here.")
        return granted

    def administers(self, area: Area) -> bool:
        """Tell whether an area of administration is open to this principal."""
        if self.kind == "system":
            return True
        is_held = self.is_administrator or area in self.areas
        return is_held and (self.scopes is None or area in self.scopes.areas)

    def require_area(self, area: Area) -> None:
        if not self.administers(area):
            raise NotAllowedError(f"This needs the right to administer {area.value}.")
        if self.scopes is not None:
            self.scopes.note(f"admin:{area.value}")

    def require_no_lockdown(self) -> None:
        """Raise LockedDownError while the system is locked down. The system's own work is refused by the database."""
        if self.is_locked_down:
            raise LockedDownError

    def require_confirmation(self) -> None:
        """Raise StepUpRequiredError unless who acts on their own account has just shown again who they are."""
        self.require_no_lockdown()
        if self.kind != "system" and not self.confirmed:
            raise StepUpRequiredError(own_account=True, password_is_enough=True)

    def require_step_up(self, *, own_account: bool = False) -> None:
        """Raise StepUpRequiredError for a dangerous act without a second factor within the last ten minutes.

        An API key has no hands: its scope for the act was given under step-up, and so counts as one.
        """
        self.require_no_lockdown()
        if self.kind != "system" and self.credential != "api-key" and self.confirmed != "factor":
            raise StepUpRequiredError(own_account=own_account)

    def having_confirmed(self, what: Literal["", "password", "factor"], *, reason: str = "") -> Self:
        """Return the same principal after it has shown again who it is."""
        return replace(self, confirmed=what, reason=reason)

    def at(self, *, address: str, request_id: str) -> Self:
        """Return the same principal with the place that the log notes."""
        return replace(self, address=address, request_id=request_id)

    def _resolved(self, rows: tuple[Condition, ...]) -> tuple[Condition, ...] | None:
        resolved = tuple(condition.resolved_for(self) for condition in rows)
        return None if None in resolved else tuple(c for c in resolved if c is not None)


def system(reason: str) -> Principal:
    """Return the system's own principal for work nobody asked for by request; `reason` is what the log shows."""
    return Principal(kind="system", label=f"system: {reason}")


def principal_of(request: Request) -> Principal:
    """Return the principal that authentication put on an API request."""
    if not isinstance(request.auth, Principal):
        raise NotAuthenticatedError
    return request.auth


@dataclass(frozen=True, slots=True)
class Needs:
    """What an API view declares: open to anyone, to anyone signed in, or to those who administer an area.

    A view about content declares `signed_in` or `anyone` and asks for the grant of the collection it is about.
    """

    who: Literal["anyone", "signed_in", "area"]
    area: Area | None = None


class HoldsGrant(BasePermission):
    """The default permission of every API view: a view that names no need is closed to everybody.

    While the system is locked down only safe methods go on, and views that say `goes_on_in_lockdown`.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        needs: Needs | None = getattr(view, "needs", None)
        if needs is None:
            raise NotAllowedError
        may = needs.who == "anyone" or self._is_met(needs, request)
        if request.method not in SAFE_METHODS and not getattr(view, "goes_on_in_lockdown", False):
            principal_of(request).require_no_lockdown()
        return may

    @staticmethod
    def _is_met(needs: Needs, request: Request) -> bool:
        principal = principal_of(request)
        if principal.kind == "anonymous":
            raise NotAuthenticatedError
        if needs.area is not None:
            principal.require_area(needs.area)
        return True
