"""YAML of strangers, read strictly: data and comments, nothing that refers, constructs or guesses.

Built from the parser's events alone, so no tag ever makes an object. Plain words are read as YAML 1.2 has them: `no` is
a text (and a locale), not false. Every limit is checked while reading, and every fault is told with its line.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_BYTES: Final = 4 * 1024 * 1024
MAX_DEPTH: Final = 20
MAX_VALUES: Final = 200_000
MAX_FAULTS: Final = 100
MAX_DIGITS: Final = 64
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_FRACTION: Final = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?")
_STORABLE: Final = re.compile(r"[^\x00\ud800-\udfff]*")
_PARSER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong in a file, and in which line; 0 where it is about no line."""

    line: int
    pointer: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, "pointer": self.pointer, "detail": self.detail}


class FileError(Exception):
    """A file can't be read; `faults` are all that could be found."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"line {item.line}: {item.detail}" for item in faults))


@dataclass(slots=True)
class Read:
    """What a file says, and in which line each thing stands, by its JSON pointer."""

    value: Any
    lines: dict[str, int] = field(default_factory=dict)

    def line_of(self, pointer: str) -> int:
        """Return the line of a place, or of the nearest thing around it that is in the file."""
        while pointer and pointer not in self.lines:
            pointer = pointer.rpartition("/")[0]
        return self.lines.get(pointer, 1)


def read(raw: bytes) -> Read:
    """Read a file. Raises FileError with every fault."""
    if len(raw) > MAX_BYTES:
        raise FileError([Fault(0, "", f"The file is larger than {MAX_BYTES // 1024 // 1024} MB.")])
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FileError([Fault(line, "", "This is not UTF-8.")]) from error
    reader = _Reader()
    try:
        reader.take(yaml.parse(text, Loader=_PARSER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "This can't be read as YAML"
        reader.faults.append(Fault(mark.line + 1 if mark else 0, "", f"{said[:1].upper()}{said[1:]}."))
    except yaml.YAMLError as error:  # a character that YAML has not
        reader.faults.append(Fault(0, "", " ".join(str(error).split())[:200]))
    except _TooMuchError:
        pass  # it is among the faults
    if reader.faults:
        raise FileError(reader.faults[:MAX_FAULTS])
    return Read(reader.value, reader.lines)


class _TooMuchError(Exception):
    """Reading on is no use."""


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    value: Any
    pointer: str
    key: str | None = None  # of a mapping, while its value is awaited


class _Reader:
    """Builds values from events; keeps no more than one level for each that is open."""

    def __init__(self) -> None:
        self.value: Any = None
        self.lines: dict[str, int] = {}
        self.faults: list[Fault] = []
        self._open: list[_Open] = []
        self._values = 0
        self._documents = 0

    def take(self, events: Iterator[Event]) -> None:
        for event in events:
            if isinstance(event, DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    self._fault(event, "A file is one document: take the line --- out.", is_last=True)
            elif isinstance(event, AliasEvent):
                self._fault(event, "Write it out: aliases (*name) are not read.")
                self._put(None, event)
            elif isinstance(event, ScalarEvent):
                self._check(event)
                if not _STORABLE.fullmatch(event.value):
                    self._fault(event, "NUL and lone surrogates are not read.")
                self._scalar(event)
            elif isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._check(event)
                self._begin({} if isinstance(event, MappingStartEvent) else [], event)
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                self._open.pop()

    def _check(self, event: Any) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            self._fault(event, f"The file has more than {MAX_VALUES:,} values.", is_last=True)
        if event.anchor is not None:
            self._fault(event, "Write it out: anchors (&name) are not read.")
        if event.tag is not None:
            self._fault(event, "Tags (!name) are not read.")

    def _begin(self, value: Any, event: Event) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._fault(event, f"Nested deeper than {MAX_DEPTH} levels.", is_last=True)
        if self._awaits_key():
            self._fault(event, "A key is a text.", is_last=True)
        pointer = self._put(value, event)
        self._open.append(_Open(value, pointer))

    def _scalar(self, event: ScalarEvent) -> None:
        if not self._awaits_key():
            self._put(self._plain(event), event)
            return
        holder = self._open[-1]
        holder.key = str(event.value)
        if holder.key == "<<" and event.implicit[0]:
            self._fault(event, "Write it out: merging (<<) is not read.")
        if holder.key in holder.value:
            self._fault(event, f"The key {holder.key[:60]!r} stands here twice.")
        else:
            self.lines[f"{holder.pointer}/{_escaped(holder.key)}"] = _line(event)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _put(self, value: Any, event: Event) -> str:
        """Put a value where it belongs, and return its pointer."""
        if not self._open:
            self.value = value
            return ""
        holder = self._open[-1]
        if isinstance(holder.value, list):
            pointer = f"{holder.pointer}/{len(holder.value)}"
            self.lines[pointer] = _line(event)
            holder.value.append(value)
            return pointer
        if holder.key is None:
            self._fault(event, "A key is a text.", is_last=True)
        key = holder.key or ""
        holder.key = None
        holder.value.setdefault(key, value)
        return f"{holder.pointer}/{_escaped(key)}"

    def _plain(self, event: ScalarEvent) -> Any:
        text = str(event.value)
        if not event.implicit[0]:
            return text
        if text in ("", "null", "~"):
            return None
        if text in ("true", "false"):
            return text == "true"
        is_number = _INTEGER.fullmatch(text) or _FRACTION.fullmatch(text)
        if is_number and len(text) > MAX_DIGITS:
            self._fault(event, "This number is too long.")
            return None
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FRACTION.fullmatch(text):
            number = float(text)
            if not math.isfinite(number):
                self._fault(event, "This number is too large.")
                return None
            return number
        return text

    def _fault(self, event: Event, detail: str, *, is_last: bool = False) -> None:
        pointer = self._open[-1].pointer if self._open else ""
        self.faults.append(Fault(_line(event), pointer, detail))
        if is_last or len(self.faults) >= MAX_FAULTS:
            raise _TooMuchError


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 0


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
