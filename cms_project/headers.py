"""The headers that every answer carries, whoever made it: pages, API, errors, redirects, 304 and static files.

Outermost of all middleware, so that nothing is answered past it. What the server itself refuses (a head that is none,
or too large) has no body, and no headers of ours.
"""

from typing import Final

from corsheaders.middleware import CorsMiddleware
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from cms_project import api_life
from cms_project.problems import wants_pages

REPORTS: Final = "/api/v1/csp-reports"
CSP: Final = "Content-Security-Policy"
# An answer for programs is no document: what a browser makes of it nevertheless may do nothing.
API_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Every feature that browsers ask this header for, and that no page of ours uses. Passkeys are used: by ourselves alone.
PERMISSIONS: Final = ", ".join(
    [
        *(
            f"{feature}=()"
            for feature in (
                "accelerometer", "autoplay", "browsing-topics", "camera", "display-capture", "encrypted-media",
                "fullscreen", "geolocation", "gyroscope", "magnetometer", "microphone", "midi", "payment",
                "picture-in-picture", "screen-wake-lock", "sync-xhr", "usb", "xr-spatial-tracking",
            )
        ),
        "publickey-credentials-create=(self)",
        "publickey-credentials-get=(self)",
    ]
)  # fmt: skip


class HeadersMiddleware(CSPMiddleware):
    """Adds what is not there yet; a view may say something stricter, or what its page needs (`_csp_update`)."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Answer with the headers."""
        is_page = wants_pages(request) or request.path.startswith(settings.STATIC_URL)
        if not is_page:
            response.headers.setdefault(CSP, API_POLICY)
        super().process_response(request, response)
        for name, value in _fixed().items():
            response.headers.setdefault(name, value)
        if is_page and request.is_secure():
            response.headers.setdefault("Reporting-Endpoints", f'csp="{REPORTS}"')
        if settings.SECURE_HSTS_SECONDS and request.is_secure():
            # Not over http, where it would mean nothing (RFC 6797, section 7.2).
            response.headers.setdefault("Strict-Transport-Security", _hsts())
        # Also where CorsMiddleware stands further in: a script must be able to read why it was refused.
        CorsMiddleware(lambda _: response).add_response_headers(request, response)
        if request.path.startswith(api_life.PREFIX):
            api_life.tell(response)
        return response

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,  # noqa: FBT001, FBT002 (the library's signature)
    ) -> PolicyParts:
        """Name the endpoint of the Reporting API over TLS alone: elsewhere a browser that knows of it tells nothing."""
        parts = super().get_policy_parts(request, response, report_only)
        if request.is_secure():
            parts.update = {**(parts.update or {}), "report-to": ["csp"]}
        return parts


def _fixed() -> dict[str, str]:
    return {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": str(settings.SECURE_REFERRER_POLICY),
        "Cross-Origin-Opener-Policy": str(settings.SECURE_CROSS_ORIGIN_OPENER_POLICY),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": PERMISSIONS,
        "X-Frame-Options": str(settings.X_FRAME_OPTIONS),  # for browsers that know no frame-ancestors
        "X-Permitted-Cross-Domain-Policies": "none",
    }


def _hsts() -> str:
    said = [f"max-age={settings.SECURE_HSTS_SECONDS}"]
    if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
        said.append("includeSubDomains")
    if settings.SECURE_HSTS_PRELOAD:
        said.append("preload")
    return "; ".join(said)
