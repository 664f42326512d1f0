"""Errors outside /admin/ are RFC 9457 documents, whoever makes them; hidden looks like missing."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET
from rest_framework import exceptions, permissions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import errors
from accounts.errors import DomainError, Problem, RefusedError
from cms_project import problems, urls

RAISED: dict[str, Exception] = {
    "http404": Http404("canary"),
    "hidden": errors.NotFoundError("canary"),
    "denied": PermissionDenied("canary"),
    "suspicious": SuspiciousOperation("canary"),
    "large": RequestDataTooBig("canary"),
    "unauthenticated": exceptions.NotAuthenticated(),
    "failed": exceptions.AuthenticationFailed("canary"),
    "throttled": exceptions.Throttled(wait=1.2),
    "locked": errors.LockedOutError(retry_after=900),
    "stale": errors.StaleVersionError(current={"_version": 3}),
    "unforeseen": RuntimeError("canary"),
    "gone": OperationalError("canary"),
    "read-only": InternalError("canary"),
    "invalid": errors.InvalidInputError(errors=[Problem.at(("fields", "a/b"), "required", "Say something.")]),
    "serializer": serializers.ValidationError(
        {"name": ["Too long."], "non_field_errors": ["Odd."], "rows": [{}, {"x": ["No."]}]}
    ),
}


class RaisingView(APIView):
    """Raises what the URL says; takes a JSON body."""

    permission_classes = (permissions.AllowAny,)
    max_body_bytes = 2000

    def get(self, request: Request, name: str) -> Response:
        raise RAISED[name]

    def post(self, request: Request, name: str) -> Response:
        return Response(request.data)


@require_GET
def plain(request: HttpRequest, name: str) -> HttpResponse:
    raise RAISED[name]


class Routes:
    """A URLconf with the real handlers and two more views."""

    handler400 = urls.handler400
    handler403 = urls.handler403
    handler404 = urls.handler404
    handler500 = urls.handler500
    urlpatterns: list[Any] = [
        path("admin/raise/<name>", plain),
        *urls.urlpatterns,
        path("raise/api/<name>", RaisingView.as_view()),
        path("raise/plain/<name>", plain),
    ]


@pytest.fixture
def client() -> Iterator[Client]:
    before = settings.ROOT_URLCONF
    settings.ROOT_URLCONF = Routes
    from django.urls import clear_url_caches, set_urlconf

    clear_url_caches()
    set_urlconf(None)
    yield Client(raise_request_exception=False)
    settings.ROOT_URLCONF = before
    clear_url_caches()


def problem_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == problems.CONTENT_TYPE
    body: dict[str, Any] = json.loads(response.content)
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"] == HTTPStatus(status).phrase
    assert body["instance"] == f"urn:uuid:{response.headers['X-Request-ID']}"
    assert re.fullmatch(r"[a-z][a-z-]+", body["code"])
    assert "canary" not in response.content.decode()
    return body


def all_errors(base: type[RefusedError] = RefusedError) -> Iterator[type[RefusedError]]:
    for cls in base.__subclasses__():
        if not cls.__module__.startswith("tests.") and cls is not DomainError:
            yield cls
        yield from all_errors(cls)


def test_every_error_class_has_its_own_status() -> None:
    missing = [cls.__qualname__ for cls in all_errors() if cls not in problems.STATUSES]
    assert not missing, f"give them a line in cms_project.problems.STATUSES: {missing}"


def test_an_unknown_route_is_a_problem(client: Client) -> None:
    problem_of(client.get("/nowhere"), 404)


@pytest.mark.parametrize("kind", ["api", "plain"])
@pytest.mark.parametrize(
    ("name", "status"),
    [("http404", 404), ("denied", 403), ("suspicious", 400), ("large", 413), ("unforeseen", 500)],
)
def test_every_way_of_failing_ends_in_the_same_shape(
    client: Client, kind: str, name: str, status: int
) -> None:
    problem_of(client.get(f"/raise/{kind}/{name}"), status)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("hidden", 404),
        ("unauthenticated", 401),
        ("failed", 401),
        ("throttled", 429),
        ("locked", 429),
        ("stale", 412),
        ("gone", 503),
        ("read-only", 503),
    ],
)
def test_errors_of_the_rooms_and_of_the_framework_have_their_status(
    client: Client, name: str, status: int
) -> None:
    response = client.get(f"/raise/api/{name}")
    problem_of(response, status)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert ("Retry-After" in response.headers) == (status in (429, 503))


@pytest.mark.parametrize("name", ["gone", "read-only"])
def test_without_a_database_every_view_says_when_to_come_again(client: Client, name: str) -> None:
    problem_of(client.get(f"/raise/plain/{name}"), 503)
    for address in (f"/raise/plain/{name}", f"/admin/raise/{name}"):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2"), address
        assert "canary" not in answer.content.decode()


def test_hidden_and_missing_are_the_same_bytes_but_for_the_instance(client: Client) -> None:
    answers = [
        client.get(url)
        for url in ("/raise/api/hidden", "/raise/api/http404", "/raise/plain/http404", "/nowhere")
    ]
    bodies = {answer.content.replace(answer.headers["X-Request-ID"].encode(), b"<id>") for answer in answers}
    assert len(bodies) == 1


def test_a_refused_credential_is_named_in_the_challenge(client: Client) -> None:
    assert "invalid_token" not in client.get("/raise/api/failed").headers["WWW-Authenticate"]
    answer = client.get("/raise/api/failed", headers={"Authorization": "Bearer x"})
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_wrong_method_names_the_right_ones(client: Client) -> None:
    for url, allowed in (("/raise/api/hidden", "GET, POST, HEAD, OPTIONS"), ("/raise/plain/http404", "GET")):
        response = client.delete(url)
        problem_of(response, 405)
        assert response.headers["Allow"] == allowed


def test_invalid_input_lists_each_place(client: Client) -> None:
    body = problem_of(client.get("/raise/api/invalid"), 400)
    assert body["errors"] == [{"pointer": "/fields/a~1b", "code": "required", "detail": "Say something."}]
    body = problem_of(client.get("/raise/api/serializer"), 400)
    assert [item["pointer"] for item in body["errors"]] == ["/name", "", "/rows/1/x"]


def test_a_stale_save_carries_the_current_document(client: Client) -> None:
    assert problem_of(client.get("/raise/api/stale"), 412)["current"] == {"_version": 3}


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed-body"),
        (b"[1]", "application/json", 400, "malformed-body"),
        (b'{"a": 1, "a": 2}', "application/json", 400, "malformed-body"),
        (b'{"a": "' + b"x" * 3000 + b'"}', "application/json", 413, "body-too-large"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b"<a/>", "text/xml", 415, "unsupported-media-type"),
        (b"{}", "text/plain", 415, "unsupported-media-type"),
    ],
)
def test_a_body_that_we_do_not_take_is_a_problem(
    client: Client, body: bytes, content_type: str, status: int, code: str
) -> None:
    assert client.post("/raise/api/x", b'{"a": 1}', content_type="application/json").json() == {"a": 1}
    assert problem_of(client.post("/raise/api/x", body, content_type=content_type), status)["code"] == code


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "text/html;q=1, image/*"])
def test_there_is_no_browsable_api(client: Client, accept: str) -> None:
    problem_of(client.post("/raise/api/x", b"{}", "application/json", headers={"Accept": accept}), 406)


def test_a_format_parameter_changes_nothing(client: Client) -> None:
    for url in ("/raise/api/hidden", "/raise/api/hidden?format=api"):
        problem_of(client.get(url), 404)
    body = problem_of(client.post("/raise/api/x?format=api", b"{}", content_type="application/json"), 400)
    assert [(item["parameter"], item["code"]) for item in body["errors"]] == [("format", "unknown-parameter")]


def test_a_foreign_host_is_refused(client: Client) -> None:
    problem_of(client.get("/raise/plain/http404", headers={"Host": "evil.example"}), 400)


@pytest.mark.parametrize(
    "query",
    [
        "token=x",
        "access_token=x",
        "API_KEY=x",
        "key=x",
        "a=1&authorization=x",
        "jwt=",
        "%74oken=x",
        "q=qk_live_abcdef_canary",
        "q=whsec_canary",
        "next=eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.",
        "a=Bearer%20x",
    ],
)
def test_a_credential_in_the_query_is_refused_and_never_logged(
    client: Client, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    assert problem_of(client.get(f"/raise/api/hidden?{query}"), 400)["code"] == "credential-in-query"
    assert query not in caplog.text
    problem_of(client.get("/raise/api/hidden?q=monkey&keyword=x"), 404)


def test_endless_queries_and_credentials_are_refused(client: Client) -> None:
    problem_of(client.get("/raise/api/hidden?q=" + "x" * 9000), 414)
    problem_of(client.get("/raise/api/hidden", headers={"Authorization": "Bearer " + "x" * 9000}), 431)


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/admin/nowhere/", 400),  # by the host; the rest is refused before anybody looks at that
        ("/admin/%00nowhere/", 404),
        ("/admin/?q=qk_live_abcdef_canary", 400),
        ("/admin/?q=" + "x" * 9000, 414),
    ],
)
def test_pages_of_the_admin_stay_pages(client: Client, url: str, status: int) -> None:
    response = client.get(url, headers={"Host": "evil.example"})
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/html")
    assert "canary" not in response.content.decode()


def test_the_request_id_is_ours(client: Client) -> None:
    response = client.get("/healthz", headers={"X-Request-ID": "canary"})
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f-]{17}", response.headers["X-Request-ID"]
    )


def test_every_answer_carries_the_headers_of_the_browser(client: Client) -> None:
    for url in ("/healthz", "/nowhere", "/raise/api/unforeseen"):
        headers = client.get(url).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["X-Frame-Options"] == "DENY"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-" not in policy
        assert "*" not in policy


def test_a_path_that_could_forge_a_log_line_is_escaped(
    client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    client.get("/nowhere%0AINFO%20forged")
    assert "\nINFO forged" not in capfd.readouterr().err


assert all(isinstance(pattern, URLPattern) for pattern in Routes.urlpatterns[-2:])
