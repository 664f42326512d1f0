"""The preview at the form of an entry in a real browser, against a real little site that speaks the SDK's protocol."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect

from content.models import Entry
from previews import register, sites
from previews.models import Preview, PreviewSite
from tests.accounts.cast import Person
from tests.browser.conftest import Watched, bring_session, faults_in_every_dress, make_administrator
from tests.browser.little_site import LittleSite
from tests.builders import ROOT, make_collection, make_entry, make_locale
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIELDS = [
    {"key": "title", "type": "text", "required": True, "localized": True, "options": {"max_length": 200}},
    {"key": "text", "type": "long_text", "localized": True},
]


@pytest.fixture
def person(_django_db_helper: None) -> Person:
    make_locale("de", fallback=("en",))
    make_collection("notes", FIELDS, localized=True)
    return make_administrator()


@pytest.fixture
def site(web_server: LiveServer, person: Person) -> Iterator[LittleSite]:
    """A site that shows notes."""
    with LittleSite(cms=web_server.url, collection="notes") as little:
        made = sites.add({"name": "Little site", "origins": [little.url]},
                         {"notes": f"{little.url}/handoff?id={{_id}}"}, by=ROOT)  # fmt: skip
        little.client_secret = made.client_secret
        yield little


@pytest.fixture
def entry(person: Person) -> Entry:
    return make_entry("notes", title="First words", text="Text", published=False)


def path(entry: Entry) -> str:
    return f"/admin/content/notes/{entry.pk}/change/?locale=en"


def state(page: Page, text: str) -> None:
    expect(page.locator("[data-qk-state]")).to_contain_text(text)


def frame(page: Page) -> FrameLocator:
    return page.frame_locator(".qk-pane-stage iframe")


def open_pane(page: Page) -> None:
    page.get_by_role("button", name="Beside the fields").click()
    expect(frame(page).locator("h1")).to_be_visible()


def live() -> int:
    return Preview.objects.live().count()


def test_the_preview_opens_in_a_tab_and_what_is_typed_is_saved_first(
    ada: Watched, site: LittleSite, entry: Entry
) -> None:
    page = ada.page
    ada.go(path(entry))
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Preview", exact=True).click()
    tab = opened.value
    expect(tab.locator("h1")).to_have_text("First words")
    assert tab.url == f"{site.url}/page/{entry.pk}"
    assert tab.evaluate("window.opener === null")
    assert tab.evaluate("history.length") == 1  # no step back to the code
    assert site.seen == ["GET /handoff referer="]
    tab.close()

    page.fill("[name='f-title']", "Typed and not saved")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Preview", exact=True).click()
    tab = opened.value
    expect(tab.locator("h1")).to_have_text("Typed and not saved")
    assert tab.evaluate("window.opener === null")
    state(page, "Saved, opening the preview")
    entry.refresh_from_db()
    assert entry.latest_number == 2
    assert "qkpc_" not in tab.url
    rows = page.locator(".qk-previews li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("opened")

    # The countdown counts; revoking ends it at the next load.
    left = rows.first.get_by_role("timer")
    expect(left).to_have_text(re.compile(r"^1[45]:\d\d$"))
    before = left.inner_text()
    expect(left).not_to_have_text(before)
    rows.first.get_by_role("button", name="Revoke the preview on Little site").click()
    expect(rows).to_have_count(1)
    expect(page.locator("#qk-announcements")).to_contain_text("The preview is over.")
    tab.reload()
    expect(tab.locator("h1")).to_have_text("The preview is over")
    assert ada.violations == []
    assert ada.errors == []


def test_what_can_t_be_saved_is_not_previewed(ada: Watched, site: LittleSite, entry: Entry) -> None:
    page = ada.page
    ada.go(path(entry))
    page.locator("[name='f-title']").evaluate("input => input.removeAttribute('maxlength')")
    page.fill("[name='f-title']", "x" * 300)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Preview", exact=True).click()
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")
    state(page, "Not saved")
    expect(page.locator("#field-title .errorlist")).to_be_visible()
    assert not Preview.objects.exists()
    assert site.seen == []
    expect(page.locator("[name='f-title']")).to_have_value("x" * 300)


def test_a_site_that_takes_forms_gets_the_code_in_one(ada: Watched, site: LittleSite, entry: Entry) -> None:
    made = PreviewSite.objects.get()
    sites.change(made, {"response_mode": "form_post"}, None, by=ROOT)
    page = ada.page
    ada.go(path(entry))
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Preview", exact=True).click()
    expect(opened.value.locator("h1")).to_have_text("First words")
    opened.value.close()
    open_pane(page)
    expect(frame(page).locator("h1")).to_have_text("First words")
    assert site.seen == ["POST /handoff referer=", "POST /handoff referer="]
    assert ada.violations == []


def test_the_pane_follows_each_save_and_keeps_every_place(
    ada: Watched, site: LittleSite, entry: Entry
) -> None:
    page = ada.page
    ada.go(path(entry))
    open_pane(page)
    element = page.locator(".qk-pane-stage iframe")
    assert element.get_attribute("sandbox") == "allow-scripts allow-same-origin"
    assert element.get_attribute("referrerpolicy") == "no-referrer"
    assert "qkpc_" not in page.content()
    assert live() == 1
    inside = element.element_handle().content_frame()
    assert inside is not None
    inside.evaluate("scrollTo(0, 900)")
    steps = page.evaluate("history.length")
    box = page.locator("[name='f-text']")
    box.fill("\n".join(f"line {number}" for number in range(80)))
    box.evaluate("box => { box.focus(); box.setSelectionRange(3, 5); scrollTo(0, 150) }")
    page.locator("[name='f-title']").evaluate(
        "input => { input.value = 'Second words'; input.dispatchEvent(new Event('input', { bubbles: true })) }"
    )
    place = box.bounding_box()
    page.keyboard.press("Control+s")
    expect(frame(page).locator("h1")).to_have_text("Second words")
    page.wait_for_timeout(300)
    moved = box.bounding_box()
    assert place is not None
    assert moved is not None
    assert box.evaluate("box => [document.activeElement === box, box.selectionStart, box.selectionEnd]") == [
        True,
        3,
        5,
    ]
    assert abs(moved["y"] - place["y"]) < 2
    assert inside.evaluate("scrollY") == 900
    assert site.seen == ["GET /handoff referer="]  # one handoff; the page reloaded itself
    assert page.evaluate("history.length") == steps
    assert live() == 1

    # Saves that come while the page is still loading are not lost.
    for words in ("Third", "Fourth"):
        page.fill("[name='f-title']", words)
        page.keyboard.press("Control+s")
        state(page, "Saved")
    expect(frame(page).locator("h1")).to_have_text("Fourth")

    # A message from elsewhere is not heard: neither from this window nor from another origin.
    page.evaluate("window.postMessage({ type: 'quillkeep:ready' }, '*')")
    assert live() == 1

    # Closing revokes.
    page.get_by_role("button", name="Close the pane").click()
    expect(page.locator(".qk-pane")).to_be_hidden()
    expect(page.locator(".qk-previews li")).to_have_count(0)
    assert live() == 0
    assert page.evaluate("document.activeElement.textContent").strip() == "Beside the fields"
    assert ada.violations == []
    assert ada.errors == []


def test_a_page_without_the_bridge_is_handed_off_to_again(
    ada: Watched, site: LittleSite, entry: Entry
) -> None:
    site.has_bridge = False
    page = ada.page
    ada.go(path(entry))
    open_pane(page)
    page.fill("[name='f-title']", "Second words")
    page.keyboard.press("Control+s")
    expect(frame(page).locator("h1")).to_have_text("Second words")
    assert len(site.seen) == 2
    page.wait_for_function("document.querySelectorAll('.qk-previews li').length === 1")
    assert live() == 1  # the former one was revoked


def test_a_message_of_a_wrong_origin_or_window_is_not_heard(
    ada: Watched, site: LittleSite, entry: Entry
) -> None:
    site.has_bridge = False
    page = ada.page
    ada.go(path(entry))
    open_pane(page)
    page.wait_for_timeout(1700)  # it counts as one without the bridge now
    page.evaluate(
        """(site) => {
          const frame = document.querySelector(".qk-pane-stage iframe");
          const told = { type: "quillkeep:ready" };
          window.dispatchEvent(new MessageEvent("message", { data: told, origin: location.origin, source: frame.contentWindow }));
          window.dispatchEvent(new MessageEvent("message", { data: told, origin: site + ".example", source: frame.contentWindow }));
          window.dispatchEvent(new MessageEvent("message", { data: told, origin: "null", source: frame.contentWindow }));
          window.dispatchEvent(new MessageEvent("message", { data: told, origin: site, source: window }));
        }""",
        site.url,
    )
    page.fill("[name='f-title']", "Second words")
    page.keyboard.press("Control+s")
    expect(frame(page).locator("h1")).to_have_text("Second words")
    assert (
        len(site.seen) == 2
    )  # had one been heard, the page would have been asked to reload itself, and did not


def test_the_pane_is_remembered_and_another_locale_ends_its_preview(
    ada: Watched, site: LittleSite, entry: Entry
) -> None:
    page = ada.page
    ada.go(path(entry))
    open_pane(page)
    page.get_by_role("button", name="Phone, 390 pixels").click()
    first = Preview.objects.get().pk
    page.get_by_role("link", name="de not written yet").click()
    page.wait_for_url("**locale=de")
    expect(page.locator(".qk-pane")).to_be_visible()
    expect(page.locator("[data-qk-pane-said]")).to_contain_text("nothing in this locale yet")
    expect(page.get_by_role("button", name="Phone, 390 pixels")).to_have_attribute("aria-pressed", "true")
    assert Preview.objects.get(pk=first).revoked_at is not None
    page.fill("[name='f-title']", "Auf Deutsch")
    page.keyboard.press("Control+s")
    expect(page.locator(".qk-pane-stage iframe")).to_have_count(1)
    expect(frame(page).locator("h1")).to_have_text("Auf Deutsch")
    page.evaluate('localStorage.setItem(\'quillkeep:pane\', \'{"isOpen": [], "width": "constructor"\')')
    ada.go(path(entry))
    expect(page.locator("[data-qk-beside]")).to_be_visible()
    expect(page.locator(".qk-pane")).to_be_hidden()
    assert ada.violations == []


def test_a_preview_that_is_over_is_renewed(ada: Watched, site: LittleSite, entry: Entry) -> None:
    page = ada.page
    page.clock.install()
    ada.go(path(entry))
    open_pane(page)
    register.revoke(Preview.objects.get().pk, by=ROOT)
    page.clock.fast_forward(15 * 60 * 1000 + 2000)
    expect(page.locator("[data-qk-pane-said]")).to_contain_text("This preview is over")
    page.get_by_role("button", name="Renew").click()
    expect(page.get_by_role("button", name="Renew")).to_be_hidden()
    expect(page.locator("[data-qk-pane-left]")).to_have_text(re.compile(r"^1[45]:\d\d$"))
    assert live() == 1


def test_what_is_revoked_in_the_list_is_over_in_the_pane(
    ada: Watched, site: LittleSite, entry: Entry
) -> None:
    page = ada.page
    ada.go(path(entry))
    open_pane(page)
    page.locator(".qk-previews li").get_by_role("button").click()
    expect(page.locator("[data-qk-pane-said]")).to_contain_text("This preview is over")
    assert live() == 0


def test_a_new_entry_is_previewed_as_soon_as_it_is_saved(ada: Watched, site: LittleSite) -> None:
    page = ada.page
    ada.go("/admin/content/notes/add/")
    page.fill("[name='f-title']", "Brand new")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    page.fill("[name='f-title']", "Newer")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Preview", exact=True).click()
    expect(opened.value.locator("h1")).to_have_text("Newer")
    opened.value.close()
    expect(page.locator(".qk-previews li")).to_have_count(1)
    page.fill("[name='f-title']", "Newest")
    page.get_by_role("button", name="Beside the fields").click()
    expect(frame(page).locator("h1")).to_have_text("Newest")
    assert ada.violations == []
    assert ada.errors == []


def test_a_browser_that_keeps_tabs_back_has_saved_what_was_typed(
    ada: Watched, site: LittleSite, entry: Entry
) -> None:
    page = ada.page
    ada.go(path(entry))
    page.evaluate("window.open = () => null")
    page.fill("[name='f-title']", "Typed")
    page.get_by_role("button", name="Preview", exact=True).click()
    state(page, "press Preview again")
    entry.refresh_from_db()
    assert entry.latest_number == 2
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Preview", exact=True).click()
    expect(opened.value.locator("h1")).to_have_text("Typed")


def test_the_list_that_was_shut_stays_shut(ada: Watched, site: LittleSite, entry: Entry) -> None:
    page = ada.page
    ada.go(path(entry))
    open_pane(page)
    page.locator(".qk-previews summary").click()
    page.fill("[name='f-title']", "Second words")
    page.keyboard.press("Control+s")
    expect(frame(page).locator("h1")).to_have_text("Second words")
    expect(page.locator(".qk-previews li")).to_be_hidden()
    expect(page.locator(".qk-previews summary")).to_be_visible()


def test_it_works_without_scripts(
    chromium: Browser, web_server: LiveServer, site: LittleSite, entry: Entry, person: Person
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    bring_session(context, web_server.url, person)
    page = context.new_page()
    page.goto(f"{web_server.url}{path(entry)}")
    with context.expect_page() as opened:
        page.get_by_role("button", name="Preview", exact=True).click()
    expect(opened.value.locator("h1")).to_have_text("First words")
    page.reload()
    expect(page.locator(".qk-previews li")).to_contain_text("until")
    page.get_by_role("button", name="Revoke the preview on Little site").click()
    expect(page.locator(".messagelist")).to_contain_text("The preview is over.")
    context.close()


def test_everybody_can_use_it_in_every_dress(ada: Watched, site: LittleSite, entry: Entry) -> None:
    sites.add(
        {"name": "Kiosk", "origins": ["http://127.0.0.1:9"]},
        {"notes": "http://127.0.0.1:9/p?id={_id}"},
        by=ROOT,
    )
    page = ada.page
    ada.go(path(entry))
    page.locator(".qk-handoff-sites summary").click()
    faults = faults_in_every_dress(page, "the menu")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Beside the fields").click()
    page.locator("[data-qk-pane-site]").select_option(label="Little site")
    expect(frame(page).locator("h1")).to_have_text("First words")
    faults += faults_in_every_dress(page, "the pane")
    for name, width in (("Phone", 390), ("Tablet", 820)):
        page.get_by_role("button", name=f"{name}, ").click()
        assert frame(page).locator("html").evaluate("html => innerWidth") == width
        faults += faults_in_every_dress(page, f"the pane, {name}")
    ada.go("/admin/previews/open/")  # it is only ever posted to; its refusal is a page
    expect(page.get_by_role("alert")).to_contain_text("Preview button")
    faults += faults_in_every_dress(page, "a refusal")
    assert not faults, "\n".join(faults)
