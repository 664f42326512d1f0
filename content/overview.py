"""What has happened in all collections that a principal works in: one question each, however many there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts.access import Action, Principal
from content.models import DraftDocument, Version, Visit
from content.rows import NO_ROWS, flag, rows_of
from content.schema import CollectionSpec, Schema
from content.visits import FRESH

MOST = 8
MOST_WAITING = 50
SEARCHED = 60  # ids that are looked at to find the few that may be shown


@dataclass(frozen=True)
class Line:
    """One entry in one locale, as far as the principal may see it."""

    entry_id: UUID
    collection: CollectionSpec
    locale: str
    title: str
    status: str
    at: datetime | None
    by: str = ""


@dataclass(frozen=True)
class Overview:
    """What one principal may know."""

    schema: Schema
    by: Principal

    def my_drafts(self) -> list[Line]:
        """Return entries whose newest version is by this person and not public as it stands, newest first."""
        if self.by.user_id is None:
            return []
        newest = (
            Version.objects.filter(author_id=self.by.user_id, number=F("entry__latest_number"))
            .order_by("-created_at")
            .values_list("entry_id", "created_at")[:SEARCHED]
        )
        moments = dict(newest)
        found = self._seen().filter(entry__in=moments, status__in=("draft", "changed"))
        return self._lines(found, {key: (moment, "") for key, moment in moments.items()})

    def changed_since(self) -> list[Line]:
        """Return entries that somebody else has saved since this person looked at them, newest first."""
        if self.by.user_id is None:
            return []
        newer = Visit.objects.filter(user_id=self.by.user_id, seen_number__lt=F("entry__latest_number"))
        ids = list(newer.order_by("-seen_at").values_list("entry_id", flat=True)[:SEARCHED])
        versions = (
            Version.objects.filter(entry__in=ids, number=F("entry__latest_number"))
            .exclude(author_id=self.by.user_id)
            .order_by("-created_at")
            .values_list("entry_id", "created_at", "author_label")
        )
        told = {key: (moment, label) for key, moment, label in versions}
        return self._lines(self._seen().filter(entry__in=told), told)

    def recently_published(self) -> list[Line]:
        """Return what has become public lately, newest first."""
        rows = self._seen().filter(published_number__isnull=False).order_by("-last_published_at", "entry_id")
        return self._lines(rows[: MOST * 3], {})

    def waiting(self) -> list[Line]:
        """Return what this person may publish and is not public as it stands, with who saved it, newest first."""
        may_publish = NO_ROWS
        for item in self._collections():
            grant = self.by.grant(Action.PUBLISH, on=item.resource)
            if grant:
                may_publish |= Q(collection_id=item.id) & rows_of(grant, item)
        rows = self._seen().filter(may_publish, status__in=("draft", "changed")).order_by("-updated_at")
        ids = list(dict.fromkeys(rows.values_list("entry_id", flat=True)[: MOST_WAITING * 3]))
        versions = Version.objects.filter(entry__in=ids, number=F("entry__latest_number"))
        told = {
            key: (moment, label)
            for key, moment, label in versions.values_list("entry_id", "created_at", "author_label")
        }
        return self._lines(rows.filter(entry__in=ids), told, most=MOST_WAITING)

    def being_written(self) -> list[Line]:
        """Return the entries that others are typing in just now."""
        if self.by.user_id is None:
            return []
        visits = (
            Visit.objects.filter(typing_at__gte=timezone.now() - FRESH)
            .exclude(user_id=self.by.user_id)
            .order_by("-typing_at")
            .values_list("entry_id", "typing_at", "user__name", "user__email")[:SEARCHED]
        )
        told = {key: (moment, name or email) for key, moment, name, email in visits}
        return self._lines(self._seen().filter(entry__in=told), told)

    def drafts_of(self, entries: Iterable[UUID]) -> dict[tuple[UUID, str], Line]:
        """Return what may be seen of these entries, by entry and locale; what is in the trash is left out."""
        found: dict[tuple[UUID, str], Line] = {}
        names = ("entry_id", "collection_id", "locale", "title", "status", "_titled")
        for entry_id, collection_id, locale, title, status, titled in (
            self._seen().filter(entry__in=list(entries)).values_list(*names)
        ):
            collection = self.schema.by_id[collection_id]
            shown = title if titled and title.strip() else _untitled(entry_id)
            found[entry_id, locale] = Line(entry_id, collection, locale, shown, status, None)
        return found

    def _collections(self) -> list[CollectionSpec]:
        return [item for item in self.schema.collections if item.has_entries]

    def _seen(self) -> QuerySet[DraftDocument]:
        """Return the rows of every collection that may be seen, each with whether its title may be read."""
        seen = titled = Q(pk__in=[])
        for item in self._collections():
            grant = self.by.grant(Action.READ_DRAFT, on=item.resource)
            if not grant:
                continue
            seen |= Q(collection_id=item.id) & rows_of(grant, item)
            if item.title_field is not None and grant.allows(item.title_field):
                titled |= Q(collection_id=item.id) & rows_of(grant.holding(item.title_field), item)
        return DraftDocument.objects.filter(seen, trashed=False).annotate(_titled=flag(titled))

    def _lines(
        self,
        rows: QuerySet[DraftDocument],
        told: Mapping[UUID, tuple[datetime | None, str]],
        *,
        most: int = MOST,
    ) -> list[Line]:
        """Return a line for each entry, in the default locale if it may be seen there."""
        default = self.schema.default_locale.code
        found: dict[UUID, Line] = {}
        names = ("entry_id", "collection_id", "locale", "title", "status", "last_published_at", "_titled")
        for entry_id, collection_id, locale, title, status, published_at, titled in rows.values_list(*names):
            if entry_id in found and locale != default:
                continue
            moment, label = told.get(entry_id, (published_at, ""))
            shown = title if titled and title.strip() else _untitled(entry_id)
            found[entry_id] = Line(
                entry_id, self.schema.by_id[collection_id], locale, shown, status, moment, label
            )
        return _newest(found.values())[:most]


def _untitled(entry_id: UUID) -> str:
    return f"Untitled ({str(entry_id)[-6:]})"


def _newest(lines: Iterable[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.at.timestamp() if line.at else 0.0, reverse=True)
