"""The one HTTP client of the house. Whatever leaves for an address that somebody typed goes through here.

One look-up; every answer must be public, by ssrfguard's table and by our own; the connection goes to the very address
that was checked, and its peer is compared. No redirects, no proxies, no netrc; TLS is verified; one deadline for all
of it, name and handshake included; the answer is read up to a bound and never unpacked. What went wrong is not told to
who chose the address, neither by words nor by time: a closed port, an internal host and a name that does not exist
look alike (threats I1 to I13, section 5.1).
"""

import contextlib
import functools
import ipaddress
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import certifi
import httpcore
import httpx
from django.conf import settings
from ssrfguard import Policy, SSRFGuardError
from ssrfguard.httpx import SafeBackend, SafeTransport

from accounts.destinations import (
    LOOPBACK,
    MAX_URL,
    Address,
    Destination,
    DestinationError,
    Network,
    address_problem,
    destination_of,
    is_in,
    url_problem,
)

__all__ = ["Answer", "EgressError", "address_problem", "get", "post", "purge", "url_problem"]

logger = logging.getLogger("quillkeep.egress")

DEADLINE: Final = 10.0  # seconds, for everything
MAX_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 * 1024  # of names and values together
USER_AGENT: Final = "Quillkeep"
_SLICE: Final = 16 * 1024
_AROUND: Final = 128 * 1024  # what may come besides the body: the head, interim answers, the marks of chunks
_FAILURES: Final = (
    SSRFGuardError,
    httpx.HTTPError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    OSError,
    ValueError,
)


class EgressError(Exception):
    """Nothing came of it. The text is the same for every cause; `reason` is for ops' log alone.

    `shown_at` (of `time.monotonic`) is when the deadline ends. Who tells somebody who chose the address waits until
    then: what takes less long than a silent host tells that something refused (CVE-2025-9862).
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.shown_at = 0.0
        super().__init__("The address could not be reached, or did not answer as it must.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, and the beginning of the body up to the bound; `is_cut` when there was more."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How long, how much, and whether more than that is left unread or an error."""

    ends_at: float
    max_bytes: int
    cut: bool


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    deadline: float = DEADLINE,
    max_bytes: int = MAX_BYTES,
    any_port: bool = False,
    cut: bool = False,
    patient: bool = False,
) -> Answer:
    """Send a POST and return the answer, whatever its status. Raises EgressError.

    `any_port` is for addresses that ops wrote into the environment: the lists don't hold for them. With `cut` the
    status counts: a body that is longer than `max_bytes`, or breaks off, or is not through by the deadline, is left
    unread. With `patient` a failure is raised at the deadline, not before.
    """
    bounds = _Bounds(time.monotonic() + deadline, max_bytes, cut)
    return _send("POST", url, body, headers, bounds=bounds, any_port=any_port, patient=patient)


def get(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    deadline: float = DEADLINE,
    max_bytes: int = MAX_BYTES,
    any_port: bool = False,
    cut: bool = False,
    patient: bool = False,
) -> Answer:
    """Fetch an address; like `post`."""
    bounds = _Bounds(time.monotonic() + deadline, max_bytes, cut)
    return _send("GET", url, None, headers or {}, bounds=bounds, any_port=any_port, patient=patient)


def purge(url: str, *, headers: Mapping[str, str], deadline: float) -> Answer:
    """Send a PURGE to a cache in front of us and return the answer, whatever its status. Raises EgressError.

    Only for addresses of `PURGE_URLS`. Such a cache stands in the private network beside us and often speaks http
    alone. That ops name it there is the allowance: `EGRESS_ALLOWED_NETWORKS` would open the network to every address
    that somebody types for a webhook. Nothing that is sent is secret.
    """
    bounds = _Bounds(time.monotonic() + deadline, MAX_BYTES, cut=True)
    return _send("PURGE", url, None, headers, bounds=bounds, any_port=True, is_inside=True)


# Sending


def _send(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    bounds: _Bounds,
    any_port: bool,
    patient: bool = False,
    is_inside: bool = False,
) -> Answer:
    host = "an address that is refused"
    try:
        try:
            destination = destination_of(url, any_port=any_port, is_inside=is_inside)
        except DestinationError as error:
            raise EgressError(str(error).rstrip(".")) from error
        host = destination.host
        return _exchange(_request(method, url, body, headers, destination), destination, bounds)
    except EgressError as error:
        # The host alone: a path or a query may hold a token of the receiver.
        logger.warning("Nothing came of a request to %s: %s.", host, error.reason)
        now = time.monotonic()
        error.shown_at = now if settings.ENVIRONMENT.is_development else bounds.ends_at
        if patient:
            time.sleep(max(0.0, error.shown_at - now))
        raise


def _request(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], destination: Destination
) -> httpx.Request:
    try:
        parsed = httpx.URL(url)
        sent = httpx.Headers({"Host": ""})  # the first, as RFC 9110 wants it
        sent.update(headers)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        raise EgressError("not an address") from error
    read = (parsed.scheme, parsed.raw_host.decode("ascii").lower(), parsed.port)
    standard = {"https": 443, "http": 80}[destination.scheme]
    port = None if destination.port == standard else destination.port
    if read != (destination.scheme, destination.host, port):
        raise EgressError("two readers disagree about the address")
    sent["Host"] = parsed.netloc.decode("ascii")  # httpx would read xn-- names, and stumble over bad ones
    sent["Accept"] = sent.get("Accept", "*/*")
    sent["Accept-Encoding"] = "identity"
    sent["Connection"] = "close"
    sent["User-Agent"] = USER_AGENT
    return httpx.Request(method, parsed, content=body, headers=sent)


def _exchange(request: httpx.Request, destination: Destination, bounds: _Bounds) -> Answer:
    try:
        with (
            contextlib.closing(_Transport(destination, bounds)) as transport,
            contextlib.closing(transport.handle_request(request)) as response,
        ):
            _check_head(response)
            body, is_cut = _body(response, bounds)
            return Answer(response.status_code, dict(response.headers), body, is_cut)
    except _FAILURES as error:
        raise EgressError(type(error).__name__) from error


def _check_head(response: httpx.Response) -> None:
    raw = response.headers.raw
    if len(raw) > MAX_HEADERS or sum(len(name) + len(value) for name, value in raw) > MAX_HEADER_BYTES:
        raise EgressError("the head of the answer is too large")


def _body(response: httpx.Response, bounds: _Bounds) -> tuple[bytes, bool]:
    """Read the body up to the bound; return it, and whether there was more of it, or might have been."""
    content = bytearray()
    try:
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > bounds.max_bytes:
                if bounds.cut:
                    return bytes(content[: bounds.max_bytes]), True
                raise EgressError("the answer is too large")
            _left(bounds.ends_at, httpcore.ReadTimeout)
    except _FAILURES:
        if not bounds.cut:
            raise
        return bytes(content), True
    return bytes(content), False


# Connecting


class _Sealed(ssl.SSLContext):
    """A context for all threads. httpcore names the protocols anew for each connection, under another's handshake."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Leave them as they are."""


def _new_tls() -> ssl.SSLContext:
    context = _Sealed(ssl.PROTOCOL_TLS_CLIENT)  # asks for a certificate, and for the right name in it
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(certifi.where())
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    return context


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return the process's context; reading the trusted certificates takes longer than all the rest of a request."""
    return _new_tls()


os.register_at_fork(after_in_child=_tls.cache_clear)


@functools.lru_cache(maxsize=256)
def _policy(scheme: str, port: int, networks: tuple[Network, ...]) -> Policy:
    return Policy(
        allowed_schemes=frozenset({scheme}),
        allowed_ports=frozenset({port}),
        allowed_networks=networks,
        max_url_length=MAX_URL * 3,  # escaped, a byte of the path takes three
    )


class _Transport(SafeTransport):
    """ssrfguard's transport, on a pool whose streams know the bounds."""

    def __init__(self, destination: Destination, bounds: _Bounds) -> None:
        context = _tls()
        policy = _policy(destination.scheme, destination.port, destination.networks)
        super().__init__(policy=policy, verify=context, trust_env=False, http2=False, retries=0)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=1,
            max_keepalive_connections=0,
            http1=True,
            http2=False,
            retries=0,
            network_backend=_Backend(policy, destination, bounds),
        )


class _Backend(SafeBackend):
    """Connects to what was checked, within the deadline, and looks where it came out."""

    def __init__(self, policy: Policy, destination: Destination, bounds: _Bounds) -> None:
        super().__init__(policy=policy, resolver=self._look_up)
        self._destination = destination
        self._bounds = bounds
        self._checked = set[Address]()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 (the deadline is what counts)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._bounds.ends_at, httpcore.ConnectTimeout)
        # ssrfguard tries several answers, each for that long.
        each = left / max(1, self.policy.max_connection_attempts)
        stream = super().connect_tcp(host, port, each, local_address, socket_options)
        try:
            peer = stream.get_extra_info("server_addr")
            if ipaddress.ip_address(peer[0]) not in self._checked or peer[1] != port:
                raise httpcore.ConnectError("The connection came out elsewhere.")
        except BaseException:
            stream.close()
            raise
        return _Stream(stream, self._bounds)

    def _look_up(self, host: str, port: int, *arguments: Any) -> list[Any]:
        """Ask the resolver once; the second guard looks at every answer."""
        if self._destination.address is not None:
            found = socket.getaddrinfo(host, port, *arguments)  # reads the number, and asks nobody
        else:
            found = self._ask(host, port, *arguments)
        for answer in found:
            text = str(answer[4][0])
            if address_problem(text, networks=self._destination.networks) is not None:
                raise httpcore.ConnectError("An answer of the name is not a public address.")
            address = ipaddress.ip_address(text)
            if self._destination.is_for_loopback and not is_in(address, LOOPBACK):
                raise httpcore.ConnectError("An answer of the name is not this machine.")
            self._checked.add(address)
        return found

    def _ask(self, host: str, port: int, *arguments: Any) -> list[Any]:
        """Ask in a thread that may be left behind: a resolver knows no deadline."""
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
        thread.join(_left(self._bounds.ends_at, httpcore.ConnectTimeout))
        if failed:
            raise failed[0]
        if thread.is_alive() or not found:
            raise httpcore.ConnectTimeout("The name was not resolved in time.")
        return found


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at one deadline: a server that drips a byte a second gains nothing.

    All that is read of it is bounded too: a server may send endless interim answers or chunks of a byte.
    """

    def __init__(self, inner: httpcore.NetworkStream, bounds: _Bounds) -> None:
        self._inner = inner
        self._bounds = bounds
        self._ends_at = bounds.ends_at
        self._unread = 2 * bounds.max_bytes + _AROUND

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        data = self._inner.read(min(max_bytes, _SLICE), _left(self._ends_at, httpcore.ReadTimeout))
        self._unread -= len(data)
        if self._unread < 0:
            raise httpcore.ReadError("Far more came than a body of that size needs.")
        return data

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
        return _Stream(inner, self._bounds)

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
