"""How much of a received body is shown: its beginning, without what looks secret or like somebody's address."""

import json
import re
from typing import Any, Final

from accounts.access import Principal
from accounts.api.json_body import MalformedBodyError, loads
from accounts.errors import NotAllowedError
from accounts.keyring import KeyRingError
from webhooks.incoming.receiving import body_of
from webhooks.incoming.sources import require_to_hold
from webhooks.models import Receipt

MOST_SHOWN: Final = 4096
HIDDEN: Final = "[hidden]"
_NAMES: Final = re.compile(
    r"(?i)pass(?:word|wd|phrase)?|secret|token|otp|api_?key|authorization|cookie|session|jwt|signature|private|"
    r"credential|iban|card|cvc|cvv|ssn"
)
_VALUES: Final = re.compile(
    r"(?i)\b(?:whsec_|whsk_|sk_(?:live|test)_|rk_(?:live|test)_|gh[pousr]_|xox[a-z]-|qk_|qk(?:p[cs]|hs)_)\S+|\beyJ\S{8,}|"
    r"\b(?:bearer|basic)\s+\S+|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"
)
_EMAIL: Final = re.compile(r"[^\s@<>\"',;:]{1,64}@(?=[A-Za-z0-9-]+\.)")


def shown_body(receipt: Receipt, *, by: Principal) -> str | None:
    """Return the beginning of a body as `by` may see it, None once it is erased or can't be opened.

    What it says becomes entries: who is less than the account that writes them would read here what is kept from them
    there. None for them too.
    """
    try:
        require_to_hold(receipt.source, by)
        raw = body_of(receipt)
    except (NotAllowedError, KeyRingError):
        return None
    if not raw:
        return None
    try:
        text = json.dumps(_masked(loads(raw)), indent=1, ensure_ascii=False)
    except MalformedBodyError:
        return None
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _text(name): HIDDEN if _NAMES.search(name) and item is not None else _masked(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    return _EMAIL.sub("…@", _VALUES.sub(HIDDEN, text))
