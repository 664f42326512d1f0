"""Whether what travels is encrypted: to us, and from us to the servers that we stand on."""

import ipaddress
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from accounts.models.alert import Severity
from cms_project.security_check.check import Check, Found, strict

YEAR: Final = 31_536_000
VERIFIED: Final = frozenset({"verify-ca", "verify-full"})  # `require` encrypts, to whoever answers


def https() -> Iterator[Found]:
    """Look at the address of the house, and at what happens to http."""
    if urlsplit(settings.PUBLIC_URL).scheme != "https":
        yield Found(
            "PUBLIC_URL is http://: passwords and sessions are readable on the way.",
            strict(Severity.CRITICAL),
        )
    if not settings.SECURE_SSL_REDIRECT:
        yield Found("Requests by http:// are answered.", strict(Severity.CRITICAL))


def hsts() -> Iterator[Found]:
    """Look at Strict-Transport-Security (RFC 6797)."""
    if settings.SECURE_HSTS_SECONDS < YEAR:
        yield Found(
            f"max-age is {settings.SECURE_HSTS_SECONDS} seconds; a year is the least.",
            strict(Severity.WARNING),
        )
    for name, said in (
        ("SECURE_HSTS_INCLUDE_SUBDOMAINS", "includeSubDomains"),
        ("SECURE_HSTS_PRELOAD", "preload"),
    ):
        if not getattr(settings, name):
            yield Found(f"{said} is missing.", strict(Severity.WARNING))


def proxies() -> Iterator[Found]:
    """Look at how many addresses may say who the client is."""
    for network in settings.TRUSTED_PROXIES:
        if network.num_addresses > 2**16 and (network.version == 4 or network.prefixlen < 48):
            yield Found(f"TRUSTED_PROXIES holds {network}: each of those addresses may claim to be anybody.")


def servers() -> Iterator[Found]:
    """Look at the connections to PostgreSQL and Valkey that leave this machine."""
    for alias, config in settings.DATABASES.items():
        if not _is_near(str(config.get("HOST", ""))) and config["OPTIONS"].get("sslmode") not in VERIFIED:
            yield Found(
                f"The connection {alias} to PostgreSQL leaves this machine without sslmode=verify-full."
            )
    for name, url in (("VALKEY_URL", settings.VALKEY_URL), ("CELERY_BROKER_URL", settings.CELERY_BROKER_URL)):
        parts = urlsplit(url)
        if parts.scheme == "redis" and not _is_near(parts.hostname or ""):
            yield Found(f"{name} leaves this machine without TLS (rediss://).")


def metrics() -> Iterator[Found]:
    """Look at who reads metrics without a credential."""
    for network in settings.METRICS_ALLOWED_NETWORKS:
        if network.is_global or not (network.is_private or network.is_loopback):
            yield Found(f"METRICS_ALLOWED_NETWORKS holds the public network {network}.")


def stream() -> Iterator[Found]:
    """Look at how events travel to the SIEM."""
    target: Any = settings.AUDIT_STREAM_TO
    if target is not None and target.kind in ("udp", "tcp") and not _is_near(target.host):
        yield Found(
            f"AUDIT_STREAM_TO sends the log by {target.kind}, readable on the way: use syslog+tls://."
        )


def _is_near(host: str) -> bool:
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


CHECKS: Final = (
    Check("https", "Requests are encrypted", Severity.CRITICAL,
          "Put TLS in front and set PUBLIC_URL to its https:// address.", https),
    Check("hsts", "Browsers insist on TLS", Severity.WARNING,
          "Leave the settings as they come: two years, subdomains, preload.", hsts),
    Check("trusted-proxies", "Few may say who the client is", Severity.WARNING,
          "List the addresses of your own proxies, nothing wider.", proxies),
    Check("server-connections", "Connections to servers are encrypted", Severity.WARNING,
          "Add ?sslmode=verify-full to the database URLs and use rediss://, or keep the servers on this machine.",
          servers),
    Check("metrics-networks", "Metrics are for the inside", Severity.WARNING,
          "Name private networks only, or scrape with an API key.", metrics),
    Check("stream-transport", "The log travels encrypted", Severity.WARNING,
          "Send it by syslog+tls://, with ?ca= for an authority of your own.", stream),
)  # fmt: skip
