"""Lists in a real browser: columns, a filter, a view that another person opens, and many published at once."""

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.accounts.cast import make_person
from tests.browser.conftest import sign_in, signed_in
from tests.builders import make_collection, make_entry, make_role
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
LIST = "/admin/content/guides/"


def test_a_list_is_shaped_shared_and_published_from(browser: BrowserContext, web_server: LiveServer) -> None:
    choices = [{"value": "easy", "label": f"Easy {CANARY}"}, {"value": "hard", "label": "Hard"}]
    make_collection(
        "guides",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "level", "type": "choice", "filterable": True, "options": {"choices": choices}},
            {"key": "pages", "type": "integer", "filterable": True},
            {"key": "paint", "type": "color"},
            {"key": "words", "type": "tags"},
            {"key": "secret", "type": "text", "label": "Secret", "filterable": True},
        ],
    )
    for number in range(4):
        make_entry("guides", title=f"Guide {number} {CANARY}", level="easy", pages=number, paint="#c2410c",
                   words=[CANARY], secret=CANARY, published=False)  # fmt: skip
    make_entry("guides", title="", level="easy", pages=9, published=False)
    make_entry("guides", title="Steep", level="hard", published=False)
    watched = signed_in(browser, web_server.url)
    page = watched.page
    watched.go(LIST)
    rows = page.locator("#result_list tbody tr")

    # No menu reaches over the edge of the page, at no width of the window.
    for width in (1280, 1180, 900, 360):
        page.set_viewport_size({"width": width, "height": 900})
        for name in ("Filter", "Columns", "View"):
            page.get_by_text(name, exact=True).click()
            expect(page.locator(".qk-list-menu[open] .qk-list-panel")).to_be_in_viewport()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, name)
            box = page.locator(".qk-list-menu[open] .qk-list-panel").bounding_box()
            assert box is not None
            assert box["x"] >= 0, (width, name)
            page.keyboard.press("Escape")
    page.set_viewport_size({"width": 1280, "height": 900})

    # Columns, by keyboard.
    page.get_by_text("Columns", exact=True).press("Enter")
    for label in ("Level", "Pages", "Paint", "Words", "Secret"):
        page.get_by_role("checkbox", name=label, exact=True).press("Space")
    page.get_by_role("button", name="Show these").press("Enter")
    expect(page.get_by_role("columnheader", name="Secret")).to_be_visible()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("button", name="Move Secret up").click()
    expect(page.locator("thead th").last).to_have_text("Words")

    # A filter and a view.
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    page.get_by_text("Filter", exact=True).click()
    page.locator(".qk-list-panel").get_by_role("link", name="Level", exact=True).click()
    page.get_by_label("Value").select_option("easy")
    page.get_by_role("button", name="Add the filter").click()
    expect(rows).to_have_count(5)
    page.locator("thead").get_by_role("link", name="Pages", exact=True).click()
    expect(page.locator("thead [aria-sort]")).to_contain_text("Pages")
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Name").fill(f"Easy ones {CANARY}")
    page.get_by_label("For everybody").check()
    page.get_by_role("button", name="Save the view").click()
    expect(page.get_by_role("navigation", name="Views").locator("[aria-current]")).to_contain_text(
        "Easy ones"
    )
    view = page.url.removeprefix(web_server.url)

    # Many at once: a range with Shift; the one without a title fails, the others don't.
    page.locator("[data-qk-row]").first.click()
    page.locator("[data-qk-row]").last.click(modifiers=["Shift"])
    expect(page.locator("[data-qk-count]")).to_have_text("5 selected")
    page.get_by_role("button", name="Publish…", exact=True).click()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator(".qk-list-results .qk-done")).to_have_count(4)
    expect(page.locator(".qk-list-results .qk-refused")).to_have_count(1)

    # On a phone nothing scrolls sideways, and everything can be reached.
    page.set_viewport_size({"width": 360, "height": 740})
    watched.go(view)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("[data-qk-row]").first.check()
    expect(page.get_by_role("button", name="Publish…", exact=True)).to_be_in_viewport()
    page.get_by_text("Columns", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    # Somebody else opens the view, without what they may not read.
    page.set_viewport_size({"width": 1280, "height": 900})
    browser.clear_cookies()
    make_role(
        "reader",
        {"collection": "guides", "actions": ("read_draft",), "fields": ("title", "level", "pages")},
    )
    rita = make_person("rita@example.com", roles=["reader"], with_authenticator=True)
    sign_in(page, web_server.url, rita)
    watched.go(view)
    expect(rows).to_have_count(5)
    expect(page.get_by_text("Part of this view can’t be shown to you.")).to_be_visible()
    assert "Secret" not in page.content()
    assert watched.violations == []
    assert watched.errors == []
