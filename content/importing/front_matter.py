"""A Markdown file taken apart: its front matter (YAML between `---`, TOML between `+++`) and its body.

Files come from strangers' repositories. YAML is read as events, never constructed: there are no tags, aliases, anchors,
custom types or dates to attack (CVE-2025-68278, and every `yaml.load` before it), and size, depth and number of
values are bounded while reading.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

import yaml

MAX_FILE: Final = 2 * 1024 * 1024  # bytes
MAX_FRONT: Final = 64 * 1024  # characters
MAX_DEPTH: Final = 8
MAX_VALUES: Final = 2_000
MAX_DIGITS: Final = 40
MAX_DOTS: Final = 100

# A value of the front matter. Numbers with a point are decimals, days and times stay texts: nothing is lost in reading.
Value = None | bool | int | Decimal | str | list["Value"] | dict[str, "Value"]

_YAML_BLOCK: Final = re.compile(
    r"---[ \t]*\n(?P<front>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
_TOML_BLOCK: Final = re.compile(
    r"\+\+\+[ \t]*\n(?P<front>.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE
)
# YAML 1.2's core schema, without the surprises of 1.1 (`no` is a country, `12:30` a time, `007` a code).
_NODES: Final = (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")


class DocumentError(Exception):
    """A file that can't be imported; the text is the reason, for the person who ran the import."""


@dataclass(frozen=True, slots=True)
class MarkdownDocument:
    """The front matter by its own keys, and the Markdown beneath it, with `\\n` for every line break."""

    front: dict[str, Value] = field(default_factory=dict)
    body: str = ""


def parse(raw: bytes) -> MarkdownDocument:
    """Take a file's bytes apart. Raises DocumentError, and nothing else, whatever the bytes are."""
    if len(raw) > MAX_FILE:
        raise DocumentError(f"The file is larger than {MAX_FILE // 1024 // 1024} MB.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"The file is not UTF-8 (byte {error.start}).") from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise DocumentError("The file holds a NUL character; it is no text.")
    for mark, block, read in (("---", _YAML_BLOCK, _yaml), ("+++", _TOML_BLOCK, _toml)):
        if re.match(re.escape(mark) + r"[ \t]*(?:\n|\Z)", text):
            match = block.match(text)
            if match is None:
                raise DocumentError(f"The front matter is never closed with {mark}.")
            front = match["front"]
            if len(front) > MAX_FRONT:
                raise DocumentError(f"The front matter is larger than {MAX_FRONT // 1024} KB.")
            return MarkdownDocument(read(front), text[match.end() :].lstrip("\n"))
    return MarkdownDocument({}, text)


def _toml(text: str) -> dict[str, Value]:
    if text.count("[") + text.count("{") + text.count("=") > 3 * MAX_VALUES:
        raise DocumentError("The front matter holds too many values.")
    # A key of 30,000 parts, `a.a.a…`, keeps tomllib busy for many seconds: it looks at each part's parents anew.
    if any(part.count(".") > MAX_DOTS for line in text.split("\n") for part in line.split("=")):
        raise DocumentError(f"The front matter has a line with more than {MAX_DOTS} dots.")
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, ArithmeticError, ValueError) as error:
        raise DocumentError(f"The front matter is no TOML: {_one_line(error)}") from error
    except RecursionError as error:
        raise DocumentError("The front matter is nested too deeply.") from error
    plain = _plain(raw, MAX_DEPTH)
    return plain if isinstance(plain, dict) else {}


def _plain(value: object, depth: int) -> Value:
    """Return a TOML value in our few types: days and times as texts, numbers without an infinity."""
    if depth < 0:
        raise DocumentError("The front matter is nested too deeply.")
    if isinstance(value, dict):
        return {str(key): _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal) and (not value.is_finite() or abs(value.adjusted()) > MAX_DIGITS):
        return str(value)  # spelled out, 1e999999999 would fill the memory
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        raise DocumentError("The front matter holds a number with too many digits.")
    return value if isinstance(value, bool | int | Decimal | str) else str(value)


def _yaml(text: str) -> dict[str, Value]:
    try:
        reader = _YamlReader(text)
        value = reader.read()
    except yaml.YAMLError as error:
        raise DocumentError(f"The front matter is no YAML: {_yaml_reason(error)}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentError("The front matter is no list of keys and values.")
    return value


class _YamlReader:
    """Builds values from the parser's events, within bounds."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self.values = 0

    def read(self) -> Value:
        """Return the one document."""
        value: Value = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise DocumentError("The front matter holds more than one YAML document.")
                value = self._value(next(self.events), MAX_DEPTH)
        return value

    def _value(self, event: yaml.Event, depth: int) -> Value:
        self.values += 1
        if self.values > MAX_VALUES:
            raise DocumentError("The front matter holds too many values.")
        if depth < 0:
            raise DocumentError("The front matter is nested too deeply.")
        if not isinstance(event, _NODES) or event.anchor is not None:
            # A few aliases of aliases make a billion values.
            raise DocumentError("The front matter uses YAML anchors or aliases.")
        if event.tag is not None:
            raise DocumentError(f"The front matter uses the YAML tag {event.tag[:60]!r}.")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event.value) if event.implicit[0] else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Value] = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self._value(inner, depth - 1))
            return items
        return self._mapping(depth)

    def _mapping(self, depth: int) -> dict[str, Value]:
        members: dict[str, Value] = {}
        while not isinstance(inner := next(self.events), yaml.MappingEndEvent):
            if not isinstance(inner, yaml.ScalarEvent) or inner.tag is not None or inner.anchor is not None:
                raise DocumentError("The front matter has a key that is no plain text.")
            key = inner.value
            if key in members:
                # Two readers of one file may each take another one.
                raise DocumentError(f"The front matter has the key {key[:60]!r} twice.")
            if key == "<<" and inner.implicit[0]:
                raise DocumentError("The front matter uses YAML merge keys.")
            members[key] = self._value(next(self.events), depth - 1)
        return members


def _scalar(text: str) -> Value:
    """Return what an unquoted YAML scalar stands for."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if len(text) <= MAX_DIGITS:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
    return text


def _yaml_reason(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
    mark = getattr(error, "problem_mark", None)
    line = f" (line {mark.line + 2})" if mark is not None else ""  # the first line of the file is the `---`
    return f"{problem}{line}."


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
