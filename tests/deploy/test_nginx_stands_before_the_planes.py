"""A real nginx with our configuration before the real web server: what it lets through, and what it answers itself."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from accounts.models.generation import Generation
from cms_project.headers import HeadersMiddleware
from content.kept_answers import TOLD
from tests import certificates
from tests.builders import allow, make_collection, make_entry
from tests.database import TestDatabase
from tests.deploy.programs import Nginx, needs_nginx, run
from tests.processes import LiveServer

pytestmark = [needs_nginx, pytest.mark.django_db, pytest.mark.slow]
CMS, EDGE, CONTENT = "cms.example.com", "edge.example.com", "content.example.com"
ADMINISTRATOR, STRANGER = "127.0.0.3", "127.0.0.2"
Told = tuple[int, bytes, list[tuple[str, str]]]


class Front:
    """nginx, and a way to ask it for one of its names, from one of the addresses of loopback."""

    def __init__(self, nginx: Nginx, authority: Path, web: LiveServer) -> None:
        self.nginx, self.authority, self.web = nginx, authority, web

    def context(self) -> ssl.SSLContext:
        found = ssl.create_default_context(cafile=str(self.authority))
        found.set_alpn_protocols(["http/1.1"])
        return found

    def link(self, host: str, context: ssl.SSLContext, *, address: str = STRANGER) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.nginx.port), 15, source_address=(address, 0))
        return context.wrap_socket(plain, server_hostname=host)

    def __call__(
        self,
        host: str,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        address: str = STRANGER,
        headers: dict[str, str] | None = None,
    ) -> Told:
        connection = http.client.HTTPSConnection(host, timeout=15)
        connection.sock = self.link(host, self.context(), address=address)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        told = answer.status, answer.read(), [(key.lower(), value) for key, value in answer.getheaders()]
        connection.close()
        return told


@pytest.fixture(scope="module")
def started(django_db_setup: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Start nginx and the web server once for all tests of this file."""
    made = certificates.make(tmp_path_factory.mktemp("tls"), CMS, EDGE, CONTENT)
    with ExitStack() as stack:
        hosts = f"localhost,127.0.0.1,{CMS},{EDGE},{CONTENT}"
        web = stack.enter_context(LiveServer(ALLOWED_HOSTS=hosts, TRUSTED_PROXIES="127.0.0.1"))
        folder = tmp_path_factory.mktemp("nginx")
        nginx = Nginx(folder, made, management=web.port, edge=web.port, delivery=[web.port])
        checked = run(*nginx.command(), "-t")
        assert "test is successful" in checked.stderr
        assert "[warn]" not in checked.stderr
        yield Front(stack.enter_context(nginx), made.authority, web)


@pytest.fixture
def front(_django_db_helper: None, django_db_setup: TestDatabase, started: Front) -> Iterator[Front]:
    yield started
    connections.close_all()
    django_db_setup.wait_until_idle()


def problem(told: Told, status: int) -> dict[str, str]:
    """Check that nginx itself refused, in our form and with the headers of our own answers; return its headers."""
    found, body, headers = told
    named = dict(headers)
    assert found == status == json.loads(body)["status"]
    assert named["content-type"] == "application/problem+json"
    assert named["server"] == "nginx"  # without a version
    assert named.items() >= {name.lower(): value for name, value in headers_of_ours().items()}.items()
    return named


def headers_of_ours() -> dict[str, str]:
    with override_settings(
        SECURE_HSTS_SECONDS=63_072_000, SECURE_HSTS_INCLUDE_SUBDOMAINS=True, SECURE_HSTS_PRELOAD=True
    ):
        told = HeadersMiddleware(lambda _: HttpResponse()).process_response(
            RequestFactory().get("/api/v1/content/articles", secure=True), HttpResponse()
        )
    return {name: value for name, value in told.headers.items() if name not in ("Content-Type", "Vary")}


def test_only_tls_1_3_is_spoken_and_only_for_our_names(front: Front) -> None:
    with front.link(CMS, front.context()) as link:
        assert link.version() == "TLSv1.3"
    old = front.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        front.link(CMS, old)
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError):
        front.link("other.example.com", anybody)
    modern = front.context()
    modern.set_alpn_protocols(["h2", "http/1.1"])
    with front.link(CONTENT, modern) as link:
        assert link.selected_alpn_protocol() == "h2"


def test_plain_http_leads_to_https_and_nowhere_else(front: Front) -> None:
    for host, status in ((CMS, 308), ("evil.example", None)):
        link = http.client.HTTPConnection("127.0.0.1", front.nginx.plain_port, timeout=10)
        link.request("GET", "/admin/?next=x", headers={"Host": host})
        if status is None:
            with pytest.raises(ConnectionError):
                link.getresponse()
        else:
            answer = link.getresponse()
            assert (answer.status, answer.headers["Location"]) == (status, f"https://{CMS}/admin/?next=x")
        link.close()


def test_the_admin_is_there_for_known_addresses_alone(front: Front) -> None:
    problem(front(CMS, "/admin/login/"), 403)
    problem(front(CMS, "/static/quillkeep/favicon.svg"), 403)
    status, _, headers = front(CMS, "/admin/login/", address=ADMINISTRATOR)
    assert status == 200
    names = [name for name, _ in headers]
    for name in (
        "x-content-type-options",
        "content-security-policy",
        "x-frame-options",
        "referrer-policy",
        "server",
    ):
        assert names.count(name) == 1, name
    assert front(CMS, "/static/quillkeep/favicon.svg", address=ADMINISTRATOR)[0] == 200


def test_probes_are_not_for_the_public(front: Front) -> None:
    for host in (CMS, EDGE, CONTENT):
        for path in ("/healthz", "/readyz", "/metrics", "//metrics", "/x/../healthz", "/%68ealthz"):
            problem(front(host, path, address=ADMINISTRATOR), 404)


def test_the_address_of_a_client_is_the_one_that_nginx_saw(front: Front) -> None:
    claims = {
        "X-Forwarded-For": "8.8.8.8",
        "X-Real-IP": "8.8.8.8",
        "Forwarded": "for=8.8.8.8",
        "X_Forwarded_For": "8.8.8.8",
    }
    front(EDGE, "/.well-known/jwks.json", headers=claims)
    lines = [line for line in front.web.log().splitlines() if "GET /.well-known/jwks.json" in line]
    assert lines
    assert all(f"address={STRANGER}" in line and "8.8.8.8" not in line for line in lines)


def test_delivery_serves_what_is_published_and_only_that(front: Front) -> None:
    make_collection("articles", [{"key": "title", "type": "text", "required": True}])
    allow("public", collection="articles")
    make_entry(title="PUBLISHED")
    Generation.objects.bump(TOLD)  # so the server lets its answer be kept, though by Varnish alone
    status, body, headers = front(CONTENT, "/api/v1/content/articles", headers={"X-Forwarded-Proto": "http"})
    assert (status, b"PUBLISHED" in body) == (200, True)
    assert [value for name, value in headers if name == "cache-control"] == ["public, no-cache"]
    assert "cache-as-of" not in dict(headers)
    for path in ("/admin/login/", "/api/v1/manage/collections", "/api/v1/previews", "/hooks/in/x", "/"):
        problem(front(CONTENT, path, address=ADMINISTRATOR), 404)
    named = problem(front(CONTENT, "/api/v1/content/articles", method="POST", body=b"{}"), 405)
    assert "retry-after" not in named
    assert named["allow"] == "GET, HEAD, OPTIONS"
    assert front(CONTENT, "/api/v1/content/missing")[0] == 404
    assert dict(front(CONTENT, "/api/v1/content/missing")[2])["server"] != "nginx/1"


def test_bodies_and_headers_that_are_too_large_are_refused_at_the_door(front: Front) -> None:
    large = {"Content-Length": str(2 * 1024 * 1024)}
    connection = http.client.HTTPSConnection(EDGE, timeout=15)
    connection.sock = front.link(EDGE, front.context())
    connection.putrequest("POST", "/api/v1/previews/exchange")
    for name, value in large.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    status, *_ = front(EDGE, "/.well-known/jwks.json", headers={"X-Long": "x" * 20_000})
    assert status in (400, 431)
    # Up to there it is the server that answers, with the sentence that helps.
    status, body, _ = front(EDGE, "/.well-known/jwks.json?" + "x" * 9000)
    assert (status, "instance" in json.loads(body)) == (414, True)


def test_a_body_without_a_length_reaches_the_server_with_one(front: Front) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"code": "x", '
        yield b'"client_secret": "y"}'

    connection = http.client.HTTPSConnection(EDGE, timeout=15)
    connection.sock = front.link(EDGE, front.context())
    connection.request(
        "POST",
        "/api/v1/previews/exchange",
        chunks(),
        {"Content-Type": "application/json"},
        encode_chunked=True,
    )
    assert connection.getresponse().status in (400, 401)  # and not 411
    connection.close()


def test_who_guesses_passwords_waits_and_is_then_refused(front: Front) -> None:
    def guess() -> Told:
        body = json.dumps({"email": "ada@example.com", "password": "wrong"}).encode()
        return front(
            CMS,
            "/api/v1/auth/login",
            method="POST",
            body=body,
            address=ADMINISTRATOR,
            headers={"Content-Type": "application/json"},
        )

    with ThreadPoolExecutor(24) as pool:
        told: list[Any] = list(pool.map(lambda _: guess(), range(24)))
    refused = [item for item in told if item[0] == 429 and dict(item[2])["server"] == "nginx"]
    assert refused
    assert problem(refused[0], 429)["retry-after"] == "2"
    assert any(item[0] == 401 for item in told)
    assert "limiting" not in (front.nginx.folder / "error.log").read_text(encoding="utf-8")  # with the query
