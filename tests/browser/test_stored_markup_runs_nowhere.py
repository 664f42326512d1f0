"""Every page of the admin in a real browser, with markup in every text column: nothing of it comes alive (threats, J5)."""

import re

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Watched, make_administrator, signed_in
from tests.content.admin.conftest import sign_in as sign_in_without_browser
from tests.processes import LiveServer
from tests.security.markup import CANARY, canary, crawl, make_marked, starting_points

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# What the page itself can't know is asked of the browser: did anything of the markup become an element?
ALIVE = "document.querySelectorAll('img[src=x], [onerror]').length"
MOST = 150  # pages
NAMES = re.compile(r"[0-9a-f-]{36}|(?<=/)[0-9]+(?=/)")


def faults_of(watched: Watched) -> list[str]:
    """Return what went wrong on the page as it is now. That a page answers 4xx for itself is nothing wrong."""
    number = watched.page.evaluate(ALIVE)
    own = f"at {watched.page.url}"
    told = [
        text
        for text in watched.errors
        if not (text.startswith("Failed to load resource") and text.endswith(own))
    ]
    return [*told, *watched.violations, *([f"{number} elements of the markup"] if number else [])]


def test_no_page_brings_stored_markup_to_life(browser: BrowserContext, web_server: LiveServer) -> None:
    ada = make_administrator()
    marked = make_marked(ada.user)
    pages = crawl(sign_in_without_browser(ada), starting_points(marked), most=MOST)
    shown = [path for path, text in pages.items() if text.lstrip()[:15].lower() == "<!doctype html>"]
    assert len(shown) > 60  # `tests/security` reads all of them; of each kind a few are enough here
    kinds: dict[str, list[str]] = {}
    for path in shown:
        kinds.setdefault(NAMES.sub("*", path.partition("?")[0]), []).append(path)
    some = [path for paths in kinds.values() for path in paths[:2]]
    assert len(some) > 40
    watched = signed_in(browser, web_server.url, ada)
    page = watched.page
    faults: dict[str, list[str]] = {}
    for path in some:
        watched.errors.clear()
        watched.violations.clear()
        watched.go(path)
        if page.locator("[contenteditable]").count():
            page.wait_for_timeout(250)  # the editors start
        page.wait_for_timeout(50)
        if found := faults_of(watched):
            faults[path] = found
    assert faults == {}


def test_no_script_brings_stored_markup_to_life(browser: BrowserContext, web_server: LiveServer) -> None:
    """What scripts fetch and build: who is here, pickers, suggestions, the preview, the dialog of publishing."""
    ada = make_administrator()
    marked = make_marked(ada.user)
    watched = signed_in(browser, web_server.url, ada)
    page = watched.page
    watched.go(f"/admin/content/marked/{marked.entry.pk}/change/")
    expect(page.locator("[data-qk-presence]")).to_contain_text(canary("username"))
    reference = page.locator("#field-reference")
    expect(reference.locator(".qk-entry-title:visible").first).to_contain_text(canary("entrytitle"))
    reference.get_by_role("button", name="Replace").click()
    page.get_by_role("combobox", name="Search by title").fill("onerror")
    expect(page.get_by_role("listbox", name="Entries").get_by_role("option").first).to_contain_text(
        canary("entrytitle")
    )
    page.keyboard.press("Escape")
    box = page.locator("#field-tags .qk-tag-box").first
    box.click()
    page.keyboard.type("onerror")
    page.wait_for_timeout(600)
    page.keyboard.press("Escape")
    page.locator("[name=f-title]").fill(canary("typed"))
    page.get_by_role("tab").filter(has_text="fieldgroup").click()
    markdown = page.locator("#field-markdown")
    markdown.get_by_role("button", name="Preview").click()
    expect(markdown.locator(".qk-preview")).to_contain_text(CANARY)
    page.locator("#field-blocks").get_by_role("button", name="Add", exact=True).click()
    page.wait_for_timeout(400)
    page.keyboard.press("Escape")
    assert faults_of(watched) == []
    page.locator("[name=_publish]").click()
    expect(page.get_by_role("dialog", name="Publish")).to_contain_text("onerror")
    assert faults_of(watched) == []
    page.get_by_role("dialog", name="Publish").get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("Published")
    assert faults_of(watched) == []
