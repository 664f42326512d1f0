"""Lists of the management API: `{"data": […], "meta": {"limit", "next_cursor"}}`, in the order of ids."""

import json
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import cursors
from accounts.cursors import CursorError
from accounts.errors import InvalidInputError, Problem

M = TypeVar("M", bound=Model)
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
PARAMETERS: Final = ("limit", "cursor")
_PURPOSE: Final = "management-cursor"


def page(
    rows: QuerySet[M],
    parameters: dict[str, str],
    *,
    order: str,
    shape: Callable[[M], dict[str, Any]],
    about: str,
    key: Callable[[M], Any] | None = None,
) -> Response:
    """Answer one page, ordered by a unique column. `about` binds cursors to the list and its filters."""
    limit = read_limit(parameters)
    cursor = read_cursor(parameters.get("cursor"), about)
    descending = order.startswith("-")
    name = order.lstrip("-")
    if cursor is not None:
        rows = rows.filter(**{f"{name}__{'lt' if descending else 'gt'}": cursor})
    found = list(rows.order_by(order)[: limit + 1])
    next_cursor = None
    if len(found) > limit:
        found = found[:limit]
        last = key(found[-1]) if key else getattr(found[-1], name)
        next_cursor = make_cursor(last, about)
    return Response(
        {"data": [shape(row) for row in found], "meta": {"limit": limit, "next_cursor": next_cursor}}
    )


def read_limit(parameters: dict[str, str]) -> int:
    text = parameters.get("limit", str(DEFAULT_LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise _wrong("limit", f"From 1 to {MAX_LIMIT}.")
    return int(text)


def make_cursor(value: Any, about: str) -> str:
    """Return an opaque, signed place in a list."""
    payload = json.dumps([about, value if isinstance(value, int) else str(value)]).encode()
    return cursors.sealed(payload, purpose=_PURPOSE)


def read_cursor(text: str | None, about: str) -> Any:
    """Return the place that a cursor of this very list means, None without one. Raises InvalidInputError."""
    if text is None:
        return None
    detail = "This cursor is not one of this list."
    try:
        made_about, value = json.loads(cursors.opened(text, purpose=_PURPOSE))
    except CursorError as error:
        raise _wrong("cursor", error.detail or detail) from error
    except (ValueError, TypeError) as error:
        raise _wrong("cursor", detail) from error
    if made_about != about:
        raise _wrong("cursor", detail)
    return value


def about_request(request: Request, parameters: dict[str, str]) -> str:
    """Name a list with its filters."""
    kept = sorted((name, value) for name, value in parameters.items() if name not in PARAMETERS)
    return f"{request.path}?{kept}"


def _wrong(parameter: str, detail: str) -> InvalidInputError:
    return InvalidInputError(errors=[Problem(f"invalid-{parameter}", detail, parameter=parameter)])
