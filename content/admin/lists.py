"""The list of a collection's entries, and its trash."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.views.decorators.http import require_safe

from accounts.access import Action, Operator
from accounts.errors import InvalidInputError, NotFoundError
from content import fields
from content.admin import list_filters
from content.admin.bulk import ACTS
from content.admin.choices import Found, untitled
from content.admin.desk import Desk
from content.admin.list_columns import Cell, Column, available, cell, chosen, seen_targets
from content.admin.list_views import MAX_VIEWS, Opened, opened, visible
from content.admin.pages import BadAddressError, address, page, query, read_once, show
from content.fields.base import FieldSpec
from content.models import Collection, Version
from content.parameters import MAX_OFFSET, MAX_SEARCH_LENGTH, Filter, Parameters, Sort, Tree
from content.query import TIMES, Page, Reader
from content.reading import note_documents
from content.schema import CollectionSpec
from content.shaping import Shaper

PAGE_SIZE = 50
LAST_PAGE = MAX_OFFSET // PAGE_SIZE + 1
ALLOWED = frozenset({"q", "status", "locale", "sort", "page", "cursor", "view", "columns", "f", "o", "v"})
KEPT = ("q", "status", "locale", "sort", "view")  # what links of the list carry on


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
    published_at: datetime | None = None
    version: int = 0
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Link:
    """A filter or a heading that can be chosen."""

    label: str
    url: str
    chosen: bool
    descending: bool = False


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
    return _list(request, desk, collection, trashed=False)


@page
@require_safe
def trash_list(request: HttpRequest, key: str) -> HttpResponse:
    """List what is in the trash of a collection."""
    desk = Desk.of(request)
    collection = desk.writing(key).collection
    if not desk.may(Action.READ_DRAFT, collection):
        raise NotFoundError
    return _list(request, desk, collection, trashed=True)


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


def _list(request: HttpRequest, desk: Desk, collection: CollectionSpec, *, trashed: bool) -> HttpResponse:
    rest, filters = list_filters.split(request.GET)
    given = read_once(rest, {*ALLOWED, "e"} - ({"status", "view"} if trashed else set()))
    if "o" in given:
        return _with_filter(request, desk, collection, given, filters)
    view = _view(desk, collection, given)
    if view is not None and not filters and not given.keys() & {"q", "status", "sort"}:
        kept = QueryDict(mutable=True)
        kept.update(view.parameters)
        rest, filters = list_filters.split(kept)
        given = {**given, **{name: str(rest[name]) for name in rest}}
    columns = chosen(desk, collection, view.columns if view is not None else None)
    try:
        reader = desk.reader(given.get("locale") or None)
        parameters = _parameters(given, desk, collection, columns, filters, trashed=trashed)
        found = reader.page(reader.collection(collection.key), parameters)
    except InvalidInputError as error:  # an unknown name and a hidden one end alike
        raise BadAddressError from error
    number = parameters.offset // PAGE_SIZE + 1
    filtered = list_filters.referred(collection, filters)
    rows, targets = _rows(reader, desk, collection, found, columns, filtered)
    name = "trash-list" if trashed else "list"
    here = {item.parameter: item.raw for item in filters}
    here |= {key: value for key, value in given.items() if key in KEPT and value}

    def link(**changes: str | None) -> str:
        kept = {**here, **changes}
        return address(name, collection.key, **{key: value for key, value in kept.items() if value})

    titles = {item: targets[item].title for item in filtered if item in targets}
    is_filtered = bool(filters or here.keys() & {"q", "status"})
    shown = [(column, True) for column in columns]
    shown += [(column, False) for column in available(desk, collection) if column not in columns]
    every = [("column", column.id) for column in columns]
    headings = _headings(desk, collection, columns, given.get("sort", ""), link)
    context = {
        "title": f"Trash of {collection.name}" if trashed else collection.name,
        "collection": collection,
        "columns": columns,
        "choosable": shown,
        "rows": rows,
        "given": given,
        "is_trash": trashed,
        "is_filtered": is_filtered,
        "chips": [_chip(collection, item, titles, link, here) for item in filters],
        "fields_to_filter": [(label, link(f=key)) for key, label in list_filters.offered(desk, collection)],
        "builder": list_filters.builder(desk, collection, given["f"]) if given.get("f") else None,
        "here": list(here.items()),
        "here_but_words": [(key, value) for key, value in here.items() if key != "q"],
        "plain": address(name, collection.key, **_only(given, "locale")),
        "views": _views(desk, collection, given.get("view", "")) if not trashed else [],
        "view": view,
        "is_my_view": view is not None and view.view.owner_id == desk.principal.user_id,
        "view_query": urlencode([*here.items(), *every]),
        "states": [
            Link("All", link(status=None), not given.get("status")),
            *(
                Link(label, link(status=state), given.get("status") == state)
                for state, label in list_filters.STATES.items()
            ),
        ],
        "locales": [
            Link(desk.schema.locale_by_code[code].name, link(locale=code), code == reader.locale)
            for code in desk.locales_of(collection)
        ],
        "locale": desk.schema.locale_by_code[reader.locale],
        "elsewhere": []
        if rows or is_filtered
        else _elsewhere(desk, collection, reader, link, trashed=trashed),
        "headings": headings,
        "heads": [
            {"kind": column.kind, "label": column.label, "heading": headings.get(column.id)}
            for column in columns
        ],
        "number": number,
        "previous": link(page=str(number - 1)) if number > 1 else None,
        "next": _next(link, number, found, by_cursor=parameters.cursor is not None),
        "first": link() if parameters.cursor is not None else None,
        "may_add": not trashed and desk.may(Action.CREATE, collection),
        "may_restore": desk.may(Action.RESTORE, collection),
        "may_purge": desk.may(Action.PURGE, collection),
        "acts": [
            act for act in ACTS.values() if act.in_trash is trashed and desk.may(act.action, collection)
        ],
        "add_query": urlencode({"locale": reader.locale}) if collection.localized else "",
        "was_strange": "e" in given,
    }
    return show(request, "admin/content/list.html", context)


def _with_filter(
    request: HttpRequest,
    desk: Desk,
    collection: CollectionSpec,
    given: dict[str, str],
    filters: tuple[Filter, ...],
) -> HttpResponse:
    """Go to the list with the filter that the builder's form describes; the gate judges it there."""
    builder = list_filters.builder(desk, collection, given.get("f", ""))
    operator, _, fixed = given["o"].partition(":")
    raw = fixed or given.get("v", "").strip()
    if builder.is_moment and not fixed:
        raw = f"{raw}T00:00:00Z"
    kept = {item.parameter: item.raw for item in filters} | _only(given, *KEPT)
    kept[f"filter[{builder.name}][{operator}]"] = raw
    return HttpResponseRedirect(f"{request.path}?{urlencode(kept)}")


def _chip(
    collection: CollectionSpec,
    item: Filter,
    titles: dict[UUID, str],
    link: Any,
    here: dict[str, str],
) -> Link:
    gone: dict[str, str | None] = {item.parameter: None}
    if not here.keys() - {item.parameter, "view", "locale"}:  # a view alone would bring its filters back
        gone["view"] = None
    return Link(list_filters.in_words(collection, item, titles), link(**gone), chosen=True)


def _only(given: dict[str, str], *names: str) -> dict[str, str]:
    return {name: given[name] for name in names if given.get(name)}


def _view(desk: Desk, collection: CollectionSpec, given: dict[str, str]) -> Opened | None:
    if not given.get("view"):
        return None
    try:
        view = visible(desk, collection).filter(pk=UUID(given["view"])).first()
    except ValueError:
        view = None
    if view is None:
        raise BadAddressError
    return opened(desk, collection, view)


def _views(desk: Desk, collection: CollectionSpec, present: str) -> list[Link]:
    return [
        Link(view.name, address("list", collection.key, view=str(view.pk)), str(view.pk) == present)
        for view in visible(desk, collection)[:MAX_VIEWS]
    ]


def _elsewhere(
    desk: Desk, collection: CollectionSpec, reader: Reader, link: Any, *, trashed: bool
) -> list[Link]:
    """Return the other locales that have entries, found with one statement that reads one row of each."""
    documents = reader.in_any_locale(collection).filter(trashed=trashed)
    branches = [
        documents.filter(locale=code).order_by().values_list("locale", flat=True)[:1]
        for code in desk.locales_of(collection)
        if code != reader.locale
    ]
    if not branches:
        return []
    codes = branches[0].union(*branches[1:], all=True) if len(branches) > 1 else branches[0]
    return [Link(desk.schema.locale_by_code[code].name, link(locale=code), chosen=False) for code in codes]


def _parameters(
    given: dict[str, str],
    desk: Desk,
    collection: CollectionSpec,
    columns: list[Column],
    filters: tuple[Filter, ...],
    *,
    trashed: bool,
) -> Parameters:
    status = "trashed" if trashed else given.get("status", "")
    if not trashed and status and status not in list_filters.STATES:
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
    keys = [column.spec.key for column in columns if column.spec is not None]
    if title is not None and grant.allows(title):
        keys.append(title.key)
    if status:
        filters = (*filters, Filter(("_status",), Operator.EQ, status, "status"))
    return Parameters(
        fields=Tree.of(keys),
        filters=filters,
        sorts=(Sort(sort.removeprefix("-"), sort.startswith("-")),) if sort else (),
        limit=PAGE_SIZE,
        cursor=given.get("cursor"),
        offset=(int(number) - 1) * PAGE_SIZE,
        search=words or None,
    )


def _rows(
    reader: Reader,
    desk: Desk,
    collection: CollectionSpec,
    found: Page,
    columns: list[Column],
    filtered: dict[UUID, FieldSpec],
) -> tuple[list[Row], dict[UUID, Found]]:
    """Return the lines, and what may be seen of the entries that they and the filters refer to."""
    authors: dict[UUID, str] = {}
    if any(column.id == "_author" for column in columns):
        ids = [row["entry_id"] for row in found.rows]
        newest = Version.objects.filter(entry__in=ids).order_by("entry", "-number").distinct("entry")
        authors = dict(newest.values_list("entry_id", "author_label"))
    shaper = Shaper(reader)
    documents = [shaper.document(collection, row, found.selection) for row in found.rows]
    note_documents(shaper, collection, found.rows, is_list=True, where="admin")
    targets = seen_targets(desk, documents, columns, filtered)
    title = collection.title_field
    rows = []
    for row, shaped in zip(found.rows, documents, strict=True):
        states: Any = shaped["_status"]
        text = str(shaped.get(title.key) or "").strip() if title else ""
        rows.append(
            Row(
                id=str(row["entry_id"]),
                title=text or untitled(row["entry_id"]),
                status=states.get(row["content_locale"], ""),
                locales=sorted(states.items()),
                locale=row["content_locale"],
                updated_at=row["updated_at"],
                published_at=row["published_at"],
                version=row["version_number"],
                author=authors.get(row["entry_id"], ""),
                cells=[cell(column, shaped, targets) for column in columns],
            )
        )
    return rows, targets


def _headings(
    desk: Desk, collection: CollectionSpec, columns: list[Column], sort: str, link: Any
) -> dict[str, Link]:
    """Return what a click on a column's heading sorts by, the other way round when it does already."""
    sortable = {key for key, _ in _sorts(desk, collection)}
    names = {"_updated": "_updated_at", "_published": "_published_at"}
    names |= {
        column.id: column.spec.key
        for column in columns
        if column.spec is not None and column.spec.key in sortable
    }
    title = collection.title_field
    if title is not None and title.key in sortable:
        names["title"] = title.key
    present = sort or "-_updated_at"
    found = {}
    for column, name in names.items():
        chosen_now = present.removeprefix("-") == name
        descending = present.startswith("-")
        newest_first = name in TIMES and not chosen_now
        turned = f"-{name}" if newest_first or (chosen_now and not descending) else name
        found[column] = Link(column, link(sort=turned), chosen_now, descending)
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
