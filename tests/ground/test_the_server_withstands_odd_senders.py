"""The real server and what is sent to it byte by byte: smuggling, endless heads, senders that are slow (threats 4.2, M12, M13)."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from cms_project import bodies, run
from tests.processes import LiveServer

HOST = b"Host: localhost\r\n"
POST = b"POST /healthz HTTP/1.1\r\n" + HOST
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
# What two readers could understand differently; each is refused, and what hides behind it is never a request.
CORPUS = {
    "CL and TE": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "TE and CL": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1e\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
    "TE and CL of HTTP/1.0": b"POST /healthz HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 60\r\n\r\n" + SMUGGLED,
    "a list of lengths": POST + b"Content-Length: 0, 60\r\n\r\n" + SMUGGLED,
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc" + SMUGGLED,
    "a negative length": POST + b"Content-Length: -1\r\n\r\nabc" + SMUGGLED,
    "a length in hex": POST + b"Content-Length: 0x3\r\n\r\nabc" + SMUGGLED,
    "an endless length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
    "a blank before the colon": POST + b"Content-Length : 3\r\n\r\nabc" + SMUGGLED,
    "TE and a blank": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "TE that is none": POST + b"Transfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc" + SMUGGLED,
    "TE identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc" + SMUGGLED,
    "TE not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two TE": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "TE with a control": POST + b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 3\r\n\r\nabc" + SMUGGLED,
    "a folded line": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "a bare CR": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\rTransfer-Encoding: chunked\r\n\r\n",
    "NUL in a value": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "a chunk without end": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc",
    "a chunk that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "HTTP/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
    "a line of 100 KB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "headers of 100 KB": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
    "headers of 1 MB": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "500 headers": b"GET /healthz HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: a\r\n" % number for number in range(500)) + b"\r\n",
}  # fmt: skip


def connect(server: LiveServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def exchange(server: LiveServer, raw: bytes) -> bytes:
    """Send bytes as they are; return all that comes back until the server closes, or is silent for a second."""
    answer = b""
    with connect(server) as connection, contextlib.suppress(OSError):
        connection.settimeout(1)
        connection.sendall(raw)
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


def ask(server: LiveServer) -> tuple[int, float]:
    """Return the status of a plain request, and how long it took."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status, time.monotonic() - began
    finally:
        connection.close()


@contextlib.contextmanager
def slow(server: LiveServer, number: int, beginning: bytes) -> Iterator[list[socket.socket]]:
    """Open connections that begin and don't go on."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(connect(server)) for _ in range(number)]
        for connection in opened:
            connection.sendall(beginning)
        time.sleep(0.3)
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPUS)
def test_what_two_readers_understand_differently_is_refused(web_server: LiveServer, name: str) -> None:
    answer = exchange(web_server, CORPUS[name])
    lines = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.")]
    assert len(lines) <= 1, lines  # what hides in it is no second request
    for line in lines:
        assert line.split(b" ")[1] in (b"400", b"411", b"413", b"414", b"431"), (name, line)
    assert b"smuggled" not in answer
    assert "/smuggled" not in web_server.log()
    assert ask(web_server)[0] == 200


@pytest.mark.slow
def test_slow_heads_stop_nobody_and_are_given_up(web_server: LiveServer) -> None:
    with slow(web_server, 40, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ") as opened:
        status, seconds = ask(web_server)
        assert (status, seconds < 2) == (200, True)
        opened[0].settimeout(run.HEADER_READ_MILLISECONDS / 1000 + 5)
        with contextlib.suppress(ConnectionResetError):
            first = opened[0].recv(100)  # within the time; a head that ends never is none
            assert first == b"" or b" 408 " in first
    assert ask(web_server)[0] == 200


@pytest.mark.slow
def test_slow_bodies_of_one_sender_stop_nobody(web_server: LiveServer) -> None:
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with slow(web_server, 140, head + b"Content-Length: 1000\r\n\r\n{"):
        for _ in range(3):
            status, seconds = ask(web_server)
            assert (status, seconds < 2) == (200, True)
        # Whom it is too many of is told at once.
        assert b" 503 " in exchange(web_server, head + b"Content-Length: 2\r\n\r\n{}").split(b"\r\n", 1)[0]
    answer, deadline = b"", time.monotonic() + 5
    while time.monotonic() < deadline:
        answer = exchange(web_server, head + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
        if b" 400 " in answer.split(b"\r\n", 1)[0]:
            break
    assert b'"pointer": "/email"' in answer


@pytest.mark.slow
def test_a_body_that_is_too_large_is_refused_unread(web_server: LiveServer) -> None:
    for path, kind in (
        ("/api/v1/auth/login", "application/json"),
        ("/admin/login/", "multipart/form-data; boundary=x"),
        ("/hooks/in/x", "text/plain"),
    ):
        raw = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 200000000\r\n\r\n".encode()
        began = time.monotonic()
        answer = exchange(web_server, raw + b"x" * 1000)
        assert b" 413 " in answer.split(b"\r\n", 1)[0], path
        assert time.monotonic() - began < 3
        assert b"content-security-policy" in answer.lower()


@pytest.mark.slow
def test_what_the_server_itself_refuses_has_no_body(web_server: LiveServer) -> None:
    for name in ("two lengths", "headers of 1 MB"):
        head, _, body = exchange(web_server, CORPUS[name]).partition(b"\r\n\r\n")
        assert head
        assert body == b""


# The same, from inside


class Calls:
    """A WSGI application that keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[bytes, str]] = []

    def __call__(self, environ: dict[str, Any], _start: Any) -> list[bytes]:
        self.seen.append((environ["wsgi.input"].read(), environ.get(bodies.STATE, "")))
        return [b"ok"]


@pytest.mark.parametrize(
    ("sent", "length", "seen"),
    [
        (b"whole", "5", (b"whole", "")),
        (b"half", "5", (b"", bodies.SHORT)),
        (b"more than that", "4", (b"more", "")),
        (b"", "5", (b"", bodies.SHORT)),
        (b"x", str(bodies.MAX_BYTES + 1), (b"", bodies.LARGE)),
    ],
)
def test_half_a_body_is_no_body(sent: bytes, length: str, seen: tuple[bytes, str]) -> None:
    inside = Calls()
    environ = {"CONTENT_LENGTH": length, "wsgi.input": BytesIO(sent), "REMOTE_ADDR": "127.0.0.1"}
    bodies.Bodies(inside)(environ, lambda *_: None)
    assert inside.seen == [seen]


class Waiting:
    """A body of which nothing comes until it is let go."""

    def __init__(self) -> None:
        self.is_read, self.let_go = threading.Event(), threading.Event()

    def read(self, _length: int) -> bytes:
        self.is_read.set()
        assert self.let_go.wait(10)
        return b""


@pytest.mark.parametrize(("proxy", "expected"), [("10.0.0.1", ""), ("198.51.100.1", bodies.CROWDED)])
def test_slow_bodies_of_one_client_behind_our_proxy_stop_no_other(
    proxy: str, expected: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that does not buffer has one address for everybody; what one that is not ours says counts for nothing."""
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"),)
    monkeypatch.setattr(bodies, "MOST_READING_OF_ONE", 1)
    inside, waiting = Calls(), Waiting()
    application = bodies.Bodies(inside)

    def post(client: str, body: Any) -> None:
        environ = {"CONTENT_LENGTH": "2", "wsgi.input": body, "REMOTE_ADDR": proxy}
        application({**environ, "HTTP_X_FORWARDED_FOR": client}, lambda *_: None)

    slow_one = threading.Thread(target=post, args=("203.0.113.1", waiting))
    slow_one.start()
    try:
        assert waiting.is_read.wait(10)
        post("203.0.113.1", BytesIO(b"ab"))
        post("203.0.113.2", BytesIO(b"ab"))
    finally:
        waiting.let_go.set()
        slow_one.join(10)
    assert [state for _, state in inside.seen] == [bodies.CROWDED, expected, bodies.SHORT]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "status"), [(bodies.SHORT, 400), (bodies.LARGE, 413), (bodies.CROWDED, 503)]
)
def test_what_could_not_be_read_is_not_acted_on(state: str, status: int) -> None:
    for path in ("/api/v1/auth/login", "/hooks/in/x", "/admin/login/"):
        extra: dict[str, Any] = {bodies.STATE: state}
        answer = Client().post(path, b"{}", content_type="application/json", **extra)
        assert answer.status_code == status, path
        if not path.startswith("/admin/"):
            assert json.loads(answer.content)["status"] == status


@pytest.mark.django_db
def test_headers_are_bounded_all_together() -> None:
    given = {f"X-{number}": "a" * 4000 for number in range(9)}
    assert Client().get("/healthz", headers=given).status_code == 431
    assert Client().get("/healthz", headers={"X-1": "a" * 4000}).status_code == 200
