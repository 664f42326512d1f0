"""What types that hold a list of texts share."""

from collections.abc import Callable
from typing import Any

from accounts.canonical import Json
from accounts.errors import Problem
from content.fields.base import (
    Context,
    FieldError,
    FieldSpec,
    FieldType,
    Kind,
)


def distinct_texts(value: object, *, most: int, clean: Callable[[object], str | None]) -> list[Json] | None:
    """Return the cleaned items of a list, None for nothing; each may be there once. Raises FieldError."""
    if value is None or value == "" or value == []:
        return None
    if not isinstance(value, list):
        raise FieldError.at((), "invalid-type", "A list is expected.")
    if len(value) > most:
        raise FieldError.at((), "too-many", f"At most {most} items (there are {len(value):,}).")
    problems: list[Problem] = []
    items: dict[str, None] = {}
    for index, item in enumerate(value):
        try:
            text = clean(item)
        except FieldError as error:
            problems += error.under(index).problems
            continue
        if text is None:
            problems.append(Problem.at((index,), "required", "An item can't be empty."))
        elif text in items:
            problems.append(Problem.at((index,), "duplicate", "This is there twice."))
        else:
            items[text] = None
    if problems:
        raise FieldError(problems[:100])
    return list(items)


def counted(items: list[Json] | None, most: int | None) -> list[Json] | None:
    """Return the list when it has at most so many items; raise FieldError."""
    if items is not None and most is not None and len(items) > most:
        raise FieldError.at((), "too-many", f"At most {most} (there are {len(items):,}).")
    return items


def too_few(value: Json, least: int | None) -> list[Problem]:
    """Return the problem of a list that is too short to be published. An optional list may be empty."""
    if isinstance(value, list) and least is not None and len(value) < least:
        return [Problem.at((), "too-few", f"At least {least} (there are {len(value)}).")]
    return []


def convert_list(
    source: FieldType[Any], value: Json, to: FieldType[Any], field: FieldSpec, ctx: Context
) -> Json:
    """Convert a list of texts: to another list as it is, to a single value when there is just one."""
    if not source.convertible(to):
        raise FieldError.at((), "not-convertible", f"{source.label} cannot become {to.label}.")
    if not isinstance(value, list) or to.kind is Kind.LIST:
        return to.clean(value, field, ctx)
    if len(value) > 1:
        raise FieldError.at((), "would-lose-data", f"Only one of {len(value)} could be kept.")
    return to.clean(value[0], field, ctx)
