"""The one HTTP client: where it never connects, and what servers can't do to it (threats I1 to I13, section 5.1)."""

import ast
import contextlib
import gzip
import ipaddress
import os
import resource
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import ssrfguard._connect
from django.conf import LazySettings

from accounts import egress
from accounts.egress import EgressError
from tests.accounts.receiver import certificate, says, serving
from tests.database import ROOMS, ROOT
from tests.plugin import NetworkBlockedError
from tests.plugin import _getaddrinfo as real_getaddrinfo

LITERALS = [
    # this machine
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "127.1", "127.0.1", "0", "0.0.0.0",  # noqa: S104
    "2130706433", "0x7f000001",
    "0x7f.0.0.1", "0177.0.0.1", "017700000001", "①②⑦.⓪.⓪.①", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
    # private, link-local, metadata, shared
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "169.254.0.1",
    "100.64.0.1", "100.127.255.255", "100.100.100.200", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
    # special
    "192.0.0.1", "192.0.0.8", "192.0.0.170", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # IPv4 inside of IPv6: mapped, compatible, NAT64, 6to4, Teredo
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[::7f00:1]",
    "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]", "[2002:7f00:1::1]",
    "[2002:a9fe:a9fe::1]", "[2002:c0a8:1::1]", "[2001:0:7f00:1::1]", "[2001:0:808:808:0:0:80ff:fffe]",
    # IPv6
    "[fe80::1]", "[fe80::1%25lo]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[ff0e::1]", "[2001:db8::1]",
    "[3fff::1]", "[5f00::1]", "[100::1]",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700::1111",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
]


@pytest.mark.parametrize("literal", LITERALS)
def test_no_form_of_an_inner_address_is_connected_to(
    production: None, connections: list[Any], literal: str
) -> None:
    for port in ("", ":443", ":8443"):
        with pytest.raises(EgressError):
            egress.get(f"https://{literal}{port}/")
    assert connections == []


def test_the_table_is_long_enough() -> None:
    assert len(set(LITERALS)) >= 60


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(production: None, address: str) -> None:
    assert egress.address_problem(address) is None


@pytest.mark.parametrize("literal", [item.strip("[]").replace("%25", "%") for item in LITERALS])
def test_our_own_guard_alone_would_refuse_them(production: None, literal: str) -> None:
    """Two guards: each refuses without the other, so that one mistake is not a hole."""
    with contextlib.suppress(OSError):
        for answer in real_getaddrinfo(literal, 443, 0, socket.SOCK_STREAM):
            assert egress.address_problem(str(answer[4][0])) is not None


@pytest.mark.parametrize(
    "answers",
    [
        ("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8"), ("93.184.216.34", "127.0.0.1"), ("127.0.0.1", "93.184.216.34"),
        ("93.184.216.34", "::1"), ("2606:4700::1111", "10.0.0.1"), ("::ffff:10.0.0.1", "93.184.216.34"), ("2606:4700::1111", "fd00::1"),
        ("8.8.8.8", "8.8.4.4", "2606:4700::1111", "2606:4700::1001", "169.254.169.254"), ("8.8.8.8", "fe80::1%2"),
    ],
    ids=", ".join,
)  # fmt: skip
def test_every_answer_must_be_public(
    production: None, connections: list[Any], monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...]
) -> None:
    """A and AAAA, in any order, also those that would never be tried."""

    def mixed(host: str, port: int, *_: Any) -> list[Any]:
        return [answer(item, port) for item in answers]

    monkeypatch.setattr(socket, "getaddrinfo", mixed)
    with pytest.raises(EgressError):
        egress.get("https://mixed.example/")
    assert connections == []


def answer(address: str, port: int) -> tuple[Any, ...]:
    """Return what a resolver says."""
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))


@pytest.mark.parametrize("later", ["127.0.0.1", "::1", "10.0.0.1"])
def test_a_name_is_looked_up_once_and_that_answer_is_connected_to(
    production: None, connections: list[Any], monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    """A resolver that answers differently the second time gains nothing (DNS rebinding, CVE-2023-26492)."""
    answers = iter(["93.184.216.34", later, "93.184.216.35"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, *_: [answer(next(answers), port)])
    with pytest.raises(NetworkBlockedError):
        egress.get("https://rebinding.example/")
    assert connections == [("93.184.216.34", 443)]
    with pytest.raises(EgressError):  # the next one is checked anew
        egress.get("https://rebinding.example/")
    assert len(connections) == 1
    with pytest.raises(NetworkBlockedError):
        egress.get("https://rebinding.example/")
    assert connections[1:] == [("93.184.216.35", 443)]


@pytest.mark.parametrize("is_ours_alone", [False, True])
def test_a_connection_that_comes_out_elsewhere_is_closed(
    monkeypatch: pytest.MonkeyPatch, is_ours_alone: Any
) -> None:
    """A rule of a firewall, or a hole in what connects: the peer is not what was checked."""
    connect = socket.socket.connect
    with serving(says(200)) as server:
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, *_: [answer("93.184.216.34", port)])
        monkeypatch.setattr(
            socket.socket, "connect", lambda self, _: connect(self, ("127.0.0.1", server.port))
        )
        if is_ours_alone:
            monkeypatch.setattr(ssrfguard._connect, "_verify_peer", lambda *_: None)
        with pytest.raises(EgressError) as caught:
            egress.get(f"https://elsewhere.example:{server.port}/")
    assert caught.value.reason == ("ConnectError" if is_ours_alone else "BlockedAddressError")
    assert server.asked == []


def test_a_connection_to_another_port_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect
    with serving(says(200)) as server, serving(says(200)) as other:
        monkeypatch.setattr(
            socket.socket, "connect", lambda self, _: connect(self, ("127.0.0.1", other.port))
        )
        with pytest.raises(EgressError):
            egress.get(server.url)
    assert server.asked == other.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "data:,x", "jar:x!/",
        "dict://example.com/", "//example.com/", "\\\\example.com\\x", "https:///x", "https://", "", "x", "https://a:b@example.com/",
        "https://8.8.8.8@127.0.0.1/", "https://example.com/#x", "https://example.com:22/", "https://example.com:80/", "https://example.com:0/",
        "https://exa mple.com/", "https://example.com/\r\nX: y", "https://example.com\\@127.0.0.1/", "https://cms.own.example/",
        "https://CMS.own.example./", "https://" + "a" * 3000,
    ],
)  # fmt: skip
def test_no_other_kind_of_address_is_one(
    production: None, settings: LazySettings, connections: list[Any], url: str
) -> None:
    settings.ALLOWED_HOSTS = ["cms.own.example"]
    assert egress.url_problem(url) is not None
    with pytest.raises(EgressError):
        egress.get(url)
    assert connections == []


def test_a_network_that_ops_allow_is_reached(production: None, settings: LazySettings) -> None:
    assert egress.address_problem("10.1.2.3")
    settings.EGRESS_ALLOWED_NETWORKS = (ipaddress.ip_network("10.1.0.0/16"),)
    assert egress.address_problem("10.1.2.3") is None
    assert egress.address_problem("10.2.2.3")
    assert egress.address_problem("::ffff:10.1.2.3")  # not by another name
    assert egress.address_problem("127.0.0.1")


def test_development_reaches_this_machine_and_nothing_else_inside() -> None:
    assert egress.address_problem("127.0.0.1") is None
    assert egress.address_problem("10.0.0.1")


def test_every_failure_says_the_same(production: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who chose the address must not map our network by the errors (CVE-2025-9862)."""
    texts = set()
    for url in ("https://10.0.0.1/", "https://127.0.0.1/", "https://127.0.0.1:8443/", "ftp://x/"):
        with pytest.raises(EgressError) as caught:
            egress.get(url)
        texts.add(str(caught.value))

    def unknown(*_: Any) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(EgressError) as caught:
        egress.get("https://nothing.example/")
    assert {*texts, str(caught.value)} == {str(caught.value)}


def test_a_resolver_that_hangs_does_not_hang_us(production: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any) -> list[Any]:
        time.sleep(3)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    started = time.monotonic()
    with pytest.raises(EgressError):
        egress.get("https://slow.example/", deadline=0.3)
    assert time.monotonic() - started < 1.5


# Real servers on loopback, which development allows


def test_a_post_arrives_as_it_was_sent() -> None:
    with serving(says(202, b"thanks")) as server:
        answer = egress.post(server.url, b'{"a":1}', headers={"Content-Type": "application/json", "X-A": "b"})
    assert (answer.status, answer.body, answer.is_success) == (202, b"thanks", True)
    ((method, path, headers, body),) = server.asked
    assert (method, path, body) == ("POST", "/hook?token=canary", b'{"a":1}')
    assert headers["Accept-Encoding"] == "identity"
    assert headers["X-A"] == "b"


def test_a_bad_status_is_an_answer_not_a_success() -> None:
    with serving(says(500)) as server:
        assert not egress.post(server.url, b"", headers={}).is_success


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with serving(says(200)) as other, serving(says(status, Location=other.url)) as server:
        answer = egress.post(server.url, b"x", headers={"Authorization": "Bearer canary"})
        assert (answer.status, answer.headers["location"]) == (status, other.url)
        assert not answer.is_success
        assert len(server.asked) == 1
        assert other.asked == []


def drip(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.1)


def drip_headers(handler: Any) -> None:
    for letter in b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 100:
        handler.wfile.write(bytes([letter]))
        handler.wfile.flush()
        time.sleep(0.1)


@pytest.mark.parametrize(
    "answer", [drip, drip_headers, lambda _: time.sleep(5)], ids=["body", "headers", "silence"]
)
def test_a_dripping_server_meets_one_deadline(answer: Callable[[Any], None]) -> None:
    with serving(answer) as server:
        started = time.monotonic()
        with pytest.raises(EgressError):
            egress.get(server.url, deadline=0.6)
        assert time.monotonic() - started < 1.6


def endless(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")  # not asked for, and never unpacked
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def test_a_huge_body_is_cut_off_early() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(endless) as server, pytest.raises(EgressError) as caught:
        egress.get(server.url)
    assert caught.value.reason == "the answer is too large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    with serving(says(200, b"x" * egress.MAX_BYTES)) as server:
        assert len(egress.get(server.url).body) == egress.MAX_BYTES


def test_a_body_may_be_cut_where_the_status_is_what_counts() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(endless) as server:
        cut = egress.post(server.url, b"{}", headers={}, max_bytes=1000, cut=True)
    assert (cut.status, cut.is_success, cut.body, cut.is_cut) == (200, True, b"x" * 1000, True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    with serving(says(200, b"x" * 1000)) as server:
        assert not egress.post(server.url, b"{}", headers={}, max_bytes=1000, cut=True).is_cut
    with serving(says(500, b"x" * 1001)) as server:
        cut = egress.post(server.url, b"{}", headers={}, max_bytes=1000, cut=True)
    assert (cut.status, cut.is_success, len(cut.body), cut.is_cut) == (500, False, 1000, True)
    with serving(says(200, b"x" * 1001)) as server:
        assert egress.post(server.url, b"{}", headers={}, max_bytes=0, cut=True).body == b""


def test_a_bomb_stays_packed() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with serving(says(200, bomb, **{"Content-Encoding": "gzip"})) as server:
        whole = egress.get(server.url, max_bytes=1024 * 1024)
        cut = egress.get(server.url, max_bytes=1024, cut=True)
    assert (whole.body, cut.body) == (bomb, bomb[:1024])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def break_off(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 10)
    handler.close_connection = True


@pytest.mark.parametrize("broken", [drip, break_off])
def test_a_body_that_does_not_come_through_counts_as_cut(broken: Callable[[Any], None]) -> None:
    with serving(broken) as server:
        started = time.monotonic()
        cut = egress.post(server.url, b"{}", headers={}, deadline=0.6, cut=True)
        assert time.monotonic() - started < 1.6
        assert (cut.is_success, cut.is_cut, cut.body.strip(b"x")) == (True, True, b"")
        with pytest.raises(EgressError):
            egress.post(server.url, b"{}", headers={}, deadline=0.6)


def many_headers(handler: Any) -> None:
    handler.send_response(200)
    for number in range(200):
        handler.send_header(f"X-{number}", "x")
    handler.end_headers()


def long_header(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("X-Long", "x" * 60_000)
    handler.end_headers()


def endless_head(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X-A: " + b"x" * 1000 + b"\r\n")


def endless_interim_answers(handler: Any) -> None:
    while True:
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


def endless_line(handler: Any) -> None:
    while True:
        handler.wfile.write(b"x" * 1000)


@pytest.mark.parametrize(
    "head", [many_headers, long_header, endless_head, endless_interim_answers, endless_line]
)
def test_a_huge_head_is_no_answer(head: Callable[[Any], None]) -> None:
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for cut in (False, True):
        with serving(head) as server, pytest.raises(EgressError):
            egress.post(server.url, b"{}", headers={}, cut=cut)
    assert time.monotonic() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def tiny_chunks(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"1;" + b"x" * 500 + b"\r\nx\r\n")


def test_what_is_read_besides_the_body_is_bounded_too() -> None:
    with serving(tiny_chunks) as server:
        with pytest.raises(EgressError):
            egress.get(server.url)
        cut = egress.get(server.url, cut=True)
    assert cut.is_cut
    assert 0 < len(cut.body) < 2000


def test_no_proxy_and_no_netrc_of_the_environment_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(says(200)) as proxy, serving(says(200)) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert egress.get(server.url).is_success
    assert proxy.asked == []
    assert "Authorization" not in server.asked[0][2]


def test_what_went_wrong_is_logged_without_what_the_address_holds(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EgressError):
        egress.get(f"http://127.0.0.1:{port}/hook?token=canary")
    assert "127.0.0.1" in caplog.text
    with pytest.raises(EgressError):
        egress.get("https://canary:canary@example.com/canary")
    assert "No user, password or fragment" in caplog.text
    assert "canary" not in caplog.text


# TLS


def trusting(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Trust a certificate besides those of the world."""
    context = egress._new_tls()
    context.load_verify_locations(file)
    monkeypatch.setattr(egress, "_tls", lambda: context)


def test_a_certificate_that_is_trusted_for_the_name_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, file = certificate(tmp_path, "localhost")
    trusting(monkeypatch, file)
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *_: real_getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM),
    )
    with serving(says(200), context) as server:
        assert egress.get(f"https://localhost:{server.port}/").is_success


@pytest.mark.parametrize(("name", "days", "is_trusted"), [("localhost", 1, False), ("other.example", 1, True), ("localhost", -1, True)],
                         ids=["unknown", "other name", "expired"])  # fmt: skip
def test_a_wrong_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int, is_trusted: Any
) -> None:
    context, file = certificate(tmp_path, name, days=days)
    if is_trusted:
        trusting(monkeypatch, file)
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *_: real_getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM),
    )
    with serving(says(200), context) as server:
        with pytest.raises(EgressError):
            egress.get(f"https://localhost:{server.port}/")
        assert server.asked == []


def test_one_context_serves_all_threads_and_nobody_changes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, file = certificate(tmp_path, "localhost")
    trusting(monkeypatch, file)
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *_: real_getaddrinfo("127.0.0.1", port, 0, socket.SOCK_STREAM),
    )
    context.set_alpn_protocols(["h2", "http/1.1"])
    with serving(says(200), context) as server, ThreadPoolExecutor(16) as pool:
        url = f"https://localhost:{server.port}/"
        answers = list(pool.map(lambda _: egress.get(url), range(64)))
    assert [answer.status for answer in answers] == [200] * 64


def test_the_context_asks_for_the_right_certificate_and_is_made_once_in_a_process() -> None:
    made = egress._tls()
    assert made is egress._tls()
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    assert made.get_ca_certs()
    child = os.fork()
    if child == 0:
        os._exit(0 if egress._tls() is not made else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_plain_text_on_the_port_of_tls_is_refused() -> None:
    with serving(says(200)) as server, pytest.raises(EgressError):
        egress.get(f"https://127.0.0.1:{server.port}/")


# Nobody else


CLIENTS = (
    "aiohttp", "aioquic", "asyncio", "asyncore", "asyncssh", "ftplib", "grpc", "h11", "h2", "http.client", "httplib2", "httptools", "httpcore",
    "httpx", "imaplib", "niquests", "nntplib", "paramiko", "poplib", "pycurl", "requests", "select", "selectors", "smtplib", "socket", "ssl",
    "ssrfguard", "telnetlib", "tornado", "trio", "anyio", "twisted", "urllib.request", "urllib3", "websocket", "websockets", "xmlrpc.client",
)  # fmt: skip
MAY = {
    "accounts/egress.py": {"httpcore", "httpx", "socket", "ssl", "ssrfguard"},  # the one client
    "accounts/audit/syslog.py": {"select", "socket", "ssl"},  # sends the log to where ops say
    "cms_project/metrics_folder.py": {"socket"},  # asks for the name of this host, and nobody else
    "accounts/sign_in/mails.py": {"smtplib"},  # for the errors of the mail server that ops name
    # Asks the server of secrets that ops name, once at start, before there is more; of urllib3 an error alone.
    "cms_project/vault.py": {"requests", "urllib3"},
    "cms_project/run.py": {"http.client", "socket"},  # asks our own server on loopback whether it answers
}
LOADERS = {"__import__", "import_module", "import_string"}


def used_clients(source: str) -> set[str]:
    """Return the clients that a module imports, names in full, or loads by a string."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {item.name for item in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{item.name}" for item in node.names)}
        elif isinstance(node, ast.Attribute):
            names.add(ast.unparse(node))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in LOADERS:
            names |= {str(item.value) for item in ast.walk(node) if isinstance(item, ast.Constant)}
    return {
        client for client in CLIENTS if any(name == client or name.startswith(f"{client}.") for name in names)
    }


def test_nothing_else_imports_what_can_connect() -> None:
    files = [ROOT / "manage.py", *(file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))]
    found = {
        file.relative_to(ROOT).as_posix(): used
        for file in files
        if (used := used_clients(file.read_text(encoding="utf-8")))
    }
    assert found == MAY


@pytest.mark.parametrize(
    "source",
    [
        "import requests", "import requests.sessions as s", "from urllib import request", "import urllib.request", "from urllib.request import urlopen",
        "import http\nhttp.client.HTTPConnection('x')", "from socket import create_connection", "import os, socket", "__import__('httpx')",
        "import importlib\nimportlib.import_module('http.client')", "import_string('requests.get')", "def f():\n    import aiohttp",
    ],
)  # fmt: skip
def test_no_way_to_import_one_is_overlooked(source: str) -> None:
    assert used_clients(source)
