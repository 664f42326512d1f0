"""What happened to an entry, newest first: its versions and the events of the log, as far as one may know of them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import merge
from typing import Any, Final, Self
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from accounts.access import Action, Area, Clause
from accounts.models import Event
from content.documents import SHARED
from content.fields.base import FieldSpec
from content.models import DraftDocument, Entry, Version
from content.rows import clause_rows, flag
from content.writing import Writing, allowed_fields

PAGE_SIZE: Final = 40
# What the log says beyond the versions; `entry.created` and `entry.updated` are the versions themselves.
PUBLISHED: Final = "entry.published"
UNPUBLISHED: Final = "entry.unpublished"
TRASHED: Final = "entry.trashed"
RESTORED: Final = "entry.restored"
GIVEN: Final = "entry-grant.given"
WITHDRAWN: Final = "entry-grant.withdrawn"
_OF_LOCALES: Final = (PUBLISHED, UNPUBLISHED, TRASHED, RESTORED)
_OF_RIGHTS: Final = (GIVEN, WITHDRAWN)
_TOGETHER: Final = timedelta(seconds=5)  # events of one act, one a locale, lie no further apart

_TOUCHED: Final = """
    SELECT new.number, place.name, touched.field_id
    FROM content_version new
    LEFT JOIN content_version old ON old.entry_id = new.entry_id AND old.number = new.number - 1
    CROSS JOIN LATERAL (SELECT jsonb_object_keys(coalesce(old.data, '{}') || new.data) AS name) place
    CROSS JOIN LATERAL (
        SELECT key AS field_id
        FROM jsonb_each(coalesce(new.data -> place.name, '{}')) now (key, value)
        FULL JOIN jsonb_each(coalesce(old.data -> place.name, '{}')) was (key, value) USING (key)
        WHERE now.value IS DISTINCT FROM was.value
    ) touched
    WHERE new.entry_id = %s AND new.number = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a reader has come: versions from this number on and events from this one on have been shown."""

    version: int | None = None
    event: tuple[datetime, UUID] | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the place that `str()` wrote, None for anything else. It opens nothing: the grant is asked anew."""
        found = _PLACE.fullmatch(text)
        if not text or found is None:
            return None
        number, micros, event_id = found.groups()
        try:
            at = _EPOCH + timedelta(microseconds=int(micros)) if micros else None
        except OverflowError:
            return None
        return cls(int(number) if number else None, (at, UUID(event_id)) if at else None)

    def __str__(self) -> str:
        version = "" if self.version is None else f"v{self.version}"
        if self.event is None:
            return version
        at, event_id = self.event
        return f"{version}e{(at - _EPOCH) // timedelta(microseconds=1)}.{event_id.hex}"


_PLACE: Final = re.compile(r"(?:v([1-9][0-9]{0,8}))?(?:e([0-9]{1,17})\.([0-9a-f]{32}))?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Sight:
    """What the principal may read of an entry's drafts, locale by locale."""

    everywhere: tuple[Clause, ...]  # without a condition: they hold in every locale, also in one that is gone
    by_locale: Mapping[str, tuple[Clause, ...]]

    @classmethod
    def of(cls, entry: Entry, writing: Writing) -> Self:
        clauses = writing.by.grant(Action.READ_DRAFT, on=entry.resource).clauses
        flags = {f"_f{i}": flag(clause_rows(clause, writing.collection)) for i, clause in enumerate(clauses)}
        rows: Any = DraftDocument.objects.filter(entry=entry).values("locale", **flags)
        return cls(
            tuple(clause for clause in clauses if not clause.rows),
            {
                row["locale"]: held
                for row in rows
                if (held := tuple(clause for i, clause in enumerate(clauses) if row[f"_f{i}"]))
            },
        )

    def fields_in(self, place: str, writing: Writing) -> set[FieldSpec]:
        """Return the fields that may be read in a locale; in `"*"` those that may be in any."""
        held = self.by_locale.get(place, self.everywhere)
        if place == SHARED:
            held = tuple(item for found in (self.everywhere, *self.by_locale.values()) for item in found)
        return allowed_fields(held, writing.collection)


@dataclass
class Line:
    """One thing that happened: a version that was saved, or one act that the log tells of, in one or more locales."""

    at: datetime
    who: str
    kind: str  # "version", or the type of the event
    version: Version | None = None
    events: list[Event] = field(default_factory=list)
    touched: dict[FieldSpec, set[str]] = field(default_factory=dict)  # field → "*" or locales

    @property
    def locales(self) -> list[str]:
        return sorted({event.locale for event in self.events if event.locale})

    @property
    def detail(self) -> Mapping[str, object]:
        return self.events[0].detail if self.events else {}

    def takes(self, event: Event) -> bool:
        """Tell whether an older event is of the same act."""
        if not self.events or event.type not in _OF_LOCALES:
            return False
        last = self.events[-1]
        return (
            (last.type, last.actor_id, last.actor_label, last.request_id, last.detail)
            == (event.type, event.actor_id, event.actor_label, event.request_id, event.detail)
            and last.at - event.at <= _TOGETHER
            and event.locale not in self.locales
        )


@dataclass(frozen=True)
class Page:
    """Some lines, newest first, and where the next page begins (None after the last one)."""

    lines: list[Line]
    older: Place | None


def read(entry: Entry, writing: Writing, *, behind: Place | None = None, size: int = PAGE_SIZE) -> Page:
    """Return a page of an entry's time line. Whether the entry may be seen at all was asked before.

    Each source is read on by a place of its own, so nothing is lost or told twice where both have the same moment.
    """
    behind = behind or Place()
    sight = Sight.of(entry, writing)
    versions = entry.versions.defer("sealed").order_by("-number")
    if behind.version is not None:
        versions = versions.filter(number__lt=behind.version)
    events: Iterable[Version | Event] = _events(entry, writing, sight, behind)[: size + 1]
    saved: Iterable[Version | Event] = versions[: size + 1]
    found = list(merge(events, saved, key=_moment, reverse=True))[: size + 1]
    lines = list(_lines(found))
    if len(found) <= size:
        older = None
    else:
        if len(lines) > 1:
            lines.pop()  # more of the same act may follow: it is told whole, on the next page
        older = _place_after(lines, behind)
    _name_fields(lines, entry, writing, sight)
    return Page(lines, older)


def _events(entry: Entry, writing: Writing, sight: Sight, behind: Place) -> QuerySet[Event]:
    """Return the events that may be told, newest first: by the log's index on its subjects."""
    told = Q(type__in=_OF_LOCALES)
    if not sight.everywhere:
        told &= Q(locale__in=list(sight.by_locale))
    if writing.by.administers(Area.POLICIES):
        told |= Q(type__in=_OF_RIGHTS)
    events = Event.objects.about("entry", str(entry.pk)).filter(told).order_by("-at", "-id")
    if behind.event is not None:
        at, event_id = behind.event
        events = events.filter(Q(at__lt=at) | Q(at=at, id__lt=event_id))
    return events


def _moment(item: Version | Event) -> datetime:
    return item.created_at if isinstance(item, Version) else item.at


def _lines(items: Iterable[Version | Event]) -> Iterator[Line]:
    """Yield a line for each version, and one for all events of the same act."""
    line: Line | None = None
    for item in items:
        if isinstance(item, Event) and line is not None and line.takes(item):
            line.events.append(item)
            continue
        if line is not None:
            yield line
        if isinstance(item, Version):
            line = Line(item.created_at, item.author_label, "version", version=item)
        else:
            line = Line(item.at, item.actor_label, item.type, events=[item])
    if line is not None:
        yield line


def _place_after(lines: list[Line], before: Place) -> Place:
    versions = [line.version.number for line in lines if line.version is not None]
    events = [(event.at, event.id) for line in lines for event in line.events]
    return Place(min(versions, default=before.version), min(events, default=before.event))


def _name_fields(lines: list[Line], entry: Entry, writing: Writing, sight: Sight) -> None:
    """Note at each version which fields differ from the one before. The values stay in the database."""
    by_number = {line.version.number: line for line in lines if line.version is not None}
    if not by_number:
        return
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, [entry.pk, list(by_number)])
        rows: list[tuple[int, str, str]] = cursor.fetchall()
    places = {place: sight.fields_in(place, writing) for place in {place for _, place, _ in rows}}
    known = {str(spec.id): spec for spec in writing.collection.fields}
    for number, place, field_id in rows:
        spec = known.get(field_id)
        if spec is not None and spec in places[place]:
            by_number[number].touched.setdefault(spec, set()).add(place)
