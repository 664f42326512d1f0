"""How rows of accounts look as JSON, and how the keys in bodies become ids."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.access import Action
from accounts.directory import directory
from accounts.errors import InvalidInputError, Problem
from accounts.keys.api_keys import is_flagged_idle, is_use_known
from accounts.keys.hints import hint
from accounts.keys.scopes import scope_texts
from accounts.keys.usage import verdict
from accounts.models.api_key import ApiKey
from accounts.models.generation import Generation
from accounts.models.role import PUBLIC, Policy, Role, Strength
from accounts.models.session import Session
from accounts.models.user import User
from accounts.principals import scopes_of
from accounts.rights.granting import SETTINGS, SYSTEM_NAMES, PolicyTerms
from accounts.rights.impact import Act, Impact, Reading


def moment(value: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if value else None


def role_json(role: Role) -> dict[str, Any]:
    return {
        "key": role.key,
        "name": role.name,
        **{name: getattr(role, name) for name in SETTINGS},
        "areas": sorted(role.areas),
        "built_in": role.is_built_in,
    }


def user_json(user: User) -> dict[str, Any]:
    """Return a user; `groups` with their `role` must be prefetched for lists."""
    keys = sorted(group.role.key for group in user.groups.all() if hasattr(group, "role"))
    return {
        "id": str(user.pk),
        "email": user.email,
        "name": user.name,
        "roles": [key for key in keys if key != PUBLIC],
        "is_active": user.is_active,
        "is_service": user.is_service,
        "created_at": moment(user.created_at),
        "last_sign_in_at": moment(user.last_login),
    }


def session_json(session: Session, *, current: str) -> dict[str, Any]:
    return {
        "id": str(session.pk),
        "kind": session.kind,
        "current": str(session.pk) == current,
        "created_at": moment(session.created_at),
        "last_seen_at": moment(session.last_seen_at),
        "expires_at": moment(session.expires_at),
        "second_factor": session.strength > Strength.PASSWORD,
        "phishing_resistant": session.strength == Strength.PHISHING_RESISTANT,
        "address": session.address,
        "agent": session.agent,
    }


def key_json(key: ApiKey) -> dict[str, Any]:
    """Return an API key without anything secret."""
    return {
        "id": str(key.pk),
        "public_id": key.public_id,
        "name": key.name,
        "owner": str(key.owner_id),
        "scopes": scope_texts(scopes_of(key.scopes)),
        "state": key.state,
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "last_used_at": moment(key.last_used_at),
        "allowed_networks": key.allowed_networks,
        "browser": key.browser,
        "rate_limit": key.rate_limit,
        "created_by": str(key.created_by_id) if key.created_by_id else None,
        "calls": key.use_count,
        "idle": is_flagged_idle(key),
    }


def key_details_json(key: ApiKey) -> dict[str, Any]:
    """Return an API key with what is known of its rotation and of the scopes that it used."""
    shown = hint(key)
    judged = verdict(key, is_known=is_use_known(Generation.objects.current()))
    rotation = {
        "rotated_at": moment(key.rotated_at),
        "old_secret_until": moment(key.previous_valid_until),
        "old_secret_calls": key.old_use_count,
        "old_secret_last_used_at": moment(key.old_used_at),
        "old_secret_refused": key.old_refused_count,
        "safe_to_retire": judged.is_safe if judged else None,
        "verdict": judged.sentence if judged else None,
    }
    return key_json(key) | {
        "rotation": rotation if key.rotated_at else None,
        "use_of_scopes": {"days": shown.days, "used": shown.used, "unused": shown.unused},
    }


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return a policy in keys. What is gone from the schema shows by its id: it grants nothing any more."""
    collection = policy.collection_id
    known = directory()

    def name_of(text: str) -> str:
        if text in SYSTEM_NAMES or collection is None:
            return text
        return known.field_key(collection, UUID(text)) or text

    rows: dict[str, dict[str, Any]] = {}
    for name, operator, value in policy.rows:
        rows.setdefault(name_of(name), {})[operator] = value
    named = sorted(name_of(text) for text in policy.field_ids)
    return {
        "id": str(policy.pk),
        "role": policy.role.key,
        "collection": "*" if collection is None else known.collection_key(collection) or str(collection),
        "actions": sorted(policy.actions),
        "filter": rows,
        "fields": (["*", *named] if named else "*") if policy.every_field else named,
        "presets": {name_of(text): value for text, value in policy.presets.items()},
    }


def effects_json(found: Impact) -> dict[str, Any]:
    """Return what a change of access does: fields and numbers of entries by collection and plane, and acts."""

    def reading(item: Reading) -> dict[str, Any]:
        return {
            "collection": item.collection.key,
            "plane": item.plane,
            "fields_gained": [field.key for field in item.fields_gained],
            "fields_lost": [field.key for field in item.fields_lost],
            "entries_gained": item.entries_gained.number,
            "entries_lost": item.entries_lost.number,
        }

    def acts(items: Iterable[Act]) -> list[dict[str, Any]]:
        return [{"action": item.action.value, "collections": list(item.keys)} for item in items]

    return {
        "readings": [reading(item) for item in found.readings],
        "gained": acts(found.gained),
        "lost": acts(found.lost),
        "changed": acts(found.changed),
    }


def policy_terms(body: dict[str, Any]) -> PolicyTerms:
    """Turn keys into ids. Raises InvalidInputError naming every key that is not known."""
    known = directory()
    problems: list[Problem] = []
    collection_key = body["collection"]
    collection = None if collection_key == "*" else known.collection_id(collection_key)
    if collection_key != "*" and collection is None:
        raise InvalidInputError(
            errors=[Problem.at(["collection"], "unknown-collection", "There is no collection with this key.")]
        )

    def field_id(key: str, *path: str | int) -> UUID | None:
        found = known.field_id(collection, key) if collection else None
        if found is None:
            problems.append(Problem.at(path, "unknown-field", "There is no such field."))
        return found

    rows: list[tuple[str, str, Any]] = []
    for key, comparisons in body.get("filter", {}).items():
        name = key if key in SYSTEM_NAMES else field_id(key, "filter", key)
        if not isinstance(comparisons, dict) or not comparisons:
            # An empty comparison would hold for every row.
            problems.append(Problem.at(["filter", key], "invalid-filter", 'Write it as {"eq": value}.'))
            continue
        rows.extend((str(name), operator, value) for operator, value in comparisons.items() if name)
    fields = body.get("fields", "*")
    keys = [fields] if fields == "*" else fields
    ids = {field_id(key, "fields", number) for number, key in enumerate(keys) if key != "*"}
    presets = [(field_id(key, "presets", key), value) for key, value in body.get("presets", {}).items()]
    if not keys:
        problems.append(Problem.at(["fields"], "required", 'Name fields, or "*".'))
    if problems:
        raise InvalidInputError(errors=problems)
    return PolicyTerms(
        collection_id=collection,
        actions=frozenset(Action(action) for action in body["actions"]),
        rows=tuple(rows),
        every_field="*" in keys,
        field_ids=frozenset(item for item in ids if item),
        presets=tuple((item, value) for item, value in presets if item),
    )
