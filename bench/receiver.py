"""A receiver of webhooks on loopback: keeps what it is sent, verified by another library, and misbehaves as told."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

HANGS: Final = 60.0  # seconds: longer than any attempt
FLOOD: Final = 100 * 1024 * 1024
_ZEROS: Final = bytes(64 * 1024)


@dataclass(slots=True)
class Request:
    """One request that came in: when (Unix seconds), what, and what it was answered; None where nothing was."""

    at: float
    headers: dict[str, str]
    body: bytes
    status: int | None = None

    @property
    def id(self) -> str:
        """The `webhook-id`, the same for all attempts."""
        return self.headers.get("webhook-id", "")

    @property
    def data(self) -> dict[str, Any]:
        """What the delivery is about."""
        return dict(json.loads(self.body)["data"])

    @property
    def type(self) -> str:
        """The type of the event."""
        return str(json.loads(self.body)["type"])

    @property
    def happened_at(self) -> float:
        """When the event was recorded (Unix seconds)."""
        return datetime.fromisoformat(json.loads(self.body)["timestamp"]).timestamp()

    @property
    def is_taken(self) -> bool:
        """Whether the receiver said that it has it."""
        return self.status is not None and 200 <= self.status < 300

    def is_signed_by(self, secret: str) -> bool:
        """Ask the independent library, now."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


class Exchange(BaseHTTPRequestHandler):
    """A request, and the connection to answer it on."""

    protocol_version = "HTTP/1.1"
    asked: Request

    def do_POST(self) -> None:
        """Keep it, verify it, and behave."""
        server = self.server
        assert isinstance(server, _Server)
        receiver = server.receiver
        at = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Request(at, headers, body)
        receiver.take(self.asked)
        self.close_connection = True
        try:
            receiver.behave(self)
        except OSError:
            return  # who asked has gone

    do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815 (http.server's names)

    def answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Answer with no body. What is noted is what was sent: whoever died meanwhile does not know of it."""
        self.asked.status = status
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def begin(self, length: int, headers: Mapping[str, str] | None = None) -> None:
        """Begin an answer of so many bytes."""
        self.send_response(200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    receiver: "Receiver"

    def handle_error(self, *_: Any) -> None:
        pass  # a sender that is killed in the middle is what this is about


Behaviour = Callable[[Exchange], None]


def well(exchange: Exchange) -> None:
    """Take it."""
    exchange.answer(204)


def slowly(seconds: float) -> Behaviour:
    """Take it after a while."""

    def behave(exchange: Exchange) -> None:
        time.sleep(seconds)
        exchange.answer(204)

    return behave


def with_status(status: int, **headers: str) -> Behaviour:
    """Answer so for ever. `Retry_After` is the header with a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.answer(status, named)


def hanging(_exchange: Exchange) -> None:
    """Say nothing."""
    time.sleep(HANGS)


def dripping(exchange: Exchange) -> None:
    """Send one byte a second."""
    exchange.begin(1_000)
    for _ in range(int(HANGS)):
        exchange.wfile.write(b".")
        time.sleep(1)


def resetting(exchange: Exchange) -> None:
    """Break the connection off."""
    exchange.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    exchange.connection.close()


def flooding(exchange: Exchange) -> None:
    """Send 100 MB."""
    exchange.begin(FLOOD)
    for _ in range(FLOOD // len(_ZEROS)):
        exchange.wfile.write(_ZEROS)


def bombing(exchange: Exchange) -> None:
    """Send a little that unpacks to 100 MB."""
    body = _bomb()
    exchange.begin(len(body), {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    exchange.wfile.write(body)


def _bomb() -> bytes:
    if not _made_bomb:
        _made_bomb.append(gzip.compress(bytes(FLOOD)))
    return _made_bomb[0]


_made_bomb: list[bytes] = []


@dataclass
class Receiver:
    """Listens on a free port of loopback while it is entered."""

    behave: Behaviour = well
    name: str = "site"
    secret: str = ""  # verified as it comes in, because a signature is good for five minutes
    requests: list[Request] = field(default_factory=list)
    unverified: int = 0
    on_request: Callable[[Request], None] | None = None
    endpoint: str = ""
    owner: str = ""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.receiver = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def take(self, request: Request) -> None:
        """Note a request."""
        is_bad = bool(self.secret) and not request.is_signed_by(self.secret)
        with self._lock:
            self.requests.append(request)
            self.unverified += is_bad
        if self.on_request is not None:
            self.on_request(request)

    @property
    def taken(self) -> list[Request]:
        """What it said that it has."""
        return [request for request in self.requests if request.is_taken]

    @property
    def last_at(self) -> float:
        """When the last request came, 0 for never."""
        return self.requests[-1].at if self.requests else 0.0


def differing(requests: Iterable[Request]) -> int:
    """Return how many ids came with two different bodies."""
    bodies: dict[str, set[bytes]] = {}
    for request in requests:
        bodies.setdefault(request.id, set()).add(request.body)
    return sum(len(each) > 1 for each in bodies.values())
