"""A mapping as people write it: a line for each field, with the place of its value, or the value itself."""

import json
from typing import Any

from accounts.errors import Problem
from content.fields.base import FieldError
from content.fields.json import parsed


def lines_of(mapping: dict[str, Any]) -> str:
    """Return a mapping as lines: `title = /data/title`, `kind = "imported"`."""
    return "\n".join(f"{key} = {_shown(source)}" for key, source in mapping.items())


def mapping_of(text: str) -> tuple[dict[str, Any], list[Problem]]:
    """Return the mapping that lines stand for, and what is wrong with them."""
    found: dict[str, Any] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        key, sign, source = (part.strip() for part in line.partition("="))
        if not sign or not key:
            problems.append(_wrong(number, "Write the field, = and the place of its value."))
        elif key in found:
            problems.append(_wrong(number, f"The field {key[:60]} stands here twice."))
        elif source.startswith("/") or not source:
            found[key] = source
        else:
            try:
                found[key] = {"value": parsed(source)}
            except FieldError:
                problems.append(
                    _wrong(number, "After = stands a place such as /data/title, or a JSON value.")
                )
    return found, problems


def _shown(source: Any) -> str:
    return source if isinstance(source, str) else json.dumps(source["value"], ensure_ascii=False)


def _wrong(number: int, detail: str) -> Problem:
    return Problem.at(["mapping"], "invalid", f"Line {number}: {detail}")
