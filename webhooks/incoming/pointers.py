"""Places in JSON: pointers (RFC 6901)."""

import re
from typing import Any, Final

LONGEST: Final = 500
_FORM: Final = re.compile(r"(?:/(?:[^~/\x00-\x1f]|~[01])*)*")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}")


class Missing:
    """What stands at a place that is not there. No JSON value: `null` is one."""


MISSING: Final = Missing()


def is_pointer(text: object) -> bool:
    """Tell whether something is a pointer, of a reasonable length."""
    return isinstance(text, str) and len(text) <= LONGEST and _FORM.fullmatch(text) is not None


def at(pointer: str, value: Any) -> Any:
    """Return what stands at a place, MISSING where there is nothing."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name, MISSING)
        elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return MISSING
    return value
