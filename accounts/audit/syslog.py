"""Ways out for events: standard output, and syslog by UDP, TCP and TLS (RFC 5424, 5426, 6587, 5425).

Syslog has no word for "received". So a connection carries one batch and ends in order: we close our half, and the
receiver closes its own only when it has read to the end. A reset, or silence until the deadline, means that the batch
is sent again. By UDP nobody ever knows.
"""

import contextlib
import os
import select
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

PRIORITY: Final = 13 * 8 + 5  # "log audit", notice
PRIORITY_OF_ALERTS: Final = 13 * 8 + 4  # warning
LONGEST_DATAGRAM: Final = (
    60_000  # bytes: what IPv4 carries, with room for what is around it (RFC 5426, section 3.2)
)
LONGEST_MESSAGE_ID: Final = 32
_SLICE: Final = 4_096  # what a pipe that is ready takes at once (PIPE_BUF)
_UNREACHABLE_SECONDS: Final = 0.2  # within which a host says that nobody listens at a port of its


class Target(Protocol):
    """Where to: `kind` is stdout, udp, tcp or tls; `authority` a file of certificates, "" for those of the system."""

    @property
    def kind(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def authority(self) -> str: ...


class NotStreamedError(Exception):
    """A batch did not get there, as far as we can know. The text names no address."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way: a line of ASCII JSON, and what the header says of it."""

    at: datetime
    type: str
    line: bytes
    short: bytes  # the same without its detail, for a datagram that would be too large


def frame(message: Message, *, host: str, line: bytes | None = None) -> bytes:
    """Return a message of RFC 5424."""
    priority = PRIORITY_OF_ALERTS if message.type == "security.alert" else PRIORITY
    at = message.at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    kind = "".join(sign for sign in message.type if "!" <= sign <= "~")[:LONGEST_MESSAGE_ID] or "-"
    head = f"<{priority}>1 {at} {host} quillkeep - {kind} - "
    return head.encode("ascii") + (message.line if line is None else line)


def send(target: Target, messages: Sequence[Message], *, host: str, seconds: float) -> None:
    """Send a batch in order, within so many seconds. Raises NotStreamedError; then none of it counts as sent."""
    ends_at = time.monotonic() + seconds
    try:
        if target.kind == "stdout":
            _write(sys.__stdout__.fileno() if sys.__stdout__ else 1, messages, ends_at)
        elif target.kind == "udp":
            _datagrams(target, messages, host)
        else:
            _connection(target, messages, host, ends_at)
    except ssl.SSLCertVerificationError as error:
        raise NotStreamedError("the certificate of the receiver is not valid") from error
    except (OSError, ValueError) as error:
        raise NotStreamedError(type(error).__name__) from error


def _write(descriptor: int, messages: Sequence[Message], ends_at: float) -> None:
    """Write line by line: a slice goes into a pipe in one piece, and nobody else's line into the middle of it."""
    for message in messages:
        left = message.line + b"\n"
        while left:
            _, ready, _ = select.select([], [descriptor], [], _left(ends_at))
            if not ready:
                raise TimeoutError
            left = left[os.write(descriptor, left[:_SLICE]) :]


def _datagrams(target: Target, messages: Sequence[Message], host: str) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[
        0
    ]
    with socket.socket(family, kind, protocol) as sender:
        sender.connect(address)
        for message in messages:
            whole = frame(message, host=host)
            sender.send(
                whole if len(whole) <= LONGEST_DATAGRAM else frame(message, host=host, line=message.short)
            )
        # A host that is there and does not listen says so; then the next call on the socket raises.
        sender.settimeout(_UNREACHABLE_SECONDS)
        with contextlib.suppress(TimeoutError):
            sender.recv(1)


def _connection(target: Target, messages: Sequence[Message], host: str, ends_at: float) -> None:
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(
            socket.create_connection((target.host, target.port), timeout=_left(ends_at))
        )
        stream = plain
        if target.kind == "tls":
            stream = stack.enter_context(_context(target).wrap_socket(plain, server_hostname=target.host))
        for message in messages:
            whole = frame(message, host=host)
            stream.settimeout(_left(ends_at))
            stream.sendall(b"%d %s" % (len(whole), whole))  # octet counting (RFC 6587, section 3.4.1)
        if isinstance(stream, ssl.SSLSocket):
            plain = _end_of_tls(stream, ends_at)
        elif _has_closed(stream):
            raise ConnectionResetError
        plain.settimeout(_left(ends_at))
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(_SLICE):  # what it says besides means nothing here
            plain.settimeout(_left(ends_at))


def _context(target: Target) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=target.authority or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _end_of_tls(stream: ssl.SSLSocket, ends_at: float) -> socket.socket:
    """Say that we are done and wait until the receiver says so too (RFC 5425, section 4.4)."""
    stream.settimeout(_left(ends_at))
    return stream.unwrap()


def _has_closed(stream: socket.socket) -> bool:
    """Tell whether the receiver closed before we were done; what it had not read then is lost."""
    stream.setblocking(False)
    try:
        return stream.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
