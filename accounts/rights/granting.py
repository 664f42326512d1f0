"""Giving and taking rights: roles, policies, and grants on single entries. Nobody hands out more than they hold."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from guardian.models import GroupObjectPermission, UserObjectPermission
from guardian.shortcuts import assign_perm, remove_perm

from accounts.access import (
    EVERY_FIELD,
    POWERFUL_AREAS,
    UNNAMED_FIELDS,
    Action,
    Area,
    Clause,
    Operator,
    Principal,
    Resource,
    Rule,
)
from accounts.directory import directory
from accounts.errors import ConflictError, InvalidInputError, NotAllowedError, Problem
from accounts.log import Subject, record
from accounts.models.generation import ACCESS, Generation
from accounts.models.role import ADMINISTRATOR, PUBLIC, Demands, Policy, Role
from accounts.models.user import User
from accounts.principals import action_of, condition_of, load_areas, load_rules, rule_of

SYSTEM_NAMES: Final = frozenset({"_id", "_created_by", "_locale"})
VARIABLES: Final = frozenset({"$user", "$user.email"})
# What can be granted on one entry: the rest is about a collection.
ENTRY_ACTIONS: Final = frozenset(
    {
        Action.READ_DRAFT,
        Action.UPDATE,
        Action.DELETE,
        Action.PUBLISH,
        Action.UNPUBLISH,
        Action.RESTORE,
        Action.PREVIEW,
    }
)
_NO_COLLECTION: Final = UUID(int=0)  # only rules and scopes for every collection cover it


# --- Who may hand out what ------------------------------------------------------------------------------------------


def holds(principal: Principal, action: Action, collection_id: UUID | None) -> bool:
    """Tell whether a principal has an action on a whole collection (None: on every one), all rows and all fields."""
    granted = principal.grant(action, on=Resource(collection_id or _NO_COLLECTION))
    return any(not clause.rows and clause.fields == EVERY_FIELD for clause in granted.clauses)


def require_to_hold_rules(by: Principal, rules: Iterable[Rule]) -> None:
    """Raise NotAllowedError when a rule gives what `by` has not itself: all of its rows, all of its fields."""
    for rule in rules:
        on = Resource(rule.collection_id or _NO_COLLECTION)
        for action in sorted(rule.actions):
            if not any(_contains(clause, rule) for clause in by.grant(action, on=on).clauses):
                raise NotAllowedError(
                    f"Your own rights don't cover {action.value}, so you can neither give nor take it."
                )


def _contains(clause: Clause, rule: Rule) -> bool:
    """Tell whether a clause is at least as wide as a rule: no condition more, no field less.

    What a clause has of `$user` is put in already, so "your own entries" never stands for those of somebody else.
    """
    if not set(clause.rows) <= set(rule.rows):
        return False
    held, given = clause.fields, rule.fields
    return held == EVERY_FIELD or (given.ids <= held.ids and given.classes <= held.classes)


def require_to_hold_areas(by: Principal, areas: Iterable[Area]) -> None:
    """Raise NotAllowedError for an area that `by` has not, and for a powerful one unless an administrator gives it."""
    if by.kind == "system":
        return
    for area in sorted(areas):
        if not by.administers(area):
            raise NotAllowedError(
                f"You can't hand out the administration of {area.value}: you don't have it."
            )
        if area in POWERFUL_AREAS and not (by.is_administrator and by.scopes is None):
            raise NotAllowedError(
                f"Only an administrator who is signed in can hand out the administration of {area.value}."
            )


def require_to_hold_roles(by: Principal, keys: Collection[str]) -> None:
    """Raise NotAllowedError when one of the roles is more than `by` is (GHSA-pmf4-v838-29hg)."""
    if by.kind == "system" or not keys:
        return
    if ADMINISTRATOR in keys and (not by.is_administrator or by.scopes is not None):
        raise NotAllowedError("Only an administrator who is signed in can make another one.")
    rules, areas = load_rules(), load_areas()
    for key in keys:
        require_to_hold_areas(by, areas.get(key, ()))
        require_to_hold_rules(by, rules.get(key, ()))


def require_to_hold_grants(by: Principal, grants: Mapping[tuple[Action, UUID], frozenset[UUID]]) -> None:
    """Raise NotAllowedError for a grant on single entries that `by` has neither so nor for the whole collection."""
    for (action, collection_id), entries in grants.items():
        if not entries <= by.object_grants.get((action, collection_id), frozenset()):
            require_to_hold_rules(by, [Rule(collection_id, frozenset({action}), (), UNNAMED_FIELDS)])


# --- Roles ----------------------------------------------------------------------------------------------------------


# What a role asks of the sessions of its people, besides what it gives them.
DEMANDS: Final = ("require_second_factor", "require_phishing_resistant", "session_hours", "idle_minutes")
SETTINGS: Final = (*DEMANDS, "requests_per_minute")


@transaction.atomic
def add_role(key: str, name: str, *, areas: Collection[Area] = (), by: Principal, **settings: Any) -> Role:
    """Make a role without policies; `settings` as in SETTINGS.

    Raises ConflictError when key or name is taken, NotAllowedError for areas beyond own rights.
    """
    by.require_area(Area.ROLES)
    by.require_step_up()
    _require_free_name(key=key, name=name)
    require_to_hold_areas(by, areas)
    role = Role(key=key, name=name, areas=_area_names(areas))
    changed = _set(role, settings)
    role.save(force_insert=True)
    _record_role("role.created", role, by, **changed)
    return role


@transaction.atomic
def change_role(
    role: Role,
    *,
    name: str | None = None,
    areas: Collection[Area] | None = None,
    by: Principal,
    **settings: Any,
) -> Role:
    """Change what is given; `settings` as in SETTINGS, None for none of its own.

    Nobody changes a role that is more than they are, nor one of their own, unless it asks for more from then on.
    """
    by.require_area(Area.ROLES)
    by.require_step_up()
    role = _locked(role)
    require_to_hold_roles(by, [role.key])  # or a lesser role could switch its second factor off
    former, before = role.name, Demands.of([role], has_long_password=True)
    said = {item: getattr(role, item) for item in (*DEMANDS, "areas")}
    if name is not None and name != role.name:
        _require_free_name(name=name)
        role.name = name
    changed = _set(role, settings)
    if areas is not None and _area_names(areas) != sorted(role.areas):
        if role.is_built_in:
            why = "Administrators hold every area, the public role none."
            raise InvalidInputError(errors=[Problem.at(["areas"], "not-possible", why)])
        require_to_hold_areas(by, areas)
        role.areas = _area_names(areas)
        changed["areas"] = role.areas
    is_more = former != role.name or {"requests_per_minute", "areas"} & set(changed)
    if role.key in by.roles and (is_more or not _only_tightens(before, role)):
        raise NotAllowedError("Nobody changes a role of their own, but to ask for more.")
    role.save()
    told = {item: value for item, value in said.items() if value != getattr(role, item)}
    _record_role("role.updated", role, by, before=told, **changed)
    return role


def _set(role: Role, settings: Mapping[str, Any]) -> dict[str, object]:
    """Put settings into a role and return those that changed. Raises InvalidInputError."""
    changed: dict[str, object] = {}
    for name in SETTINGS:
        if name in settings and getattr(role, name) != settings[name]:
            setattr(role, name, settings[name])
            changed[name] = settings[name]
    if role.require_phishing_resistant and not role.require_second_factor:
        if settings.get("require_second_factor") is False:
            raise InvalidInputError(
                errors=[
                    Problem.at(["require_second_factor"], "not-possible", "A passkey is a second factor.")
                ]
            )
        role.require_second_factor = changed["require_second_factor"] = True
    if role.key == PUBLIC and set(changed) & set(DEMANDS):
        raise InvalidInputError(
            errors=[
                Problem.at([name], "not-possible", "The public role is everybody's.")
                for name in DEMANDS
                if name in changed
            ]
        )
    for name, least, most in (
        ("session_hours", 1, 336),
        ("idle_minutes", 5, 10_080),
        ("requests_per_minute", 1, 1_000_000),
    ):
        value = getattr(role, name)
        if value is not None and not least <= value <= most:
            raise InvalidInputError(
                errors=[Problem.at([name], "out-of-range", f"From {least} to {most}, or none.")]
            )
    return changed


def _only_tightens(before: Demands, role: Role) -> bool:
    after = Demands.of([role], has_long_password=True)
    return (
        after.strength >= before.strength
        and (before.hours is None or (after.hours is not None and after.hours <= before.hours))
        and (
            before.idle_minutes is None
            or (after.idle_minutes is not None and after.idle_minutes <= before.idle_minutes)
        )
        and after != before
    )


@transaction.atomic
def remove_role(role: Role, *, by: Principal) -> None:
    """Remove a role and its policies. Raises ConflictError for a built-in role, and for one that people still have."""
    by.require_area(Area.ROLES)
    by.require_step_up()
    role = _locked(role)
    if role.is_built_in:
        raise ConflictError("This role is part of every installation and can't be removed.")
    _require_not_own(role, by)
    require_to_hold_roles(by, [role.key])
    if User.objects.filter(groups=role).exists():
        raise ConflictError("People or service accounts still have this role. Take it from them first.")
    _record_role("role.deleted", role, by, policies=role.policies.count())
    role.delete()


def _locked(role: Role) -> Role:
    return Role.objects.select_for_update().get(pk=role.pk)


def _require_not_own(role: Role, by: Principal) -> None:
    """Stop what would make somebody more by way of a role that they have themselves (E27)."""
    if role.key in by.roles:
        raise NotAllowedError("Nobody changes a role of their own.")


def _area_names(areas: Iterable[Area]) -> list[str]:
    return sorted({area.value for area in areas})


def _record_role(type_: str, role: Role, by: Principal, **detail: object) -> None:
    if type_ != "role.deleted":
        detail |= {"require_second_factor": role.require_second_factor, "areas": list(role.areas)}
    record(type_, actor=by, subject=Subject("role", role.key), detail=detail)
    Generation.objects.bump(ACCESS)


def _require_free_name(*, name: str, key: str | None = None) -> None:
    if key is not None and Role.objects.filter(key=key).exists():
        raise ConflictError(errors=[Problem.at(["key"], "taken", "There is a role with this key.")])
    if Group.objects.filter(name=name).exists():
        raise ConflictError(errors=[Problem.at(["name"], "taken", "There is a role with this name.")])


# --- Policies -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PolicyTerms:
    """What a policy says, in ids. `collection_id` None means every collection; `rows` are `[name, operator, value]`."""

    collection_id: UUID | None
    actions: frozenset[Action]
    rows: tuple[tuple[str, str, Any], ...] = ()
    every_field: bool = False
    field_ids: frozenset[UUID] = frozenset()
    presets: tuple[tuple[UUID, Any], ...] = ()


@transaction.atomic
def add_policy(role: Role, terms: PolicyTerms, *, by: Principal) -> Policy:
    """Give a role what the terms say. InvalidInputError: terms without sense; NotAllowedError: beyond own rights."""
    by.require_area(Area.POLICIES)
    by.require_step_up()
    role = _locked(role)
    _check(role, terms, by)
    policy = Policy(role=role)
    _write(policy, terms)
    policy.save(force_insert=True)
    _record_policy("policy.created", policy, by)
    return policy


@transaction.atomic
def change_policy(policy: Policy, terms: PolicyTerms, *, by: Principal) -> Policy:
    """Replace what a policy says; its role stays. Errors as `add_policy`."""
    by.require_area(Area.POLICIES)
    by.require_step_up()
    policy = Policy.objects.select_for_update().get(pk=policy.pk)
    _check(_locked(policy.role), terms, by)
    _require_to_hold(policy, by)
    former = _rule(policy)
    _write(policy, terms)
    policy.save(force_update=True)
    # Values of conditions are not logged, so nobody could tell it from the log later.
    _record_policy("policy.updated", policy, by, widened=not _is_within(_rule(policy), former))
    return policy


@transaction.atomic
def remove_policy(policy: Policy, *, by: Principal) -> None:
    """Take from the role what the policy gave. Nobody changes what a role of their own may."""
    by.require_area(Area.POLICIES)
    by.require_step_up()
    policy = Policy.objects.select_for_update().get(pk=policy.pk)
    _require_not_own(_locked(policy.role), by)
    _require_to_hold(policy, by)
    _record_policy("policy.deleted", policy, by)
    policy.delete()


def _require_to_hold(policy: Policy, by: Principal) -> None:
    """Stop somebody from taking away what they have not themselves; that is authorised before and after (D2)."""
    rule = _rule(policy)
    if rule is not None:
        require_to_hold_rules(by, [rule])


def _rule(policy: Policy) -> Rule | None:
    return rule_of(policy, is_public=policy.role.key == PUBLIC)


def _is_within(rule: Rule | None, former: Rule | None) -> bool:
    """Tell whether a rule gives nothing that the former one did not: no act, no row and no field.

    A condition with another value counts as wider.
    """
    if rule is None or former is None:
        return rule is None
    given, held = rule.fields, former.fields
    return (
        rule.actions <= former.actions
        and former.collection_id in (None, rule.collection_id)
        and set(former.rows) <= set(rule.rows)
        and given.classes <= held.classes
        and all(_class_of(rule, item) in held.classes for item in given.ids - held.ids)
    )


def _class_of(rule: Rule, field_id: UUID) -> str | None:
    return directory().field_data_class(rule.collection_id, field_id) if rule.collection_id else None


def _check(role: Role, terms: PolicyTerms, by: Principal) -> None:
    if not by.is_administrator:  # whose own role has no policies: what is wrong with that is said below
        _require_not_own(role, by)
    problems = list(_problems(role, terms))
    if problems:
        raise InvalidInputError(errors=problems)
    for action in sorted(terms.actions):
        if not holds(by, action, terms.collection_id):
            raise NotAllowedError(f"You can't hand out {action.value}: your own rights don't cover it.")


def _problems(role: Role, terms: PolicyTerms) -> Iterable[Problem]:
    if role.key == ADMINISTRATOR:
        yield Problem.at(["role"], "not-possible", "Administrators may do everything already.")
    if not terms.actions:
        yield Problem.at(["actions"], "required", "Name at least one action.")
    if role.key == PUBLIC and terms.actions - {Action.READ}:
        # What `public` has, everybody on the internet has.
        yield Problem.at(["actions"], "not-possible", "The public role can only read.")
    if terms.collection_id is None and terms.field_ids:
        yield Problem.at(["fields"], "not-possible", "Fields are named for one collection, not for all.")
    for name, operator, value in terms.rows:
        problem = row_problem(terms.collection_id, name, operator, value)
        if problem is not None:
            yield Problem.at(
                ["filter", _shown(terms.collection_id, name), operator], "invalid-filter", problem
            )
    if terms.presets and Action.CREATE not in terms.actions:
        yield Problem.at(["presets"], "not-possible", "Presets are for policies that allow to create.")


def row_problem(collection_id: UUID | None, name: str, operator: str, value: object) -> str | None:
    """Return why a condition can't stand in a policy, or None. What is not clearly a restriction is refused (E1)."""
    try:
        condition = condition_of([name, operator, value])
    except ValueError:
        return "An operator that we know, and a value; for `in` and `nin` a list that is not empty."
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    if any(isinstance(item, str) and item.startswith("$") and item not in VARIABLES for item in values):
        return "The variables are $user and $user.email."
    if name in SYSTEM_NAMES:
        if condition.operator not in (Operator.EQ, Operator.NE, Operator.IN, Operator.NIN):
            return "System names are compared by eq, ne, in and nin."
        return None if all(isinstance(item, str) for item in values) else "This is compared with texts."
    if collection_id is None:
        return "A policy for every collection can only filter by _id, _created_by and _locale."
    try:
        field_id = UUID(name)
    except ValueError:
        return "There is no such field."
    if any(isinstance(item, str) and item in VARIABLES for item in values):
        return None  # known at use only; without a user it refuses
    return directory().filter_problem(collection_id, field_id, operator, value)


def _shown(collection_id: UUID | None, name: str) -> str:
    if collection_id is None or name in SYSTEM_NAMES:
        return name
    try:
        return directory().field_key(collection_id, UUID(name)) or name
    except ValueError:
        return name


def _write(policy: Policy, terms: PolicyTerms) -> None:
    policy.collection_id = terms.collection_id
    policy.every_collection = terms.collection_id is None
    policy.actions = sorted(action.value for action in terms.actions)
    policy.rows = [list(row) for row in terms.rows]
    policy.every_field = terms.every_field
    policy.field_ids = sorted(str(item) for item in terms.field_ids)
    policy.presets = {str(field_id): value for field_id, value in terms.presets}


def _record_policy(type_: str, policy: Policy, by: Principal, **detail: object) -> None:
    record(
        type_,
        actor=by,
        subject=Subject("policy", str(policy.pk), policy.collection_id),
        detail={
            "role": policy.role.key,
            "actions": list(policy.actions),
            "every_collection": policy.every_collection,
            "every_field": policy.every_field,
            "fields": list(policy.field_ids),
            "filtered_by": [f"{row[0]} {row[1]}" for row in policy.rows],
            **detail,
        },
    )
    Generation.objects.bump(ACCESS)


# --- Grants on single entries ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntryGrant:
    """What a user, or everybody with a role, may do with one entry beyond what policies say."""

    to: User | Role
    actions: frozenset[Action]


def entry_grants(entry: models.Model) -> list[EntryGrant]:
    """Return the grants on one entry: roles first, then users, each by name."""
    about = {"object_pk": str(entry.pk), "content_type": ContentType.objects.get_for_model(entry)}
    of_roles = _actions_by(GroupObjectPermission.objects.filter(**about), "group_id")
    of_users = _actions_by(UserObjectPermission.objects.filter(**about), "user_id")
    receivers: list[User | Role] = [
        *Role.objects.filter(pk__in=of_roles).order_by("name"),
        *User.objects.filter(pk__in=of_users).order_by("email"),
    ]
    return [EntryGrant(to, frozenset((of_roles | of_users)[to.pk])) for to in receivers]


def _actions_by(rows: models.QuerySet[Any], receiver: str) -> dict[Any, set[Action]]:
    found: dict[Any, set[Action]] = {}
    for pk, codename in rows.values_list(receiver, "permission__codename"):
        action = action_of(codename)
        if action is not None:
            found.setdefault(pk, set()).add(action)
    return found


@transaction.atomic
def grant_entry(to: User | Role, actions: Collection[Action], entry: models.Model, *, by: Principal) -> None:
    """Let a user, or everybody with a role, do something with one entry (any model row with a `collection_id`).

    Raises NotAllowedError unless `by` holds these actions on the whole collection and is not giving to itself.
    """
    _change_entry_grant(to, actions, entry, by=by, is_given=True)


@transaction.atomic
def withdraw_entry(
    to: User | Role, actions: Collection[Action], entry: models.Model, *, by: Principal
) -> None:
    """Take back what `grant_entry` gave; what was not given is no error."""
    _change_entry_grant(to, actions, entry, by=by, is_given=False)


def _change_entry_grant(
    to: User | Role, actions: Collection[Action], entry: models.Model, *, by: Principal, is_given: bool
) -> None:
    collection_id: UUID = entry.collection_id  # type: ignore[attr-defined]  # documented in grant_entry
    unknown = set(actions) - ENTRY_ACTIONS
    if unknown:
        raise InvalidInputError(f"Can't be granted on one entry: {', '.join(sorted(unknown))}.")
    if isinstance(to, User) and to.pk == by.user_id:
        raise NotAllowedError("Nobody changes rights of their own.")
    if isinstance(to, Role) and to.key == PUBLIC:
        raise NotAllowedError("The public role can only read what is published.")
    for action in sorted(actions):
        if not holds(by, action, collection_id):
            raise NotAllowedError(f"You can't hand out {action.value}: your own rights don't cover it.")
    by.require_step_up()
    change = assign_perm if is_given else remove_perm
    receiver = Group.objects.get(pk=to.pk) if isinstance(to, Role) else to
    for action in sorted(actions):
        change(f"{action.value}_entry", receiver, entry)
    record(
        "entry-grant.given" if is_given else "entry-grant.withdrawn",
        actor=by,
        subject=Subject("entry", str(entry.pk), collection_id),
        detail={
            "to": f"role:{to.key}" if isinstance(to, Role) else f"user:{to.pk}",
            "actions": sorted(action.value for action in actions),
        },
    )
    Generation.objects.bump(ACCESS)
