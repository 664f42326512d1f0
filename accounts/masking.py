"""Takes credentials out of texts that are kept: lines of the log, and answers of other people's servers."""

import re
from collections.abc import Callable
from typing import Final

MASK: Final = "[hidden]"
SENSITIVE_NAMES: Final = (
    r"pass(?:word|wd|phrase)?|secret(?:_?key)?|client_secret|webhook_secret|token|access|refresh|otp|"
    r"totp_secret|api_?key|authorization|cookie|set-cookie|session(?:id)?|"
    r"csrf(?:token|middlewaretoken)?|jwt|signature|key_ring|private_?key"
)
# Whoever writes a text chooses what each rule looks through, a stranger's path in the log too: none may start from
# many places and look far from each. What stands before a name is not looked at, since it is kept in any case.
_RULES: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    # Our API keys, webhook secrets and JSON web tokens look like nothing else.
    (re.compile(r"qk_[A-Za-z0-9]+_[A-Za-z0-9_-]+"), MASK),
    (re.compile(r"qk(?:p[cs]|hs)_[A-Za-z0-9_-]+"), MASK),  # codes and secrets of previews, secrets of sources
    (re.compile(r"\bhv[sbr]\.[A-Za-z0-9_-]+"), MASK),  # tokens of Vault
    (re.compile(r"wh(?:sec|sk)_[A-Za-z0-9+/=_-]+"), MASK),
    # Signatures of Standard Webhooks, in answers that repeat what was sent: good for minutes, and for one body.
    (re.compile(r"(?i)\b(v1a?(?:,|%2C))[A-Za-z0-9+/\\%_-]{40,}={0,2}"), rf"\1{MASK}"),
    (
        re.compile(r"eyJ[A-Za-z0-9_-]{4,}+((?:\.[A-Za-z0-9_-]*){1,4})?"),
        lambda match: MASK if match[1] is not None else match[0],
    ),
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)(\s+|%20|\+)[^\s\"',;]+"), rf"\1 {MASK}"),
    (re.compile(r"\$?argon2(?:id|i|d)\$[^\s\"']+"), MASK),
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
        MASK,
    ),
    # user:password@ of a URL
    (re.compile(r"(://[^\s:/@\"']*):[^\s/\"']*@"), rf"\1:{MASK}@"),
    # Cookie: a=b; c=d, to the end of the line
    (re.compile(r"(?i)\b((?:set-)?cookie\s*[:=]\s*)[^\r\n]+"), rf"\1{MASK}"),
    # name=value, name: value, 'name': 'value', quoted values with their blanks
    (
        re.compile(
            rf"(?i)(?<![A-Za-z])((?:{SENSITIVE_NAMES})\d{{0,2}}[\"']?\s*(?:=|:|%3D)\s*)"
            r"(?:\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?|[^\s\"',;&}\)\]]+)"
        ),
        rf"\1{MASK}",
    ),
)


def scrub(text: str) -> str:
    """Return the text without credentials, whatever form they came in."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
