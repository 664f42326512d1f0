"""Django's permission names, answered by `accounts.access`: nothing else in the house decides."""

from typing import Final

from django.db import models

from accounts.access import Action, Area, Principal, Resource
from accounts.models.user import User
from accounts.principals import action_of, of_signed_in

# Which area of administration a table of the admin belongs to, and what can be done with it there at all. Rooms above
# add their tables.
AREAS: Final[dict[str, tuple[Area, frozenset[str]]]] = {
    "accounts.user": (Area.USERS, frozenset({"view", "add", "change"})),
    "accounts.role": (Area.ROLES, frozenset({"view", "add", "change", "delete"})),
    "accounts.policy": (Area.POLICIES, frozenset({"view", "add", "change", "delete"})),
    "accounts.apikey": (Area.KEYS, frozenset({"view", "add", "change"})),
    "accounts.serviceaccount": (Area.USERS, frozenset({"view", "add", "change"})),
    "accounts.session": (Area.USERS, frozenset({"view"})),
    "accounts.event": (Area.AUDIT, frozenset({"view"})),
    "accounts.alert": (Area.AUDIT, frozenset({"view"})),
}


def allows(user: User, permission: str, obj: models.Model | None) -> bool:
    """Answer `has_perm("app.verb_model", obj)`; a name that is not known is refused."""
    principal = of_signed_in(user)
    app_label, _, codename = permission.partition(".")
    verb, _, model = codename.partition("_")
    if app_label != "content":
        area, verbs = AREAS.get(f"{app_label}.{model}", (None, frozenset[str]()))
        is_open = verb == "view" or not principal.is_locked_down
        return area is not None and verb in verbs and is_open and principal.administers(area)
    action = action_of(codename)
    if action is None or obj is None:
        return False
    collection_id = getattr(obj, "collection_id", None)
    return collection_id is not None and _covers(principal, action, Resource(collection_id, obj.pk))


def allows_module(user: User, app_label: str) -> bool:
    """Answer `has_module_perms`: whether anything of the room is open at all."""
    principal = of_signed_in(user)
    if app_label == "content":
        return principal.is_administrator or bool(principal.object_grants) or bool(principal.rules)
    return any(
        principal.administers(area) for table, (area, _) in AREAS.items() if table.startswith(f"{app_label}.")
    )


def _covers(principal: Principal, action: Action, entry: Resource) -> bool:
    """Tell whether a clause without conditions, or one that names this entry, gives the action.

    Conditions on fields need the row itself; whoever asks for those uses the grant, not a permission name.
    """
    for clause in principal.grant(action, on=entry).clauses:
        if not clause.rows:
            return True
        if all(
            row.name == "_id" and isinstance(row.value, tuple) and str(entry.entry_id) in row.value
            for row in clause.rows
        ):
            return True
    return False
