"""Who else is told or shown something: webhook receivers, preview sites, private networks."""

import ipaddress
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from accounts.destinations import address_problem
from accounts.models.alert import Severity
from cms_project.security_check.check import Check, Found, strict
from previews.models import PreviewSite
from webhooks.models import Endpoint

LATELY: Final = timedelta(days=7)


def webhooks() -> Iterator[Found]:
    """Look at where events go."""
    for endpoint in Endpoint.objects.exclude(state=Endpoint.State.DISABLED).order_by("name"):
        parts = urlsplit(endpoint.url)
        host = parts.hostname or ""
        if parts.scheme != "https":
            yield Found(f"{endpoint.name} is told by http://.", strict(Severity.CRITICAL))
        if _is_private(host):
            yield Found(f"{endpoint.name} stands on a private network.", strict(Severity.WARNING))


def receivers() -> Iterator[Found]:
    """Look for receivers that were never shown to check signatures."""
    for endpoint in Endpoint.objects.filter(state=Endpoint.State.ACTIVE).order_by("name"):
        checked: Any = endpoint.conformance
        if not isinstance(checked, dict) or "passed" not in checked:
            yield Found(f"{endpoint.name} was never checked.")
        elif not checked["passed"]:
            yield Found(f"{endpoint.name} takes requests that it should refuse.", Severity.WARNING)


def egress() -> Iterator[Found]:
    """Look at which private networks may be reached from here."""
    for network in settings.EGRESS_ALLOWED_NETWORKS:
        yield Found(f"EGRESS_ALLOWED_NETWORKS opens {network}.")


def preview_sites() -> Iterator[Found]:
    """Look at where drafts are shown."""
    for site in _sites():
        for origin in site.origins:
            parts = urlsplit(str(origin))
            if parts.scheme != "https":
                is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
                severity = Severity.NOTICE if is_local and settings.ENVIRONMENT.is_development else None
                yield Found(f"{site.name} is shown at {origin}, without TLS.", severity)


def leaks() -> Iterator[Found]:
    """Look at what the leak probe found."""
    before = timezone.now() - LATELY
    for site in _sites():
        verdict = site.probe.get("verdict") if isinstance(site.probe, dict) else None
        if verdict == "leak":
            yield Found(f"{site.name} gives drafts away.", Severity.CRITICAL)
        elif verdict == "warning":
            yield Found(f"{site.name} answers for pages that are not published.")
        elif site.probed_at is None or site.probed_at < before or verdict != "ok":
            yield Found(f"Nothing is proven of {site.name} within a week.", Severity.NOTICE)


def _sites() -> list[PreviewSite]:
    return list(PreviewSite.objects.filter(state=PreviewSite.State.ACTIVE).order_by("name"))


def _is_private(host: str) -> bool:
    """Tell whether a host is an address that is not public, also one that ops allow."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False  # a name
    return address_problem(host, networks=()) is not None


CHECKS: Final = (
    Check("webhooks", "Webhooks leave by TLS, to the outside", Severity.CRITICAL,
          "Give the endpoint an https:// address.", webhooks, page="webhooks_endpoint_changelist"),
    Check("webhook-receivers", "Receivers check what they are sent", Severity.NOTICE,
          "Check the receiver on the endpoint's page.", receivers, page="webhooks_endpoint_changelist"),
    Check("egress", "Private networks are out of reach", Severity.NOTICE,
          "List single addresses in EGRESS_ALLOWED_NETWORKS, or none.", egress),
    Check("preview-sites", "Preview sites use TLS", Severity.CRITICAL,
          "Give the site https:// origins.", preview_sites, page="previews_previewsite_changelist"),
    Check("preview-leaks", "Preview sites keep drafts", Severity.WARNING,
          "Run the leak probe on the site's page and follow its findings.", leaks,
          page="previews_previewsite_changelist"),
)  # fmt: skip
