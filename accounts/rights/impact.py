"""What a change of access does: what becomes readable and what stops being so, which acts come and go, for how many."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.access import Action, Area, Grant, Principal, Resource
from accounts.directory import CollectionLabel, Directory, FieldLabel, directory
from accounts.models.api_key import ApiKey
from accounts.models.role import ADMINISTRATOR, PUBLIC, Role
from accounts.models.user import User
from accounts.principals import load_areas, load_rules
from accounts.rights.sentences import ACTIONS, AREAS, SENSITIVE

# Who has a role and has made nothing yet: "their own entries" are none, and still it is seen which fields they show.
SOMEBODY: Final = UUID(int=0)
LATER: Final = CollectionLabel(UUID(int=0), "", "every collection that is made later")
_PLANES: Final = ((Action.READ, "published"), (Action.READ_DRAFT, "drafts"))


@dataclass(frozen=True, slots=True)
class Entries:
    """How many entries; `is_more` when counting stopped there."""

    number: int = 0
    is_more: bool = False

    def __str__(self) -> str:
        many = "entry" if self.number == 1 and not self.is_more else "entries"
        return f"{'more than ' if self.is_more else ''}{self.number:,} {many}"

    def __bool__(self) -> bool:
        return self.number > 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What changes in what can be read of one collection, published or in drafts."""

    collection: CollectionLabel
    plane: str  # "published" or "drafts"
    fields_gained: tuple[FieldLabel, ...] = ()
    fields_lost: tuple[FieldLabel, ...] = ()
    entries_gained: Entries = Entries()
    entries_lost: Entries = Entries()

    @property
    def gains(self) -> bool:
        return bool(self.fields_gained or self.entries_gained)

    @property
    def loses(self) -> bool:
        return bool(self.fields_lost or self.entries_lost)


@dataclass(frozen=True, slots=True)
class Act:
    """An act that is gained, lost, or open to other rows or fields than before, in these collections."""

    action: Action
    collections: tuple[str, ...]  # names
    keys: tuple[str, ...]  # "*" for every one, and for those of later

    @property
    def words(self) -> str:
        return ACTIONS[self.action]


@dataclass(frozen=True, slots=True)
class Impact:
    """All of it. Nothing in it means that nobody's access changes."""

    readings: tuple[Reading, ...] = ()
    gained: tuple[Act, ...] = ()
    lost: tuple[Act, ...] = ()
    changed: tuple[Act, ...] = ()
    areas_gained: tuple[str, ...] = ()
    areas_lost: tuple[str, ...] = ()
    becomes_administrator: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.readings
            or self.gained
            or self.lost
            or self.changed
            or self.areas_gained
            or self.areas_lost
            or self.becomes_administrator
        )

    @property
    def sensitive(self) -> tuple[str, ...]:
        """The personal and secret fields that become readable: "Phone (personal) of Authors"."""
        found = {
            f"{item.name} ({item.data_class}) of {reading.collection.name}": None
            for reading in self.readings
            for item in reading.fields_gained
            if item.data_class in SENSITIVE
        }
        return tuple(found)

    @property
    def unseen(self) -> tuple[Act, ...]:
        """The reading gained that shows nothing yet: no field is covered, or the collection is still to be made."""
        found = []
        for action, plane in _PLANES:
            shown = {item.collection.key for item in self.readings if item.plane == plane and item.gains}
            for act in self.gained:
                left = {
                    key: LATER.name if key == "*" and shown else name
                    for name, key in zip(act.collections, act.keys, strict=True)
                    if key not in shown
                }
                if act.action is action and left:
                    found.append(Act(action, tuple(left.values()), tuple(left)))
        return tuple(found)

    @property
    def gains_reading(self) -> bool:
        return any(reading.gains for reading in self.readings)

    @property
    def writes(self) -> tuple[Act, ...]:
        """The acts gained that are more than reading."""
        return tuple(act for act in self.gained if act.action not in (Action.READ, Action.READ_DRAFT))


@dataclass(frozen=True, slots=True)
class Concerned:
    """Whom it is about: active people, and keys that work."""

    people: int
    keys: int
    is_everybody: bool = False


def of_role(key: str) -> Principal:
    """Return somebody who has a role, and made nothing, as of now in this transaction."""
    rules, areas = load_rules(), load_areas()
    roles = () if key == PUBLIC else (key,)
    return Principal(
        kind="anonymous" if key == PUBLIC else "user",
        user_id=None if key == PUBLIC else SOMEBODY,
        email="" if key == PUBLIC else "somebody@example.invalid",
        label=key,
        roles=roles,
        rules=tuple(rule for name in dict.fromkeys((key, PUBLIC)) for rule in rules.get(name, ())),
        areas=areas.get(key, frozenset()),
        is_administrator=key == ADMINISTRATOR,
    )


def as_somebody(principal: Principal) -> Principal:
    """Return the same rights without the person: a new account has another id each time that it is tried."""
    if principal.kind == "anonymous":
        return principal
    return replace(principal, user_id=SOMEBODY, email="somebody@example.invalid")


def concerned_by(role: Role) -> Concerned:
    """Count who has a role: active people and service accounts' keys. The public role is everybody's."""
    keys = ApiKey.objects.exclude(state=ApiKey.State.REVOKED).filter(
        expires_at__gt=timezone.now(), owner__is_active=True
    )
    people = User.objects.filter(is_active=True, is_service=False)
    if role.key == PUBLIC:
        return Concerned(people.count(), keys.count(), is_everybody=True)
    return Concerned(people.filter(groups=role).count(), keys.filter(owner__groups=role).count())


def concerned(user: User) -> Concerned:
    """Count one user and the keys that work by their rights."""
    live = Q(expires_at__gt=timezone.now()) & ~Q(state=ApiKey.State.REVOKED)
    return Concerned(int(not user.is_service), ApiKey.objects.filter(live, owner=user).count())


def compare(before: Principal, after: Principal, known: Directory) -> Impact:
    """Return what the second principal may that the first may not, and the other way round."""
    collections = known.collections()
    readings: list[Reading] = []
    acts: dict[str, dict[Action, list[CollectionLabel]]] = {"gained": {}, "lost": {}, "changed": {}}
    for collection in (*collections, LATER):
        for action in ACTIONS:
            had, has = (who.grant(action, on=Resource(collection.id)) for who in (before, after))
            if had == has:
                continue
            change = "changed" if had and has else "gained" if has else "lost"
            plane = dict(_PLANES).get(action)
            if plane is not None and collection is not LATER:
                reading = _reading(collection, plane, had, has, known)
                if reading.gains or reading.loses:
                    readings.append(reading)
                    if change == "changed":
                        continue
            acts[change].setdefault(action, []).append(collection)
    return Impact(
        readings=tuple(readings),
        gained=_acts(acts["gained"], len(collections)),
        lost=_acts(acts["lost"], len(collections)),
        changed=_acts(acts["changed"], len(collections)),
        areas_gained=_areas(after, before),
        areas_lost=_areas(before, after),
        becomes_administrator=after.is_administrator and not before.is_administrator,
    )


def try_out(act: Callable[[], object], role: str) -> Impact:
    """Do something that concerns a role, compare before and after, and take it back. Refusals come out as they are."""
    with transaction.atomic():
        before = of_role(role)
        act()
        found = compare(before, of_role(role), directory())
        transaction.set_rollback(True)
    return found


def _reading(collection: CollectionLabel, plane: str, had: Grant, has: Grant, known: Directory) -> Reading:
    gained, lost = known.count_entries(collection.id, had, has, is_draft=plane == "drafts")
    return Reading(
        collection,
        plane,
        tuple(item for item in collection.fields if has.allows(item) and not had.allows(item)),
        tuple(item for item in collection.fields if had.allows(item) and not has.allows(item)),
        Entries(*gained),
        Entries(*lost),
    )


def _acts(found: dict[Action, list[CollectionLabel]], number: int) -> tuple[Act, ...]:
    acts = []
    for action in ACTIONS:
        places = found.get(action, [])
        if len(places) == number + 1:  # all that there are, and those of later
            acts.append(Act(action, ("every collection",), ("*",)))
        elif places:
            names = tuple(item.name for item in places)
            acts.append(Act(action, names, tuple(item.key or "*" for item in places)))
    return tuple(acts)


def _areas(one: Principal, other: Principal) -> tuple[str, ...]:
    areas: Iterable[Area] = (area for area in AREAS if one.administers(area) and not other.administers(area))
    return tuple(AREAS[area] for area in areas)
