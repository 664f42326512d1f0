"""Which addresses the one HTTP client sends to: URLs by their text, at saving and at each sending, and IP addresses.

A host is written in one way only, in letters, digits and hyphens, so that every reader of the URL takes it for the
same: no escapes, no full-width digits, no numbers that some read as an IPv4 address (threats I6, I7).
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.http.request import validate_host

PORTS: Final = frozenset({443, 8443})
MAX_URL: Final = 2048  # bytes
LONGEST_HOST: Final = 253  # what DNS can carry

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# What a cache in front of us may stand in; link-local is not among them: metadata services answer there.
INSIDE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# Besides `is_global`, which says yes to some of these, and to others in another version of Python.
_DENIED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128",
        "64:ff9b:1::/48", "100::/64", "2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "3fff::/20",
        "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
_MAPPED: Final = ipaddress.ip_network("::ffff:0:0/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?")
_AUTHORITY: Final = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class DestinationError(Exception):
    """An address is none to send to; the text is a sentence for who wrote it."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What a checked URL says: the host in lower case, IPv6 without brackets."""

    scheme: str
    host: str
    port: int
    address: Address | None  # when the host is one
    is_for_loopback: bool  # what is sent may be read on the way, so it must not leave the machine
    networks: tuple[Network, ...]  # those that are reached although they are not public


def url_problem(url: str, *, any_port: bool = False) -> str | None:
    """Return why an address can't be one to send to, by its text alone; None when it may. Nothing is looked up."""
    try:
        destination_of(url, any_port=any_port)
    except DestinationError as error:
        return str(error)
    return None


def destination_of(url: str, *, any_port: bool = False, is_inside: bool = False) -> Destination:
    """Return what an address says. `any_port` is for those that ops wrote: no list holds for them.

    `is_inside` is for those of ops' own network, to which nothing secret is sent: by http too, at private addresses.
    Raises DestinationError.
    """
    # What is printable has no line breaks, tabs, NULs, invisible or lone halves of characters.
    is_plain = len(url) <= MAX_URL and url.isprintable() and not any(sign in url for sign in " \\")
    parts = _URL.fullmatch(url) if is_plain and len(url.encode()) <= MAX_URL else None
    if parts is None:
        raise DestinationError("This is not an address of the form https://name/path.")
    scheme, authority = parts[1].lower(), parts[2]
    if "@" in authority or parts[4] is not None:
        raise DestinationError("No user, password or fragment (#) belongs in an address.")
    if not authority.isascii():
        raise DestinationError("Write the name in its ASCII form (xn--…).")
    pieces = _AUTHORITY.fullmatch(authority)
    if pieces is None or not pieces[1]:
        raise DestinationError("This is not an address of the form https://name/path.")
    host, address = _host(pieces[1].lower())
    is_for_loopback = not is_inside and _check_scheme(scheme, host, address, any_port=any_port)
    if is_inside and scheme not in ("http", "https"):
        raise DestinationError("Only http:// and https:// are possible.")
    port = int(pieces[2]) if pieces[2] else {"https": 443, "http": 80}[scheme]
    if not 1 <= port <= 65535:
        raise DestinationError("The port must be a number from 1 to 65535.")
    networks = allowed_networks()
    if is_inside:
        return Destination(scheme, host, port, address, is_for_loopback, (*networks, *INSIDE))
    if not any_port:
        _check_lists(host, address, port)
    bracketed = f"[{host}]" if address is not None and address.version == 6 else host
    if not settings.ENVIRONMENT.is_development and validate_host(bracketed, settings.ALLOWED_HOSTS):
        raise DestinationError("That is this very server.")
    return Destination(scheme, host, port, address, is_for_loopback, networks)


def address_problem(text: str, *, networks: tuple[Network, ...] | None = None) -> str | None:
    """Return why we don't connect to an IP address, None when it is a public one or in a network that is allowed.

    `networks` unless given: those that ops allow.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not an address"
    return None if is_in(address, allowed_networks() if networks is None else networks) else _problem(address)


def allowed_networks() -> tuple[Network, ...]:
    """Return the networks that are reached although they are not public."""
    networks: tuple[Network, ...] = tuple(settings.EGRESS_ALLOWED_NETWORKS)
    return (*networks, *LOOPBACK) if settings.ENVIRONMENT.is_development else networks


def is_in(address: Address, networks: Iterable[Network]) -> bool:
    """Return whether one of the networks holds the address."""
    return any(address.version == network.version and address in network for network in networks)


def _host(text: str) -> tuple[str, Address | None]:
    try:
        if text.startswith("["):
            address = ipaddress.IPv6Address(text[1:-1])
            if address.scope_id is None:
                return text[1:-1], address
        elif _NUMBER.fullmatch(text.rpartition(".")[2]):
            return text, ipaddress.IPv4Address(text)  # four numbers, without zeros in front
        elif len(text) <= LONGEST_HOST and all(_LABEL.fullmatch(label) for label in text.split(".")):
            return text, None
    except ValueError as error:
        raise DestinationError("The name or IP address in it is not written as it must be.") from error
    raise DestinationError("The name or IP address in it is not written as it must be.")


def _check_scheme(scheme: str, host: str, address: Address | None, *, any_port: bool) -> bool:
    """Return whether what is sent must stay on this machine: http, in development."""
    if scheme == "https":
        return False
    if scheme == "http" and settings.ENVIRONMENT.is_development:
        if any_port:
            return False
        if is_in(address, LOOPBACK) if address else host == "localhost" or host.endswith(".localhost"):
            return True
        raise DestinationError("Only https:// is possible, and http:// for this very machine.")
    raise DestinationError("Only https:// is possible.")


def _check_lists(host: str, address: Address | None, port: int) -> None:
    """Hold the address against what ops allow; the sentences don't tell what that is."""
    ports = settings.EGRESS_ALLOWED_PORTS
    if ports and port not in ports:
        raise DestinationError("This server doesn't send to that port.")
    if not ports and port not in PORTS and not settings.ENVIRONMENT.is_development:
        raise DestinationError("Only the ports 443 and 8443 are possible.")
    hosts = settings.EGRESS_ALLOWED_HOSTS
    name = host if address is None else str(address)
    if hosts and not any(
        name == item or (item.startswith("*.") and address is None and name.endswith(item[1:]))
        for item in hosts
    ):
        raise DestinationError("This server sends only to names that who runs it has listed; this is none.")


def _problem(address: Address) -> str | None:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "an address of one link"
        inner = _embedded(address)
        if inner:
            return next((problem for item in inner if (problem := _problem(item))), None)
    is_special = (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    )
    if is_in(address, _DENIED) or is_special or not address.is_global:
        return "not a public address"
    return None


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that packets to this one really go to: mapped, compatible, NAT64, 6to4, Teredo."""
    if address in _MAPPED or address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    return list(address.teredo or ())
