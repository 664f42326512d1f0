"""What an API key may do, in sentences: each of its scopes, and what the rights of its owner leave of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from accounts.access import EVERY_FIELD, Action, Area, Grant, Principal, Resource, Scopes
from accounts.directory import CollectionLabel, Directory, directory
from accounts.keys.scopes import scope_texts
from accounts.models.api_key import ApiKey
from accounts.principals import of_user, scopes_of

# What stands before the name of a collection.
WORDS: Final[Mapping[Action, str]] = {
    Action.READ: "read what is published in",
    Action.READ_DRAFT: "read drafts of",
    Action.CREATE: "make entries in",
    Action.UPDATE: "change entries of",
    Action.DELETE: "put into the trash entries of",
    Action.PUBLISH: "publish entries of",
    Action.UNPUBLISH: "unpublish entries of",
    Action.RESTORE: "bring back from the trash entries of",
    Action.PURGE: "erase for good entries of",
    Action.PREVIEW: "preview drafts of",
    Action.EXPORT: "export",
    Action.MANAGE_SCHEMA: "change the model of",
}


class Effect(StrEnum):
    """What is left of a scope."""

    FULL = "full"
    PARTLY = "partly"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Line:
    """One scope: as it is written, in words, and what it comes to."""

    scope: str
    words: str
    effect: Effect
    remark: str


def explain(key: ApiKey) -> list[Line]:
    """Return a line for each scope, in the order that they are listed in."""
    scopes, known = scopes_of(key.scopes), directory()
    principal = replace(of_user(key.owner), scopes=scopes)
    lines = [_of_action(pair, principal, known, key) for pair in scopes.actions]
    lines += [_of_area(area, principal, key) for area in scopes.areas]
    return sorted(lines, key=lambda line: line.scope)


def _of_action(pair: tuple[UUID | None, Action], by: Principal, known: Directory, key: ApiKey) -> Line:
    collection, action = pair
    (text,) = scope_texts(Scopes(frozenset([pair]), frozenset()))
    if collection is not None:
        label = next((item for item in known.collections() if item.id == collection), None)
        if label is None:
            return Line(
                text, f"{WORDS[action]} a collection that is gone", Effect.NOTHING, "It opens nothing."
            )
        effect, remark = _judged(by.grant(action, on=Resource(collection)), label, key)
        return Line(text, f"{WORDS[action]} {label.name}", effect, remark)
    names = {item.name: by.grant(action, on=Resource(item.id)) for item in known.collections()}
    words = f"{WORDS[action]} every collection"
    if by.is_administrator:
        return Line(text, words, Effect.FULL, "Also of those that are made later.")
    open_ones = [name for name, grant in names.items() if grant]
    if not open_ones:
        return Line(text, words, Effect.NOTHING, _cut(key))
    return Line(text, words, Effect.PARTLY, f"Its owner’s rights leave: {', '.join(open_ones)}.")


def _judged(grant: Grant, collection: CollectionLabel, key: ApiKey) -> tuple[Effect, str]:
    if not grant:
        return Effect.NOTHING, _cut(key)
    everywhere = [clause.fields for clause in grant.clauses if not clause.rows]
    if EVERY_FIELD in everywhere:
        return Effect.FULL, ""
    if collection.fields and all(
        any(fields.allows(item) for fields in everywhere) for item in collection.fields
    ):
        return Effect.FULL, "Every field that there is now."
    if not everywhere:
        return Effect.PARTLY, "Only some entries, as its owner’s policies say."
    return Effect.PARTLY, "Not every field, as its owner’s policies say."


def _of_area(area: Area, by: Principal, key: ApiKey) -> Line:
    is_open = by.administers(area)
    effect = Effect.FULL if is_open else Effect.NOTHING
    return Line(f"admin:{area.value}", f"administer {area.value}", effect, "" if is_open else _cut(key))


def _cut(key: ApiKey) -> str:
    if not key.owner.is_active:
        return "Nothing: its owner is switched off."
    return "Nothing: its owner may not."
