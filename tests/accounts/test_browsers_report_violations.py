"""Reports of browsers: counted, cut down to what says nothing of anybody, and kept in a table that can't grow."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts import browser_reports
from accounts.access import Area, Principal
from accounts.errors import NotAllowedError
from accounts.models import CspReport, Event
from accounts.models.csp_report import LONGEST_TEXT
from cms_project import lockdown
from tests.accounts.cast import PASSWORD, make_person
from tests.builders import ROOT, make_role
from tests.security.world import Unchanged, assert_problem

pytestmark = pytest.mark.django_db
PATH = "/api/v1/csp-reports"
OLD, NEW = "application/csp-report", "application/reports+json"


def of_old(**members: Any) -> dict[str, Any]:
    """Return a body as Firefox sends it."""
    return {
        "csp-report": {
            "document-uri": "http://testserver/admin/content/articles/?q=canary",
            "effective-directive": "script-src-elem",
            "blocked-uri": "https://evil.example/x.js?token=canary",
            "source-file": "http://testserver/static/a.js?v=canary",
            "original-policy": "default-src 'none'",
            "script-sample": "canary",
            **members,
        }
    }


def of_new(**members: Any) -> dict[str, Any]:
    """Return one report as Chromium sends it."""
    return {
        "type": "csp-violation",
        "age": 10,
        "url": "http://testserver/admin/",
        "user_agent": "Mozilla/5.0 canary",
        "body": {
            "documentURL": "http://testserver/admin/#canary",
            "effectiveDirective": "style-src-attr",
            "blockedURL": "inline",
            "sample": "canary",
            "disposition": "enforce",
            **members,
        },
    }


def send(body: Any, kind: str = OLD, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client(raise_request_exception=False).post(PATH, data, content_type=kind, headers=headers)


def test_both_forms_are_taken_and_say_nothing_of_queries_or_readers() -> None:
    assert send(of_old()).status_code == 204
    assert send([of_new(), of_new(effectiveDirective="img-src", blockedURL="data")], NEW).status_code == 204
    kept = {(row.directive, row.blocked, row.document, row.source) for row in CspReport.objects.all()}
    assert kept == {
        (
            "script-src-elem",
            "https://evil.example",
            "/admin/content/articles/",
            "http://testserver/static/a.js",
        ),
        ("style-src-attr", "inline", "/admin/", ""),
        ("img-src", "data", "/admin/", ""),
    }
    assert "canary" not in str(list(CspReport.objects.values()))


def test_the_same_is_counted_and_ids_make_no_new_kind() -> None:
    for number in range(3):
        path = f"http://testserver/admin/content/articles/0190aaaa-0000-7000-8000-00000000000{number}/change/"
        send(of_old(**{"document-uri": path}))
    send([of_new(documentURL=f"http://testserver/admin/x/{number}/") for number in range(5)], NEW)
    rows = {row.document: row.count for row in CspReport.objects.all()}
    # What comes five times in one body is one page that tells it five times.
    assert rows == {"/admin/content/articles/{id}/change/": 3, "/admin/x/{id}/": 1}
    row = CspReport.objects.get(count=3)
    assert row.first_seen_at < row.last_seen_at


@pytest.mark.parametrize(
    "members",
    [
        {"document-uri": "https://elsewhere.example/"},
        {"document-uri": "chrome-extension://abcdef/page.html"},
        {"document-uri": "about:blank"},
        {"document-uri": ""},
        {"document-uri": 7},
        {"document-uri": "http://[::1/"},
        {"blocked-uri": "chrome-extension://abcdef/inject.js"},
        {"blocked-uri": "moz-extension://abcdef"},
        {"blocked-uri": "safari-web-extension://abcdef/"},
        {"blocked-uri": "javascript:alert(1)"},
        {"blocked-uri": "<img src=x onerror=alert(1)>"},
        {"blocked-uri": "https://<img src=x>/"},
        {"blocked-uri": "https://evil.example:99999/"},
        {"source-file": "chrome-extension://abcdef/inject.js"},
        {"effective-directive": "made-up-src"},
        {"effective-directive": ""},
        {"effective-directive": None, "violated-directive": ["script-src"]},
    ],
)
def test_noise_and_what_can_not_be_true_is_answered_the_same_and_not_kept(members: dict[str, Any]) -> None:
    with Unchanged(members):
        assert send(of_old(**members)).status_code == 204
    assert send(of_old()).status_code == 204
    assert CspReport.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", OLD, 400),
        (b"[]", OLD, 400),
        (b"{}", NEW, 400),
        (b'"x"', NEW, 400),
        (b'{"csp-report": {}, "csp-report": {}}', OLD, 400),
        (b"[" * 5000, NEW, 400),
        (b"\xff\xfe", OLD, 400),
        (b'{"csp-report": {"a": "' + b"x" * 17_000 + b'"}}', OLD, 413),
        (b"{}", "application/json", 415),
        (b"a=1", "application/x-www-form-urlencoded", 415),
        (b"{}", "text/plain", 415),
    ],
)
def test_a_body_that_is_none_is_refused_and_nothing_is_kept(body: bytes, kind: str, status: int) -> None:
    with Unchanged(kind):
        assert_problem(send(body, kind), status)


ODD: list[Any] = [{}, {"csp-report": 1}, {"csp-report": []}, {"csp-report": {}}, {"other": {}}]
ODD_LISTS: list[Any] = [
    [],
    [1],
    [{}],
    [{"type": "csp-violation"}],
    [{"type": "csp-violation", "body": 3}],
    [{"type": "deprecation", "body": {}}],
]


def test_odd_members_break_nothing() -> None:
    for body in ODD:
        assert send(body).status_code == 204
    for listed in ODD_LISTS:
        assert send(listed, NEW).status_code == 204
    assert not CspReport.objects.exists()


@given(st.dictionaries(st.sampled_from(["document-uri", "blocked-uri", "source-file", "effective-directive", "violated-directive"]),
                       st.one_of(st.text(max_size=400), st.sampled_from(["http://testserver/\u202e", "inline", "script-src", "https://a.b/\x00"]))))  # fmt: skip
def test_whatever_is_sent_what_is_kept_is_short_and_plain(members: dict[str, str]) -> None:
    for found in browser_reports.of_csp_report({"csp-report": {**of_old()["csp-report"], **members}}):
        for text in (found.directive, found.blocked, found.document, found.source):
            assert len(text) <= LONGEST_TEXT
            assert text.isprintable()
            assert "?" not in text
            assert "#" not in text


def test_credentials_in_a_path_are_hidden() -> None:
    send(of_old(**{"document-uri": "http://testserver/admin/qk_live_abcdef_canarycanary/"}))
    assert "canary" not in CspReport.objects.get().document


def test_only_some_of_a_body_and_the_newest_thousand_kinds_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_reports, "MOST_ROWS", 30)
    send([of_new(documentURL=f"http://testserver/page-{number}a") for number in range(40)], NEW)
    assert CspReport.objects.count() == browser_reports.MOST_IN_A_BODY == 20
    CspReport.objects.filter(document="/page-0a").update(last_seen_at=timezone.now() + timedelta(hours=1))
    send([of_new(documentURL=f"http://testserver/other-{number}a") for number in range(20)], NEW)
    assert CspReport.objects.count() == 30
    left = set(CspReport.objects.values_list("document", flat=True))
    assert {"/page-0a", "/other-0a", "/other-19a"} <= left
    assert "/page-1a" not in left


def test_an_address_can_not_fill_it_and_nothing_is_taken_uncounted(request: pytest.FixtureRequest) -> None:
    answers = [send(of_old()).status_code for _ in range(31)]
    assert answers == [*[204] * 30, 429]
    request.getfixturevalue("broken_valkey")
    with Unchanged(
        "without a count", but=("accounts_event", "accounts_unsealed")
    ):  # the outage is written down
        assert send(of_old()).status_code == 503


def test_it_sets_no_cookie_and_is_read_by_no_other_site() -> None:
    answer = send(of_old(), Origin="https://evil.example")
    assert answer.status_code == 204
    assert not answer.cookies
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert send(of_old(), Authorization="Bearer nonsense").status_code == 401


def test_during_a_lockdown_nothing_is_kept() -> None:
    lockdown.begin(reason="a test", by=ROOT)
    assert_problem(send(of_old()), 423)
    assert not CspReport.objects.exists()


# Forgetting


def browser_of(email: str, *roles: str) -> Client:
    person = make_person(email, roles=list(roles), with_authenticator=True)
    browser = Client(raise_request_exception=False)
    browser.post("/admin/login/", {"email": email, "password": PASSWORD})
    browser.post("/admin/login/code/", {"code": person.code()})
    return browser


def test_who_administers_operations_sees_and_forgets_them_and_nobody_else() -> None:
    send(of_old())
    send([of_new()], NEW)
    make_role("desk", {"collection": "*", "actions": ("read", "read_draft")})
    row = CspReport.objects.get(directive="script-src-elem")
    page = "/admin/csp-reports/"
    edith = browser_of("edith@example.com", "desk")
    with Unchanged("editor"):
        assert edith.get(page).status_code == 403
        assert edith.post(page, {"report": str(row.pk)}).status_code == 403
        assert edith.post(page, {"report": "all"}).status_code == 403
    with Unchanged("nobody"):
        assert Client().post(page, {"report": "all"}).status_code == 302
    ada = browser_of("ada@example.com", "administrator")
    shown = ada.get(page).content.decode()
    assert "https://evil.example" in shown
    assert "/admin/content/articles/" in shown
    for odd in ("", "x", "-1", "1" * 30, "٣"):
        with Unchanged(odd):
            assert ada.post(page, {"report": odd}).status_code == 404
    assert ada.post(page, {"report": str(row.pk)}).status_code == 302
    assert not CspReport.objects.filter(pk=row.pk).exists()
    assert ada.post(page, {"report": str(row.pk)}).status_code == 302  # somebody was quicker: no error
    event = Event.objects.get(type=browser_reports.FORGOTTEN)
    assert (event.actor_label, event.detail) == (
        "ada@example.com",
        {"directive": "script-src-elem", "count": 1},
    )
    ada.post(page, {"report": "all"})
    assert not CspReport.objects.exists()
    assert "No browser has reported anything" in ada.get(page).content.decode()


def test_the_verbs_ask_themselves() -> None:
    send(of_old())
    somebody = Principal(kind="user", areas=frozenset(Area) - {Area.OPERATIONS})
    for act in (
        browser_reports.forget_all,
        lambda by: browser_reports.forget(CspReport.objects.get().pk, by=by),
    ):
        with Unchanged("forget"), pytest.raises(NotAllowedError):
            act(by=somebody)
