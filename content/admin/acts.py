"""Acts on a whole entry, each with a page that says what will happen: unpublish, trash, restore, purge."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.access import Action
from accounts.errors import ConflictError, NotAllowedError
from content import editing, publishing
from content.admin.desk import Desk, OpenEntry, isolated, open_entry
from content.admin.pages import address, page, query, see, show
from content.admin.timeline_words import name_of_locale, named


@page
@require_http_methods(["GET", "HEAD", "POST"])
def unpublish(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Take an entry back from the public in the chosen locales."""
    desk = Desk.of(request)
    entry = open_entry(desk, key, name, query(request, "locale").get("locale"))
    require(entry, Action.UNPUBLISH, in_trash=False)
    live = [draft for draft in entry.drafts if draft.published_number is not None]
    if request.method == "POST":
        chosen = request.POST.getlist("locales")
        if chosen:
            publishing.unpublish(entry.row.pk, writing=entry.writing, locales=chosen)
            return see(
                request,
                "Unpublished. Readers no longer see it.",
                address("change", key, entry.row.pk, **here(entry)),
            )
    context = {
        "title": f"Unpublish {isolated(entry.title)}",
        "entry": entry,
        "collection": entry.writing.collection,
        "lines": [
            {
                "code": draft.locale,
                "name": desk.schema.locale_by_code[draft.locale].name,
                "version": draft.published_number,
                "since": draft.published_at,
                "chosen": True,
            }
            for draft in live
            if draft.locale in desk.schema.locale_by_code
        ],
        "fault": "Choose at least one locale." if request.method == "POST" else "",
    }
    return show(
        request, "admin/content/unpublish.html", context, status=400 if request.method == "POST" else 200
    )


@page
@require_http_methods(["GET", "HEAD", "POST"])
def trash(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Say who refers to the entry, then move it to the trash."""
    desk = Desk.of(request)
    entry = open_entry(desk, key, name, query(request, "locale").get("locale"))
    require(entry, Action.DELETE, in_trash=False)
    if request.method == "POST":
        editing.trash(entry.row.pk, writing=entry.writing, confirm=request.POST.get("confirm") == "1")
        return see(request, f"“{isolated(entry.title)}” is in the trash.", address("list", key))
    context = {
        "title": f"Move {isolated(entry.title)} to the trash",
        "entry": entry,
        "collection": entry.writing.collection,
        "live": named(
            name_of_locale(entry, draft.locale)
            for draft in entry.drafts
            if draft.published_number is not None
        ),
        **_referrers(entry),
    }
    return show(request, "admin/content/trash.html", context)


@page
@require_POST
def restore(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Take an entry out of the trash."""
    desk = Desk.of(request)
    entry = open_entry(desk, key, name, None)
    editing.restore(entry.row.pk, writing=entry.writing)
    return see(
        request, f"“{isolated(entry.title)}” is back, as a draft.", address("change", key, entry.row.pk)
    )


@page
@require_http_methods(["GET", "HEAD", "POST"])
def purge(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Erase an entry in the trash with every version, after a confirmation."""
    desk = Desk.of(request)
    query(request)
    entry = open_entry(desk, key, name, None)
    require(entry, Action.PURGE, in_trash=True)
    if request.method == "POST":
        if request.POST.get("confirm") != "1":
            return see(request, "Nothing was erased.", address("trash-list", key), level=messages.WARNING)
        editing.purge(entry.row.pk, writing=entry.writing, confirm=True)
        return see(request, "Erased for good.", address("trash-list", key))
    context = {
        "title": f"Erase {isolated(entry.title)}",
        "entry": entry,
        "collection": entry.writing.collection,
        "count": entry.row.versions.count(),
        **_referrers(entry),
    }
    return show(request, "admin/content/purge.html", context)


def require(entry: OpenEntry, action: Action, *, in_trash: bool) -> None:
    """Refuse an act that the principal may not do, or that the entry is not in the state for."""
    if action not in entry.may:
        raise NotAllowedError(f"You may not {action.value} this entry.")
    if entry.is_in_trash is not in_trash:
        raise ConflictError(
            "The entry is in the trash." if entry.is_in_trash else "The entry is not in the trash."
        )


def here(entry: OpenEntry) -> dict[str, str]:
    """Return the query that leads to the same locale of the entry."""
    return {"locale": entry.locale} if entry.writing.collection.localized else {}


def _referrers(entry: OpenEntry) -> dict[str, Any]:
    """Return who refers to the entry, as far as the principal may know, and in how many cases more."""
    try:
        editing.refuse_if_referred_to(entry.row, entry.writing)
    except ConflictError as error:
        shown = error.extensions.get("referrers")
        listed = [
            {
                "title": item["title"] or f"Untitled ({item['_id'][-6:]})",
                "collection": entry.writing.schema.by_key[item["_collection"]].name,
                "url": address("change", item["_collection"], item["_id"]),
            }
            for item in (shown if isinstance(shown, list) else [])
        ]
        return {"referrers": listed, "referred_to": error.detail}
    return {"referrers": [], "referred_to": ""}
