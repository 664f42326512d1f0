"""Refusals and failures: hidden is as missing, byte for byte; nothing of the inside shows (threats, P; RFC 9457)."""

import logging
import os
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import DatabaseError, OperationalError
from redis import RedisError

from accounts import authentication, principals
from cms_project.logs import JSONFormatter
from content import cursors, editing, publishing, schema, shaping
from content.manage import views as manage_views
from content.query import Reader
from tests.builders import make_collection, make_entry, make_key, make_role
from tests.processes import LiveServer
from tests.security.matrix import calls
from tests.security.world import Unchanged, assert_problem, leaked, make_world, masked

pytestmark = pytest.mark.django_db

DELIVERY, MANAGE = "/api/v1/content", "/api/v1/manage"


def test_hidden_and_missing_are_the_same_bytes() -> None:
    world = make_world()
    hidden = world.stranger.pk
    nothing = uuid4()
    pairs = [
        ("GET", f"{DELIVERY}/vault", f"{DELIVERY}/nope", None),
        ("GET", f"{DELIVERY}/part", f"{DELIVERY}/nope", None),
        ("GET", f"{DELIVERY}/vault/{world.hidden_target.pk}", f"{DELIVERY}/nope/{nothing}", None),
        ("GET", f"{DELIVERY}/articles/{hidden}", f"{DELIVERY}/articles/{nothing}", None),
        ("GET", f"{DELIVERY}/articles/{world.draft.pk}", f"{DELIVERY}/articles/{nothing}", None),
        ("GET", f"{DELIVERY}/articles/canarystrangerxqz-two", f"{DELIVERY}/articles/nope", None),
        ("GET", f"{MANAGE}/collections/vault", f"{MANAGE}/collections/nope", None),
        ("PATCH", f"{MANAGE}/collections/vault", f"{MANAGE}/collections/nope", {"name": "x"}),
        ("DELETE", f"{MANAGE}/collections/vault", f"{MANAGE}/collections/nope", None),
        ("GET", f"{MANAGE}/content/vault", f"{MANAGE}/content/nope", None),
        ("POST", f"{MANAGE}/content/vault", f"{MANAGE}/content/nope", {"fields": {"title": "x"}}),
        (
            "POST",
            f"{MANAGE}/content/vault",
            f"{MANAGE}/content/nope",
            {"fields": {"wrong": 1}, "locale": "zz"},
        ),
    ]
    for tail, body in (("", None), ("/versions", None), ("/versions/1", None), ("/diff?from=1&to=1", None), ("/publish", {}), ("/publish", {"locales": ["zz"]}),
                       ("/publish", {"locales": ["en"]}), ("/unpublish", {}), ("/unpublish", {"locales": ["zz"]}), ("/restore", {}), ("/versions/1/restore", {}),
                       ("/versions/99/restore", {}), ("/versions/99", None)):  # fmt: skip
        for entry in (hidden, world.draft.pk, world.hidden_target.pk):
            method = "GET" if body is None else "POST"
            pairs.append(
                (
                    method,
                    f"{MANAGE}/content/articles/{entry}{tail}",
                    f"{MANAGE}/content/articles/{nothing}{tail}",
                    body,
                )
            )
    for entry in (hidden, world.draft.pk):
        one, other = f"{MANAGE}/content/articles/{entry}", f"{MANAGE}/content/articles/{nothing}"
        pairs += [("PATCH", one, other, {"fields": {"title": "x"}}), ("PATCH", one, other, {"fields": {"title": 5}}), ("PATCH", one, other, {"fields": {"hidden_text": "x"}}),
                  ("DELETE", one, other, None), ("DELETE", f"{one}?purge=true", f"{other}?purge=true", None)]  # fmt: skip
    for name in ("anonymous", "reader", "editor", "adder"):
        api = world.apis[name]
        for method, first, second, body in pairs:
            for headers in ({}, {"If-Match": '"1"'}) if method == "PATCH" else ({},):
                with Unchanged((name, method, first)) if method != "GET" else logging_off():
                    one = masked(api.request(method, first, body, **headers))
                    other = masked(api.request(method, second, body, **headers))
                assert one == other, (name, method, first, body)
                assert one[0] in (401, 403, 404) or (one[0] in (400, 428) and method == "PATCH"), (
                    name,
                    method,
                    first,
                    one,
                )


class logging_off:  # noqa: N801 -- stands where Unchanged stands
    """Nothing to compare: a GET is looked at as a whole elsewhere."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_who_may_not_publish_learns_nothing_of_entries_they_do_not_see() -> None:
    """A 403 for what is there and a 404 for what is not would tell them apart."""
    make_collection(
        "posts",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "rank", "type": "integer"},
            {"key": "inside", "type": "text", "required": True},
        ],
    )
    seen = make_entry("posts", title="seen", rank=1, published=False)
    unseen = make_entry("posts", title="unseen", rank=9, published=False)
    rows = {"rank": {"lt": 5}}
    make_role("drafter", {"collection": "posts", "actions": ("read_draft",), "filter": rows})
    make_role(
        "presser",
        {
            "collection": "posts",
            "actions": ("read_draft", "publish"),
            "filter": rows,
            "fields": ("title", "rank"),
        },
    )
    drafter, presser = make_key(role="drafter"), make_key(role="presser")
    for tail in ("publish", "unpublish"):
        for body in ({}, {"locales": ["en"]}, {"locales": ["zz"]}):
            absent = masked(drafter.post(f"{MANAGE}/content/posts/{uuid4()}/{tail}", body))
            assert masked(drafter.post(f"{MANAGE}/content/posts/{unseen.pk}/{tail}", body)) == absent
        assert_problem(drafter.post(f"{MANAGE}/content/posts/{seen.pk}/{tail}"), 403)
    incomplete = assert_problem(presser.post(f"{MANAGE}/content/posts/{seen.pk}/publish"), 400)
    assert [item["code"] for item in incomplete["errors"]] == ["hidden-field"]
    assert "inside" not in str(incomplete).lower()
    told = assert_problem(
        make_key(role="administrator").post(f"{MANAGE}/content/posts/{seen.pk}/publish"), 400
    )
    assert [item["pointer"] for item in told["errors"]] == ["/inside"]


def test_no_refusal_holds_a_canary_or_a_word_of_the_inside() -> None:
    world = make_world()
    words = (
        "Traceback",
        "psycopg",
        "django",
        "SELECT",
        "content_",
        "accounts_",
        "/work",
        "site-packages",
        ".py",
        "Principal(",
        "line ",
    )
    for call in calls(world):
        for name, api in world.limited.items():
            answer = call.send(api)
            if answer.status_code < 400:
                continue
            text = answer.content.decode()
            assert not leaked(answer), (name, call)
            assert not [word for word in words if word in text], (name, call, text)


BREAKS: list[tuple[str, Any, str, Exception]] = [
    ("authentication", authentication.BearerAuthentication, "authenticate", RuntimeError("canaryinside")),
    ("rules", principals.RuleCache, "held", KeyError("canaryinside")),
    ("schema", schema, "read", DatabaseError("canaryinside SELECT password")),
    ("query", Reader, "page", OperationalError("canaryinside host=db password=canaryinside")),
    ("cursor", cursors, "write", ValueError("canaryinside")),
    ("shaping", shaping.Shaper, "document", AttributeError("canaryinside")),
    ("valkey", authentication.api_keys, "check", RedisError("canaryinside")),
    ("writing", editing, "create", RecursionError("canaryinside")),
    ("publishing", publishing, "publish", MemoryError("canaryinside")),
    ("view", manage_views, "document", TypeError("canaryinside")),
]


@pytest.mark.parametrize(("layer", "owner", "name", "error"), BREAKS, ids=[item[0] for item in BREAKS])
def test_an_exception_in_any_layer_shows_nothing_of_itself(
    layer: str,
    owner: Any,
    name: str,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_collection()
    entry = make_entry()
    make_entry()
    root = make_key(role="administrator")
    requests = [
        lambda: root.get(f"{DELIVERY}/articles?limit=1"),
        lambda: root.get(f"{MANAGE}/content/articles?limit=1"),
        lambda: root.post(f"{MANAGE}/content/articles", {"fields": {"title": "x"}}),
        lambda: root.post(f"{MANAGE}/content/articles/{entry.pk}/publish"),
    ]
    assert all(ask().status_code < 300 for ask in requests)

    def broken(*_: Any, **__: Any) -> Any:
        raise error

    schema._cached.clear()
    monkeypatch.setattr(principals._cache, "_generation", -1)
    monkeypatch.setattr(owner, name, broken)
    with caplog.at_level(logging.INFO):
        answers = [ask() for ask in requests]
    failed = [answer for answer in answers if answer.status_code >= 500]
    assert failed, layer
    for answer in failed:
        problem = assert_problem(answer, 500, 503)
        # With a time to come back where it is the database that is away.
        assert set(problem) - {"retry_after"} == {"type", "title", "status", "detail", "instance", "code"}
        assert problem["instance"].endswith(answer["X-Request-ID"])
        assert "canaryinside" not in answer.content.decode() + str(dict(answer.items()))
    secrets = [
        os.environ["SECRET_KEY"],
        os.environ["QUILLKEEP_KEY_RING"],
        settings.DATABASES["default"]["PASSWORD"],
        root.key,
    ]
    lines = "\n".join(JSONFormatter().format(record) for record in caplog.records)
    assert "canaryinside" in lines or layer == "valkey"  # in the log, where it belongs
    for secret in filter(None, secrets):
        assert secret not in lines
        assert all(secret not in answer.content.decode() for answer in answers)
    monkeypatch.undo()
    assert requests[0]().status_code == 200


def test_no_answer_tells_what_runs_here(web_server: LiveServer) -> None:
    import http.client
    from urllib.parse import urlsplit

    at = urlsplit(web_server.url)
    for method, path in (
        ("GET", "/"),
        ("GET", "/api/v1/content/x"),
        ("GET", "/api/v1/openapi.json"),
        ("GET", "/admin/login/"),
        ("GET", "/nope"),
        ("TRACE", "/"),
        ("GET", "/healthz"),
        ("POST", "/api/v1/auth/login"),
    ):
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        told = str(answer.getheaders()).lower() + answer.read().decode(errors="replace").lower()
        connection.close()
        for word in (
            "granian",
            "django/",
            "python/",
            "djangorestframework",
            "wsgiserver",
            "x-powered-by",
            "quillkeep/1",
            "quillkeep/0",
            "drf-spectacular",
        ):
            assert word not in told, (path, word)
        assert answer.status < 500
