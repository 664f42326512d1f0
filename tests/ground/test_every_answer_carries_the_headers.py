"""Each path, each kind of error, by the real middleware: graded by what a browser is told (ASVS 3.4, threat H4)."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import get_resolver

from accounts.limits import Policy
from cms_project import headers
from tests.accounts.cast import PASSWORD, make_person
from tests.builders import allow, anonymous, make_collection, make_entry
from tests.ground.test_every_error_is_a_problem import RAISED, client
from tests.security.paths import UNKNOWN, api_paths, filled
from tests.security.world import routes

__all__ = ["client"]  # the fixture whose URLs raise whatever they are asked to
pytestmark = pytest.mark.django_db
SITE = "https://www.example.com"


def grade(answer: Any, *, secure: bool = False) -> list[str]:
    """Return what is wrong with the headers of an answer."""
    said = {name.lower(): value for name, value in answer.headers.items()}
    wrong = []
    expected = {
        "x-content-type-options": ("nosniff",),
        "referrer-policy": ("same-origin", "no-referrer"),
        "cross-origin-opener-policy": ("same-origin",),
        "cross-origin-resource-policy": ("same-origin",),
        "x-frame-options": ("DENY", "SAMEORIGIN"),
        "x-permitted-cross-domain-policies": ("none",),
    }
    wrong += [
        f"{name}: {said.get(name)}" for name, values in expected.items() if said.get(name) not in values
    ]
    policy = said.get("content-security-policy", "")
    wrong += [
        f"CSP lacks {part}" for part in ("default-src 'none'", "frame-ancestors ") if part not in policy
    ]
    wrong += [f"CSP has {part}" for part in ("unsafe-", "*", "http:") if part in policy]
    if "script-src" in policy:
        needed = ["object-src 'none'", "base-uri 'none'", f"report-uri {headers.REPORTS}"]
        needed += ["report-to csp"] if secure else []  # the Reporting API is there over TLS alone
        wrong += [f"CSP lacks {part}" for part in needed if part not in policy]
        named = said.get("reporting-endpoints", "")
        wrong += [f"endpoint: {named}"] if named != (f'csp="{headers.REPORTS}"' if secure else "") else []
    wrong += [] if "camera=()" in said.get("permissions-policy", "") else ["permissions"]
    wrong += ["x-powered-by"] if "x-powered-by" in said else []
    wrong += ["CORS: *"] if said.get("access-control-allow-origin") == "*" else []
    sts = said.get("strict-transport-security", "")
    if secure and sts != "max-age=63072000; includeSubDomains; preload":
        wrong.append(f"HSTS: {sts}")
    if not secure and sts:
        wrong.append("HSTS over http")
    return wrong


@pytest.fixture
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.limits.admit", lambda *_, **__: None)
    monkeypatch.setattr("accounts.limits.require_few_failures", lambda *_: None)


@pytest.fixture
def ada() -> Client:
    """Return the browser of an administrator who is signed in."""
    person = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    browser = Client(raise_request_exception=False)
    browser.post("/admin/login/", {"email": person.email, "password": PASSWORD})
    browser.post("/admin/login/code/", {"code": person.code()})
    return browser


@pytest.mark.usefixtures("_no_limits")
def test_every_path_of_the_api_with_every_method_is_graded_well() -> None:
    asked = 0
    for method, path in [
        *api_paths(),
        *UNKNOWN,
        ("TRACE", "/api/v1/auth/me"),
        ("OPTIONS", "/api/v1/content/x"),
    ]:
        answer = anonymous().request(method, path, {} if method in ("POST", "PATCH") else None)
        assert grade(answer) == [], (method, path, answer.status_code)
        assert answer["Content-Security-Policy"].startswith("default-src 'none'"), path
        assert "script-src" not in answer["Content-Security-Policy"], path
        asked += 1
    assert asked > 90


def test_every_page_of_the_admin_is_graded_well(ada: Client) -> None:
    asked = 0
    for browser in (ada, Client(raise_request_exception=False)):
        for route in routes("admin/"):
            path = f"/{filled(route.route)}".replace("^(?P<app_label>accounts)/$", "accounts/")
            for answer in (browser.get(path), browser.post(path, {})):
                assert grade(answer) == [], (path, answer.status_code)
                asked += 1
    assert asked > 250
    page = ada.get("/admin/")
    assert "'nonce-" in page["Content-Security-Policy"] or "nonce=" not in page.content.decode()


def test_every_other_path_is_graded_well() -> None:
    found = [
        str(pattern.pattern) for pattern in get_resolver().url_patterns if "/" not in str(pattern.pattern)
    ]
    assert {"healthz", "readyz", "metrics", "", "admin", "favicon.ico"} <= set(found)
    for path in [*found, "hooks/in/nothing", ".well-known/jwks.json", "nowhere"]:
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE"):
            answer = Client(raise_request_exception=False).generic(method, f"/{path}")
            assert grade(answer) == [], (method, path, answer.status_code)


@pytest.mark.parametrize("kind", ["api", "plain"])
@pytest.mark.parametrize("name", sorted(RAISED))
def test_every_error_is_graded_well(client: Client, kind: str, name: str) -> None:
    answer = client.get(f"/raise/{kind}/{name}")
    assert answer.status_code >= 400
    assert grade(answer) == [], name


def refusals() -> Iterator[tuple[str, str, dict[str, str], int]]:
    """Yield (method, path, headers, status) of what is refused before any view."""
    yield "GET", "/healthz", {"Host": "evil.example"}, 400
    yield "GET", "/admin/", {"Host": "evil.example"}, 400
    yield "GET", "/api/v1/auth/me?token=x", {}, 400
    yield "GET", f"/api/v1/auth/me?q={'x' * 9000}", {}, 414
    yield "GET", f"/admin/?q={'x' * 9000}", {}, 414
    yield "GET", "/api/v1/auth/me", {"Authorization": "Bearer " + "x" * 9000}, 431
    yield "POST", "/api/v1/auth/login", {"Transfer-Encoding": "chunked"}, 411
    yield "GET", "/api/v1/content/x%00", {}, 404
    yield "GET", "/%ff", {}, 404
    yield "PUT", "/healthz", {}, 405
    yield "GET", "/api/v1/content/x", {"Accept": "text/html"}, 406


@pytest.mark.parametrize(("method", "path", "given", "status"), list(refusals()))
def test_what_no_view_has_seen_is_graded_well(
    client: Client, method: str, path: str, given: dict[str, str], status: int
) -> None:
    answer = client.generic(method, path, headers=given)
    assert answer.status_code == status
    assert grade(answer) == []


def test_bodies_that_are_refused_are_graded_well(client: Client) -> None:
    large = client.post("/raise/api/x", b'{"a": "' + b"x" * 3000 + b'"}', content_type="application/json")
    other = client.post("/raise/api/x", b"a=1", content_type="application/x-www-form-urlencoded")
    parts = client.post("/admin/login/", {f"f{number}": "x" for number in range(4001)})
    assert (large.status_code, other.status_code, parts.status_code) == (413, 415, 413)
    for answer in (large, other, parts):
        assert grade(answer) == []


def test_a_form_without_its_token_is_graded_well() -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/", {})
    assert answer.status_code == 403
    assert grade(answer) == []


def test_a_limit_and_304_and_redirects_are_graded_well(monkeypatch: pytest.MonkeyPatch) -> None:
    make_collection()
    make_entry(title="There")
    allow("public", collection="articles")
    first = anonymous().get("/api/v1/content/articles")
    same = anonymous().get("/api/v1/content/articles", **{"If-None-Match": first["ETag"]})
    assert (first.status_code, same.status_code) == (200, 304)
    away = Client().get("/admin/accounts/user/")
    assert away.status_code == 302
    monkeypatch.setattr("accounts.limits.READS", Policy("one", quota=1, fails_open=False))
    limited = [anonymous().get("/api/v1/content/articles") for _ in range(2)][1]
    assert limited.status_code == 429
    for answer in (first, same, away, limited):
        assert grade(answer) == []


def test_static_files_are_graded_well_also_when_they_did_not_change() -> None:
    path = "/static/quillkeep/operations.css"
    assert finders.find("quillkeep/operations.css")
    answer = Client().get(path)
    assert answer.status_code == 200
    answer.close()
    same = Client().get(path, headers={"If-Modified-Since": answer["Last-Modified"]})
    missing = Client().get("/static/nothing.css")
    assert (same.status_code, missing.status_code) == (304, 404)
    for one in (answer, same, missing):
        assert grade(one) == []
    assert "Access-Control-Allow-Origin" not in answer.headers


# Transport


@pytest.fixture
def _production(settings: LazySettings) -> None:
    settings.SECURE_HSTS_SECONDS = 63_072_000
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = settings.SECURE_SSL_REDIRECT = (
        True
    )


@pytest.mark.usefixtures("_production")
def test_over_tls_everything_insists_on_tls() -> None:
    for path in (
        "/healthz",
        "/api/v1/nowhere",
        "/admin/",
        "/admin/login/",
        "/static/nothing.css",
        "/api/v1/auth/me?token=x",
    ):
        answer = Client(raise_request_exception=False).get(path, secure=True)
        assert grade(answer, secure=True) == [], path


@pytest.mark.usefixtures("_production")
def test_people_are_sent_to_tls_and_programs_are_refused() -> None:
    """A program would follow a redirect with its credential, again and again (ASVS 4.1.2)."""
    page = Client().get("/admin/login/")
    assert (page.status_code, page["Location"]) == (301, "https://testserver/admin/login/")
    for path in ("/api/v1/auth/me", "/api/v1/content/articles", "/hooks/in/x", "/.well-known/jwks.json"):
        refused = anonymous().get(path, Authorization="Bearer x")
        assert refused.status_code == 403, path
        assert refused.json()["code"] == "https-required"
        assert "Location" not in refused
        assert grade(refused) == []
        assert Client(raise_request_exception=False).get(path, secure=True).status_code != 403
    assert Client().get("/healthz").status_code == 200  # probes of load balancers ask inside


# Other sites


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/content/nothing",
        "/api/v1/content/nothing?token=x",
        f"/api/v1/content/x?q={'x' * 9000}",
        "/api/v1/openapi.json",
    ],
)
def test_an_origin_that_is_named_reads_answers_and_refusals(settings: LazySettings, path: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [SITE]
    answer = anonymous().get(path, Origin=SITE)
    assert answer["Access-Control-Allow-Origin"] == SITE
    assert "origin" in answer["Vary"].lower()
    assert "Access-Control-Allow-Credentials" not in answer
    for other in (
        "https://evil.example",
        f"{SITE}.evil.example",
        "https://evil.example/www.example.com",
        "null",
        f"{SITE}:8443",
        "http://www.example.com",
        "HTTPS://WWW.EXAMPLE.COM.",
        "",
    ):
        refused = anonymous().get(path, Origin=other)
        assert "Access-Control-Allow-Origin" not in refused, other
        assert "origin" in refused["Vary"].lower()
    assert "origin" in anonymous().get(path)["Vary"].lower()  # or a cache would keep it for all


def test_no_other_path_is_read_across_origins(settings: LazySettings) -> None:
    settings.CORS_ALLOWED_ORIGINS = [SITE]
    for path in (
        "/api/v1/auth/me",
        "/api/v1/manage/users",
        "/api/v1/previews/exchange",
        "/admin/",
        "/metrics",
        "/readyz",
    ):
        answer = anonymous().get(path, Origin=SITE)
        assert "Access-Control-Allow-Origin" not in answer, path


def test_the_middleware_stands_outermost(settings: LazySettings) -> None:
    assert settings.MIDDLEWARE[0] == "cms_project.headers.HeadersMiddleware"
    assert headers.REPORTS in str(settings.CONTENT_SECURITY_POLICY)
