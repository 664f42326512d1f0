"""The history of an entry: its time line, what differs between any two versions, and restoring one."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from accounts.access import Action
from accounts.errors import NotFoundError, StaleVersionError
from content import editing, timeline
from content.admin import timeline_words
from content.admin.desk import Desk, OpenEntry, isolated, note_read, open_entry
from content.admin.entry_form import differences, number_in
from content.admin.pages import BadAddressError, address, page, query, see, show
from content.documents import in_locale, locales_of
from content.fields.base import FieldSpec
from content.models import Version


@page
@require_safe
def versions(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Tell what happened to the entry, newest first; `from` and `to` are the versions chosen so far."""
    desk = Desk.of(request)
    given = query(request, "locale", "before", "from", "to")
    entry = open_entry(desk, key, name, given.get("locale"))
    behind = timeline.Place.parse(given["before"]) if "before" in given else None
    if "before" in given and behind is None:
        raise BadAddressError
    found = timeline.read(entry.row, entry.writing, behind=behind)
    days = timeline_words.days(found.lines, entry)
    shown = [item.number for day in days for item in day.items if item.number is not None]
    one, other = _chosen(given, shown, entry.latest.number)
    collection = entry.writing.collection
    here = {"locale": given["locale"]} if "locale" in given else {}
    context = {
        "title": f"History of {isolated(entry.title)}",
        "entry": entry,
        "collection": collection,
        "days": days,
        "now": timeline_words.present(entry),
        "older": str(found.older) if found.older else "",
        "newest": address("history", key, name, **here) if behind else None,
        "may_compare": entry.latest.number > 1,
        "one": one,
        "other": other,
        "elsewhere": sorted({one, other} - set(shown), reverse=True),
        "may_restore": Action.RESTORE in entry.may and not entry.is_in_trash,
        "base": entry.latest.number,
        "asked_locale": given.get("locale", ""),
    }
    return show(request, "admin/content/history.html", context)


def _chosen(given: dict[str, str], shown: list[int], latest: int) -> tuple[int, int]:
    """Return the two versions to compare: those chosen on an earlier page, else the newest with the one before."""
    one, other = (number_in(given.get(name)) for name in ("from", "to"))
    if other is None or other > latest:
        other = latest
    if one is None or one > latest:
        one = next((number for number in shown if number != other), max(other - 1, 1))
    return one, other


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
    locales = [draft.locale for draft in entry.drafts if draft.locale in desk.schema.locale_by_code]
    present = sorted({*locales_of(before.data), *locales_of(after.data)} & set(locales), key=locales.index)
    differing = _differing(entry, before, after, present)
    if "locale" not in given and differing and entry.locale not in differing:
        entry = open_entry(desk, key, name, differing[0])  # where there is something to see
    changes = differences(
        before.data, after.data, locale=entry.locale, specs=entry.readable_fields(), writing=entry.writing
    )
    note_read(desk, entry, versions=[before.number, after.number])
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
                "differs": code in differing,
                "url": address(
                    "diff", key, name, **{"from": str(before.number), "to": str(after.number), "locale": code}
                ),
            }
            for code in present
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


def _differing(entry: OpenEntry, one: Version, other: Version, locales: list[str]) -> list[str]:
    """Return the locales in which two versions differ, in what may be read there."""
    sight = timeline.Sight.of(entry.row, entry.writing)
    found = []
    for code in locales:
        old, new = in_locale(one.data, code), in_locale(other.data, code)
        shown = (str(spec.id) for spec in sight.fields_in(code, entry.writing))
        if any(old.get(name) != new.get(name) for name in shown):
            found.append(code)
    return found


def _version(entry: OpenEntry, number: int) -> Version:
    """Return a version of this very entry."""
    found = entry.row.versions.filter(number=number).first() if number < 2**31 else None
    if found is None:
        raise NotFoundError
    return found
