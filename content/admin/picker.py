"""The picker of references asks here: entries found by the words of their titles, a few at a time, as JSON."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from accounts.errors import NotFoundError
from accounts.limits import READS, hit
from content.admin.choices import Found, entries_of, may_create, may_refer_to, search
from content.admin.desk import Desk
from content.admin.pages import BadAddressError, address, page, query
from content.models import DraftDocument
from content.parameters import MAX_SEARCH_LENGTH
from content.schema import CollectionSpec

STATES = frozenset({"", *DraftDocument.Status.values})


@page
@require_safe
def choices(request: HttpRequest) -> HttpResponse:
    """Return `{"entries", "collections"}`: at most twenty entries that may be referred to, and where they may be from.

    `in` names collections (default: all), `q` words of the title, `state` a state; or `id` names one entry, chosen
    already. What is hidden is missing.
    """
    desk = Desk.of(request)
    given = query(request, "in", "q", "state", "id")
    limit = hit(READS, f"session:{desk.principal.credential_id or desk.principal.user_id}")
    if limit is not None and limit.is_exceeded:
        return JsonResponse({}, status=429, headers={"Retry-After": str(limit.resets_in)})
    if "id" in given:
        return _one(desk, given["id"])
    words = given.get("q", "").strip()
    if len(words) > MAX_SEARCH_LENGTH or given.get("state", "") not in STATES:
        raise BadAddressError
    open_to = [item for item in desk.schema.collections if may_refer_to(desk.principal, item)]
    if "in" in given:
        asked = set(given["in"].split(","))
        open_to = [item for item in open_to if item.key in asked]
    if not open_to:
        raise NotFoundError
    found = search(desk.schema, desk.principal, open_to, words, given.get("state", ""))
    return JsonResponse(
        {
            "entries": [_entry(entry) for entry in found],
            "collections": [_collection(desk, item) for item in open_to],
        }
    )


def _one(desk: Desk, text: str) -> HttpResponse:
    try:
        name = UUID(text)
    except ValueError as error:
        raise NotFoundError from error
    found = entries_of(desk.schema, desk.principal, [name]).get(name)
    if found is None:
        raise NotFoundError
    return JsonResponse({"entries": [_entry(found)]})


def _entry(entry: Found) -> dict[str, str]:
    card = entry.card()
    return {
        "id": card.id,
        "title": card.title,
        "collection": entry.collection.key,
        "status": entry.status,
        "url": card.url,
        "card": str(card.html),
    }


def _collection(desk: Desk, collection: CollectionSpec) -> dict[str, str]:
    add = address("add", collection.key) if may_create(desk.principal, collection) else ""
    return {"key": collection.key, "name": collection.name, "add": add}
