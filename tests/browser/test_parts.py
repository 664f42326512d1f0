"""Components and blocks in a real browser: everything that can be done with them, without a page load."""

import pytest
from playwright.sync_api import BrowserContext, expect

from content.models import Version
from tests.browser.conftest import Watched, signed_in
from tests.builders import make_collection
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def ada(browser: BrowserContext, web_server: LiveServer) -> Watched:
    make_collection("quote", [{"key": "words", "type": "text"}, {"key": "about", "type": "rich_text"}], kind="component",
                    name="Quote", description=f"Somebody’s words {CANARY}")  # fmt: skip
    make_collection(
        "picture", [{"key": "caption", "type": "text"}], kind="component", name=f"Picture {CANARY}"
    )
    columns = [{"key": "inner", "type": "blocks", "options": {"components": ["quote", "picture"]}}]
    make_collection("columns", columns, kind="component", name="Columns")
    blocks = {"key": "blocks", "type": "blocks", "options": {"components": ["quote", "picture", "columns"]}}
    make_collection("pages", [{"key": "title", "type": "text"}, blocks])
    return signed_in(browser, web_server.url)


def stored(number: int) -> list[object]:
    """Return the words of the blocks of a version, in order."""
    data = Version.objects.get(number=number).data["*"]
    blocks = next(value for value in data.values() if isinstance(value, list))
    return [next((value for key, value in block.items() if key != "_component"), None) for block in blocks]


def test_blocks_are_added_moved_folded_copied_removed_and_nested(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/content/pages/add/")
    box = page.locator("#field-blocks > fieldset > .qk-control > .qk-parts")
    add = box.locator("> .qk-add").get_by_role("button", name="Add", exact=True)
    parts = box.locator("> .qk-part-list > .qk-part")

    # From the picker, by typing and by clicking; it tells what each is for.
    for number, (words, name) in enumerate((("one", "quote"), ("two", "pict"), ("three", "words"))):
        add.click()
        expect(page.get_by_role("dialog")).to_contain_text(f"Somebody’s words {CANARY}")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        expect(parts.nth(number).locator("input[type=text]").first).to_be_focused()
        page.keyboard.type(words)
    expect(parts).to_have_count(3)
    page.keyboard.press("Control+s")
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")
    assert stored(1) == ["one", "two", "three"]

    # Moved by keys and by mouse, duplicated with what is typed, removed and brought back.
    parts.nth(2).get_by_role("button", name="Move Quote", exact=True).focus()
    page.keyboard.press("ArrowUp")
    parts.nth(0).get_by_role("button", name="Duplicate Quote").click()
    expect(parts).to_have_count(4)
    expect(parts.nth(1).locator("input[type=text]").first).to_have_value("one")
    parts.nth(1).locator("input[type=text]").first.fill("copy")
    parts.nth(3).locator(".qk-grip").drag_to(parts.nth(0).locator(".qk-grip"))
    parts.nth(1).get_by_role("button", name="Remove Quote").click()
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(parts.nth(1).locator(".qk-undo")).to_have_count(0)
    parts.nth(1).get_by_role("button", name="Fold Quote").click()
    expect(parts.nth(1).locator("> .qk-part-body")).to_be_hidden()
    expect(parts.nth(1).locator(".qk-part-summary")).to_have_text("one")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")
    expect(page.locator(".messagelist")).to_contain_text("version 2")
    assert stored(2) == ["two", "one", "copy", "three"]
    parts.nth(0).get_by_role("button", name="Remove").click()
    page.keyboard.press("Control+s")
    expect(page.locator(".messagelist")).to_contain_text("version 3")
    assert stored(3) == ["one", "copy", "three"]
    expect(page.locator(".qk-unsaved")).to_have_count(0)

    # Nested, with an editor that starts there; saved twice it stays one.
    add.click()
    page.get_by_role("dialog").get_by_role("button", name="Columns").click()
    inner = parts.nth(3).locator(".qk-parts")
    inner.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Quote").click()
    inner.locator("[contenteditable]").click()
    page.keyboard.type("Deep")
    page.keyboard.press("Control+s")
    expect(page.locator(".messagelist")).to_contain_text("version 4")
    page.keyboard.press("Control+s")
    expect(page.locator(".messagelist")).to_contain_text("Nothing has changed")
    assert "<p>Deep</p>" in str(stored(4))
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert ada.violations == []
    assert ada.errors == []
