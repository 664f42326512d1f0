"""Scripts that run from right to left: what is written has its own direction and language, the frame follows the page."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from content import editing
from tests.browser.conftest import Watched, signed_in
from tests.builders import make_collection, make_entry, make_locale, writing
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TITLE = "Node.js العلامة التجارية"  # its first strong letter runs the other way
FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "localized": True, "options": {"max_length": 200}},
    {"key": "text", "type": "rich_text", "localized": True},
    {"key": "source", "type": "markdown", "localized": True},
    {"key": "words", "type": "tags", "localized": True},
    {"key": "link", "type": "url", "localized": True},
    {"key": "motto", "type": "text"},
    {"key": "parts", "type": "blocks", "localized": True, "options": {"components": ["quote"]}},
    {"key": "code", "type": "slug", "localized": True, "options": {"from": "title"}},
]


@pytest.fixture
def ada(browser: BrowserContext, web_server: LiveServer) -> Watched:
    for code in ("de", "fr", "es", "it", "pt", "nl"):
        make_locale(code)
    make_locale("ar", direction="rtl")
    make_locale("he", direction="rtl", fallback=("ar",))
    make_collection("quote", [{"key": "words", "type": "text"}], kind="component")
    make_collection("notes", FIELDS, localized=True)
    return signed_in(browser, web_server.url)


def written(page: Page, selector: str) -> list[str]:
    """Return the language and the direction in force of an input."""
    found: list[str] = page.locator(selector).first.evaluate(
        "box => [box.closest('[lang]').lang, getComputedStyle(box).direction]"
    )
    return found


def test_inputs_have_the_direction_and_language_of_their_locale(ada: Watched) -> None:
    entry = make_entry("notes", title="Trademark", published=False)
    page = ada.page
    ada.go(f"/admin/content/notes/{entry.pk}/change/?locale=ar")
    expect(page.locator("#field-text [contenteditable][aria-label]")).to_be_visible()
    page.locator("#field-parts").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("[name='f-parts-0-words']")).to_be_focused()
    arabic = ("[name='f-title']", "#field-text [contenteditable]", "[name='f-source']", ".qk-tag-box",
              "[name='f-parts-0-words']")  # fmt: skip
    for selector in arabic:
        assert written(page, selector) == ["ar", "rtl"], selector
    for selector in (
        "[name='f-link']",
        "[name='f-code']",
        ".qk-counter",
        ".qk-markdown-bar",
        ".prose-menubar",
    ):
        assert written(page, selector) == ["en", "ltr"], selector
    assert page.locator("[name='f-motto']").get_attribute("dir") == "auto"  # the same in every locale
    page.fill("[name='f-title']", TITLE)
    page.fill("[name='f-parts-0-words']", "كلام")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")
    ada.go(f"/admin/content/notes/{entry.pk}/change/?locale=ar")
    assert written(page, "[name='f-parts-0-words']") == ["ar", "rtl"]

    # What Hebrew falls back to stands beside its own, empty fields.
    page.get_by_role("link", name="he not written yet").click()
    assert written(page, "[name='f-title']") == ["he", "rtl"]
    expect(page.locator("#field-title .qk-stand-in .qk-words")).to_have_text(TITLE)

    # A comparison stands on the side where such a text begins, also where it begins with Latin letters.
    ada.go(f"/admin/content/notes/{entry.pk}/diff/?from=1&to=2")
    assert written(page, "[aria-labelledby='change-title'] .qk-words") == ["ar", "rtl"]
    assert ada.violations == []


def test_the_frame_can_be_turned_around(ada: Watched) -> None:
    entry = make_entry("notes", title="Trademark")
    editing.save(entry.pk, {"title": TITLE}, writing=writing("notes"), base=1, locale="ar")
    page, here = ada.page, f"/admin/content/notes/{entry.pk}/"
    for path in (
        "/admin/", "/admin/content/notes/", "/admin/content/notes/?locale=ar", "/admin/content/notes/trash/",
        f"{here}change/?locale=ar", f"{here}history/", f"{here}diff/?from=1&to=2", f"{here}publish/",
        f"{here}unpublish/", f"{here}trash/", f"{here}rights/",
    ):  # fmt: skip
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 800})
            ada.go(path)
            if "change" in path:
                expect(page.locator("#field-text [contenteditable][aria-label]")).to_be_visible()
            for direction in ("ltr", "rtl"):
                page.evaluate("way => { document.documentElement.dir = way }", direction)
                page.wait_for_timeout(50)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (
                    path,
                    width,
                    direction,
                )
                # The content begins where reading begins: nothing is pushed out of sight on either side.
                box = page.locator("#content h1").first.bounding_box()
                assert box is not None
                assert box["x"] >= -1, (path, width, direction)
                assert box["x"] + box["width"] <= width + 1, (path, width, direction)
            if width == 1280 and path.startswith("/admin/content/notes/?"):
                menu = page.locator("#nav-sidebar").bounding_box()
                assert menu is not None
                assert menu["x"] > 640  # it stands at the other side
    assert ada.violations == []
