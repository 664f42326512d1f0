"""Roles and policies as code. Policies have no key: they are told apart by what they say."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from accounts.access import Action, Area
from accounts.api.bodies import PolicyBody, RoleBody
from accounts.api.strict import StrictBooleanField, problems_of
from accounts.as_code import (
    Change,
    Work,
    differences,
    not_in_file,
    refused,
    shape_problems,
    shown,
    without_defaults,
)
from accounts.directory import directory
from accounts.errors import InvalidInputError, Problem, placed
from accounts.models.role import BUILT_IN, Policy, Role
from accounts.rights import granting
from accounts.rights.granting import SETTINGS, SYSTEM_NAMES, PolicyTerms

ROLE_DEFAULTS: Final[Mapping[str, Any]] = {
    "built_in": False,
    "require_second_factor": False,
    "require_phishing_resistant": False,
    "session_hours": None,
    "idle_minutes": None,
    "requests_per_minute": None,
    "areas": [],
}


class _RoleShape(RoleBody):
    built_in = StrictBooleanField(required=False)


class _PolicyShape(PolicyBody):
    """A policy as in the API; conditions may also be a list, for two that compare the same field in the same way."""

    role = None  # type: ignore[assignment]  # it stands in front
    dry_run = None  # type: ignore[assignment]
    filter = None  # type: ignore[assignment]


class Roles:
    """Roles with what they demand and administer."""

    name = "roles"

    def export(self) -> dict[str, Any]:
        return {role.key: _role(role) for role in Role.objects.all()}

    def check(self, given: Any) -> list[Problem]:
        problems = shape_problems(given, _RoleShape, named="key")
        if isinstance(given, Mapping):
            problems += [
                Problem.at(
                    (key, "built_in"), "not-possible", "administrator and public are built in, no others."
                )
                for key, item in given.items()
                if isinstance(item, Mapping) and item.get("built_in") is True and key not in BUILT_IN
            ]
        return problems

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        for key, item in given.items():
            with work.at(self.name, key):
                self._put(key, item, work)

    def _put(self, key: str, item: Mapping[str, Any], work: Work) -> None:
        wanted = {"name": "", **ROLE_DEFAULTS, **item}
        settings = {name: wanted[name] for name in SETTINGS}
        areas = [Area(name) for name in wanted["areas"]]
        role = Role.objects.filter(key=key).first()
        if role is None:
            made = granting.add_role(key, wanted["name"], areas=areas, by=work.by, **settings)
            work.changes.append(Change(self.name, "create", key, differences({}, _role(made))))
            return
        before = _role(role)
        if (
            without_defaults(
                {**wanted, "areas": sorted(wanted["areas"]), "built_in": role.is_built_in}, ROLE_DEFAULTS
            )
            == before
        ):
            return
        after = _role(granting.change_role(role, name=wanted["name"], areas=areas, by=work.by, **settings))
        if after != before:
            work.changes.append(Change(self.name, "change", key, differences(before, after)))

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        for role in Role.objects.exclude(key__in=[*given, *BUILT_IN]).order_by("key"):
            with work.at(self.name), not_in_file(f"role {role.key}"):
                policies = role.policies.count()
                lines = (f"with {policies} policies",) if policies else ()
                granting.remove_role(role, by=work.by)
                work.changes.append(Change(self.name, "delete", role.key, lines))


def _role(role: Role) -> dict[str, Any]:
    values = {
        "name": role.name,
        "built_in": role.is_built_in,
        **{name: getattr(role, name) for name in SETTINGS},
        "areas": sorted(role.areas),
    }
    return without_defaults(values, ROLE_DEFAULTS)


class Policies:
    """What each role may do: a list for each role, in the keys of collections and fields."""

    name = "policies"

    def export(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, Any]]] = {}
        for policy in Policy.objects.select_related("role"):
            found.setdefault(policy.role.key, []).append(_policy(policy))
        return {key: sorted(items, key=_canonical) for key, items in found.items()}

    def check(self, given: Any) -> list[Problem]:
        if not isinstance(given, Mapping):
            return [Problem.at((), "invalid-type", "Roles, each with a list of policies.")]
        problems: list[Problem] = []
        for key, items in given.items():
            if not isinstance(items, list):
                problems.append(Problem.at((key,), "invalid-type", "A list of policies is expected."))
                continue
            for number, item in enumerate(items):
                problems += placed(_shape(item), key, number)
        return problems

    def put(self, given: Mapping[str, Any], work: Work) -> None:
        roles = work.document.get("roles")
        for key, items in given.items():
            role = Role.objects.filter(key=key).first()
            if role is None or (isinstance(roles, Mapping) and key not in {*roles, *BUILT_IN}):
                work.problems.append(Problem.at((self.name, key), "unknown-role", "There is no such role."))
            else:
                self._put(role, items, work)

    def _put(self, role: Role, items: list[Mapping[str, Any]], work: Work) -> None:
        """Leave what is there just so; a collection with one policy to go and one to come has it changed."""
        held = [(policy, _policy(policy)) for policy in role.policies.order_by("pk")]
        new: list[tuple[int, dict[str, Any]]] = []
        for number, item in enumerate(items):
            wanted = _normal(item)
            same = next((pair for pair in held if pair[1] == wanted), None)
            if same is not None:
                held.remove(same)
            else:
                new.append((number, wanted))
        gone, come = (
            Counter(text["collection"] for _, text in held),
            Counter(text["collection"] for _, text in new),
        )
        for number, wanted in new:
            key = wanted["collection"]
            with work.at(self.name, role.key, number):
                terms = _terms(wanted)
                name = f"{role.key}: {_told(wanted)}"
                if gone[key] == come[key] == 1:
                    policy, before = next(pair for pair in held if pair[1]["collection"] == key)
                    after = _policy(granting.change_policy(policy, terms, by=work.by))
                    work.changes.append(Change(self.name, "change", name, differences(before, after)))
                else:
                    after = _policy(granting.add_policy(role, terms, by=work.by))
                    lines = differences(
                        {}, {key: after[key] for key in after if key not in ("collection", "actions")}
                    )
                    work.changes.append(Change(self.name, "create", name, lines))
        for policy, before in held:
            if not gone[before["collection"]] == come[before["collection"]] == 1:
                with work.at(self.name, role.key):
                    self._remove(policy, before, work)

    def remove(self, given: Mapping[str, Any], work: Work) -> None:
        for policy in (
            Policy.objects.select_related("role").exclude(role__key__in=list(given)).order_by("role__key")
        ):
            with work.at(self.name):
                self._remove(policy, _policy(policy), work)

    def _remove(self, policy: Policy, before: Mapping[str, Any], work: Work) -> None:
        name = f"{policy.role.key}: {_told(before)}"
        granting.remove_policy(policy, by=work.by)
        work.changes.append(Change(self.name, "delete", name))


def _told(policy: Mapping[str, Any]) -> str:
    where = "every collection" if policy["collection"] == "*" else policy["collection"]
    return f"{', '.join(policy['actions'])} in {where}"


def _canonical(policy: Mapping[str, Any]) -> tuple[str, str]:
    return policy["collection"], json.dumps(policy, sort_keys=True, ensure_ascii=False)


def _policy(policy: Policy) -> dict[str, Any]:
    """Return a policy in keys. What is gone from the schema shows by its id: a condition on it lets nothing through."""
    known, collection = directory(), policy.collection_id

    def name_of(text: str) -> str:
        if text in SYSTEM_NAMES or collection is None:
            return text
        return known.field_key(collection, UUID(text)) or text

    # A field that is gone gives nothing, so it is left out.
    named = sorted(
        key for text in policy.field_ids if collection and (key := known.field_key(collection, UUID(text)))
    )
    return _normal(
        {
            "collection": "*" if collection is None else known.collection_key(collection) or str(collection),
            "actions": list(policy.actions),
            "filter": [{name_of(name): {operator: value}} for name, operator, value in policy.rows],
            "fields": (["*", *named] if named else "*") if policy.every_field else named,
            "presets": {name_of(text): value for text, value in policy.presets.items()},
        }
    )


def _normal(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy in the one way in which it is written, so that two that say the same are equal."""
    fields = policy.get("fields", "*")
    conditions = sorted(
        _conditions(policy.get("filter", {})), key=lambda item: json.dumps(item, sort_keys=True, default=str)
    )
    as_mapping: dict[str, dict[str, Any]] = {}
    for name, operator, value in conditions:
        as_mapping.setdefault(name, {})[operator] = value
    is_mapping = sum(map(len, as_mapping.values())) == len(conditions)
    values = {
        "collection": policy["collection"],
        "actions": sorted(set(policy["actions"])),
        "filter": as_mapping
        if is_mapping
        else [{name: {operator: value}} for name, operator, value in conditions],
        "fields": fields if fields == "*" else "*" if set(fields) == {"*"} else sorted(set(fields)),
        "presets": dict(sorted(policy.get("presets", {}).items())),
    }
    return without_defaults(values, {"filter": {}, "fields": "*", "presets": {}})


def _conditions(given: Any) -> Iterator[tuple[str, str, Any]]:
    for part in given if isinstance(given, list) else [given]:
        for name, comparisons in part.items():
            for operator, value in comparisons.items():
                yield name, operator, value


def _shape(item: Any) -> list[Problem]:
    if not isinstance(item, Mapping):
        return [Problem.at((), "invalid-type", "Members with their values are expected.")]
    reader = _PolicyShape(data={name: value for name, value in item.items() if name != "filter"})
    problems = [] if reader.is_valid() else problems_of(reader.errors)
    given = item.get("filter", {})
    for number, part in enumerate(given if isinstance(given, list) else [given]):
        place: list[str | int] = ["filter", *([number] if isinstance(given, list) else [])]
        if not isinstance(part, Mapping):
            problems.append(Problem.at(place, "invalid-type", "Write it as field: {eq: value}."))
            continue
        problems += [
            # An empty comparison would hold for every row.
            Problem.at([*place, name], "invalid-filter", "Write it as {eq: value}.")
            for name, comparisons in part.items()
            if not isinstance(comparisons, Mapping) or not comparisons
        ]
    return problems


def _terms(policy: Mapping[str, Any]) -> PolicyTerms:
    """Turn keys into ids. Raises InvalidInputError naming every key that is not known."""
    known = directory()
    key = policy["collection"]
    collection = None if key == "*" else known.collection_id(key)
    if key != "*" and collection is None:
        raise refused("unknown-collection", f"There is no collection {shown(key)}.", "collection")
    problems: list[Problem] = []

    def field_id(name: str, *place: str | int) -> UUID:
        found = known.field_id(collection, name) if collection else None
        if found is None:
            problems.append(Problem.at(place, "unknown-field", f"There is no field {shown(name)} there."))
        return found or UUID(int=0)

    conditions: Iterable[tuple[str, str, Any]] = _conditions(policy.get("filter", {}))
    rows = tuple(
        (name if name in SYSTEM_NAMES else str(field_id(name, "filter", name)), operator, value)
        for name, operator, value in conditions
    )
    fields = policy.get("fields", "*")
    names = ["*"] if fields == "*" else fields
    ids = frozenset(field_id(name, "fields") for name in names if name != "*")
    presets = tuple(
        (field_id(name, "presets", name), value) for name, value in policy.get("presets", {}).items()
    )
    if problems:
        raise InvalidInputError(errors=problems)
    return PolicyTerms(
        collection_id=collection,
        actions=frozenset(Action(action) for action in policy["actions"]),
        rows=rows,
        every_field="*" in names,
        field_ids=ids,
        presets=presets,
    )
