"""What the last leak probe of a site found, as people read it. What was written may be of any form."""

from collections.abc import Mapping
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString

from previews.models import PreviewSite

# verdict → (the class of its mark, the mark, the word)
VERDICTS: Final = {
    "ok": ("qk-published", "●", "Nothing leaks"),
    "warning": ("qk-changed", "◐", "Look at it"),
    "leak": ("qk-trashed", "✕", "Leaks drafts"),
    "unknown": ("qk-draft", "?", "Not known"),
}
NEVER: Final = ("qk-none", "○", "Not checked yet")
MOST_CHECKS: Final = 50
_LONGEST: Final = 300


def pill_of(site: PreviewSite) -> SafeString:
    """Return the verdict as a mark and a word."""
    return format_html(
        '<span class="qk-pill {}"><span aria-hidden="true">{}</span> {}</span>', *_mark(site.probe)
    )


def told(site: PreviewSite) -> dict[str, Any]:
    """Return what the page of a site shows of its last probe."""
    probe = site.probe
    if not isinstance(probe, Mapping):
        return {"pill": pill_of(site), "at": site.probed_at, "sentence": "", "checks": []}
    checks = probe.get("checks")
    listed = [item for item in checks if isinstance(item, Mapping)] if isinstance(checks, list) else []
    return {
        "pill": pill_of(site),
        "at": site.probed_at,
        "sentence": _text(probe.get("sentence")),
        "checks": [_check(item) for item in listed[:MOST_CHECKS]],
    }


def _mark(probe: object) -> tuple[str, str, str]:
    if probe is None:
        return NEVER
    verdict = probe.get("verdict") if isinstance(probe, Mapping) else None
    return VERDICTS.get(verdict if isinstance(verdict, str) else "", VERDICTS["unknown"])


def _check(item: Mapping[str, Any]) -> dict[str, str]:
    found = item.get("found")
    return {
        "name": _text(item.get("name")),
        "url": _text(item.get("url")),
        "status": _text(item.get("status")),
        "found": ", ".join(_text(part) for part in found[:10]) if isinstance(found, list) else _text(found),
        "sentence": _text(item.get("sentence")),
    }


def _text(value: object) -> str:
    """Return a word, a number or nothing; whatever else there is says nothing to people."""
    return str(value)[:_LONGEST] if isinstance(value, str | int) and not isinstance(value, bool) else ""
