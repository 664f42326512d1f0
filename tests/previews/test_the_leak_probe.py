"""The leak probe asks a real site as strangers, caches and crawlers would, and tells what the site gives away."""

import gzip
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from accounts.access import system
from accounts.alerting.reading import raise_due
from accounts.errors import ConflictError, NotAllowedError
from accounts.log import seal_pending
from accounts.models import Alert, Event, Severity
from cms_project.demo import collections as demo
from content import editing, publishing
from previews import sites, tokens
from previews.api.edge import COOKIE
from previews.models import PreviewSite, SigningKey
from previews.probing import asking
from previews.probing import probe as probing
from previews.probing.asking import Reply
from previews.probing.canaries import canaries_of, told_by
from previews.signing.table import tables
from previews.tokens import InvalidTokenError
from tests.builders import (
    ROOT,
    administrator,
    allow,
    make_collection,
    make_entry,
    make_locale,
    principal,
    writing,
)
from tests.previews import node
from tests.previews.little_site import MISSING, Answer, Asked, LittleSite, Page
from tests.previews.world import HANDOFF, World, make_site, told
from tests.processes import LiveServer, Process, free_port

pytestmark = pytest.mark.django_db

PAGE = "/blog/canary-draft"
NOINDEX = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}
TEXT = "<!doctype html><title>CANARY draft</title><p><strong>secret</strong> plans"
DRAFT = Page(200, TEXT, NOINDEX)
BY = system("test")


@pytest.fixture
def world(world: World) -> World:
    """Leave one draft, so that it is the newest."""
    editing.trash(world.other.pk, writing=writing("articles"))
    return world


def right(asked: Asked) -> Page:
    """Answer as a good site does: nothing that is not published, whatever comes along."""
    if asked.path == "/api/preview":
        return Page(303, "", {"Location": "/", **NOINDEX})
    return MISSING


def leaking(when: Callable[[Asked], bool], page: Page = DRAFT) -> Answer:
    """Answer like the good site but for one mistake."""
    return lambda asked: page if asked.path == PAGE and when(asked) else right(asked)


@contextmanager
def probed(world: World, answer: Answer, **values: Any) -> Iterator[PreviewSite]:
    """Probe the world's site while it answers so."""
    with LittleSite(answer) as little:
        yield probing.probe(moved(world, little.origin, **values), by=BY)


def moved(
    world: World, origin: str, *, url: str = "/api/preview?path=/blog/{slug}", **values: Any
) -> PreviewSite:
    return sites.change(world.site, {"origins": [origin], **values}, {"articles": origin + url}, by=ROOT).site


def result(site: PreviewSite) -> dict[str, Any]:
    assert site.probe is not None
    return dict(site.probe)


def checks(site: PreviewSite, verdict: str = "leak") -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in result(site)["checks"] if check["verdict"] == verdict}


def test_a_site_that_is_right_gives_nothing_away(world: World) -> None:
    with LittleSite(right) as little:
        site = probing.probe(moved(world, little.origin), by=BY)
        paths = {asked.path for asked in little.asked}
        sent = [token for asked in little.asked if (token := asked.cookies.get(COOKIE))]
    assert result(site)["verdict"] == "ok", site.probe
    assert result(site)["sentence"] == "No draft was given away."
    assert {PAGE, "/api/preview"} <= paths
    assert len(sent) == 3
    for token, reason in zip(sent, ("expired", "signature", "malformed"), strict=True):
        with pytest.raises(InvalidTokenError) as refused:
            tokens.verify(token)
        assert refused.value.reason == reason
    site.refresh_from_db()
    assert result(site)["verdict"] == "ok"
    assert site.probed_at is not None
    assert [event["verdict"] for event in told("preview-site.probed")] == ["ok"]
    assert told("preview-site.leaks") == []


def test_a_page_without_a_cookie_that_shows_the_draft_is_a_leak(world: World) -> None:
    with probed(world, leaking(lambda asked: True)) as site:
        leak = checks(site)["no-cookie"]
    assert leak["status"] == 200
    assert leak["found"] == ["body", "title"]
    assert leak["sentence"].startswith("Without a cookie the site shows words of the draft (body, title).")
    assert "Caches" not in leak["sentence"]
    assert "Search engines" not in leak["sentence"]
    assert told("preview-site.leaks")[0]["fields"] == ["body", "title"]


def test_nothing_of_the_draft_is_kept_or_told(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    out = StringIO()
    with LittleSite(leaking(lambda asked: True)) as little:
        moved(world, little.origin)
        with pytest.raises(CommandError):
            call_command("previews", "probe", "--json", stdout=out)
    world.site.refresh_from_db()
    events = json.dumps([event.detail for event in Event.objects.filter(type__startswith="preview-site.")])
    kept = "".join([out.getvalue(), json.dumps(world.site.probe), events, *capfd.readouterr()])
    assert "leak" in kept
    for words in ("CANARY", "canary", "secret plans", "731648", "quillkeep-preview="):
        assert words not in kept
    assert f"{little.origin}/blog/{{slug}}" in kept


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("expired-cookie", lambda asked: refusal(asked) == "expired"),
        ("forged-cookie", lambda asked: refusal(asked) == "signature"),
        ("unsigned-cookie", lambda asked: asked.cookies.get(COOKIE, "").endswith(".")),
        ("subrequest-middleware", lambda asked: asked.headers.get("x-middleware-subrequest", "").startswith("middleware:")),
        ("subrequest-src-middleware", lambda asked: "src/middleware:" in asked.headers.get("x-middleware-subrequest", "")),
        ("draft-headers", lambda asked: "x-draft-mode" in asked.headers),
        ("draft-headers", lambda asked: "x-preview-token" in asked.headers),
        ("forwarded-host", lambda asked: "x-forwarded-host" in asked.headers),
        ("query-preview", lambda asked: asked.query.get("preview") == ["true"]),
        ("query-draft", lambda asked: asked.query.get("draft") == ["1"]),
        ("query-secret", lambda asked: "secret" in asked.query),
        ("query-nocache", lambda asked: "nocache" in asked.query),
    ],
)  # fmt: skip
def test_each_way_to_the_draft_is_found_and_no_other_named(world: World, name: str, when: Any) -> None:
    tables.current()  # here: the little site's threads shall not ask the database
    with probed(world, leaking(when)) as site:
        assert list(checks(site)) == [name], site.probe
        assert len(checks(site, "ok")) == len(result(site)["checks"]) - 1
        assert result(site)["verdict"] == "leak"


def refusal(asked: Asked) -> str:
    """Return why a token in the cookie is no good; the wrong site takes just this one."""
    try:
        tokens.verify(asked.cookies.get(COOKIE, ""))
    except InvalidTokenError as error:
        return error.reason
    return ""


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "HS256"])
def test_the_samples_are_no_good_by_any_algorithm(world: World, algorithm: str) -> None:
    sites.change(world.site, {"algorithm": algorithm}, None, by=ROOT)
    world.site.refresh_from_db()
    reasons = {}
    for name, token in tokens.samples_for_a_probe(world.site, world.draft.pk, "en").items():
        with pytest.raises(InvalidTokenError) as refused:
            tokens.verify(token)
        reasons[name] = refused.value.reason
        assert world.read(token).status_code == 401
    assert reasons == {"expired": "expired", "forged": "signature", "unsigned": "malformed"}
    assert world.read(world.token()).status_code == 200


def test_the_cdn_is_asked_under_its_own_address(world: World) -> None:
    cached = replace(DRAFT, headers={"Age": "31", "X-Cache": "HIT", **NOINDEX})
    with (
        LittleSite(leaking(lambda asked: True, cached)) as cdn,
        probed(world, right, cdn_origin=cdn.origin) as site,
    ):
        leaks = checks(site)
        assert list(leaks) == ["cdn", "cdn-expired-cookie"]
        assert leaks["cdn"]["url"] == f"{cdn.origin}/blog/{{slug}}"
        assert "Caches may keep the answer" in leaks["cdn"]["sentence"]


@pytest.mark.parametrize(
    ("headers", "cached", "listed"),
    [
        (NOINDEX, False, False),
        ({"X-Robots-Tag": "noindex"}, True, False),
        ({"Cache-Control": "public, s-maxage=60, private"}, True, True),
        ({"Cache-Control": "private"}, False, True),
        ({"Cache-Control": "no-store", "Age": "3"}, True, True),
        ({"Cache-Control": "no-store", "X-Cache": "Hit from cloudfront"}, True, True),
        ({"Cache-Control": "no-store", "CF-Cache-Status": "MISS"}, False, True),
    ],
)
def test_a_leak_says_whether_caches_and_search_engines_keep_it(
    world: World, headers: dict[str, str], *, cached: bool, listed: bool
) -> None:
    with probed(world, leaking(lambda asked: not asked.query, replace(DRAFT, headers=headers))) as site:
        sentence = checks(site)["no-cookie"]["sentence"]
    assert ("Caches may keep" in sentence) == cached
    assert ("Search engines may list" in sentence) == listed


def test_a_page_may_say_noindex_itself() -> None:
    def listed(tag: str) -> bool:
        return Reply(200, {}, f"<html><head>{tag}</head>").may_be_listed

    assert listed("")
    assert listed('<meta name="description" content="noindex">')
    assert not listed('<meta name="robots" content="noindex, nofollow">')
    assert not listed("<META content=NOINDEX name=ROBOTS>")


def test_a_handoff_that_takes_any_code_is_found_by_the_cookie_that_it_sets(world: World) -> None:
    def answer(asked: Asked) -> Page:
        if asked.path == "/api/preview":
            cookie = "bypass=1; Path=/; Expires=Thu, 01 Jan 2099 00:00:00 GMT"
            return Page(307, "", {"Location": PAGE, "Set-Cookie": cookie} if "code" in asked.query else {})
        return DRAFT if asked.path == PAGE and asked.cookies.get("bypass") == "1" else MISSING

    with probed(world, answer) as site:
        assert list(checks(site)) == ["made-up-code"], site.probe
    with probed(world, lambda asked: replace(answer(asked), status=200)) as site:  # without going anywhere
        assert list(checks(site)) == ["made-up-code"], site.probe


def test_a_form_with_any_code_is_tried_where_the_site_takes_forms(world: World) -> None:
    def answer(asked: Asked) -> Page:
        return DRAFT if asked.method == "POST" and asked.body.startswith(b"code=qkpc_") else right(asked)

    with probed(world, answer, response_mode="form_post") as site:
        assert list(checks(site)) == ["made-up-code-in-a-form"]


@pytest.mark.parametrize(
    "body",
    [
        "<p>CANARY\n   draft</p>",
        "<h1>CAN<span>ARY</span> draft</h1>",
        "<p>CANARY&#32;draft &amp; more",
        "&lt;p&gt;CANARY draft",
        '<script>push([1,"\\u003cp\\u003eCANARY\\u0020draft\\u003c/p\\u003e"])</script>',
        '{"title":"CANARY draft"}',
        "\\ud83d\\u0000 CANARY draft",
        pytest.param(f"<p>&#{'9' * 9000};&#x{'f' * 9000}; CANARY draft", id="numbers without end"),
        pytest.param(f"CANARY&#{'0' * 9000}32;draft", id="zeros without end"),
    ],
)
def test_words_are_found_however_a_page_writes_them(body: str) -> None:
    assert told_by(body, {"title": ("CANARY draft",), "body": ("secret plans",)}) == ["title"]


@given(st.text() | st.text(alphabet="<>&;\\u0d8#x \"'-"))
def test_no_page_breaks_the_search(text: str) -> None:
    assert told_by(text, {"title": ("CANARY draft",)}) == []
    assert told_by(
        text.replace("<", "").replace("&", "").replace("\\", "") + " CANARY draft", {"t": ("CANARY draft",)}
    ) == ["t"]


def test_what_stands_in_public_or_on_every_page_is_no_sign(world: World) -> None:
    make_entry("articles", title="Told before", body="All of our **secret plans** are here.")
    with probed(world, lambda asked: Page(404, "<footer>CANARY draft</footer>")) as site:
        assert result(site)["verdict"] == "unknown"
        assert "Write a longer draft" in result(site)["sentence"]


def test_personal_fields_and_the_address_itself_are_no_words(world: World) -> None:
    (canary,), _ = canaries_of(moved(world, "http://127.0.0.1:1"))
    assert dict(canary.words) == {"title": ("CANARY draft",), "body": ("secret plans",)}
    assert "canary" not in repr(canary)
    assert "CANARY" not in repr(canary)
    echo = leaking(lambda asked: True, Page(404, f"Nothing at {PAGE} (731648)"))
    with probed(world, echo) as site:
        assert result(site)["verdict"] == "ok"


def test_a_draft_that_was_public_once_is_not_asked_for(world: World) -> None:
    older = make_entry("articles", title="Another secret", published=False)
    site = moved(world, "http://127.0.0.1:1")
    editing.save(world.draft.pk, {"body": "Even more secret plans"}, writing=writing("articles"), base=1)
    (canary,), _ = canaries_of(site)
    assert canary.entry_id == world.draft.pk
    publishing.publish(world.draft.pk, writing=writing("articles"))
    publishing.unpublish(world.draft.pk, writing=writing("articles"))
    (canary,), _ = canaries_of(site)
    assert canary.entry_id == older.pk
    editing.trash(older.pk, writing=writing("articles"))
    assert canaries_of(site) == (
        [],
        "No draft that was never public is shown on this site, so nothing was asked.",
    )


def test_another_locale_of_a_published_entry_is_a_draft(world: World) -> None:
    publishing.publish(world.draft.pk, writing=writing("articles"))
    editing.save(
        world.draft.pk,
        {"title": "Geheimer Entwurf", "slug": "entwurf"},
        writing=writing("articles"),
        base=1,
        locale="de",
    )
    site = moved(world, "http://127.0.0.1:1", url="/api/preview?path=/{_locale}/{slug}")
    (canary,), _ = canaries_of(site)
    assert canary.locale == "de"
    assert canary.page == "http://127.0.0.1:1/de/entwurf"


def test_a_handoff_url_that_names_no_page_is_told_with_what_to_do(world: World) -> None:
    site = probing.probe(moved(world, "http://127.0.0.1:1", url="/api/preview?slug={slug}"), by=BY)
    assert result(site)["verdict"] == "unknown"
    assert "path=/blog/{slug}" in result(site)["sentence"]
    assert result(site)["checks"] == []


def test_a_page_that_is_not_there_and_answers_200_is_a_warning(world: World) -> None:
    shell = Page(200, "<div id=app></div>", {})
    with probed(world, lambda asked: shell) as site:
        assert result(site)["verdict"] == "warning"
        assert "should answer 404" in checks(site, "warning")["no-cookie"]["sentence"]


def test_redirects_are_followed_on_the_site_and_not_off_it(world: World) -> None:
    with LittleSite(lambda asked: DRAFT) as elsewhere:
        away = Page(302, "", {"Location": f"{elsewhere.origin}/login"})
        with probed(world, leaking(lambda asked: True, away)) as site:
            assert result(site)["verdict"] == "ok"
            assert checks(site, "ok")["no-cookie"]["status"] == 302
        assert elsewhere.asked == []

    def slash(asked: Asked) -> Page:
        if asked.path == f"{PAGE}/":
            return DRAFT
        return Page(301, "", {"Location": f"{PAGE}/"}) if asked.path == PAGE else right(asked)

    with probed(world, slash) as site:
        assert "no-cookie" in checks(site)
    told_on_the_way = leaking(
        lambda asked: True, replace(DRAFT, status=302, headers={"Location": "https://elsewhere.example/"})
    )
    with probed(world, told_on_the_way) as site:
        assert "no-cookie" in checks(site)
    with LittleSite(leaking(lambda asked: True, Page(302, "", {"Location": PAGE}))) as loop:
        site = probing.probe(moved(world, loop.origin), by=BY)
        assert result(site)["verdict"] == "ok"
        assert len(loop.asked) < asking.MOST_REQUESTS


def test_a_site_that_is_not_there_is_unknown_and_raises_no_alert(world: World) -> None:
    site = probing.probe(moved(world, f"http://127.0.0.1:{free_port()}"), by=BY)
    assert result(site)["verdict"] == "unknown"
    assert [check["name"] for check in result(site)["checks"]] == ["control"]
    assert "could not be asked: the address could not be reached" in result(site)["sentence"]
    assert raised() == []


@pytest.mark.parametrize("origin", ["https://10.0.0.1", "https://127.0.0.1", "https://8.8.8.8:22"])
def test_how_long_a_probe_takes_tells_nothing_of_an_address_that_fails(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="production")
    monkeypatch.setattr(asking, "EACH_SECONDS", 0.4)
    started = time.monotonic()
    for form in (None, b"a=b"):
        with pytest.raises(asking.NoAnswerError, match="could not be reached"):
            asking.Asker().ask(f"{origin}/", form=form)
    assert 0.8 <= time.monotonic() - started < 1.2


def test_a_site_that_hangs_costs_no_more_than_its_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "EACH_SECONDS", 0.3)
    with LittleSite(right) as little:
        little.answer = little.hang
        site = probing.probe(moved(world, little.origin), by=BY)
        assert result(site)["verdict"] == "unknown"
        assert len(little.asked) == 1
        little.answer = lambda asked: little.hang(asked) if asked.path == PAGE else right(asked)
        monkeypatch.setattr(asking, "ALL_SECONDS", 1.0)
        site = probing.probe(moved(world, little.origin), by=BY)
        assert checks(site, "unknown")["query-nocache"]["sentence"].endswith("there was no time left to ask.")
        assert result(site)["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("page", "verdict"),
    [
        (Page(200, b"x" * (asking.MOST_BYTES + 1)), "unknown"),
        (Page(200, gzip.compress(b"0" * 50_000_000), {"Content-Encoding": "gzip"}), "unknown"),
        (Page(200, b"no gzip", {"Content-Encoding": "gzip"}), "unknown"),
        (Page(200, b"whatever", {"Content-Encoding": "br"}), "unknown"),
        (Page(404, bytes(range(256)) * 400), "ok"),
        (Page(404, ("<" * 500_000) + ("<meta" * 100_000) + ("&" * 100_000) + ("\\u" * 100_000)), "ok"),
        (Page(200, gzip.compress(TEXT.encode()), {"Content-Encoding": "gzip"}), "leak"),
        (Page(200, TEXT.encode("latin-1"), {"Content-Type": "text/html; charset=iso-8859-1"}), "leak"),
        (Page(404, DRAFT.body), "leak"),
        (Page(500, "Oops"), "unknown"),
    ],
)  # fmt: skip
def test_whatever_a_site_sends_is_read_within_bounds(world: World, page: Page, verdict: str) -> None:
    with probed(
        world, leaking(lambda asked: "cookie" not in asked.headers and not asked.query, page)
    ) as site:
        assert result(site)["verdict"] == verdict, site.probe


def test_an_address_inside_is_not_asked(
    world: World, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.1.2.3", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: resolved)
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX:
            asked.append(address)
        original(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="production")
    site = probing.probe(world.site, by=BY)
    assert result(site)["verdict"] == "unknown"
    assert asked == []


def raised() -> list[Alert]:
    seal_pending()
    raise_due()
    return list(Alert.objects.filter(rule="preview-site-leaks"))


def test_a_leak_raises_one_critical_alert_that_counts(world: World) -> None:
    with LittleSite(leaking(lambda asked: True)) as little:
        site = moved(world, little.origin)
        probing.probe(site, by=BY)
        (alert,) = raised()
        assert alert.severity == Severity.CRITICAL
        assert alert.subject_id == str(site.pk)
        assert (
            alert.sentence
            == "The preview site Web showed words of a draft (body, title) to somebody without a preview."
        )
        probing.probe(site, by=BY)
        assert [alert.count for alert in raised()] == [2]
        little.answer = right
        probing.probe(site, by=BY)
        assert [alert.count for alert in raised()] == [2]


def test_a_worker_probes_each_site_that_is_on(world: World, celery_worker: Any) -> None:
    from previews.tasks import probe

    with LittleSite(leaking(lambda asked: True)) as little:
        moved(world, little.origin)
        off = sites.add({"name": "Off", "origins": [little.origin], "state": "disabled"}, {}, by=ROOT).site
        probe.delay()
        celery_worker.wait_for(lambda: PreviewSite.objects.get(pk=world.site.pk).probed_at, seconds=30)
    world.site.refresh_from_db()
    assert result(world.site)["verdict"] == "leak"
    assert PreviewSite.objects.get(pk=off.pk).probe is None
    assert "CANARY" not in celery_worker.log()


def test_the_command_exits_by_what_it_found(world: World) -> None:
    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        out = StringIO()
        try:
            call_command("previews", "probe", *arguments, "--json", stdout=out, stderr=StringIO())
        except CommandError as error:
            return error.returncode, json.loads(out.getvalue().splitlines()[-1])
        return 0, json.loads(out.getvalue().splitlines()[-1])

    with LittleSite(right) as little:
        moved(world, little.origin)
        code, result = run()
        assert (code, result["verdict"]) == (0, "ok")
        assert [site["name"] for site in result["sites"]] == ["Web"]
        little.answer = leaking(lambda asked: True)
        for named in ("Web", str(world.site.pk)):
            code, result = run(named)
            assert (code, result["verdict"]) == (1, "leak")
    code, result = run()
    assert (code, result["verdict"]) == (1, "unknown")
    for named in ("Nothing", str(world.draft.pk)):
        with pytest.raises(CommandError, match="There is no preview site"):
            call_command("previews", "probe", named)
    sites.change(world.site, {"state": "disabled"}, None, by=ROOT)
    with pytest.raises(CommandError, match="switched off"):
        call_command("previews", "probe", "Web")


def test_who_administers_previews_probes_by_the_api_and_nobody_else(world: World) -> None:
    path = f"/api/v1/manage/preview-sites/{world.site.pk}/probe"
    with LittleSite(right) as little:
        moved(world, little.origin)
        answer = administrator().post(path)
        assert answer.status_code == 200, answer.content
        assert answer.json()["probe"]["verdict"] == "ok"
        assert answer.json()["probed_at"]
        asked = len(little.asked)
        assert world.as_edith.post(path.removeprefix("/api/v1/")).status_code == 403
        assert world.visitor.post(path).status_code == 401
        assert administrator().post(path, {"url": "http://127.0.0.1"}).status_code == 400
        assert administrator().post(f"/api/v1/manage/preview-sites/{world.draft.pk}/probe").status_code == 404
        with pytest.raises(NotAllowedError):
            probing.probe(world.site, by=principal("editor"))
        assert len(little.asked) == asked


def test_one_probe_runs_at_a_time(world: World) -> None:
    with LittleSite(right) as little:
        site = moved(world, little.origin)

        seen: list[bool] = []

        def again(asked: Asked) -> Page:
            with pytest.raises(ConflictError):
                probing.probe(site, by=BY)
            seen.append(True)
            return right(asked)

        little.answer = again
        assert result(probing.probe(site, by=BY))["verdict"] == "ok"
        assert len(seen) == len(little.asked)


def test_without_a_key_to_sign_the_rest_is_asked(world: World) -> None:
    with LittleSite(right) as little:
        site = moved(world, little.origin)
        SigningKey.objects.filter(state="active").update(private="k1:broken")
        probing.probe(site, by=BY)
        assert result(site)["verdict"] == "unknown"
        assert set(checks(site, "unknown")) == {"expired-cookie", "forged-cookie", "unsigned-cookie"}
        assert "no-cookie" in checks(site, "ok")


class ExampleSite(Process):
    """The example of `examples/astro`, built against a CMS, without TLS."""

    def __init__(self, folder: Path, cms: LiveServer, made: sites.Made, port: int) -> None:
        super().__init__(
            CMS_URL=cms.public_url,
            CMS_INTERNAL_URL=cms.url,
            PORT=str(port),
            SITE_URL=f"http://localhost:{port}",
            SITE_ID=str(made.site.pk),
            CLIENT_SECRET=made.client_secret,
        )
        self.folder, self.port = folder, port

    def command(self) -> list[str]:
        """Return its command line."""
        return ["node", str(self.folder / "server.mjs")]

    def is_ready(self) -> bool:
        """Return whether it listens."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.mark.slow
def test_the_example_site_gives_nothing_away(web_server: LiveServer, tmp_path: Path) -> None:
    folder = tmp_path / "examples" / "astro"
    left_out = shutil.ignore_patterns("node_modules", "dist", ".astro")
    shutil.copytree(node.installed_example(), folder, symlinks=True, ignore=left_out)
    (folder / "node_modules").symlink_to(node.EXAMPLE / "node_modules")
    make_locale("de", fallback=("en",))
    for collection in (demo.AUTHORS, demo.ARTICLES):
        make_collection(collection["key"], collection["fields"], localized=True)
        allow("public", collection=collection["key"])
    make_entry("articles", title="High water", body="As everybody knows it.")
    draft = make_entry(
        "articles", title="A draft of the tide", body="What nobody knows yet.", published=False
    )
    port = free_port()
    origin = f"http://localhost:{port}"
    made = sites.add(
        {"name": "Example", "origins": [origin]},
        {"articles": f"{origin}/api/preview?path=/blog/{{slug}}"},
        by=ROOT,
    )
    site = ExampleSite(folder, web_server, made, port)
    node.run(folder, "npm", "run", "build", CMS_URL=web_server.public_url, CMS_INTERNAL_URL=web_server.url)
    with site:
        found = probing.probe(made.site, by=BY)
        assert result(found)["verdict"] == "ok", result(found)
        assert checks(found, "ok")["no-cookie"]["status"] == 404
        assert "draft of the tide" not in site.log()
    assert draft.pk == canaries_of(found)[0][0].entry_id


def test_a_site_that_is_new_or_sent_elsewhere_raises_an_alert(world: World) -> None:
    def moves() -> list[str]:
        seal_pending()
        raise_due()
        return [alert.sentence for alert in Alert.objects.filter(rule="preview-site-moved").order_by("pk")]

    before = len(moves())
    shown = {"articles": HANDOFF}
    made = make_site("Elsewhere")
    (sentence,) = moves()[before:]
    assert "Elsewhere" in sentence
    sites.change(made.site, {"ttl_seconds": 120}, shown, by=ROOT)
    assert len(moves()) == before + 1
    sites.change(made.site, {"origins": ["https://evil.example"]}, {}, by=ROOT)
    assert "Elsewhere was sent elsewhere" in moves()[-1]


def test_each_language_is_asked_for_itself(world: World) -> None:
    words = "Niemand hat diesen Entwurf vom Leuchtturm und seinen vielen Möwen je gesehen. " * 3
    make_entry("articles", locale="de", title="Der geheime Leuchtturm", body=words, published=False)
    with probed(world, leaking(lambda asked: True)) as site:  # the English page alone
        assert result(site)["verdict"] == "leak"
    with probed(world, right) as site:
        assert result(site)["verdict"] == "ok"
