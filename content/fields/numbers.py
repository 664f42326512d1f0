"""Numbers as every type takes them: exact, finite, and safe for JSON readers."""

import re
from decimal import Decimal

from content.fields.base import FieldError

MAX_INTEGER = 2**53 - 1  # what every JSON reader holds exactly (RFC 7493, section 2.2)
MAX_DIGITS = 30
MAX_PLACES = 10

_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(?:\.[0-9]{1,40})?")


def integer_in(value: object) -> int:
    """Return a whole number within ±(2^53 - 1); a bool, a float and a text are none. Raises FieldError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError.at((), "invalid-type", "A whole number is expected.")
    if abs(value) > MAX_INTEGER:
        raise FieldError.at((), "out-of-range", f"From {-MAX_INTEGER:,} to {MAX_INTEGER:,}.")
    return value


def decimal_in(value: object) -> Decimal:
    """Return a number of at most 30 digits, 10 of them after the point; texts and JSON numbers are read.

    Texts with an exponent are refused: `1e999999` is eight bytes that grow to a million (CVE-2020-15225).
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if abs(value) >= 10**MAX_DIGITS or value != value:
            raise FieldError.at((), "out-of-range", f"At most {MAX_DIGITS} digits.")
        number = Decimal(repr(value))
    elif isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > MAX_DIGITS:
            raise FieldError.at((), "out-of-range", f"At most {MAX_DIGITS} digits.")
        number = value
    elif isinstance(value, str) and len(value) <= 100 and _DECIMAL.fullmatch(value.strip()):
        number = Decimal(value.strip())
    else:
        raise FieldError.at((), "invalid-type", "A number such as 12 or 12.5 is expected.")
    text = decimal_text(number)
    whole, _, places = text.lstrip("-").partition(".")
    if len(places) > MAX_PLACES:
        raise FieldError.at((), "too-precise", f"At most {MAX_PLACES} digits after the point.")
    if len(whole) + len(places) > MAX_DIGITS:
        raise FieldError.at((), "out-of-range", f"At most {MAX_DIGITS} digits.")
    return Decimal(text)


def decimal_text(number: Decimal) -> str:
    """Return the one plain spelling of a number: `12.50` is `12.5`, `-0` is `0`, and there is no exponent."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
