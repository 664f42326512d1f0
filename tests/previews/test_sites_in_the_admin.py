"""Preview sites in the admin: who may, the form with its rows, secrets that are shown once, and what can be done."""

import re
from datetime import timedelta
from typing import Any, Final

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from kombu.exceptions import OperationalError

from accounts.access import Area
from accounts.models import Event, Session
from accounts.rights import granting
from cms_project import lockdown
from content.models import Field
from previews import secrets, sites, tasks
from previews.models import PreviewSite, SigningKey
from tests.accounts.cast import Person, make_person
from tests.builders import ROOT, make_collection, make_entry
from tests.content.admin.conftest import sign_in
from tests.previews.little_site import MISSING, LittleSite
from tests.previews.world import HANDOFF, World, make_site
from tests.processes import CeleryWorker
from tests.security.world import Unchanged, text_of

pytestmark = pytest.mark.django_db
SITES: Final = "/admin/previews/previewsite/"
SECRET: Final = re.compile(r"qkps_development_[A-Za-z0-9_-]{43}")
FORM: Final[dict[str, Any]] = {
    "name": "Docs",
    "origins": "https://docs.example.com\r\n\r\nhttps://www.example.com",
    "handoff_urls-0-collection": "articles",
    "handoff_urls-0-locale": "",
    "handoff_urls-0-url": "https://docs.example.com/api/preview?path=/{slug}",
    "response_mode": "query",
    "algorithm": "EdDSA",
    "ttl_seconds": "900",
    "max_ttl_seconds": "1800",
    "is_embeddable": "on",
    "cdn_origin": "",
}


@pytest.fixture
def person(world: World) -> Person:
    return make_person("ada@example.com", roles=["administrator"], with_authenticator=True)


@pytest.fixture
def ada(person: Person) -> Client:
    return sign_in(person)


def words(answer: Any) -> str:
    return text_of(answer)


def make_keeper() -> None:
    """Make a role that administers previews, and reads nothing."""
    granting.add_role("keeper", "Keeper", areas=(Area.PREVIEWS,), by=ROOT)


def act(browser: Client, site: PreviewSite, name: str, **data: Any) -> Any:
    path = f"{SITES}{site.pk}/do/{name}/"
    assert browser.get(path).status_code == 200
    return browser.post(path, data)


def test_only_who_administers_previews_comes_here(world: World, ada: Client) -> None:
    make_keeper()
    keeper = sign_in(make_person("kim@example.com", roles=["keeper"], with_authenticator=True))
    edith = sign_in(world.edith)
    paths = (SITES, f"{SITES}add/", f"{SITES}{world.site.pk}/change/", f"{SITES}{world.site.pk}/do/rotate-secret/",
             "/admin/previews/signingkey/")  # fmt: skip
    for path in paths:
        assert edith.get(path).status_code == 403, path
        assert Client().get(path).status_code == 302, path
        for browser in (ada, keeper):
            assert browser.get(path).status_code == 200, path
    with Unchanged():
        for name in ("rotate-secret", "disable", "remove"):
            assert edith.post(f"{SITES}{world.site.pk}/do/{name}/", {"overlap_hours": "1"}).status_code == 403
        assert edith.post(f"{SITES}add/", FORM).status_code == 403
    assert "Preview sites" not in edith.get("/admin/").content.decode()
    assert "Preview sites" in ada.get("/admin/").content.decode()


def test_a_site_is_set_up_and_its_secret_is_shown_once(world: World, ada: Client) -> None:
    answer = ada.post(f"{SITES}add/", FORM)
    assert answer.status_code == 200, words(answer)
    page = answer.content.decode()
    site = PreviewSite.objects.get(name="Docs")
    (secret,) = set(SECRET.findall(page))
    assert f"SITE_ID={site.pk}" in page
    assert f"CLIENT_SECRET={secret}" in page
    assert "CMS_URL=http" in page
    assert "no-store" in answer.headers["Cache-Control"]
    assert site.secret_hash == secrets.digest(secret)
    assert site.origins == ["https://docs.example.com", "https://www.example.com"]
    assert site.handoff_urls.count() == 1
    for path in (SITES, f"{SITES}{site.pk}/change/", "/admin/accounts/event/"):
        assert not SECRET.search(ada.get(path).content.decode()), path
    assert secret not in str(list(Event.objects.values_list("detail", flat=True)))


def test_a_shared_secret_comes_with_its_kid(world: World, ada: Client) -> None:
    page = ada.post(f"{SITES}add/", FORM | {"algorithm": "HS256"}).content.decode()
    site = PreviewSite.objects.get(name="Docs")
    key = SigningKey.objects.get(site=site)
    assert f"SHARED_SECRET_KID={key.pk}" in page
    assert re.search(r"SHARED_SECRETS=[A-Za-z0-9_-]{43}<", page)
    answer = ada.post(f"{SITES}{world.site.pk}/change/", typed(ada, world.site) | {"algorithm": "HS256"})
    key = SigningKey.objects.get(site=world.site)
    assert f"SHARED_SECRET_KID={key.pk}" in answer.content.decode()
    assert "CLIENT_SECRET=" not in answer.content.decode()


def typed(browser: Client, site: PreviewSite) -> dict[str, Any]:
    """Return what the form of a site would send back unchanged."""
    page = browser.get(f"{SITES}{site.pk}/change/")
    form = page.context["adminform"].form
    sent = {name: form[name].value() for name in form.fields if name not in ("handoff_urls", "origins")}
    sent = {
        name: "on" if value is True else value for name, value in sent.items() if value not in (None, False)
    }
    sent["origins"] = "\r\n".join(site.origins)
    for number, row in enumerate(form["handoff_urls"].value()):
        sent |= {
            f"handoff_urls-{number}-{part}": getattr(row, part) for part in ("collection", "locale", "url")
        }
    return sent


def test_saving_what_is_there_changes_nothing_of_it(world: World, ada: Client) -> None:
    before = list(world.site.handoff_urls.values())
    answer = ada.post(f"{SITES}{world.site.pk}/change/", typed(ada, world.site))
    assert answer.status_code == 302, words(answer)
    assert list(world.site.handoff_urls.values()) == before
    assert Event.objects.filter(type="preview-site.updated").latest("at").detail["changed"] == []
    assert (
        ada.post(f"{SITES}{world.site.pk}/change/", typed(ada, world.site) | {"name": "Web 2"}).status_code
        == 302
    )
    assert Event.objects.filter(type="preview-site.updated").latest("at").detail["changed"] == ["name"]


@pytest.mark.parametrize(
    ("changes", "place", "problem"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "Web"}, "name", "Another site has this name."),
        ({"origins": ""}, "origins", "From 1 to 20 origins."),
        ({"origins": "https://docs.example.com\nhttps://x.example/path"}, "origins", "https://x.example/path: An origin"),
        ({"ttl_seconds": "1801"}, "ttl_seconds", "From 60 to 1800 seconds."),
        ({"max_ttl_seconds": "7200"}, "max_ttl_seconds", "From 60 to 1800 seconds."),
        ({"cdn_origin": "nowhere"}, "cdn_origin", "An origin such as"),
        ({"algorithm": "none"}, "algorithm", "Select a valid choice"),
        ({"algorithm": ""}, "algorithm", "One of EdDSA"),
        ({"response_mode": ""}, "response_mode", "One of query"),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_at_its_input_and_nothing_typed_is_lost(
    world: World, ada: Client, changes: dict[str, str], place: str, problem: str
) -> None:
    sent = FORM | changes
    with Unchanged(changes):
        answer = ada.post(f"{SITES}add/", sent)
    assert answer.status_code == 200
    assert not SECRET.search(answer.content.decode())
    form = answer.context["adminform"].form
    assert list(form.errors) == [place]
    assert problem in str(form.errors[place])
    page = answer.content.decode()
    assert f'value="{FORM["handoff_urls-0-url"]}"' in page
    for line in sent["origins"].split():
        assert line in page


@pytest.mark.parametrize(
    ("rows", "number", "problem"),
    [
        ([("articles", "", "https://evil.example/{slug}")], 0, "one of the site’s origins"),
        ([("articles", "", "https://www.example.com/{nothing}")], 0, "There is no field"),
        ([("articles", "", "https://www.example.com/{wage}")], 0, "is personal"),
        ([("articles", "", "https://www.example.com/{slug")], 0, "A brace is left open"),
        ([("articles", "", "https://www.example.com/?code=1")], 0, "The parameter `code`"),
        ([("articles", "", "https://www.example.com/{slug}"), ("articles", "", "https://www.example.com/b")], 1, "already"),
        ([("articles", "", "https://www.example.com/{slug}"), ("", "", "https://www.example.com/b")], 1, "Choose the collection"),
        ([("articles", "de", "")], 0, "Write the address"),
        ([("articles", "", "https://www.example.com/a"), ("articles", "de", "https://x.example/")], 1, "origins"),
        ([("nothing", "", "https://www.example.com/a")], 0, "no such collection"),
        ([("articles", "xx", "https://www.example.com/a")], 0, "no such locale"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_address_stands_with_its_row(
    world: World, ada: Client, rows: list[tuple[str, str, str]], number: int, problem: str
) -> None:
    sent = {name: value for name, value in FORM.items() if not name.startswith("handoff_urls")}
    for index, row in enumerate(rows):
        sent |= dict(
            zip(
                (f"handoff_urls-{index * 3}-{part}" for part in ("collection", "locale", "url")),
                row,
                strict=True,
            )
        )
    with Unchanged(rows):
        answer = ada.post(f"{SITES}add/", sent)
    assert answer.status_code == 200
    widget = answer.context["adminform"].form.fields["handoff_urls"].widget
    assert widget.problems.keys() == {number}
    assert problem in widget.problems[number][0]
    page = answer.content.decode()
    notes = page.split(f'id="id_handoff_urls-{number}-notes"')[1].split("</fieldset>")[0]
    assert problem.replace("’", "’") in notes
    for collection, locale, url in rows:
        assert f'value="{url}"' in page
        for option in filter(None, (collection, locale)):
            assert f'<option value="{option}" selected>' in page


def test_an_address_shows_where_it_leads_for_a_real_draft(world: World, ada: Client) -> None:
    make_entry("articles", title="Ada & friends", slug="the-newest", published=False)
    page = ada.get(f"{SITES}{world.site.pk}/change/").content.decode()
    assert "https://www.example.com/api/preview?path=/blog/the-newest" in page
    assert "{slug}" in page
    assert "{title}" in page
    assert "{wage}" not in page
    assert "{body}" not in page
    make_keeper()
    keeper = sign_in(make_person("kim@example.com", roles=["keeper"], with_authenticator=True))
    page = keeper.get(f"{SITES}{world.site.pk}/change/").content.decode()
    assert "the-newest" not in page  # she may read no draft
    assert "CANARY" not in page


def test_a_renamed_field_keeps_its_place_and_a_removed_one_does_not_lock_the_site(
    world: World, ada: Client
) -> None:
    make_collection("notes", [{"key": "title", "type": "text"}, {"key": "word", "type": "text"}])
    site = make_site("Notes", {"notes": "https://www.example.com/n/{word}"}).site
    Field.objects.filter(collection__key="notes", key="word").update(data_class="personal")
    assert act(ada, site, "disable").status_code == 302
    site.refresh_from_db()
    assert site.state == "disabled"


def test_both_client_secrets_work_while_the_overlap_lasts(world: World, ada: Client) -> None:
    answer = act(ada, world.site, "rotate-secret", overlap_hours="2")
    (secret,) = set(SECRET.findall(answer.content.decode()))
    world.site.refresh_from_db()
    assert world.site.secret_hash == secrets.digest(secret)
    for given in (secret, world.secret):
        assert world.exchange(world.mint().json()["code"], given).status_code == 200
    act(ada, world.site, "rotate-secret", overlap_hours="0")
    assert world.exchange(world.mint().json()["code"], secret).status_code == 401
    with Unchanged():
        for hours in ("721", "-1", "x", ""):
            page = act(ada, world.site, "rotate-secret", overlap_hours=hours)
            assert page.status_code == 200
            assert "Nothing was done yet" in page.content.decode()


def test_a_new_shared_secret_is_shown_before_it_signs(world: World, ada: Client) -> None:
    site = make_site("Shared", algorithm="HS256").site
    page = act(ada, site, "rotate-shared", overlap_hours="3").content.decode()
    waiting = SigningKey.objects.get(site=site, state="pending")
    assert f"SHARED_SECRET_KID={waiting.pk}" in page
    assert waiting.activates_at is not None
    assert waiting.activates_at > timezone.now() + timedelta(hours=2)
    again = ada.post(
        f"{SITES}{site.pk}/do/rotate-shared/", {"overlap_hours": "3"}, follow=True
    ).content.decode()
    assert "waits already" in again
    assert "can’t be done" in ada.get(f"{SITES}{world.site.pk}/do/rotate-shared/").content.decode()


def test_switching_off_and_removing_say_what_ends(world: World, ada: Client) -> None:
    token = world.token()
    path = f"{SITES}{world.site.pk}/do/"
    assert "1 live preview ends at once" in ada.get(f"{path}disable/").content.decode()
    assert act(ada, world.site, "disable").status_code == 302
    assert world.read(token).status_code == 401
    assert "No preview is live there now" in ada.get(f"{path}remove/").content.decode()
    assert act(ada, world.site, "enable").status_code == 302
    assert world.read(token).status_code == 401  # switched on again, a site wakes none of them
    assert world.read(world.token()).status_code == 200
    assert act(ada, world.site, "remove").status_code == 302
    assert world.read(token).status_code == 401
    assert not PreviewSite.objects.filter(pk=world.site.pk).exists()
    assert ada.get(f"{path}remove/").status_code == 404
    assert ada.get(f"{SITES}{world.site.pk}/do/burn/").status_code == 404


def test_a_site_that_is_off_is_not_checked_nor_by_who_may_not(world: World, ada: Client) -> None:
    path = f"{SITES}{world.site.pk}/do/check/"
    edith = sign_in(world.edith)
    with Unchanged():
        assert edith.post(path).status_code == 403
        assert "as strangers would" in ada.get(path).content.decode()
    act(ada, world.site, "disable")
    with Unchanged():
        assert "can’t be done" in ada.get(path).content.decode()
        assert "is switched off" in ada.post(path, follow=True).content.decode()


def test_a_stale_factor_is_asked_for_and_what_was_typed_goes_on(
    world: World, ada: Client, person: Person
) -> None:
    long_ago = timezone.now() - timedelta(minutes=11)
    Session.objects.update(verified_at=long_ago, confirmed_at=long_ago)
    with Unchanged():
        answer = ada.post(f"{SITES}add/", FORM)
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "Confirm that it’s you" in page
    sent = dict(answer.context["sent"])
    assert sent["handoff_urls-0-url"] == FORM["handoff_urls-0-url"]
    answer = ada.post(f"{SITES}add/", FORM | {"step-up-code": person.code(), "step-up-reason": "A new site"})
    assert answer.status_code == 200
    assert SECRET.search(answer.content.decode())


ODD: Final[tuple[Any, ...]] = (
    None, {}, [], "text", 7, {"verdict": ["ok"]}, {"verdict": "other", "checks": "x"}, {"verdict": "leak", "checks": [None, 1, {}]},
    {"verdict": "ok", "checks": [{"name": {"a": 1}, "url": None, "status": True, "found": {"x": 1}, "sentence": 3}], "sentence": []},
)  # fmt: skip


def test_what_the_last_check_found_is_shown_whatever_was_written(world: World, ada: Client) -> None:
    for probe in ODD:
        PreviewSite.objects.filter(pk=world.site.pk).update(probe=probe)
        assert ada.get(f"{SITES}{world.site.pk}/change/").status_code == 200, probe
        assert ada.get(SITES).status_code == 200, probe
    found = {"verdict": "leak", "sentence": "Drafts are public.", "checks": [
        {"name": "Page", "url": "https://www.example.com/blog/x", "status": 200, "found": ["title", "body"], "sentence": "It shows <b>"}
    ]}  # fmt: skip
    PreviewSite.objects.filter(pk=world.site.pk).update(probe=found, probed_at=timezone.now())
    page = ada.get(f"{SITES}{world.site.pk}/change/").content.decode()
    for text in (
        "Leaks drafts",
        "Drafts are public.",
        "https://www.example.com/blog/x",
        "200",
        "title, body",
        "It shows &lt;b&gt;",
    ):
        assert text in page, text
    assert "Leaks drafts" in ada.get(SITES).content.decode()


def test_the_list_asks_a_fixed_number_of_questions(world: World, ada: Client) -> None:
    ada.get(SITES)
    with CaptureQueriesContext(connection) as few:
        ada.get(SITES)
    for number in range(5):
        make_site(f"Site {number}")
    world.mint()
    with CaptureQueriesContext(connection) as many:
        page = ada.get(SITES).content.decode()
    assert page.count('class="field-live"') == 6
    assert len(many) <= len(few)


def test_in_a_lockdown_a_site_can_be_looked_at_and_nothing_else(world: World, ada: Client) -> None:
    lockdown.begin(reason="a test", by=ROOT, keep_sessions=True)
    page = ada.get(f"{SITES}{world.site.pk}/change/")
    assert page.status_code == 200
    assert HANDOFF in page.content.decode()
    assert 'name="origins"' not in page.content.decode()
    assert "New client secret" not in page.content.decode()
    assert ada.get(SITES).status_code == 200
    assert ada.get(f"{SITES}{world.site.pk}/do/rotate-secret/").status_code in {403, 423}
    assert ada.get(f"{SITES}add/").status_code in {403, 423}


def test_a_site_is_checked_when_somebody_asks_for_it(
    world: World, ada: Client, celery_worker: CeleryWorker
) -> None:
    with LittleSite(lambda _: MISSING) as little:
        origin = {"origins": [little.origin]}
        urls = {"articles": f"{little.origin}/api/preview?path=/blog/{{slug}}"}
        sites.change(world.site, origin, urls, by=ROOT)
        assert "Check for leaks" in ada.get(f"{SITES}{world.site.pk}/change/").content.decode()
        assert act(ada, world.site, "check").status_code == 302
        celery_worker.wait_for(lambda: PreviewSite.objects.get(pk=world.site.pk).probed_at, seconds=30)
    assert "Nothing leaks" in ada.get(f"{SITES}{world.site.pk}/change/").content.decode()


def test_nobody_fills_the_queue_with_checks(
    world: World, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[str] = []
    monkeypatch.setattr(tasks.probe, "delay", queued.append)
    others = [make_site(f"Site {number}").site for number in range(2)]
    for site in (world.site, world.site, *others, world.site):
        act(ada, site, "check")
    assert queued == [str(world.site.pk), str(others[0].pk)]
    assert "Try again in a minute" in ada.get(f"{SITES}{world.site.pk}/change/").content.decode()


def test_a_check_that_can_t_be_queued_says_so(
    world: World, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(tasks.probe, "delay", fail)
    assert act(ada, world.site, "check").status_code == 302
    assert "can’t be queued" in ada.get(f"{SITES}{world.site.pk}/change/").content.decode()
