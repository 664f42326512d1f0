"""The one HTTP client of the house. Whatever leaves for an address that somebody typed goes through here.

One look-up; every answer must be public, by ssrfguard's table and by our own; the connection goes to the very address
that was checked. No redirects, no proxies, no netrc; TLS is verified; one deadline for all of it, name and handshake
included; the answer is read up to a bound and never unpacked. What went wrong is not told to who chose the address:
a closed port, an internal host and a name that does not exist look alike (threats I1 to I13, section 5.1).
"""

import contextlib
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpcore
import httpx
from django.conf import settings
from ssrfguard import Policy, SSRFGuardError
from ssrfguard.httpx import Client, SafeBackend, SafeTransport

logger = logging.getLogger("quillkeep.egress")

DEADLINE: Final = 10.0  # seconds, for everything
MAX_BYTES: Final = 64 * 1024
PORTS: Final = frozenset({443, 8443})
MAX_URL: Final = 2048
USER_AGENT: Final = "Quillkeep"
_SLICE: Final = 16 * 1024

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK: Final = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
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


class EgressError(Exception):
    """Nothing came of it. The text is the same for every cause; `reason` is for ops' log alone."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("The address could not be reached, or did not answer as it must.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the beginning of the body up to the bound."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    deadline: float = DEADLINE,
    max_bytes: int = MAX_BYTES,
    any_port: bool = False,
) -> Answer:
    """Send a POST and return the answer, whatever its status. Raises EgressError.

    `any_port` is for addresses that ops wrote into the environment.
    """
    return _send("POST", url, body, headers, deadline=deadline, max_bytes=max_bytes, any_port=any_port)


def get(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    deadline: float = DEADLINE,
    max_bytes: int = MAX_BYTES,
    any_port: bool = False,
) -> Answer:
    """Fetch an address; like `post`."""
    return _send("GET", url, None, headers or {}, deadline=deadline, max_bytes=max_bytes, any_port=any_port)


def url_problem(url: str, *, any_port: bool = False) -> str | None:
    """Return why an address can't be one to send to, by its text alone; None when it may. Nothing is looked up."""
    try:
        _check_url(url, any_port=any_port)
    except EgressError as error:
        return error.reason
    return None


def address_problem(text: str) -> str | None:
    """Return why we don't connect to an IP address, None when it is a public one or ops allow its network."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "not an address"
    if any(address.version == network.version and address in network for network in _allowed()):
        return None
    return _problem(address)


def _problem(address: Address) -> str | None:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return "an address of one link"
        inner = _embedded(address)
        if inner:
            return next((problem for item in inner if (problem := _problem(item))), None)
    if any(address.version == network.version and address in network for network in _DENIED):
        return "not a public address"
    is_special = (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    )
    return None if address.is_global and not is_special else "not a public address"


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that packets to this one really go to: mapped, compatible, NAT64, 6to4, Teredo."""
    if address in _MAPPED or address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    if address.sixtofour is not None:
        return [address.sixtofour]
    return list(address.teredo or ())


def _allowed() -> tuple[Network, ...]:
    networks: tuple[Network, ...] = tuple(settings.EGRESS_ALLOWED_NETWORKS)
    return (*networks, *_LOOPBACK) if settings.ENVIRONMENT.is_development else networks


# Sending


def _send(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    deadline: float,
    max_bytes: int,
    any_port: bool,
) -> Answer:
    ends_at = time.monotonic() + deadline
    parsed = _check_url(url, any_port=any_port)
    policy = Policy(
        allowed_schemes=_schemes(),
        allowed_ports=frozenset({_port(parsed)}),
        allowed_networks=_allowed(),
        max_redirects=1,  # so that a redirect is an answer; the client below goes nowhere
        max_url_length=MAX_URL,
    )
    sent = {**headers, "Accept-Encoding": "identity", "User-Agent": USER_AGENT}
    transport = _Transport(policy, ends_at)
    try:
        with (
            Client(
                transport=transport, trust_env=False, follow_redirects=False, timeout=httpx.Timeout(deadline)
            ) as client,
            client.stream(method, parsed, content=body, headers=sent) as response,
        ):
            content = bytearray()
            for chunk in response.iter_raw(_SLICE):
                content += chunk
                if len(content) > max_bytes:
                    raise EgressError("the answer is too large")
                if time.monotonic() > ends_at:
                    raise EgressError("the deadline has passed")
            return Answer(response.status_code, dict(response.headers), bytes(content))
    except (SSRFGuardError, httpx.HTTPError, httpcore.NetworkError, OSError, ValueError) as error:
        reason = f"{type(error).__name__}"
        # The host alone: a path or a query may hold a token of the receiver.
        logger.warning("Nothing came of a request to %s: %s.", parsed.host, reason)
        raise EgressError(reason) from error


def _check_url(url: str, *, any_port: bool) -> httpx.URL:
    if len(url) > MAX_URL or not url.isprintable() or any(sign in url for sign in " \\"):
        raise EgressError("not an address")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise EgressError("not an address") from error
    if parsed.scheme not in _schemes() or not parsed.host:
        raise EgressError("only https:// is possible")
    if parsed.port == 0:
        raise EgressError("not an address")
    if parsed.userinfo or parsed.fragment:
        raise EgressError("no user, password or fragment belongs in it")
    if not any_port and not settings.ENVIRONMENT.is_development and _port(parsed) not in PORTS:
        raise EgressError("only the ports 443 and 8443 are possible")
    own = {host.lower().strip("[]") for host in settings.ALLOWED_HOSTS}
    if not settings.ENVIRONMENT.is_development and parsed.host.lower().rstrip(".") in own:
        raise EgressError("that is this very server")
    return parsed


def _schemes() -> frozenset[str]:
    return frozenset({"https", "http"} if settings.ENVIRONMENT.is_development else {"https"})


def _port(url: httpx.URL) -> int:
    standard = 443 if url.scheme == "https" else 80
    return standard if url.port is None else url.port


def _tls() -> ssl.SSLContext:
    context = httpx.create_ssl_context(verify=True, trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Transport(SafeTransport):
    """ssrfguard's transport, on a pool whose streams know the deadline."""

    def __init__(self, policy: Policy, ends_at: float) -> None:
        context = _tls()
        super().__init__(policy=policy, verify=context, trust_env=False, http2=False, retries=0)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=1,
            max_keepalive_connections=0,
            http1=True,
            http2=False,
            retries=0,
            network_backend=_Backend(policy, ends_at),
        )


class _Backend(SafeBackend):
    """Connects to what was checked, within the deadline."""

    def __init__(self, policy: Policy, ends_at: float) -> None:
        super().__init__(policy=policy, resolver=self._look_up)
        self._ends_at = ends_at

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the deadline is what counts)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._ends_at, httpcore.ConnectTimeout)
        # ssrfguard tries several answers, each for that long.
        each = left / max(1, self.policy.max_connection_attempts)
        stream = super().connect_tcp(host, port, each, local_address, socket_options)
        return _Stream(stream, self._ends_at)

    def _look_up(self, host: str, port: int, *arguments: Any) -> list[Any]:
        """Ask the resolver once, in a thread that may be left behind; the second guard looks at every answer."""
        found: list[Any] = []
        failed: list[OSError] = []

        def ask() -> None:
            try:
                found.extend(socket.getaddrinfo(host, port, *arguments))
            except OSError as error:
                failed.append(error)
            except UnicodeError:
                failed.append(socket.gaierror("not a name"))

        thread = threading.Thread(target=ask, name="egress-look-up", daemon=True)
        thread.start()
        thread.join(_left(self._ends_at, httpcore.ConnectTimeout))
        if failed:
            raise failed[0]
        if thread.is_alive() or not found:
            raise httpcore.ConnectTimeout("The name was not resolved in time.")
        for answer in found:
            if address_problem(str(answer[4][0])) is not None:
                raise httpcore.ConnectError("An answer of the name is not a public address.")
        return found


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at one deadline: a server that drips a byte a second gains nothing."""

    def __init__(self, inner: httpcore.NetworkStream, ends_at: float) -> None:
        self._inner = inner
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._inner.read(max_bytes, _left(self._ends_at, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        for start in range(0, len(buffer), _SLICE):
            self._inner.write(buffer[start : start + _SLICE], _left(self._ends_at, httpcore.WriteTimeout))

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(
            ssl_context, server_hostname, _left(self._ends_at, httpcore.ConnectTimeout)
        )
        return _Stream(inner, self._ends_at)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(ends_at: float, error: type[httpcore.TimeoutException]) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise error("The deadline has passed.")
    return left
