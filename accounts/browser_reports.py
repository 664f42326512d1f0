"""Reports of browsers about our Content Security Policy: read narrowly, counted, kept in a table that can't grow.

Anybody can send such a report, about anything. So only what could be true is taken (a page of ours, a directive that
exists), each text is cut, queries and credentials are taken out, and the table keeps the newest thousand kinds.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.http.request import validate_host
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.canonical import canonical_bytes
from accounts.errors import NotFoundError
from accounts.log import Subject, record
from accounts.masking import scrub
from accounts.models.csp_report import LONGEST_TEXT, MOST_ROWS, CspReport

MOST_IN_A_BODY: Final = 20
LONGEST_READ: Final = 2_048  # of a text that was sent, before anything is made of it
FORGOTTEN: Final = "csp-report.forgotten"
# Directives of CSP Level 3 and its neighbours; a report about another one is made up.
DIRECTIVES: Final = frozenset(
    {
        "base-uri", "child-src", "connect-src", "default-src", "fenced-frame-src", "font-src", "form-action",
        "frame-ancestors", "frame-src", "img-src", "manifest-src", "media-src", "navigate-to", "object-src",
        "prefetch-src", "require-trusted-types-for", "sandbox", "script-src", "script-src-attr", "script-src-elem",
        "style-src", "style-src-attr", "style-src-elem", "trusted-types", "upgrade-insecure-requests", "worker-src",
    }
)  # fmt: skip
# What stands in place of an address.
WORDS: Final = frozenset(
    {
        "inline", "eval", "wasm-eval", "self", "data", "blob", "about", "filesystem", "trusted-types-policy",
        "trusted-types-sink",
    }
)  # fmt: skip
# Extensions run in pages and are blocked there as they should be: it tells of the reader's browser, not of us.
_NOISE: Final = re.compile(
    r"(?:[a-z-]*-extension|moz-extension|chrome|resource|webkit-masked-url|user-script|safari-web-extension):"
)
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?<=/)[0-9]{1,20}(?=/|$)")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


@dataclass(frozen=True, slots=True)
class Violation:
    """What is kept of one report."""

    directive: str
    blocked: str
    document: str
    source: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(
            canonical_bytes([self.directive, self.blocked, self.document, self.source])
        ).hexdigest()


def of_csp_report(body: object) -> list[Violation]:
    """Read a body of type application/csp-report (CSP Level 2); what is no report of ours is left out."""
    inside = body.get("csp-report") if isinstance(body, dict) else None
    if not isinstance(inside, dict):
        return []
    directive = _text(inside, "effective-directive") or _text(inside, "violated-directive")
    found = _violation(
        directive, _text(inside, "blocked-uri"), _text(inside, "document-uri"), _text(inside, "source-file")
    )
    return [found] if found is not None else []


def of_reports(body: object) -> list[Violation]:
    """Read a body of type application/reports+json (Reporting API): some of its reports, of one type."""
    listed = body[:MOST_IN_A_BODY] if isinstance(body, list) else []
    found = []
    for report in listed:
        inside = report.get("body") if isinstance(report, dict) else None
        if not isinstance(inside, dict) or report.get("type") != "csp-violation":
            continue
        document = _text(inside, "documentURL") or _text(report, "url")
        found.append(
            _violation(
                _text(inside, "effectiveDirective"),
                _text(inside, "blockedURL"),
                document,
                _text(inside, "sourceFile"),
            )
        )
    return [item for item in found if item is not None]


def keep(violations: Iterable[Violation]) -> None:
    """Count them; the ones that were seen longest ago leave when there are too many."""
    now = timezone.now()
    for violation in dict.fromkeys(violations):
        known = CspReport.objects.filter(digest=violation.digest)
        if known.update(count=F("count") + 1, last_seen_at=now):
            continue
        row = CspReport(
            digest=violation.digest,
            directive=violation.directive,
            blocked=violation.blocked,
            document=violation.document,
            source=violation.source,
            first_seen_at=now,
            last_seen_at=now,
        )
        CspReport.objects.bulk_create([row], ignore_conflicts=True)
        kept = CspReport.objects.order_by("-last_seen_at", "-id").values("id")[:MOST_ROWS]
        CspReport.objects.exclude(pk__in=kept).delete()


@transaction.atomic
def forget(report_id: int, *, by: Principal) -> None:
    """Delete one kind of report; when it comes again it is there again. Raises NotFoundError."""
    by.require_area(Area.OPERATIONS)
    by.require_no_lockdown()
    row = CspReport.objects.select_for_update().filter(pk=report_id).first()
    if row is None:
        raise NotFoundError
    row.delete()
    detail = {"directive": row.directive, "count": row.count}
    record(FORGOTTEN, actor=by, subject=Subject("csp-report", str(report_id)), detail=detail)


@transaction.atomic
def forget_all(*, by: Principal) -> int:
    """Delete all of them; return how many there were."""
    by.require_area(Area.OPERATIONS)
    by.require_no_lockdown()
    number, _ = CspReport.objects.all().delete()
    if number:
        record(FORGOTTEN, actor=by, subject=Subject("csp-report", "all"), detail={"kinds": number})
    return number


# --- Reading what was sent ------------------------------------------------------------------------------------------


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return value[:LONGEST_READ].strip() if isinstance(value, str) else ""


def _violation(directive: str, blocked: str, document: str, source: str) -> Violation | None:
    named = directive.partition(" ")[0].lower()
    page = _page(document)
    if named not in DIRECTIVES or page is None:
        return None
    if any(_NOISE.match(text.lower()) for text in (blocked, source)):
        return None
    thing = _blocked(blocked)
    return Violation(named, thing, page, _place(source)) if thing is not None else None


def _page(address: str) -> str | None:
    """Return the path of a page of ours with its ids taken out, None for any other page."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        return None
    return _kept(_ID.sub("{id}", parts.path or "/")) if validate_host(host, settings.ALLOWED_HOSTS) else None


def _blocked(text: str) -> str | None:
    """Return the origin of what was blocked, or the word for it; None for what is neither."""
    word = text.lower().rstrip(":")
    if word in WORDS:
        return word
    if not text:
        return "inline"  # older browsers leave it empty
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    if scheme in ("data", "blob", "filesystem", "about"):
        return scheme
    if scheme not in ("http", "https", "ws", "wss") or not _HOST.fullmatch(host):
        return None
    return _kept(f"{scheme}://{host}" + (f":{port}" if port else ""))


def _place(text: str) -> str:
    """Return origin and path of a script, its word, or "" for what is neither."""
    if text.lower().rstrip(":") in WORDS:
        return text.lower().rstrip(":")
    origin = _blocked(text) if text else None
    if origin is None or "://" not in origin:
        return origin or ""
    return _kept(origin + _ID.sub("{id}", urlsplit(text).path))


def _kept(text: str) -> str:
    plain = "".join(sign for sign in scrub(text) if sign.isprintable())
    return plain[:LONGEST_TEXT]
