"""Text as every type takes it: NFC, without control characters and lone surrogates, within a length."""

import re
import unicodedata

import regex

from content.fields.base import FieldError

MAX_LINE = 500  # what can be filtered and indexed
MAX_LONG = 100_000
CODE_POINTS = (
    16  # that one character may be made of, on average; a family of four has seven, with skin tones eleven
)
BYTES = 4  # of UTF-8 that the longest line or text has room for, for each of its characters
MAX_MARKS = 30  # in a row, as in Unicode's stream-safe form (UAX #15)

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# Marks of direction have no breadth: no reader counts them.
_DIRECTIONS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = re.compile("[\t\n\r\x85\u2028\u2029]")


def text_in(value: object, *, lines: bool = False) -> str:
    """Return `value` when it is a text that can be stored; `lines` allows breaks. Raises FieldError."""
    if not isinstance(value, str):
        raise FieldError.at((), "invalid-type", "A text is expected.")
    if _UNSAFE.search(value):
        raise FieldError.at((), "invalid-characters", "Control characters are not allowed.")
    if not lines and _BREAKS.search(value):
        raise FieldError.at((), "invalid-characters", "Line breaks and tabs are not allowed.")
    return value


def normalised(text: str) -> str:
    """Return the text in Unicode's form NFC; raise FieldError for endless stacks of combining marks.

    Normalising sorts each run of marks in quadratic time: 50,000 of them took two seconds.
    """
    if text.isascii():
        return text
    run = 0
    for is_mark in map(unicodedata.combining, text):
        run = run + 1 if is_mark else 0
        if run > MAX_MARKS:
            raise FieldError.at((), "invalid-characters", "Too many combining marks in a row.")
    return unicodedata.normalize("NFC", text)


def within(text: str, low: int, high: int) -> str:
    """Return the text when its length, in code points, is within the limits; raise FieldError."""
    if len(text) > high:
        raise FieldError.at((), "too-long", f"At most {high:,} characters (it has {len(text):,}).")
    if len(text) < low:
        raise FieldError.at((), "too-short", f"At least {low:,} characters (it has {len(text):,}).")
    return text


def characters(text: str) -> int:
    """Return how many characters a reader counts: extended grapheme clusters (Unicode TR 29), as the forms count."""
    if text.isascii() and "\r" not in text:
        return len(text)
    return len(regex.findall(r"\X", _DIRECTIONS.sub("", text)))


def as_read(text: str, low: int, high: int, *, room: int) -> str:
    """Return the text when its length, as readers count, is within the limits; raise FieldError.

    Not more than `room` bytes of UTF-8 either, nor `longest(high, room=room)` code points: marks can be stacked
    on one character without end.
    """
    bound = longest(high, room=room)
    if len(text) > high and (len(text) > bound or (count := characters(text)) > high):
        counted = f"{len(text):,} code points" if len(text) > bound else f"{count:,}"
        raise FieldError.at((), "too-long", f"At most {high:,} characters (it has {counted}).")
    if len(text) * 4 > room and len(text.encode()) > room:
        raise FieldError.at(
            (), "too-long", "Too long to keep: some of its characters take more room than others."
        )
    if low and (count := characters(text)) < low:
        raise FieldError.at((), "too-short", f"At least {low:,} characters (it has {count:,}).")
    return text


def longest(high: int, *, room: int) -> int:
    """Return how many code points a text of so many characters may have, as JSON Schema counts them."""
    return min(CODE_POINTS * high, room)


def one_line(value: object, *, low: int = 0, high: int = MAX_LINE) -> str | None:
    """Return a trimmed line of text within the limits, in code points, None for nothing; raise FieldError."""
    text = _trimmed(value, 4 * high + 100)
    return within(text, low, high) if text else None


def line_as_read(value: object, *, low: int = 0, high: int = MAX_LINE) -> str | None:
    """Return a trimmed line of text within the limits as readers count, None for nothing; raise FieldError."""
    text = _trimmed(value, 4 * BYTES * MAX_LINE)
    return as_read(text, low, high, room=BYTES * MAX_LINE) if text else None


def _trimmed(value: object, most: int) -> str:
    if value is None:
        return ""
    return normalised(within(text_in(value), 0, most)).strip()  # the length before any work is done on it


def unix_lines(text: str) -> str:
    """Return the text with `\\n` for every line break, as browsers send `\\r\\n` from a text area."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
