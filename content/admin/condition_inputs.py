"""The three inputs of a condition: which field decides, how it is compared, and with what."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from accounts.canonical import Json
from content.conditions import Comparison, Condition, Conditional
from content.fields.json_text import read, write

INPUTS = ("condition_field", "condition_operator", "condition_value")
OPERATORS = (
    ("eq", "is"),
    ("ne", "is not"),
    ("in", "is one of"),
    ("filled", "is filled in"),
    ("empty", "is empty"),
)
_NUMBER = re.compile(r"-?[0-9]{1,16}")


@dataclass(frozen=True)
class Sibling:
    """A field of the same collection as it is typed now, as far as conditions go."""

    key: str
    name: str
    type: str
    values: tuple[str, ...] = ()  # those that it can hold, where that is a short list


def offer_conditions(form: forms.Form, siblings: tuple[Sibling, ...]) -> None:
    """Let a condition name each field but its own; one that is gone meanwhile stays there to be seen."""
    own = form["key"].value()
    present = form["condition_field"].value()
    offered = [(item.key, item.name) for item in siblings if item.key and item.key != own]
    if present and all(key != present for key, _ in offered):
        offered.append((str(present), f"{present} (not there)"))
    form.fields["condition_field"].widget = forms.Select(choices=[("", "always"), *offered])


def condition_typed(data: Mapping[str, Any], siblings: Iterable[Sibling]) -> dict[str, Json] | None:
    """Return the JSON of a condition from its three inputs, None for none."""
    key, operator = data.get("condition_field"), data.get("condition_operator")
    if not key:
        return None
    if operator in ("filled", "empty"):
        return {"field": key, "operator": "exists", "value": operator == "filled"}
    kind = next((item.type for item in siblings if item.key == key), "")
    text = str(data.get("condition_value") or "").strip()
    if operator == "in":
        return {"field": key, "operator": "in", "value": [_scalar(item, kind) for item in _listed(text)]}
    return {"field": key, "operator": operator or "eq", "value": _scalar(text, kind)}


def condition_shown(condition: Condition | None, siblings: Iterable[Conditional]) -> dict[str, str]:
    """Return what the three inputs show of a condition."""
    if condition is None:
        return {}
    shown = condition.shown(siblings)
    value = condition.value
    if condition.operator is Comparison.EXISTS:
        return {"condition_field": str(shown["field"]), "condition_operator": "filled" if value else "empty"}
    texts = [_text(item) for item in (value if isinstance(value, tuple) else (value,))]
    if isinstance(value, tuple) and any("," in text or text.startswith("[") for text in texts):
        text = write(list(value)).replace("\n", " ")
    else:
        text = ", ".join(texts)
    return {
        "condition_field": str(shown["field"]),
        "condition_operator": condition.operator.value,
        "condition_value": text,
    }


def _listed(text: str) -> list[Any]:
    if text.startswith("["):
        try:
            found = read(text)
        except ValueError:
            found = None
        if isinstance(found, list):
            return found
    return [item for item in map(str.strip, text.split(",")) if item]


def _scalar(text: Any, kind: str) -> Any:
    if not isinstance(text, str):
        return text
    if kind == "boolean":
        return {"true": True, "yes": True, "false": False, "no": False}.get(text.lower(), text)
    if kind == "integer" and _NUMBER.fullmatch(text):
        return int(text)
    return text


def _text(value: Json) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
