"""The history of an entry: its versions, what differs between any two, and restoring one."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from accounts.access import Action
from accounts.errors import NotFoundError, StaleVersionError
from content import editing
from content.admin.desk import Desk, OpenEntry, open_entry
from content.admin.entry_form import differences, number_in
from content.admin.pages import BadAddressError, address, page, query, see, show
from content.documents import locales_of
from content.fields.base import FieldSpec
from content.models import Version

PAGE_SIZE = 50


@page
@require_safe
def versions(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """List who saved what and when, newest first."""
    desk = Desk.of(request)
    given = query(request, "locale", "before")
    entry = open_entry(desk, key, name, given.get("locale"))
    found = entry.row.versions.order_by("-number")
    if "before" in given:
        before = number_in(given["before"])
        if before is None:
            raise BadAddressError
        found = found.filter(number__lt=before)
    rows = list(found.defer("data")[: PAGE_SIZE + 1])
    more = len(rows) > PAGE_SIZE
    rows = rows[:PAGE_SIZE]
    public: dict[int, list[str]] = {}
    for draft in entry.drafts:
        if draft.published_number is not None:
            public.setdefault(draft.published_number, []).append(draft.locale)
    context = {
        "title": f"History of {entry.title}",
        "entry": entry,
        "collection": entry.writing.collection,
        "lines": [
            {
                "version": row,
                "public": public.get(row.number, []) if entry.writing.collection.localized else [],
                "is_public": row.number in public,
                "is_latest": row.number == entry.latest.number,
                "before": row.number - 1,
            }
            for row in rows
        ],
        "older": address("history", key, name, before=str(rows[-1].number)) if more else None,
        "may_restore": Action.RESTORE in entry.may and not entry.is_in_trash,
        "base": entry.latest.number,
        "second": rows[1].number if len(rows) > 1 else None,
    }
    return show(request, "admin/content/history.html", context)


@page
@require_safe
def compare(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Show by field and word what differs between two versions."""
    desk = Desk.of(request)
    given = query(request, "from", "to", "locale")
    entry = open_entry(desk, key, name, given.get("locale"))
    numbers = number_in(given.get("from")), number_in(given.get("to"))
    if numbers[0] is None or numbers[1] is None:
        return see(
            request, "Choose two versions to compare.", address("history", key, name), level=messages.WARNING
        )
    before, after = _version(entry, numbers[0]), _version(entry, numbers[1])
    locales = [draft.locale for draft in entry.drafts]
    present = sorted({*locales_of(before.data), *locales_of(after.data)} & set(locales), key=locales.index)
    changes = differences(
        before.data, after.data, locale=entry.locale, specs=entry.readable_fields(), writing=entry.writing
    )
    context = {
        "title": f"Version {before.number} and version {after.number}",
        "entry": entry,
        "collection": entry.writing.collection,
        "before": before,
        "after": after,
        "changes": changes,
        "locale": desk.schema.locale_by_code[entry.locale],
        "tabs": [
            {
                "name": desk.schema.locale_by_code[code].name,
                "chosen": code == entry.locale,
                "url": address(
                    "diff", key, name, **{"from": str(before.number), "to": str(after.number), "locale": code}
                ),
            }
            for code in present
            if code in desk.schema.locale_by_code
        ],
        "may_restore": Action.RESTORE in entry.may and not entry.is_in_trash,
        "base": entry.latest.number,
    }
    return show(request, "admin/content/diff.html", context)


@page
@require_POST
def restore(request: HttpRequest, key: str, name: UUID, number: int) -> HttpResponse:
    """Make an old version's content the newest version."""
    desk = Desk.of(request)
    entry = open_entry(desk, key, name, None)
    base = number_in(request.POST.get("base"))
    only = _field_asked_for(request, desk, entry)
    try:
        saved = editing.restore_version(entry.row.pk, number, writing=entry.writing, base=base, only=only)
    except StaleVersionError:
        return see(
            request,
            "Somebody saved in between. Nothing was restored; look at the newest version first.",
            address("history", key, name),
            level=messages.WARNING,
        )
    if saved.latest_number == entry.row.latest_number:
        return see(
            request, "That version is no different from the newest one.", address("history", key, name)
        )
    what = f"{only[0].name} of version {number}" if only else f"Version {number}"
    here = {"locale": only[1]} if only and entry.writing.collection.localized else {}
    return see(
        request, f"{what} is back, as version {saved.latest_number}.", address("change", key, name, **here)
    )


def _field_asked_for(request: HttpRequest, desk: Desk, entry: OpenEntry) -> tuple[FieldSpec, str] | None:
    """Return the field to restore and its locale when only one is asked for; hidden ones are missing."""
    if "field" not in request.POST:
        return None
    spec = entry.writing.collection.by_key.get(request.POST["field"])
    locale = request.POST.get("locale") or entry.locale
    shown = open_entry(desk, entry.writing.collection.key, entry.row.pk, locale)
    if spec is None or spec not in shown.readable:
        raise NotFoundError
    return spec, locale


def _version(entry: OpenEntry, number: int) -> Version:
    """Return a version of this very entry."""
    found = entry.row.versions.filter(number=number).first() if number < 2**31 else None
    if found is None:
        raise NotFoundError
    return found
