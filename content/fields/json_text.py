"""JSON that people type into a form: read strictly, shown readably."""

import json
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.forms import CharField, Textarea

from accounts.canonical import Json

MAX_DEPTH = 20


class JsonTextField(CharField):
    """JSON in a text area; empty is None. What was typed is shown again, also when it is no JSON."""

    widget = Textarea

    def __init__(self, **arguments: Any) -> None:
        arguments.setdefault("required", False)
        arguments.setdefault("max_length", 20_000)
        super().__init__(**arguments)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return read(text) if text.strip() else None
        except ValueError as error:
            raise ValidationError(f"This is not JSON: {error}") from error


def read(text: str) -> Json:
    """Return the value of a JSON text. Raises ValueError: for repeated members, NaN and deep nesting too."""
    try:
        value: Json = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if _depth(value) > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    return value


def write(value: Json) -> str:
    """Return a value as people can read it; nothing for None."""
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2)


def _members(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the member {name[:80]!r} is there twice")
        found[name] = value
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _depth(value: Json) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0
