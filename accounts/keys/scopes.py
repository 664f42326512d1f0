"""Scopes of API keys as people write them, and who may hand out which."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from accounts.access import Action, Area, Principal, Resource, Scopes
from accounts.directory import directory
from accounts.errors import InvalidInputError, NotAllowedError, Problem

NO_COLLECTION: Final = UUID(int=0)  # only scopes and rules for every collection cover it


def parse_scopes(texts: Collection[str], *, path: tuple[str | int, ...] = ("scopes",)) -> Scopes:
    """Turn `articles:read`, `*:read`, `admin:keys` into scopes. Raises InvalidInputError naming each wrong one."""
    actions: set[tuple[UUID | None, Action]] = set()
    areas: set[Area] = set()
    problems: list[Problem] = []
    for number, text in enumerate(texts):
        left, _, right = text.partition(":")
        if left == "admin" and right in set(Area):
            areas.add(Area(right))
            continue
        collection_id = None if left == "*" else directory().collection_id(left)
        if right not in set(Action) or (left != "*" and collection_id is None):
            problems.append(
                Problem.at(
                    (*path, number), "unknown-scope", "A scope is collection:action, *:action or admin:area."
                )
            )
            continue
        actions.add((collection_id, Action(right)))
    if not texts:
        problems.append(Problem.at(path, "required", "Name at least one scope."))
    if problems:
        raise InvalidInputError(errors=problems)
    return Scopes(frozenset(actions), frozenset(areas))


def scope_texts(scopes: Scopes) -> list[str]:
    """Return scopes as people write them; a collection that is gone shows by its id."""
    lines = [
        f"{'*' if collection is None else directory().collection_key(collection) or collection}:{action.value}"
        for collection, action in scopes.actions
    ]
    return sorted([*lines, *(f"admin:{area.value}" for area in scopes.areas)])


def scopes_json(scopes: Scopes) -> dict[str, list[list[str]] | list[str]]:
    """Return scopes as the row keeps them."""
    return {
        "actions": sorted([str(collection or "*"), action.value] for collection, action in scopes.actions),
        "areas": sorted(area.value for area in scopes.areas),
    }


def require_to_hold_scopes(by: Principal, scopes: Scopes) -> None:
    """Raise NotAllowedError when a scope is more than `by` has itself (GHSA-pmf4-v838-29hg)."""
    for collection, action in scopes.actions:
        if not by.grant(action, on=Resource(collection or NO_COLLECTION)):
            raise NotAllowedError(f"You can't make a key that may {action.value} what you can't.")
    for area in scopes.areas:
        if not by.administers(area):
            raise NotAllowedError(f"You can't make a key that administers {area.value}.")
