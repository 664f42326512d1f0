"""Bodies of strangers, read strictly: every limit is checked before anything is read, or built from the bytes."""

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final, Never

from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import APIException

from accounts.errors import Problem

MAX_DEPTH: Final = 32
MAX_CONTAINERS: Final = 20_000  # objects and arrays; a megabyte of {} would cost a second
MAX_NUMBER_LENGTH: Final = 64
# The last quote may be missing: else each quote inside of a text that never ends would be read to the end again.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class BodyTooLargeError(APIException):
    """The body is larger than this endpoint takes (413)."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "body-too-large"
    default_detail = "The body is larger than this endpoint takes."


class MalformedBodyError(APIException):
    """The body is not a JSON value that we take (400); `problem` says where and why."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "malformed-body"

    def __init__(self, code: str, detail: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(detail, code)
        self.problem = Problem.at(path, code, detail)


def read(stream: HttpRequest | IO[bytes], limit: int, *, declared: str | None) -> bytes:
    """Return the bytes of a body, none of one that says it is larger. Raises BodyTooLargeError, MalformedBodyError."""
    said = declared or "0"
    if not (said.isascii() and said.isdecimal()) or len(said) > 12 or int(said) > limit:
        raise BodyTooLargeError
    try:
        body = bytes(stream.read(limit + 1))
    except OSError as error:
        raise MalformedBodyError("cut-off", "The body ended too early.") from error
    if len(body) > limit:
        raise BodyTooLargeError
    return body


class _Repeated(dict[str, Any]):
    """An object in which a key came twice; found again after parsing, to say where."""

    key = ""


def loads(body: bytes) -> Any:
    """Parse bytes strictly. Raises MalformedBodyError with the place (RFC 6901) where there is one."""
    _check_structure(body)
    try:
        text = body.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedBodyError("not-utf-8", f"Byte {error.start} is not UTF-8.") from error
    repeated: list[_Repeated] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        twice = _Repeated(found)
        twice.key = _first_repeated(name for name, _ in pairs)
        repeated.append(twice)
        return twice

    try:
        value = json.loads(
            text, object_pairs_hook=build, parse_constant=_refuse, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise MalformedBodyError(
            "not-json", f"Not JSON at line {error.lineno}, column {error.colno}."
        ) from error
    if repeated:
        place = next((path for path, item in _walk(value) if item is repeated[0]), ())
        # The parser keeps the last of two equal keys, another might keep the first: neither is right.
        raise MalformedBodyError(
            "repeated-key", "The key stands here twice.", (*place, _shown(repeated[0].key))
        )
    if (
        b"\\u" in body
    ):  # only an escape can smuggle these in; raw ones are refused as broken JSON or broken UTF-8
        _check_characters(value)
    return value


def _first_repeated(names: Iterable[str]) -> str:
    """Return the name that comes again the soonest, in linear time: an object may have a hundred thousand of them."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""


def _check_structure(body: bytes) -> None:
    """Refuse deep nesting and masses of containers before anything is built."""
    depth = containers = 0
    for match in _TOKEN.finditer(body):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            containers += 1
            if containers > MAX_CONTAINERS:
                raise MalformedBodyError("too-many-values", f"More than {MAX_CONTAINERS} objects and arrays.")
            if depth > MAX_DEPTH:
                raise MalformedBodyError("too-deep", f"Nested deeper than {MAX_DEPTH} levels.")
        elif first in b"]}":
            depth -= 1


def _check_characters(value: Any) -> None:
    for path, item in _walk(value):
        texts = [item] if isinstance(item, str) else list(item) if isinstance(item, dict) else []
        for text in texts:
            # PostgreSQL can't store NUL, and a lone surrogate can't be encoded: both would be a 500 later.
            if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
                shown = path if text is item else (*path, _shown(text))
                raise MalformedBodyError("bad-character", "NUL and lone surrogates are not allowed.", shown)


def _walk(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield every value inside with its path; the depth is bounded by MAX_DEPTH."""
    todo: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while todo:
        path, item = todo.pop()
        yield path, item
        if isinstance(item, dict):
            todo.extend(((*path, _shown(key)), child) for key, child in item.items())
        elif isinstance(item, list):
            todo.extend(((*path, number), child) for number, child in enumerate(item))


def _shown(key: str) -> str:
    """Return a key as a pointer may hold it: encodable, and not longer than needed."""
    return key.encode("utf-8", errors="replace").decode("utf-8").replace("\x00", "?")[:100]


def _refuse(name: str) -> Never:
    raise MalformedBodyError("not-a-number", f"{name} is not JSON.")


def _float(text: str) -> float:
    number = float(text) if len(text) <= MAX_NUMBER_LENGTH else math.inf
    if not math.isfinite(number):
        raise MalformedBodyError("number-too-large", "A number is too large or too long.")
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise MalformedBodyError("number-too-large", "A number is too large or too long.")
    return int(text)
