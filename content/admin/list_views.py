"""Saved views: a list's columns, filters and sort under a name, by field id, as far as its reader may read them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_POST

from accounts.access import Action
from accounts.errors import InvalidInputError, NotFoundError
from content.admin import list_filters
from content.admin.desk import Desk
from content.admin.list_columns import chosen, owner_of, readable, remember
from content.admin.pages import address, page, query, see
from content.models import SavedView
from content.schema import CollectionSpec

MAX_VIEWS = 50  # of one person in one collection
MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class Opened:
    """A view as its reader may have it."""

    view: SavedView
    columns: list[str]
    parameters: dict[str, str]
    is_partial: bool


def visible(desk: Desk, collection: CollectionSpec) -> QuerySet[SavedView]:
    """Return the person's own views and the shared ones of a list that they may see."""
    mine = Q(owner_id=owner_of(desk))
    return SavedView.objects.filter(mine | Q(is_shared=True), collection_id=collection.id)


def opened(desk: Desk, collection: CollectionSpec, view: SavedView) -> Opened:
    """Return what of a view its reader may have; the rest is left out, and that is all that is told of it."""
    kept: dict[str, Any] = view.query
    columns = [str(item) for item in kept.get("columns", [])]
    parameters, is_partial = list_filters.restored(desk, collection, kept.get("filters", []))
    sort = str(kept.get("sort", ""))
    if sort and not sort.removeprefix("-").startswith("_"):
        keys = {str(spec.id): spec.key for spec in readable(desk, collection) if spec.filterable}
        key = keys.get(sort.removeprefix("-"))
        is_partial = is_partial or key is None
        sort = ("-" if sort.startswith("-") else "") + key if key else ""
    parameters |= {"sort": sort, "status": str(kept.get("status", "")), "q": str(kept.get("q", ""))}
    is_partial = is_partial or len(chosen(desk, collection, columns)) < len(columns)
    return Opened(view, columns, {name: value for name, value in parameters.items() if value}, is_partial)


@page
@require_POST
def views(request: HttpRequest, key: str) -> HttpResponse:
    """Save a view, or rename, share or delete one's own; somebody else's is as missing as none."""
    desk, collection = _open(request, key)
    act = request.POST.get("act", "")
    name = request.POST.get("name", "").strip()
    mine = SavedView.objects.filter(owner_id=owner_of(desk), collection_id=collection.id)
    if act in {"save", "rename"} and (not name or len(name) > MAX_NAME or "\x00" in name):
        raise InvalidInputError(f"Give the view a name of at most {MAX_NAME} characters.")
    try:
        with transaction.atomic():
            if act == "save":
                if mine.count() >= MAX_VIEWS:
                    raise InvalidInputError(f"At most {MAX_VIEWS} views. Delete one first.")
                view = SavedView.objects.create(
                    owner_id=owner_of(desk),
                    collection_id=collection.id,
                    name=name,
                    is_shared=request.POST.get("shared") == "1",
                    query=_present(desk, collection, request.POST.get("query", "")),
                )
                return see(request, "The view is saved.", address("list", key, view=str(view.pk)))
            view = _own(mine, request.POST.get("view", ""))
            if act == "delete":
                view.delete()
                return see(request, "The view is deleted.", address("list", key))
            if act == "rename":
                view.name = name
                view.is_shared = request.POST.get("shared") == "1"
                view.save(update_fields=["name", "is_shared"])
                return see(request, "The view is changed.", address("list", key, view=str(view.pk)))
    except IntegrityError:
        return see(request, "You have a view of that name.", address("list", key), level=messages.WARNING)
    raise InvalidInputError("There is no such act.")


@page
@require_POST
def columns(request: HttpRequest, key: str) -> HttpResponse:
    """Remember the columns of the person's list, or move one of them."""
    desk, collection = _open(request, key)
    ticked = set(request.POST.getlist("show"))
    names = [name for name in request.POST.getlist("order") if name in ticked]
    for act, step in (("up", -1), ("down", 1)):
        name = request.POST.get(act)
        if name in names:
            here = names.index(name)
            there = min(max(here + step, 0), len(names) - 1)
            names[here], names[there] = names[there], names[here]
    remember(desk, collection, [] if request.POST.get("act") == "reset" else names)
    moved = {"up", "down"} & request.POST.keys()
    # Filters and order stay; a view does not, since its own columns would hide those that were just chosen.
    present = QueryDict(request.POST.get("query", "")[:4_000]).dict()
    kept = {
        name: str(value)
        for name, value in present.items()
        if name in {"q", "status", "sort", "locale"} or name.startswith("filter[")
    }
    return see(request, "", address("list", key, **kept, **({"columns": "1"} if moved else {})))


def _open(request: HttpRequest, key: str) -> tuple[Desk, CollectionSpec]:
    query(request)
    desk = Desk.of(request)
    collection = desk.writing(key).collection
    if not desk.may(Action.READ_DRAFT, collection):
        raise NotFoundError
    return desk, collection


def _own(mine: QuerySet[SavedView], name: str) -> SavedView:
    try:
        return mine.get(pk=UUID(name))
    except (ValueError, SavedView.DoesNotExist) as error:
        raise NotFoundError from error


def _present(desk: Desk, collection: CollectionSpec, text: str) -> dict[str, Any]:
    """Return the list as it was shown, fields by id; its address came through the page, and is tried again."""
    given, filters = list_filters.split(QueryDict(text[:4_000]))
    sort = given.get("sort", "")
    name = sort.removeprefix("-")
    if name not in list_filters.SYSTEM:
        ids = {spec.key: str(spec.id) for spec in readable(desk, collection)}
        sort = sort.replace(name, ids[name], 1) if name in ids else ""
    if not all(list_filters.is_usable(desk, collection, item) for item in filters):
        raise NotFoundError  # hidden and unknown ones are the same
    shown = given.getlist("column")
    return {
        "columns": [column.id for column in chosen(desk, collection, shown or None)],
        "filters": list_filters.stored(desk, collection, filters),
        "sort": sort,
        "status": given.get("status", "") if given.get("status") in list_filters.STATES else "",
        "q": given.get("q", "")[:200],
    }
