"""Least privilege: which scopes of a key were used in the last 90 days, and which a narrower one would have."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from accounts.access import Action, Area, Scopes
from accounts.keys.scopes import NO_COLLECTION, scope_texts
from accounts.models.api_key import ApiKey
from accounts.principals import scopes_of

LOOKED_BACK: Final = timedelta(days=90)
_FEWEST_DAYS: Final = 7  # a key that is younger has not shown yet what it needs


@dataclass(frozen=True, slots=True)
class Hint:
    """What a key has and what it used of it. `narrower` is what it used, word for word; None when that is all."""

    days: int
    given: int
    used: tuple[str, ...]
    unused: tuple[str, ...]
    wildcards: tuple[
        tuple[str, tuple[str, ...]], ...
    ]  # a scope for every collection, and what it was used for
    narrower: Scopes | None
    is_early: bool

    @property
    def sentence(self) -> str:
        """Return it in words: "Used 2 of 9 scopes in 90 days"."""
        return (
            f"Used {len(self.used)} of {self.given} scope{'' if self.given == 1 else 's'} in {self.days} "
            f"day{'' if self.days == 1 else 's'}."
        )


def hint(key: ApiKey, *, now: datetime | None = None) -> Hint:
    """Compare what a key may with what it did."""
    now = now or timezone.now()
    has = scopes_of(key.scopes)
    days = max(1, min(LOOKED_BACK, now - key.created_at).days)
    lines = key.scope_uses.filter(last_used_at__gte=now - LOOKED_BACK).values_list("scope", flat=True)
    did = _scopes(lines)
    actions = frozenset(pair for pair in did.actions if pair in has.actions or (None, pair[1]) in has.actions)
    needed = Scopes(actions, did.areas & has.areas)
    used = Scopes(
        frozenset(
            (collection, action)
            for collection, action in has.actions
            if any(action == did_action and collection in (None, at) for at, did_action in actions)
        ),
        needed.areas,
    )
    unused = Scopes(has.actions - used.actions, has.areas - used.areas)
    wildcards = tuple(
        (f"*:{action.value}", tuple(scope_texts(_only(actions, action))))
        for collection, action in sorted(has.actions, key=lambda pair: pair[1].value)
        if collection is None and any(action == did_action for _, did_action in actions)
    )
    is_less = needed.actions != has.actions or needed.areas != has.areas
    has_use = bool(needed.actions or needed.areas)
    return Hint(
        days=days,
        given=len(has.actions) + len(has.areas),
        used=tuple(scope_texts(used)),
        unused=tuple(scope_texts(unused)),
        wildcards=wildcards,
        narrower=needed if is_less and has_use else None,
        is_early=now - key.created_at < timedelta(days=_FEWEST_DAYS),
    )


def _only(actions: Iterable[tuple[UUID | None, Action]], action: Action) -> Scopes:
    return Scopes(frozenset(pair for pair in actions if pair[1] == action), frozenset())


def _scopes(lines: Iterable[str]) -> Scopes:
    """Parse what `Principal` noted; a line that can't be understood was used for nothing that we know."""
    actions: set[tuple[UUID | None, Action]] = set()
    areas: set[Area] = set()
    for line in lines:
        left, _, right = line.partition(":")
        if left == "admin" and right in set(Area):
            areas.add(Area(right))
        elif right in set(Action):
            collection = UUID(left)
            actions.add((None if collection == NO_COLLECTION else collection, Action(right)))
    return Scopes(frozenset(actions), frozenset(areas))
