"""Who chose an address learns nothing from how long a failure took (threat I9, CVE-2025-9862)."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from accounts import egress
from accounts.destinations import LOOPBACK
from accounts.egress import EgressError
from tests.accounts.receiver import certificate, says, serving
from tests.plugin import _getaddrinfo as real_getaddrinfo

DEADLINE = 0.6
SLACK = 0.25  # how far apart two failures may lie on a busy machine
# Each cause, and how ops' log names it: so that no test fails for another reason than its own.
SERVERS = {
    "closed port": "ConnectError", "filtered port": "ConnectTimeout", "silent": "ConnectTimeout", "silent after TLS": "ReadTimeout",
    "no TLS": "ConnectError", "unknown certificate": "ConnectError", "breaks off": "ConnectError", "breaks off after TLS": "RemoteProtocolError",
}  # fmt: skip
NAMES = {
    "inner name": "ConnectError", "mixed name": "ConnectError", "no such name": "ConnectError", "resolver fails": "ConnectError",
    "resolver hangs": "ConnectTimeout",
}  # fmt: skip
URLS = {
    "https://10.0.0.1/": "BlockedURLError", "https://[fd00::1]/": "BlockedURLError", "https://example.com:22/": "Only the ports 443 and 8443 are possible",
    "http://example.com/": "Only https:// is possible", "https://0x7f.1/": "The name or IP address in it is not written as it must be",
    "https://cms.own.example/": "That is this very server",
}  # fmt: skip


@pytest.fixture
def reaches_loopback(production: None, settings: LazySettings) -> None:
    """Production that has loopback among its networks, as one has an intranet: connections can fail there."""
    settings.EGRESS_ALLOWED_NETWORKS = LOOPBACK
    settings.ALLOWED_HOSTS = ["cms.own.example"]


@contextmanager
def listening(*, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(backlog)
        yield made


@contextmanager
def filtered() -> Iterator[int]:
    """Yield a port that takes no connection and refuses none: its queue is full."""
    with listening(backlog=0) as full, ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        time.sleep(0.05)
        yield full.getsockname()[1]


@contextmanager
def breaking_off() -> Iterator[int]:
    with listening() as made:

        def serve() -> None:
            connection, _ = made.accept()
            connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield made.getsockname()[1]
        thread.join(1)
        assert not thread.is_alive()


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """Return the context of a server that is trusted for site.example, which is on loopback."""
    context, file = certificate(tmp_path, "site.example")
    trusting = egress._new_tls()
    trusting.load_verify_locations(file)
    monkeypatch.setattr(egress, "_tls", lambda: trusting)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest: real_getaddrinfo("127.0.0.1", *rest))
    return context


def close(handler: Any) -> None:
    handler.close_connection = True


def fails_in_its_words_and_time(url: str, reason: str, *, any_port: bool = False) -> None:
    started = time.monotonic()
    with pytest.raises(EgressError) as caught:
        egress.post(url, b"{}", headers={}, deadline=DEADLINE, any_port=any_port, patient=True)
    assert 0 <= time.monotonic() - started - DEADLINE < SLACK
    assert caught.value.shown_at == pytest.approx(started + DEADLINE, abs=0.05)
    assert str(caught.value) == "The address could not be reached, or did not answer as it must."
    assert caught.value.reason == reason


@pytest.mark.parametrize("cause", SERVERS)
def test_servers_that_fail_are_told_apart_neither_by_words_nor_by_time(
    reaches_loopback: None, trusted: ssl.SSLContext, tmp_path: Path, cause: str
) -> None:
    with ExitStack() as stack:
        match cause:
            case "closed port":
                with listening() as made:
                    port = made.getsockname()[1]
            case "filtered port":
                port = stack.enter_context(filtered())
            case "silent":
                port = stack.enter_context(listening()).getsockname()[1]
            case "silent after TLS":
                port = stack.enter_context(serving(lambda _: time.sleep(1), trusted)).port
            case "no TLS":
                port = stack.enter_context(serving(says(200))).port
            case "unknown certificate":
                (tmp_path / "stranger").mkdir()
                stranger, _ = certificate(tmp_path / "stranger", "site.example")
                port = stack.enter_context(serving(says(200), stranger)).port
            case "breaks off":
                port = stack.enter_context(breaking_off())
            case _:
                port = stack.enter_context(serving(close, trusted)).port
        fails_in_its_words_and_time(f"https://site.example:{port}/", SERVERS[cause], any_port=True)


@pytest.mark.parametrize("cause", NAMES)
def test_names_that_fail_are_told_apart_neither_by_words_nor_by_time(
    production: None, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    def look_up(host: str, port: int, *_: Any) -> Any:
        if cause == "resolver hangs":
            time.sleep(2)
        if cause == "no such name":
            raise socket.gaierror(socket.EAI_NONAME, "canary")
        if cause == "resolver fails":
            raise socket.gaierror(socket.EAI_AGAIN, "canary")
        answers = ("93.184.216.34", "10.0.0.1") if cause == "mixed name" else ("10.0.0.1",)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (item, port)) for item in answers]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    fails_in_its_words_and_time("https://inner.example/", NAMES[cause])


@pytest.mark.parametrize("url", URLS)
def test_addresses_that_are_refused_are_told_apart_neither_by_words_nor_by_time(
    reaches_loopback: None, url: str
) -> None:
    fails_in_its_words_and_time(url, URLS[url])


def test_who_is_not_patient_is_told_when_it_may_be_shown(reaches_loopback: None) -> None:
    started = time.monotonic()
    with pytest.raises(EgressError) as caught:
        egress.get("https://10.0.0.1/", deadline=30)
    assert time.monotonic() - started < 1
    assert caught.value.shown_at == pytest.approx(started + 30, abs=1)


def test_an_answer_is_not_held_back_however_bad(reaches_loopback: None, trusted: ssl.SSLContext) -> None:
    started = time.monotonic()
    with serving(says(500), trusted) as server:
        url = f"https://site.example:{server.port}/"
        assert egress.get(url, deadline=30, any_port=True, patient=True).status == 500
    assert time.monotonic() - started < 5


def test_nothing_waits_in_development(settings: LazySettings) -> None:
    started = time.monotonic()
    with pytest.raises(EgressError) as caught:
        egress.get("https://10.0.0.1/", deadline=30, patient=True)
    assert time.monotonic() - started < 1
    assert caught.value.shown_at <= time.monotonic()
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="staging")
    with pytest.raises(EgressError) as caught:
        egress.get("https://10.0.0.1/", deadline=30)
    assert caught.value.shown_at > time.monotonic() + 20
