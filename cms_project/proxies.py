"""Who the client is behind our own proxies, by the headers of the request: before Django, and in its middleware."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def peer_of(meta: Mapping[str, Any]) -> Address | None:
    """Return who is connected to us, None for a socket that has no address."""
    return _address(str(meta.get("REMOTE_ADDR", "")))


def client_of(meta: Mapping[str, Any]) -> Address | None:
    """Return the first hop, from the right of X-Forwarded-For, that is not a proxy of ours.

    What is left of it is the client's own claim. Without proxies of ours it is the peer.
    """
    found = peer_of(meta)
    hops = [hop.strip() for hop in str(meta.get("HTTP_X_FORWARDED_FOR", "")).split(",") if hop.strip()]
    while hops and found is not None and is_trusted(found):
        hop = _address(hops.pop())
        if hop is None:
            break  # not an address: the nearest proxy that we know is as far as we can see
        found = hop
    return found


def is_trusted(address: Address) -> bool:
    """Tell whether an address is one of our proxies."""
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is the same client as 192.0.2.1, and must not get a second limit
    return getattr(address, "ipv4_mapped", None) or address
