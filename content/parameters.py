"""Query parameters of lists and documents: read strictly, before any name in them means anything.

What is unknown or repeated is refused, so that a new parameter can't reach the database past the gate (CVE-2024-56143).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.http import QueryDict

from accounts.access import Operator
from accounts.errors import Problem, UnknownParameterError

MAX_LIMIT = 100
DEFAULT_LIMIT = 20
MAX_OFFSET = 10_000
MAX_NAMES = 60
MAX_FILTERS = 20
MAX_SORTS = 4
MAX_VALUES = 100
MAX_VALUE_LENGTH = 500
MAX_SEARCH_LENGTH = 200
MAX_EXPAND_DEPTH = 2

LIST_PARAMETERS = frozenset(
    {"locale", "fields", "filter", "sort", "limit", "cursor", "offset", "expand", "search", "count"}
)
DOCUMENT_PARAMETERS = frozenset({"locale", "fields", "expand"})

_FILTER = re.compile(r"filter\[([a-z_][a-z0-9_]{0,40}(?:\.[a-z_][a-z0-9_]{0,40})?)\]\[([a-z_]{2,12})\]")
_PATH = re.compile(r"[a-z_][a-z0-9_]{0,40}(?:\.[a-z_][a-z0-9_]{0,40}){0,2}")
_NUMBER = re.compile(r"[0-9]{1,6}")


class Tree(dict[str, "Tree"]):
    """Names below names: `title,author.name` is `{"title": {}, "author": {"name": {}}}`."""

    @classmethod
    def of(cls, paths: Iterable[str]) -> "Tree":
        tree = cls()
        for path in paths:
            here = tree
            for name in path.split("."):
                here = here.setdefault(name, cls())
        return tree


@dataclass(frozen=True, slots=True)
class Filter:
    """`filter[path][operator]=raw`; `parameter` is how the client wrote it."""

    path: tuple[str, ...]
    operator: Operator
    raw: str
    parameter: str


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of an order."""

    name: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the client asked for, by shape only."""

    locale: str | None = None
    fields: Tree | None = None
    filters: tuple[Filter, ...] = ()
    sorts: tuple[Sort, ...] = ()
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    offset: int = 0
    expand: Tree = field(default_factory=Tree)
    search: str | None = None
    count: bool = False


def refuse(parameter: str, code: str, detail: str) -> UnknownParameterError:
    """Build the 400 for one parameter; the text must be the same for what is unknown and for what is hidden."""
    shown = parameter[:120]
    return UnknownParameterError(
        "A query parameter is not valid.", errors=[Problem(code=code, detail=detail, parameter=shown)]
    )


def parse(query: QueryDict, *, allowed: frozenset[str] = LIST_PARAMETERS) -> Parameters:
    """Read the query string, or raise `UnknownParameterError` that names the first bad parameter."""
    found: dict[str, str] = {}
    filters: list[Filter] = []
    for name, values in query.lists():
        if len(values) != 1:
            raise refuse(name, "repeated-parameter", "A parameter may be given once.")
        value = str(values[0])
        if "\x00" in name or "\x00" in value:
            raise refuse(name.replace("\x00", ""), "invalid-value", "A value may not hold the character NUL.")
        if name in allowed and name != "filter":
            found[name] = value
        elif "filter" in allowed and (match := _FILTER.fullmatch(name)):
            filters.append(_filter(match, name, value))
        elif "filter" in allowed and name.startswith("filter["):
            raise refuse(name, "unknown-filter", "There is no such filter. Use filter[field][operator].")
        else:
            raise refuse(name, "unknown-parameter", "There is no such parameter here.")
    if len(filters) > MAX_FILTERS:
        raise refuse("filter", "too-many", f"At most {MAX_FILTERS} filters.")
    if "cursor" in found and "offset" in found:
        raise refuse("offset", "conflicting-parameter", "Use either cursor or offset.")
    expand = Tree.of(_names(found, "expand", MAX_EXPAND_DEPTH))
    return Parameters(
        locale=found.get("locale"),
        fields=Tree.of(_names(found, "fields", MAX_EXPAND_DEPTH + 1)) if "fields" in found else None,
        filters=tuple(filters),
        sorts=_sorts(found),
        limit=_number(found, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT),
        cursor=found.get("cursor"),
        offset=_number(found, "offset", 0, MAX_OFFSET, 0),
        expand=expand,
        search=_search(found),
        count=_count(found),
    )


def _filter(match: re.Match[str], name: str, value: str) -> Filter:
    try:
        operator = Operator(match[2])
    except ValueError:
        raise refuse(name, "unknown-operator", f"Use one of {', '.join(Operator)}.") from None
    if len(value) > MAX_VALUE_LENGTH * (MAX_VALUES if operator in {Operator.IN, Operator.NIN} else 1):
        raise refuse(name, "too-long", f"At most {MAX_VALUE_LENGTH} characters.")
    return Filter(tuple(match[1].split(".")), operator, value, name)


def _names(found: dict[str, str], parameter: str, depth: int) -> list[str]:
    if parameter not in found:
        return []
    names = found[parameter].split(",")
    if len(names) > MAX_NAMES:
        raise refuse(parameter, "too-many", f"At most {MAX_NAMES} names.")
    for name in names:
        if not _PATH.fullmatch(name):
            raise refuse(
                parameter, "invalid-value", "Use field keys with commas between them, e.g. title,author.name."
            )
        if name.count(".") >= depth:
            raise refuse(parameter, "too-deep", f"At most {depth} levels.")
    return names


def _sorts(found: dict[str, str]) -> tuple[Sort, ...]:
    if "sort" not in found:
        return ()
    names = found["sort"].split(",")
    if len(names) > MAX_SORTS:
        raise refuse("sort", "too-many", f"At most {MAX_SORTS} keys.")
    sorts = tuple(Sort(name.removeprefix("-"), name.startswith("-")) for name in names)
    if any(not _PATH.fullmatch(sort.name) or "." in sort.name for sort in sorts):
        raise refuse("sort", "unknown-sort", "There is no such key to sort by.")
    if len({sort.name for sort in sorts}) != len(sorts):
        raise refuse("sort", "repeated-name", "A key may be named once.")
    return sorts


def _number(found: dict[str, str], parameter: str, lowest: int, highest: int, default: int) -> int:
    if parameter not in found:
        return default
    if not _NUMBER.fullmatch(found[parameter]) or not lowest <= int(found[parameter]) <= highest:
        raise refuse(parameter, "out-of-range", f"A whole number from {lowest} to {highest:,}.")
    return int(found[parameter])


def _search(found: dict[str, str]) -> str | None:
    if "search" not in found:
        return None
    words = found["search"].strip()
    if not words or len(words) > MAX_SEARCH_LENGTH:
        raise refuse("search", "out-of-range", f"From 1 to {MAX_SEARCH_LENGTH} characters.")
    return words


def _count(found: dict[str, str]) -> bool:
    if found.get("count") not in (None, "exact"):
        raise refuse("count", "invalid-value", "Use count=exact.")
    return "count" in found
