"""Text as every type takes it: NFC, without control characters and lone surrogates, within a length."""

import re
import unicodedata

from content.fields.base import FieldError

MAX_LINE = 500  # what can be filtered and indexed
MAX_LONG = 100_000
MAX_MARKS = 30  # in a row, as in Unicode's stream-safe form (UAX #15)

_UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
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


def one_line(value: object, *, low: int = 0, high: int = MAX_LINE) -> str | None:
    """Return a trimmed line of text within the limits, None for nothing; raise FieldError."""
    if value is None:
        return None
    text = text_in(value)
    within(text, 0, 4 * high + 100)  # before any work is done on it
    text = normalised(text).strip()
    return within(text, low, high) if text else None


def unix_lines(text: str) -> str:
    """Return the text with `\\n` for every line break, as browsers send `\\r\\n` from a text area."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
