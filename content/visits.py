"""Who looked at an entry, at which version, and who is typing in one just now."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from content.models import Entry, Visit

FRESH = timedelta(minutes=2)  # without a sign of life for so long, somebody has gone


@dataclass(frozen=True)
class Present:
    """Somebody who has an entry open."""

    name: str
    is_typing: bool
    since: datetime


def looked(entry: Entry, *, user_id: UUID, locale: str) -> None:
    """Note that a person has the newest version of an entry before them."""
    now = timezone.now()
    Visit.objects.update_or_create(
        user_id=user_id,
        entry=entry,
        defaults={"locale": locale, "seen_number": entry.latest_number, "seen_at": now},
    )


def is_here(entry: Entry, *, user_id: UUID, is_typing: bool) -> None:
    """Note a sign of life of somebody's form; `is_typing` while it has changes that are not saved."""
    now = timezone.now()
    Visit.objects.filter(user_id=user_id, entry=entry).update(
        seen_at=now, typing_at=now if is_typing else None
    )


def others_at(entry: Entry, *, user_id: UUID) -> list[Present]:
    """Return who else has the entry open. Ask only for those who may see the entry."""
    rows = Visit.objects.filter(entry=entry, seen_at__gte=timezone.now() - FRESH).exclude(user_id=user_id)
    return [
        Present(row.user.name or row.user.email, row.typing_at is not None, row.typing_at or row.seen_at)
        for row in rows.select_related("user").order_by("-seen_at")[:10]
    ]
