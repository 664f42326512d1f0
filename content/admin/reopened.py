"""What a form showed when it was opened, and what of it still has a place when the collection has changed since.

The form says which inputs it has, by key and by the field's id. A field that was renamed meanwhile gets what was typed
under its old key; one that is new was not shown, so that its absence says nothing; and what was typed into one that
is gone is told, once, and shown, before the rest is saved without it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from django.http import QueryDict

from content import fields
from content.fields.base import FieldSpec, Schema

PREFIX = "f"  # of every input that stands for a field, so that no key clashes with an input of ours
SHOWN = "shown"  # the hidden input that holds what `shown_in` returns
WITHOUT = "without"  # the hidden inputs that name what the writer has been told of
MAX_SHOWN = 200_000  # characters
MAX_TOLD = 50

Keys = dict[str, str]  # key -> id
_MARKUP = re.compile(r"</?p>|<br>")  # what an empty editor sends


@dataclass(frozen=True)
class Gone:
    """What was typed into a field that is gone: which one it was, and the text."""

    id: str
    key: str
    text: str

    @property
    def name(self) -> str:
        return self.key.replace("_", " ").capitalize()


@dataclass(frozen=True)
class Reopened:
    """What was sent, under the names of today; the keys of fields that were not shown; what has no place any more."""

    data: QueryDict | None = None
    unseen: frozenset[str] = frozenset()
    gone: tuple[Gone, ...] = ()
    acknowledged: frozenset[str] = frozenset()

    @property
    def is_untold(self) -> bool:
        """Whether the writer has still to hear that something can't be saved."""
        return any(item.id not in self.acknowledged for item in self.gone)

    @property
    def told(self) -> str:
        names = ", ".join(dict.fromkeys(f"“{item.name}”" for item in self.gone))
        return (
            f"{names} can’t be saved here any more: the fields of this collection, or your rights, have changed "
            "while the form was open. Copy what you still need. The next save goes on without it."
        )

    @property
    def ids(self) -> list[str]:
        return list(dict.fromkeys(item.id for item in self.gone))


@dataclass
class _Names:
    """Old keys to new ones, None for those that are gone, of the form itself and of each component."""

    top: dict[str, str | None]
    parts: dict[str, dict[str, str | None]] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        return all(old == new for names in (self.top, *self.parts.values()) for old, new in names.items())


def shown_in(specs: Iterable[FieldSpec], schema: Schema) -> str:
    """Return, as JSON, which fields a form shows, and which each component in it has: key and id."""
    top, parts = _present(specs, schema)
    return json.dumps({"fields": top, "parts": parts}, separators=(",", ":"))


def reopened(data: QueryDict, specs: Iterable[FieldSpec], schema: Schema) -> Reopened:
    """Return what was sent as it is to be read today. A form that does not say what it showed is taken as it is."""
    was = _read(data.get(SHOWN))
    if was is None:
        return Reopened(data)
    top, parts = _present(specs, schema)
    names = _Names(
        _renamed(was[0], top), {part: _renamed(keys, parts.get(part, {})) for part, keys in was[1].items()}
    )
    seen = set(was[0].values())
    unseen = frozenset(key for key, field_id in top.items() if field_id not in seen)
    if names.is_same:
        return Reopened(data, unseen)
    moved = data.copy()
    gone = []
    for name in data:
        if not name.startswith(f"{PREFIX}-"):
            continue
        values = data.getlist(name)
        new, lost = _moved(name, names, data)
        if new != name:
            moved.pop(name, None)
        if new is not None and new != name:
            moved.setlist(new, values)
        elif lost is not None and not is_tool(name):
            gone += [Gone(*lost, value) for value in values if _MARKUP.sub("", value).strip()]
    return Reopened(moved, unseen, tuple(gone[:MAX_TOLD]), frozenset(data.getlist(WITHOUT)))


def _present(specs: Iterable[FieldSpec], schema: Schema) -> tuple[Keys, dict[str, Keys]]:
    top: Keys = {}
    parts: dict[str, Keys] = {}
    todo = list(specs)
    for spec in todo:
        top[spec.key] = str(spec.id)
    while todo:
        spec = todo.pop()
        field_type = fields.get(spec.type)
        for named in field_type.named_collections(field_type.options(spec)):
            component = schema.component(str(named))
            if component is not None and str(component.id) not in parts:
                parts[str(component.id)] = {inner.key: str(inner.id) for inner in component.fields}
                todo += component.fields
    return top, parts


def _renamed(was: Keys, now: Keys) -> dict[str, str | None]:
    keys = {field_id: key for key, field_id in now.items()}
    return {old: keys.get(field_id) for old, field_id in was.items()}


def _read(text: str | None) -> tuple[Keys, dict[str, Keys]] | None:
    """Return what the hidden input says; None when it is not there, or is not what we wrote."""
    if not text or len(text) > MAX_SHOWN:
        return None
    try:
        found = json.loads(text)
        top, parts = found["fields"], found["parts"]
        if all(_are_keys(keys) for keys in (top, *parts.values())):
            return top, parts
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return None


def _are_keys(keys: object) -> bool:
    return isinstance(keys, dict) and all(isinstance(value, str) for value in keys.values())


def _moved(name: str, names: _Names, data: QueryDict) -> tuple[str | None, tuple[str, str] | None]:
    """Return an input's name of today, None when it has none any more, and then (id, key) of what is gone."""
    prefix, head, *rest = name.split("-")
    old = _key_of(head, names.top)
    if old is None:
        return name, None
    if names.top[old] is None:
        return None, (old, old)
    new = [prefix, f"{names.top[old]}{head[len(old) :]}"]
    at = f"{prefix}-{head}"
    for number, inner in _pairs(rest):
        component = data.get(f"{at}-{number}-_component", "")
        keys: Mapping[str, str | None] = names.parts.get(component, {})
        key = _key_of(inner, keys)
        if key is not None and keys[key] is None:
            return None, (f"{component}.{key}", key)
        new += [number, f"{keys[key]}{inner[len(key) :]}" if key is not None else inner]
        at = f"{at}-{number}-{inner}"
    return "-".join([*new, *rest[len(rest) // 2 * 2 :]]), None


def is_tool(name: str) -> bool:
    """Tell whether an input only arranges parts: `f-blocks-count`, `f-blocks-0-_order`."""
    rest = name.split("-")[2:]
    return bool(rest) and (len(rest) % 2 == 1 or rest[-1].startswith("_"))


def _pairs(rest: list[str]) -> Iterator[tuple[str, str]]:
    return zip(rest[::2], rest[1::2], strict=False)


def _key_of(text: str, keys: Mapping[str, str | None]) -> str | None:
    """Return the key that an input's name begins with: `place` of `place_lat`."""
    if text in keys:
        return text
    return max((key for key in keys if text.startswith(f"{key}_")), key=len, default=None)
