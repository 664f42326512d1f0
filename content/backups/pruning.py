"""Retention: grandfather, father, son. The newest backup and the newest proven one are never removed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings

from content.backups import creating, media, postgres, verifying
from content.backups.errors import RefusedError
from content.backups.manifest import read
from content.backups.proving import last_proven
from content.backups.stores import Store, names, object_name


@dataclass(slots=True)
class Pruned:
    """What pruning did, or would do."""

    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # whose manifests can't be read: nothing is decided by them
    objects: int = 0  # media files that no backup needs any more
    notes: list[str] = field(default_factory=list)


def made_at(name: str) -> datetime:
    """Return when a backup was made, as its name says."""
    return datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def kept(backups: Iterable[str], *, keep: tuple[int, int, int], proven: Collection[str]) -> set[str]:
    """Return which backups stay: the newest of each of the last days, weeks (ISO) and months that have one.

    And always the newest one, and the newest that is proven.
    """
    newest_first = sorted(backups, key=made_at, reverse=True)
    found = set(newest_first[:1]) | set([name for name in newest_first if name in proven][:1])
    for number, period in zip(keep, (_day, _week, _month), strict=True):
        seen: dict[object, str] = {}
        for name in newest_first:
            seen.setdefault(period(made_at(name)), name)
        found |= set(list(seen.values())[:number])
    return found


def _day(at: datetime) -> object:
    return at.date()


def _week(at: datetime) -> object:
    return (at - timedelta(days=at.weekday())).date()


def _month(at: datetime) -> object:
    return at.year, at.month


def prune(place: Store, *, dry_run: bool = False, damaged: Collection[str] = ()) -> Pruned:
    """Remove what retention lets go, and media files that no backup needs. Raises BackupError.

    `damaged` are backups that were found so: what they once proved keeps no other from being the newest proven one.
    """
    with postgres.connect(postgres.owner_config()) as connection, creating.only_one(connection):
        return _prune(place, dry_run=dry_run, damaged=damaged)


def _prune(place: Store, *, dry_run: bool, damaged: Collection[str]) -> Pruned:
    result = Pruned()
    everything = _believed(place, result)
    proven = [name for name in everything if name not in damaged and last_proven(place, name)]
    if everything and not proven:
        result.notes.append("No backup is proven to restore, so none was removed. Run `backup prove`.")
        result.kept = [*everything, *result.left]
        return result
    stay = kept(everything, keep=settings.BACKUPS.keep, proven=proven)
    result.kept = [name for name in everything if name in stay]
    result.removed = [name for name in everything if name not in stay]
    result.kept += result.left
    if dry_run:
        return result
    for name in result.removed:
        remove(place, name)
    result.objects = _sweep(place, result.notes)
    return result


def sweep(place: Store) -> int:
    """Remove media files that no backup names, as one that was killed leaves them; return how many."""
    with postgres.connect(postgres.owner_config()) as connection, creating.only_one(connection):
        return _sweep(place, [])


def _believed(place: Store, result: Pruned) -> list[str]:
    """Return the backups whose manifests we signed. Whoever can put a folder there must not push good ones out."""
    found = []
    for name in names(place):
        try:
            read(place, name)
        except RefusedError as error:
            result.left.append(name)
            result.notes.append(f"{name} is left alone, and can be removed by hand: {error}")
        else:
            found.append(name)
    return found


def remove(place: Store, name: str) -> None:
    """Remove one backup. What is left of one that is cut off here is no backup, and the next create clears it."""
    place.withdraw(name)
    for key in [*place.keys(place.draft(name)), *place.keys(f"proofs/{name}")]:
        place.remove(key)


def _sweep(place: Store, notes: list[str]) -> int:
    """Remove media files that no backup names. When one list can't be read, nothing is removed."""
    removed = 0
    with media.Known() as needed:
        for name in names(place):
            try:
                for item in verifying.stored(place, read(place, name)):
                    needed.add(item)
            except RefusedError:
                notes.append(f"The list of {name} can't be read, so no media file was removed.")
                return 0
        for key in place.keys("objects"):
            object_ = object_name(key)
            if object_ is not None and needed.get(object_) is None:
                place.remove(key)
                removed += 1
    return removed
