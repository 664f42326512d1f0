"""The client's address: forwarding headers count only from our own proxies, for the hop they saw."""

import ipaddress
from typing import Any

import pytest
from django.test import RequestFactory

from cms_project.middleware import resolve_client

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))


def resolved(settings: Any, peer: str, trusted: tuple[Any, ...] = PROXIES, **headers: Any) -> Any:
    settings.TRUSTED_PROXIES = trusted
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **headers)
    resolve_client(request)
    return request


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # a stranger may say what it likes
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),  # the left part is the client's own claim
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.7", "10.0.0.9"),
        ("10.0.0.1", "198.51.100.1, canary", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "2606:4700::1", "2606:4700::1"),
        ("", "198.51.100.1", "0.0.0.0"),  # noqa: S104
    ],
)
def test_the_first_hop_that_is_not_ours_is_the_client(
    settings: Any, peer: str, forwarded: str, client: str
) -> None:
    assert resolved(settings, peer, HTTP_X_FORWARDED_FOR=forwarded).META["REMOTE_ADDR"] == client


def test_without_trusted_proxies_every_header_is_ignored(settings: Any) -> None:
    request = resolved(
        settings, "10.0.0.1", (), HTTP_X_FORWARDED_FOR="1.2.3.4", HTTP_X_FORWARDED_PROTO="https"
    )
    assert request.META["REMOTE_ADDR"] == "10.0.0.1"
    assert not request.is_secure()
    assert resolved(settings, "10.0.0.1", HTTP_X_FORWARDED_PROTO="https").is_secure()


def test_nothing_after_this_can_be_fooled_by_the_headers(settings: Any) -> None:
    names = (
        "HTTP_X_FORWARDED_FOR",
        "HTTP_X_FORWARDED_HOST",
        "HTTP_FORWARDED",
        "HTTP_X_REAL_IP",
        "HTTP_X_REQUEST_ID",
    )
    headers: dict[str, Any] = dict.fromkeys(names, "1.2.3.4")
    request = resolved(settings, "10.0.0.1", **headers)
    assert not set(names) & set(request.META)
