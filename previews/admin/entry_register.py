"""The register at an entry: which of its previews are live, and ending one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.access import Action, Area
from accounts.errors import NotFoundError
from content.admin.desk import Desk, OpenEntry, open_entry
from content.admin.pages import address, page, query, see
from content.models import Entry
from content.writing import require_rows
from previews import register
from previews.models import Preview

MOST: Final = 20  # rows that are shown


@dataclass(frozen=True, slots=True)
class Row:
    """A live preview, in words."""

    id: UUID
    site: str
    locale: str  # "" where the collection has none
    who: str  # "" for one's own
    opened_at: datetime | None
    count: int
    address: str
    ends_at: datetime
    seconds: int  # until then


def rows_of(desk: Desk, entry: OpenEntry) -> list[Row]:
    """Return the live previews of an entry, the newest first: one's own, or all for who administers previews."""
    now = timezone.now()
    found = Preview.objects.visible_to(desk.principal).live(now).filter(entry=entry.row)
    names = {locale.code: locale.name for locale in desk.schema.locales}
    is_localized = entry.writing.collection.localized
    return [
        Row(
            id=preview.pk,
            site=preview.site.name,
            locale=names.get(preview.locale, preview.locale) if is_localized else "",
            who="" if preview.user_id == desk.principal.user_id else str(preview.user),
            opened_at=preview.opened_at,
            count=max(preview.open_count, 1 if preview.opened_at else 0),
            address=preview.last_opened_from or preview.opened_from,
            ends_at=preview.expires_at,
            seconds=max(0, int((preview.expires_at - now).total_seconds())),
        )
        for preview in found.select_related("site", "user").order_by("-pk")[:MOST]
    ]


def entry_of(desk: Desk, name: UUID, locale: str | None) -> OpenEntry:
    """Return an entry by its id alone, or raise NotFoundError: hidden and missing are the same."""
    row = Entry.objects.filter(pk=name).only("collection_id").first()
    collection = desk.schema.by_id.get(row.collection_id) if row is not None else None
    if collection is None:
        raise NotFoundError
    return open_entry(desk, collection.key, name, locale)


def is_script(request: HttpRequest) -> bool:
    """Tell whether a script of the admin asks. It says so in a header, which no other site can send here."""
    return request.headers.get("X-Requested-With") == "quillkeep"


@page
@require_safe
def of_entry(request: HttpRequest, name: UUID) -> HttpResponse:
    """Return the list as it stands on the form of an entry, for the script that draws it anew."""
    desk = Desk.of(request)
    entry = entry_of(desk, name, query(request, "locale").get("locale"))
    require_rows(entry.row, Action.PREVIEW, entry.writing, [entry.locale])
    added = {
        "entry": entry,
        "rows": rows_of(desk, entry),
        "is_of_all": desk.principal.administers(Area.PREVIEWS),
    }
    return render(request, "admin/previews/entry_register.html", {"added": added})


@page
@require_POST
def revoke(request: HttpRequest, jti: UUID) -> HttpResponse:
    """End a preview at once: one's own, or anybody's by who administers previews."""
    query(request)
    desk = Desk.of(request)
    register.revoke(jti, by=desk.principal)
    if is_script(request):
        return HttpResponse(status=204)
    preview = Preview.objects.get(pk=jti)
    collection = desk.schema.by_id[preview.collection_id]
    here = {"locale": preview.locale} if collection.localized else {}
    return see(request, "The preview is over.", address("change", collection.key, preview.entry_id, **here))
