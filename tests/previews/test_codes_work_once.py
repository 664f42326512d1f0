"""A one-time code: for one minute, once, with the secret of its own site, and no answer tells why not (threats, D)."""

import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import redis
from django.core import serializers
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Event, Session, User
from accounts.sign_in import sessions
from previews import handoff, register, secrets, sites
from previews.api import edge
from previews.models import Preview, PreviewSite
from previews.signing.table import tables
from tests.accounts.cast import Api as PersonsApi
from tests.builders import ROOT
from tests.previews.world import World, make_site, refusals, told
from tests.processes import LiveServer
from tests.security.world import Unchanged, assert_problem, masked

pytestmark = pytest.mark.django_db

PATH: Final = "/api/v1/previews/exchange"
# What a refusal may write: that it happened.
LOG: Final = ("accounts_event", "accounts_unsealed")


@pytest.fixture(autouse=True)
def _no_quota(unlimited: None) -> None:
    """The quota of exchanges has a test of its own."""


def code_of(world: World, **body: Any) -> str:
    minted = world.mint(**body)
    assert minted.status_code == 201, minted.content
    return str(minted.json()["code"])


def of(code: str) -> Preview:
    return Preview.objects.get(code_hash=secrets.digest(code))


def reference(world: World) -> tuple[int, bytes, dict[str, str]]:
    """Return how every refusal looks."""
    answer = world.exchange(secrets.new(secrets.CODE))
    assert_problem(answer, 401)
    assert refusals()[-1] == "unknown-code"
    return masked(answer)


def age(code: str, *, seconds: float) -> None:
    """Let a code be older than it is."""
    by = timedelta(seconds=seconds)
    Preview.objects.filter(pk=of(code).pk).update(
        code_expires_at=F("code_expires_at") - by, created_at=F("created_at") - by
    )


# --- Why a code gets no token ---------------------------------------------------------------------------------------


def used(world: World, code: str) -> None:
    assert world.exchange(code).status_code == 200


def revoked(world: World, code: str) -> None:
    assert world.as_edith.delete(f"previews/{of(code).pk}").status_code == 204


def over(_world: World, code: str) -> None:
    age(code, seconds=60)


def ended(world: World, code: str) -> None:
    del code
    assert world.as_edith.post("auth/logout").status_code == 204


def ended_by_another(_world: World, code: str) -> None:
    session = of(code).session
    assert session is not None
    sessions.end(session, by=ROOT)


def deactivated(world: World, code: str) -> None:
    del code
    User.objects.filter(pk=world.edith.user.pk).update(is_active=False)


def with_new_password(world: World, code: str) -> None:
    del code
    User.objects.filter(pk=world.edith.user.pk).update(token_version=F("token_version") + 1)


def idle(_world: World, code: str) -> None:
    Session.objects.filter(pk__in=[of(code).session_id]).update(
        last_seen_at=timezone.now() - timedelta(days=30)
    )


def switched_off(world: World, code: str) -> None:
    del code
    sites.change(world.site, {"state": "disabled"}, None, by=ROOT)


def past_its_end(_world: World, code: str) -> None:
    Preview.objects.filter(pk=of(code).pk).update(expires_at=timezone.now() - timedelta(seconds=1))


ENDS: Final[dict[str, tuple[Callable[[World, str], None], str]]] = {
    "used": (used, "code-used"),
    "revoked": (revoked, "revoked"),
    "a minute old": (over, "code-expired"),
    "the preview's own end": (past_its_end, "code-expired"),
    "signed out": (ended, "session-ended"),
    "session ended by an administrator": (ended_by_another, "session-ended"),
    "deactivated": (deactivated, "session-ended"),
    "a new password": (with_new_password, "session-ended"),
    "idle": (idle, "session-ended"),
    "site switched off": (switched_off, "site-off"),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_code_that_is_over_gets_nothing(world: World, how: str) -> None:
    act, reason = ENDS[how]
    expected, other = reference(world), code_of(world)
    code = code_of(world)
    assert world.exchange(other).status_code == 200  # the very same, but for what ends the code
    act(world, code)
    with Unchanged(how, but=LOG):
        answer = world.exchange(code)
    assert masked(answer) == expected
    assert refusals()[-1] == reason
    event = Event.objects.filter(type="preview.refused").order_by("-at", "-pk")[0]
    assert (event.subject_type, event.subject_id) == ("preview", str(of(code).pk))
    if how != "used":
        assert of(code).exchanged_at is None


def test_a_code_lives_for_a_minute_and_no_longer(world: World) -> None:
    code = code_of(world)
    age(code, seconds=55)
    assert world.exchange(code).status_code == 200
    late = code_of(world)
    age(late, seconds=60)
    assert_problem(world.exchange(late), 401)
    found = of(code_of(world))
    assert found.code_expires_at - found.created_at == handoff.CODE_LIFE == timedelta(seconds=60)


def test_what_is_no_code_is_not_looked_up(world: World) -> None:
    expected, good = reference(world), code_of(world)
    for text in (
        "x", "qkpc_", good[:-1], good + "A", good.upper(), good.replace("qkpc_", "qkps_"), good[5:], " " + good,
        "qkpc_" + "é" * 43, "qkpc_" + "A" * 43, "qkpc_' OR 1=1", "\u200b" + good, "qkpc_" + "=" * 43,
    ):  # fmt: skip
        with CaptureQueriesContext(connection) as asked:
            answer = world.exchange(text)
        assert masked(answer)[:2] == expected[:2], text
        if not text.startswith("qkpc_A"):
            assert not any("previews_preview" in query["sql"] for query in asked.captured_queries), text
    assert world.exchange(good).status_code == 200


def test_a_code_works_at_its_own_site_alone(world: World) -> None:
    expected = reference(world)
    made = make_site("Other")
    tables.forget()
    mine, others = code_of(world), code_of(world, site_id=str(made.site.pk))
    for code, secret, reason in (
        (mine, made.client_secret, "other-site"),
        (others, world.secret, "other-site"),
        (mine, secrets.new(secrets.CLIENT_SECRET), "wrong-secret"),
        (mine, world.secret[:-1], "wrong-secret"),
        (mine, world.secret + "A", "wrong-secret"),
        (mine, mine, "wrong-secret"),
        (mine, world.site.secret_hash, "wrong-secret"),  # what is stored is not what is sent
        (mine, "-" * 64, "wrong-secret"),
        (mine, "x", "wrong-secret"),
    ):
        with Unchanged(secret, but=LOG):
            answer = world.exchange(code, secret)
        assert masked(answer) == expected
        assert refusals()[-1] == reason
    # None of it has used the codes up.
    assert world.exchange(mine).status_code == 200
    assert world.exchange(others, made.client_secret).status_code == 200


def test_without_the_secret_nobody_learns_what_became_of_a_code(world: World) -> None:
    """Whoever has seen a code in a history or a log is told the same, and the same is done, whatever its state."""
    expected, unlike = reference(world), set()
    for how, (act, _) in ENDS.items():
        if how in (
            "signed out",
            "session ended by an administrator",
            "deactivated",
            "a new password",
            "idle",
        ):
            continue  # these end what the next ones are minted with
        code = code_of(world)
        act(world, code)
        with CaptureQueriesContext(connection) as asked:
            assert masked(world.exchange(code, secrets.new(secrets.CLIENT_SECRET))) == expected
        assert refusals()[-1] == "wrong-secret"
        unlike.add(tuple(query["sql"].split(" ")[0] for query in asked.captured_queries))
        if how == "site switched off":
            sites.change(world.site, {"state": "active"}, None, by=ROOT)
    assert len(unlike) == 1


# --- Used twice -----------------------------------------------------------------------------------------------------


def test_a_code_that_comes_again_at_once_is_a_double_click_and_later_a_theft(world: World) -> None:
    code = code_of(world)
    token = world.exchange(code).json()["token"]
    assert_problem(world.exchange(code), 401)
    assert world.read(token).status_code == 200  # five seconds have not passed
    Preview.objects.filter(pk=of(code).pk).update(exchanged_at=timezone.now() - timedelta(seconds=6))
    # Who has no secret can't end it: only the site can say so.
    assert_problem(world.exchange(code, secrets.new(secrets.CLIENT_SECRET)), 401)
    assert world.read(token).status_code == 200
    assert_problem(world.exchange(code), 401)
    assert (of(code).revoked_because, told("preview.revoked")) == ("code-used", [{"because": "code-used"}])
    assert_problem(world.read(token), 401)
    before = of(code).revoked_at
    assert_problem(world.exchange(code), 401)
    assert (of(code).revoked_at, len(told("preview.revoked"))) == (before, 1)


def test_of_eight_at_the_same_moment_one_gets_the_token(world: World, web_server: LiveServer) -> None:
    for _ in range(3):
        code = code_of(world)
        start = threading.Barrier(8)
        answers: list[int] = []

        def ask(code: str = code, start: threading.Barrier = start, answers: list[int] = answers) -> None:
            body = json.dumps({"code": code, "client_secret": world.secret}).encode()
            request = urllib.request.Request(  # noqa: S310 (our own server on loopback)
                web_server.url + PATH, body, {"Content-Type": "application/json"}
            )
            start.wait()
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    answers.append(answer.status)
            except urllib.error.HTTPError as error:
                answers.append(error.code)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200] + [401] * 7
        assert of(code).revoked_at is None
    assert len(told("preview.exchanged")) == 3


# --- The secret -----------------------------------------------------------------------------------------------------


def test_a_former_secret_works_until_the_overlap_ends(world: World) -> None:
    former = world.secret
    made = sites.rotate_secret(world.site, overlap=timedelta(hours=1), by=ROOT)
    assert world.exchange(code_of(world), former).status_code == 200
    assert world.exchange(code_of(world), made.client_secret).status_code == 200
    PreviewSite.objects.update(previous_valid_until=timezone.now() - timedelta(seconds=1))
    code = code_of(world)
    assert_problem(world.exchange(code, former), 401)
    assert world.exchange(code, made.client_secret).status_code == 200
    again = sites.rotate_secret(world.site, overlap=timedelta(0), by=ROOT)
    code = code_of(world)
    assert_problem(world.exchange(code, made.client_secret), 401)
    assert_problem(world.exchange(code, former), 401)
    assert world.exchange(code, again.client_secret).status_code == 200
    for overlap in (timedelta(seconds=-1), timedelta(days=31)):
        with pytest.raises(Exception, match="not valid"):
            sites.rotate_secret(world.site, overlap=overlap, by=ROOT)


def test_an_empty_former_secret_is_none(world: World) -> None:
    """A row without a former secret must not be opened by the digest of nothing."""
    site = PreviewSite.objects.get()
    assert site.previous_secret_hash == ""
    PreviewSite.objects.update(previous_valid_until=timezone.now() + timedelta(hours=1))
    code = code_of(world)
    for secret in ("-" * 64, "x", "qkps_", " x"):
        assert_problem(world.exchange(code, secret), 401)
    assert_problem(world.exchange(code, ""), 400)
    assert world.exchange(code).status_code == 200


# --- How it is asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_it_is_a_post_and_nothing_else(world: World, method: str) -> None:
    code = code_of(world)
    body = {"code": code, "client_secret": world.secret}
    answer = world.visitor.request(method, PATH, None if method in ("GET", "HEAD") else body)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST, OPTIONS"
    query = f"{PATH}?code={code}&client_secret={world.secret}"
    assert world.visitor.request(method, query).status_code in (400, 405)
    assert world.exchange(code).status_code == 200


def test_its_body_is_two_texts_and_nothing_else(world: World) -> None:
    code, secret = code_of(world), world.secret
    good = {"code": code, "client_secret": secret}
    bad: list[Any] = [
        {}, [], None, "x", 7, [good], {"code": code}, {"client_secret": secret}, {**good, "site_id": str(world.site.pk)},
        {**good, "code": None}, {**good, "code": 7}, {**good, "code": [code]}, {**good, "code": {"eq": code}},
        {**good, "code": ""}, {**good, "code": "x" * 201}, {**good, "client_secret": True}, {**good, "client_secret": ""},
        {**good, "client_secret": "x" * 201}, {**good, "code": "\x00"}, {**good, "client_secret": "\ud800"},
        {**good, "code": "qkpc_\ud800"}, {**good, "grant_type": "authorization_code"},
    ]  # fmt: skip
    for body in bad:
        with Unchanged(body, but=LOG):
            answer: Any = world.visitor.client.post(PATH, json.dumps(body), content_type="application/json")
        assert_problem(answer, 400)
        assert code not in answer.content.decode()
        assert secret not in answer.content.decode()
    client = world.visitor.client
    assert client.post(PATH, good).status_code == 415
    assert (
        client.post(PATH, f"code={code}", content_type="application/x-www-form-urlencoded").status_code == 415
    )
    twice = f'{{"code": "x", "code": "{code}", "client_secret": "{secret}"}}'
    assert client.post(PATH, twice, content_type="application/json").status_code == 400
    assert world.visitor.post(f"{PATH}?x=1", good).status_code == 400
    assert world.visitor.post(f"{PATH}?code={code}", good).status_code == 400
    assert world.exchange(code).status_code == 200


def test_credentials_of_people_have_no_part_in_it(world: World) -> None:
    code = code_of(world)
    as_edith = PersonsApi(world.visitor.client, world.as_edith.credential)
    body = {"code": code, "client_secret": secrets.new(secrets.CLIENT_SECRET)}
    assert as_edith.post("previews/exchange", body).status_code == 401
    assert as_edith.post("previews/exchange", {**body, "client_secret": world.secret}).status_code == 200
    assert told("preview.exchanged") == [{"site": world.site.name}]


def test_guessing_is_slow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    code = code_of(world)
    monkeypatch.setattr(edge.ExchangeThrottle, "policy", replace(edge.EXCHANGES, quota=2))
    for _ in range(2):
        assert_problem(world.exchange(secrets.new(secrets.CODE)), 401)
    answer = world.exchange(secrets.new(secrets.CODE))
    assert_problem(answer, 429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert world.exchange(code).status_code == 200  # whoever guesses closes it to nobody
    assert (edge.EXCHANGES.quota, edge.EXCHANGES.overall, edge.EXCHANGES.fails_open) == (120, 1200, False)


def test_without_the_count_it_is_closed_and_the_code_is_not_lost(world: World) -> None:
    code = code_of(world)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("accounts.limits.buckets", _gone)
        answer = world.exchange(code)
        assert_problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
    assert world.exchange(code).status_code == 200


def _gone() -> Any:

    raise redis.ConnectionError("gone")


# --- Where it stands ------------------------------------------------------------------------------------------------


def test_in_the_body_of_a_form_the_address_holds_nothing(world: World) -> None:
    sites.change(world.site, {"response_mode": "form_post"}, None, by=ROOT)
    body = world.mint().json()
    assert body["response_mode"] == "form_post"
    assert body["url"] == "https://www.example.com/api/preview?path=/blog/canary-draft"
    assert "code" not in parse_qs(urlsplit(body["url"]).query)
    assert world.exchange(body["code"]).status_code == 200
    sites.change(world.site, {"response_mode": "query"}, None, by=ROOT)
    body = world.mint().json()
    assert parse_qs(urlsplit(body["url"]).query)["code"] == [body["code"]]


def test_no_code_secret_or_token_is_written_down(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("quillkeep"), "propagate", True)
    with caplog.at_level(logging.DEBUG):
        code, stale = code_of(world), code_of(world)
        token = world.exchange(code).json()["token"]
        world.exchange(code)
        world.exchange(stale, "wrong")
        world.read(token)
        world.read(token + "x")
        listed = world.as_edith.get("previews").content.decode()
    rows = serializers.serialize(
        "json", [*Preview.objects.all(), *PreviewSite.objects.all(), *Event.objects.all()]
    )
    for secret in (code, stale, world.secret, token, token.rpartition(".")[2]):
        assert secret not in caplog.text
        assert secret not in rows
        assert secret not in listed
    for row in Preview.objects.all():
        assert row.code_hash not in listed
        assert row.code_hash not in caplog.text


def test_the_answers_of_an_exchange_are_kept_by_nobody(world: World) -> None:
    code = code_of(world)
    for answer in (
        world.exchange(code),
        world.exchange(code),
        world.visitor.post(PATH, {}),
        world.visitor.get(PATH),
    ):
        assert answer.headers["Cache-Control"] == "private, no-store, max-age=0"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert not answer.cookies


def test_old_rows_are_forgotten_and_live_ones_are_not(world: World) -> None:
    old, new = of(code_of(world)), of(code_of(world))
    Preview.objects.filter(pk=old.pk).update(
        expires_at=timezone.now() - register.KEPT_FOR - timedelta(minutes=1)
    )
    Preview.objects.filter(pk=new.pk).update(
        expires_at=timezone.now() - register.KEPT_FOR + timedelta(minutes=1)
    )
    assert register.forget_old() == 1
    assert list(Preview.objects.all()) == [new]
