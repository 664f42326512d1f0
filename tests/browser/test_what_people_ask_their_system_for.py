"""Paper, stillness, contrast and colours of one's own: the admin does as people have set up their systems."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import signed_in
from tests.builders import make_collection, make_entry
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def style(page: Page, selector: str, name: str) -> str:
    found: str = page.locator(selector).first.evaluate("(box, name) => getComputedStyle(box)[name]", name)
    return found


def test_paper_stillness_contrast_and_own_colours(browser: BrowserContext, web_server: LiveServer) -> None:
    choices = {"choices": ["easy", "hard"]}
    make_collection(
        "notes", [{"key": "title", "type": "text"}, {"key": "level", "type": "choice", "options": choices}]
    )
    entry = make_entry("notes", title="First", level="easy")
    watched = signed_in(browser, web_server.url)
    page = watched.page
    here = f"/admin/content/notes/{entry.pk}/"

    page.emulate_media(media="print", color_scheme="dark")
    watched.go(f"{here}change/")
    for hidden in ("#header", "#nav-sidebar", ".submit-row", ".object-tools", ".breadcrumbs"):
        expect(page.locator(hidden).first).to_be_hidden()
    assert style(page, "body", "backgroundColor") == "rgb(255, 255, 255)"  # also for who works in the dark
    assert style(page, "h1", "color") == "rgb(0, 0, 0)"
    width = page.locator("#content").evaluate("box => box.getBoundingClientRect().width")
    assert width > 1200  # no room is kept for the menu
    watched.go("/admin/content/notes/")
    expect(page.locator(".qk-list-tools")).to_be_hidden()
    expect(page.get_by_role("row").filter(has_text="First")).to_be_visible()
    watched.go(f"{here}history/")
    expect(page.locator(".qk-version")).to_contain_text("wrote it")

    page.emulate_media(media="screen", reduced_motion="reduce")
    watched.go(f"{here}change/")
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter(box => parseFloat(getComputedStyle(box).transitionDuration) > 0.001)"
        ".map(box => box.outerHTML.slice(0, 80))"
    )
    assert moving == []

    page.emulate_media(reduced_motion="no-preference", contrast="more", color_scheme="light")
    watched.go(f"{here}change/")
    assert style(page, ".qk-quiet", "color") == style(page, "body", "color")
    assert style(page, "[name='f-title']", "borderTopColor") == style(page, "body", "color")
    assert style(page, ".qk-pill", "outlineStyle") == "solid"

    page.emulate_media(contrast="no-preference", forced_colors="active")
    watched.go(f"{here}change/")
    assert style(page, ".qk-pill", "borderTopStyle") == "solid"
    chosen, other = page.locator(".qk-segment label:has(:checked)"), page.locator(".qk-segment label").first
    assert chosen.evaluate("box => getComputedStyle(box).backgroundColor") != other.evaluate(
        "box => getComputedStyle(box).backgroundColor"
    )
    current = style(page, "#nav-sidebar [aria-current]", "backgroundColor")
    assert current == chosen.evaluate("box => getComputedStyle(box).backgroundColor")
    assert watched.violations == []
