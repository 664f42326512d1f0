"""Addresses: who asks, and the one form in which an e-mail address is kept."""

import ipaddress
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def client_address(request: HttpRequest) -> str:
    """Return the address of the client.

    The outermost middleware has already put the first hop that is no trusted proxy into REMOTE_ADDR and removed
    every forwarding header, so nothing that a client sends can change the answer (CVE-2023-44463).
    """
    return str(_parse(request.META.get("REMOTE_ADDR", "")) or "0.0.0.0")  # noqa: S104 (a unix socket has no peer)


@lru_cache(maxsize=4096)
def callers_network(address: str) -> str:
    """Return what one caller can be taken to hold: an IPv4 address, or the /64 that an IPv6 address is in.

    A subscriber has at least so much, and could take another address for each request. "" for what is no address.
    """
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed or "")


def is_within(address: str, networks: Iterable[Network | str]) -> bool:
    """Tell whether an address lies in one of the networks; one that can't be parsed lies in none."""
    parsed = _parse(address)
    if parsed is None:
        return False
    return any(parsed in (ipaddress.ip_network(item) if isinstance(item, str) else item) for item in networks)


def canonical_email(typed: str) -> str | None:
    """Return the one form in which an e-mail address is kept and looked up, None for one that can't be kept.

    ASCII letters become small. An address that NFKC and case folding would still change (full-width letters,
    `ß`, the Kelvin sign) could be taken for somebody else's and so matches nobody (CVE-2019-19844).
    """
    plain = typed.strip().translate(_ASCII_LOWER)
    if not plain.isprintable() or len(plain) > 254 or plain.count("@") != 1:
        return None
    return plain if unicodedata.normalize("NFKC", plain).casefold() == plain else None


def _parse(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is the same client as 192.0.2.1, and must meet the same networks and limits.
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
