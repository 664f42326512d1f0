"""The list of a collection's entries, and its trash."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_safe

from accounts.access import Action, Operator
from accounts.errors import InvalidInputError, NotFoundError
from content import fields
from content.admin.desk import Desk
from content.admin.pages import BadAddressError, address, page, query, show
from content.models import Collection, Version
from content.parameters import MAX_OFFSET, MAX_SEARCH_LENGTH, Filter, Parameters, Sort, Tree
from content.query import Page, Reader
from content.schema import CollectionSpec
from content.shaping import Shaper

PAGE_SIZE = 50
LAST_PAGE = MAX_OFFSET // PAGE_SIZE + 1
STATES = {"draft": "Draft", "changed": "Changed", "published": "Published"}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    id: str
    title: str
    status: str
    locales: list[tuple[str, str]]  # (code, state), of the locales that the principal may see
    locale: str
    updated_at: datetime
    author: str


@dataclass(frozen=True, slots=True)
class Link:
    """A filter or a heading that can be chosen."""

    label: str
    url: str
    chosen: bool
    descending: bool = False


@page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show the collections that may be worked in, with their descriptions."""
    query(request)
    desk = Desk.of(request)
    descriptions = dict(Collection.objects.values_list("id", "description"))
    found = [(item, descriptions.get(item.id, "")) for item in desk.schema.collections if desk.opens(item)]
    return show(request, "admin/content/home.html", {"title": "Content", "collections": found})


@page
@require_safe
def entry_list(request: HttpRequest, key: str) -> HttpResponse:
    """List the working state of a collection's entries in one locale; a single goes straight to its form."""
    desk = Desk.of(request)
    collection = desk.writing(key).collection
    if collection.kind == Collection.Kind.SINGLE:
        return _single(request, desk, collection)
    if not desk.may(Action.READ_DRAFT, collection):
        raise NotFoundError
    given = query(request, "q", "status", "locale", "sort", "page", "cursor")
    return _list(request, desk, collection, given, trashed=False)


@page
@require_safe
def trash_list(request: HttpRequest, key: str) -> HttpResponse:
    """List what is in the trash of a collection."""
    desk = Desk.of(request)
    collection = desk.writing(key).collection
    if not desk.may(Action.READ_DRAFT, collection):
        raise NotFoundError
    return _list(
        request, desk, collection, query(request, "q", "locale", "sort", "page", "cursor"), trashed=True
    )


def _single(request: HttpRequest, desk: Desk, collection: CollectionSpec) -> HttpResponse:
    query(request)
    if desk.may(Action.READ_DRAFT, collection):
        visible = desk.reader(None).in_any_locale(collection).filter(trashed=False)
        entry_id = visible.values_list("entry_id", flat=True).first()
        if entry_id is not None:
            return HttpResponseRedirect(address("change", collection.key, entry_id))
    if desk.may(Action.CREATE, collection):
        return HttpResponseRedirect(address("add", collection.key))
    context = {"title": collection.name, "collection": collection}
    return show(request, "admin/content/single_empty.html", context)


def _list(
    request: HttpRequest, desk: Desk, collection: CollectionSpec, given: dict[str, str], *, trashed: bool
) -> HttpResponse:
    try:
        reader = desk.reader(given.get("locale") or None)
        parameters = _parameters(given, desk, collection, trashed=trashed)
        found = reader.page(reader.collection(collection.key), parameters)
    except InvalidInputError as error:  # an unknown name and a hidden one end alike
        raise BadAddressError from error
    number = parameters.offset // PAGE_SIZE + 1
    rows = _rows(reader, collection, found)
    name = "trash-list" if trashed else "list"
    here = {
        name: value for name, value in given.items() if name in {"q", "status", "locale", "sort"} and value
    }

    def link(**changes: str | None) -> str:
        kept = {**here, **changes}
        return address(name, collection.key, **{key: value for key, value in kept.items() if value})

    context = {
        "title": f"Trash of {collection.name}" if trashed else collection.name,
        "collection": collection,
        "rows": rows,
        "given": given,
        "is_trash": trashed,
        "is_filtered": bool(here.keys() & {"q", "status"}),
        "states": [
            Link("All", link(status=None), not given.get("status")),
            *(
                Link(label, link(status=state), given.get("status") == state)
                for state, label in STATES.items()
            ),
        ],
        "locales": [
            Link(desk.schema.locale_by_code[code].name, link(locale=code), code == reader.locale)
            for code in desk.locales_of(collection)
        ],
        "locale": desk.schema.locale_by_code[reader.locale],
        "headings": _headings(desk, collection, given.get("sort", ""), link),
        "sorts": _sorts(desk, collection),
        "number": number,
        "previous": link(page=str(number - 1)) if number > 1 else None,
        "next": _next(link, number, found, by_cursor=parameters.cursor is not None),
        "first": link() if parameters.cursor is not None else None,
        "may_add": not trashed and desk.may(Action.CREATE, collection),
        "may_restore": desk.may(Action.RESTORE, collection),
        "may_purge": desk.may(Action.PURGE, collection),
        "add_query": urlencode({"locale": reader.locale}) if collection.localized else "",
        "was_strange": "e" in given,
    }
    return show(request, "admin/content/list.html", context)


def _parameters(
    given: dict[str, str], desk: Desk, collection: CollectionSpec, *, trashed: bool
) -> Parameters:
    status = "trashed" if trashed else given.get("status", "")
    if not trashed and status and status not in STATES:
        raise BadAddressError
    sort = given.get("sort", "")
    words = given.get("q", "").strip()
    number = given.get("page", "1") or "1"
    if not (number.isascii() and number.isdecimal() and len(number) < 5 and 1 <= int(number) <= LAST_PAGE):
        raise BadAddressError
    if len(words) > MAX_SEARCH_LENGTH or len(sort) > 50 or ("cursor" in given and number != "1"):
        raise BadAddressError
    title = collection.title_field
    grant = desk.principal.grant(Action.READ_DRAFT, on=collection.resource)
    return Parameters(
        fields=Tree.of([title.key] if title and grant.allows(title) else []),
        filters=(Filter(("_status",), Operator.EQ, status, "status"),) if status else (),
        sorts=(Sort(sort.removeprefix("-"), sort.startswith("-")),) if sort else (),
        limit=PAGE_SIZE,
        cursor=given.get("cursor"),
        offset=(int(number) - 1) * PAGE_SIZE,
        search=words or None,
    )


def _rows(reader: Reader, collection: CollectionSpec, found: Page) -> list[Row]:
    ids = [row["entry_id"] for row in found.rows]
    newest = Version.objects.filter(entry__in=ids).order_by("entry", "-number").distinct("entry")
    authors = dict(newest.values_list("entry_id", "author_label"))
    shaper = Shaper(reader)
    title = collection.title_field
    rows = []
    for row in found.rows:
        shaped = shaper.document(collection, row, found.selection)
        states: Any = shaped["_status"]
        text = str(shaped.get(title.key) or "").strip() if title else ""
        rows.append(
            Row(
                id=str(row["entry_id"]),
                title=text or f"Untitled ({str(row['entry_id'])[-6:]})",
                status=states.get(row["content_locale"], ""),
                locales=sorted(states.items()),
                locale=row["content_locale"],
                updated_at=row["updated_at"],
                author=authors.get(row["entry_id"], ""),
            )
        )
    return rows


def _headings(desk: Desk, collection: CollectionSpec, sort: str, link: Any) -> dict[str, Link]:
    """Return what a click on a column's heading sorts by, the other way round when it does already."""
    names = {"updated": "_updated_at"}
    title = collection.title_field
    if title is not None and any(key == title.key for key, _ in _sorts(desk, collection)):
        names["title"] = title.key
    present = sort or "-_updated_at"
    found = {}
    for column, name in names.items():
        chosen = present.removeprefix("-") == name
        descending = present.startswith("-")
        turned = name if descending or (not chosen and column == "title") else f"-{name}"
        found[column] = Link(column, link(sort=turned), chosen, descending)
    return found


def _sorts(desk: Desk, collection: CollectionSpec) -> list[tuple[str, str]]:
    """Return (key, label) of the fields that the list can be sorted by."""
    grant = desk.principal.grant(Action.READ_DRAFT, on=collection.resource)
    return [
        (spec.key, spec.name)
        for spec in collection.fields
        if spec.filterable and fields.get(spec.type).sortable and grant.allows(spec)
    ]


def _next(link: Any, number: int, found: Page, *, by_cursor: bool) -> str | None:
    """Go on by number as far as numbers go, so that there is a way back; then by cursor, which has no end."""
    if found.next_cursor is None:
        return None
    if by_cursor or number >= LAST_PAGE:
        return str(link(cursor=found.next_cursor))
    return str(link(page=str(number + 1)))
