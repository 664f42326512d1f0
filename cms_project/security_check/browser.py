"""What browsers are told: cookies, cross-origin rules, the Content Security Policy."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from csp.constants import NONCE, NONE
from django.conf import settings
from django.utils import timezone

from accounts.models.alert import Severity
from accounts.models.csp_report import CspReport
from cms_project.security_check.check import Check, Found, strict

LATELY: Final = timedelta(days=7)
HEADERS: Final = "cms_project.headers.HeadersMiddleware"
UNSAFE: Final = ("'unsafe-", "*", "http:", "https:", "data:")
SCRIPTS: Final = ("default-src", "script-src", "script-src-elem", "object-src", "base-uri")


def cookies() -> Iterator[Found]:
    """Look at the two cookies that a session hangs on."""
    for name in ("SESSION_COOKIE", "CSRF_COOKIE"):
        if not getattr(settings, f"{name}_HTTPONLY"):
            yield Found(f"Scripts may read {name}.")
        if getattr(settings, f"{name}_SAMESITE") not in ("Lax", "Strict"):
            yield Found(f"Other sites send {name} along (SameSite).")
        if not getattr(settings, f"{name}_SECURE"):
            yield Found(f"{name} is sent without TLS.", strict(Severity.CRITICAL))
        elif not str(getattr(settings, f"{name}_NAME")).startswith("__Host-"):
            yield Found(f"{name} lacks the prefix __Host-, so a subdomain can plant it.", Severity.WARNING)


def cors() -> Iterator[Found]:
    """Look at which sites' scripts may read answers."""
    if getattr(settings, "CORS_ALLOW_ALL_ORIGINS", False) or getattr(
        settings, "CORS_ALLOWED_ORIGIN_REGEXES", ()
    ):
        yield Found("Origins are allowed by a wildcard or a pattern.")
    if settings.CORS_ALLOW_CREDENTIALS:
        yield Found("Scripts of other sites may send cookies.")
    for origin in settings.CORS_ALLOWED_ORIGINS:
        if origin == "null" or "*" in origin:
            yield Found(f"{origin} is no origin: anybody has it.")
        elif not origin.startswith("https://"):
            yield Found(f"{origin} can be imitated by who is on the way.", strict(Severity.WARNING))


def csp() -> Iterator[Found]:
    """Look at the policy of our pages."""
    policy: dict[str, Any] = settings.CONTENT_SECURITY_POLICY
    said = {name: [str(item) for item in values] for name, values in policy["DIRECTIVES"].items()}
    for name in SCRIPTS:
        for item in said.get(name, ()):
            if item != str(NONCE) and item.startswith(UNSAFE):
                yield Found(f"{name} allows {item}.")
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        if said.get(name) != [str(NONE)]:
            yield Found(f"{name} is not 'none'.", Severity.WARNING)
    if "report-uri" not in said:
        yield Found("Violations are not reported.", Severity.WARNING)
    if policy.get("EXCLUDE_URL_PREFIXES"):
        yield Found("Some paths have no policy.")


def headers() -> Iterator[Found]:
    """Look at whether every answer passes the place that adds the headers."""
    if list(settings.MIDDLEWARE[:1]) != [HEADERS]:
        yield Found(f"{HEADERS} is not the outermost middleware.")


def reports() -> Iterator[Found]:
    """Look at what browsers have reported lately."""
    number = CspReport.objects.filter(last_seen_at__gte=timezone.now() - LATELY).count()
    if number:
        yield Found(
            f"Browsers reported {number} kind{'' if number == 1 else 's'} of violation within a week."
        )


CHECKS: Final = (
    Check("cookies", "Cookies stay where they belong", Severity.CRITICAL,
          "Leave the cookie settings as they come.", cookies),
    Check("cors", "Only named sites read by script", Severity.CRITICAL,
          "List exact https:// origins in CORS_ALLOWED_ORIGINS.", cors),
    Check("csp", "Pages run our scripts alone", Severity.CRITICAL,
          "Leave the policy as it comes; a script of yours belongs in a file of its own.", csp),
    Check("headers", "Every answer carries the headers", Severity.CRITICAL,
          "Put HeadersMiddleware first in MIDDLEWARE.", headers),
    Check("csp-reports", "Browsers report nothing", Severity.NOTICE,
          "See what was blocked. If it is not a reader's own extension, somebody put markup into a page.", reports,
          page="csp-reports"),
)  # fmt: skip
