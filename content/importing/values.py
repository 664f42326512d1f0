"""From a value of the front matter to the input of a field. What does not fit stays as it is: the field refuses it."""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from django.utils.text import slugify

from content.fields.base import FieldSpec
from content.importing.front_matter import Value

TEXTS: Final = frozenset(
    {"text", "long_text", "rich_text", "markdown", "slug", "email", "url", "choice", "color"}
)
LISTS: Final = frozenset({"tags", "choices"})
REFERENCES: Final = frozenset({"reference", "references"})

MAX_NAMES: Final = 1_000  # characters; what is longer names nobody

_HANDLE: Final = re.compile(r"\s*\((?P<handle>[^()]{1,80})\)\s*$")
_SEPARATOR: Final = re.compile(r"\s*[;,、]\s*|\s+(?:and|&|\+)\s+")
_SUFFIX: Final = re.compile(r"(?:jr|sr|inc|ltd|llc|gmbh|ph\.?d|m\.?d|ii|iii|iv)\.?", re.IGNORECASE)
_LOOSE_OFFSET: Final = re.compile(r"(?<=[0-9])\s*([+-][0-9]{2}):?([0-9]{2})$")


def field_key(name: str) -> str:
    """Return a front-matter key as the key of a field (`publishDate` → `publish_date`), "" when nothing is left."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:200])
    plain = re.sub(r"[-_]+", "_", slugify(spaced)).strip("_")
    return re.sub(r"^[^a-z]+", "", plain)[:41]


def input_for(spec: FieldSpec, value: Value) -> object:
    """Return what the field takes in for a value, None for nothing. References are not for this function."""
    if value is None or value == "" or value == []:
        return None
    if spec.type in TEXTS:
        return text_of(value) if isinstance(value, str | int | Decimal) else value
    if spec.type in LISTS:
        return list_of(value)
    if spec.type == "date" and isinstance(value, str):
        moment = moment_of(value)
        return moment.date().isoformat() if moment else value
    if spec.type == "datetime" and isinstance(value, str):
        moment = moment_of(value)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else value
    if spec.type == "decimal" and isinstance(value, Decimal | int) and not isinstance(value, bool):
        return str(value)
    return json_of(value)


def text_of(value: str | int | Decimal) -> str:
    """Return a scalar as it would be written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def list_of(value: Value) -> object:
    """Return a list of texts: of a list, or of one text with commas. Anything else is returned as it is."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, list) and all(isinstance(item, str | int | Decimal) for item in value):
        return [text_of(item) for item in value if isinstance(item, str | int | Decimal)]
    return value


def json_of(value: Value) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: json_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_of(item) for item in value]
    return value


def moment_of(text: str) -> datetime | None:
    """Return a day or time as site generators write it; UTC where no zone is given. None when it is neither."""
    plain = text.strip()
    if len(plain) > 40:
        return None
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", plain):
            day = date.fromisoformat(plain)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", plain):
            return None
        plain = _LOOSE_OFFSET.sub(r"\1:\2", re.sub(r"\s*(?:UTC|GMT|[zZ])$", "+00:00", plain))
        moment = datetime.fromisoformat(plain)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment


def names_in(value: Value, known: Collection[str] = ()) -> list[str]:
    """Return the names that an `author` stands for: of a text, a list, or of mappings with a `name`.

    One text may hold several: "Ada Lovelace, Mary Somerville & Co (@co)". It is taken apart only where every part has
    two words or is `known` by itself, so "Salt and Pepper" stays one and so does "Lovelace, Ada".
    """
    found: list[str] = []
    for item in value if isinstance(value, list) else [value]:
        name = item.get("name") or item.get("title") if isinstance(item, dict) else item
        if isinstance(name, str) and name.strip():
            found += _apart(" ".join(name.split()), known)
    return list(dict.fromkeys(found))


def name_and_handle(name: str) -> tuple[str, str]:
    """Return ("Ada Lovelace", "@ada") for "Ada Lovelace (@ada)"; the handle is "" where there is none."""
    match = _HANDLE.search(name)
    bare = name[: match.start()].strip() if match else name
    return (bare, match["handle"].strip()) if match and bare else (name, "")


def _apart(text: str, known: Collection[str]) -> list[str]:
    if len(text) > MAX_NAMES:
        return [text]
    parts: list[str] = []
    start = 0
    for match in _SEPARATOR.finditer(text):
        outside = text.count("(", 0, match.start()) <= text.count(")", 0, match.start())
        rest = text[match.end() :]
        if outside and not _SUFFIX.fullmatch(_SEPARATOR.split(rest, maxsplit=1)[0]):
            parts.append(text[start : match.start()])
            start = match.end()
    parts = [part.strip() for part in [*parts, text[start:]] if part.strip()]
    return parts if _all_names(parts, known) else [text]


def _all_names(parts: Iterable[str], known: Collection[str]) -> bool:
    return all(" " in name_and_handle(part)[0] or name_and_handle(part)[0] in known for part in parts)
