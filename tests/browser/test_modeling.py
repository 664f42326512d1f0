"""Collections are modelled as people expect: fields from a picker, in any order, with the form beside their settings."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Locator, Page, expect

from content.models import Collection
from content.schema import current
from tests.browser.conftest import Watched, axe
from tests.builders import make_collection, make_entry

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
SLOW_ANSWERS = """() => {
  const ask = window.fetch;
  window.fetch = async (...asked) => {
    const answer = await ask(...asked);
    await new Promise((resolve) => setTimeout(resolve, 600));
    return answer;
  };
}"""


def rows(page: Page) -> Locator:
    return page.locator(".qk-model-row")


def state(page: Page) -> Locator:
    return page.locator("[data-qk-state]")


def pick(page: Page, word: str) -> Locator:
    """Add a field by its type, and return the drawer of its settings."""
    page.get_by_role("button", name="Add a field", exact=True).click()
    page.get_by_role("searchbox", name="Find a type of field").fill(word)
    page.keyboard.press("Enter")
    drawer = page.locator("dialog.qk-model-drawer")
    expect(drawer.get_by_label("Label", exact=True)).to_be_focused()
    return drawer


def test_a_collection_is_modelled_without_a_page_load(ada: Watched) -> None:
    page = ada.page
    make_collection("authors", [{"key": "name", "type": "text"}], name=f"Authors {CANARY}")
    ada.go("/admin/modeling/collections/add/")
    page.get_by_label("Name", exact=True).fill("Öl & Wein")
    expect(page.get_by_label("Key", exact=True).first).to_have_value("ol_wein")
    rows(page).get_by_role("button", name="Settings of").click()
    drawer = page.locator("dialog.qk-model-drawer")
    drawer.get_by_label("Label", exact=True).fill("Title")
    expect(drawer.get_by_label("Key", exact=True)).to_have_value("title")
    page.keyboard.press("Enter")
    expect(drawer).to_have_count(0)

    # Options are inputs of their own; the form beside them follows what is typed.
    drawer = pick(page, "one of a list")
    preview = drawer.get_by_role("form", name="Preview of the form")
    drawer.get_by_label("Label", exact=True).fill(f"Level {CANARY}")
    drawer.get_by_label("Choices").fill("easy | Easy going\nhard")
    expect(preview.get_by_role("radio", name="Easy going")).to_be_visible()
    expect(preview).to_contain_text(CANARY)
    drawer.get_by_label("Type").select_option("choices")
    expect(drawer.get_by_label("Choices")).to_have_value("easy | Easy going\nhard")
    expect(preview.get_by_role("checkbox", name="Easy going")).to_be_visible()
    page.get_by_role("button", name="Done").click()

    drawer = pick(page, "reference")
    drawer.get_by_label("Label", exact=True).fill("Author")
    drawer.get_by_role("checkbox", name=f"Authors {CANARY}").check()
    drawer.get_by_label("Field", exact=True).select_option("title")
    drawer.get_by_label("Comparison").select_option("filled")
    expect(drawer.locator("#field-author")).to_be_hidden()  # in the preview: nothing stands in the title yet
    drawer.locator("[name=f-title]").fill("Now it does")
    expect(drawer.locator("#field-author")).to_be_visible()
    page.keyboard.press("Escape")
    expect(rows(page).nth(2)).to_contain_text("Conditional")

    # By keys, by mouse, copied, removed and brought back.
    rows(page).nth(2).get_by_role("button", name="Move Author", exact=True).focus()
    page.keyboard.press("ArrowUp")
    rows(page).nth(0).locator(".qk-grip").drag_to(rows(page).nth(2), target_position={"x": 20, "y": 40})
    expect(rows(page).nth(0)).to_contain_text("Author")
    rows(page).nth(0).get_by_role("button", name="Duplicate Author").click()
    expect(page.locator("dialog.qk-model-drawer").get_by_label("Key", exact=True)).to_have_value(
        "author_copy"
    )
    page.evaluate(SLOW_ANSWERS)
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(4)
    # A button that is held while the server draws the row anew is still pressed.
    rows(page).nth(1).get_by_role("button", name="Remove Author (copy)").hover()
    page.mouse.down()
    page.wait_for_timeout(900)
    page.mouse.up()
    expect(rows(page).nth(1)).to_contain_text("removed")
    page.keyboard.press("Control+s")
    expect(state(page)).to_contain_text("Saved")
    expect(page).to_have_url(f"{ada.url}/admin/modeling/collections/ol_wein/")
    spec = current().by_key["ol_wein"]
    assert [(item.key, item.type) for item in spec.fields] == [
        ("author", "reference"),
        ("level_img_src_x_onerror_alert_1", "choices"),
        ("title", "text"),
    ]
    assert spec.fields[0].condition is not None
    expect(rows(page)).to_have_count(3)
    assert ada.violations == []
    assert ada.errors == []


def test_what_a_change_does_to_content_is_asked_before_it_is_saved(ada: Watched) -> None:
    page = ada.page
    make_collection("things", [{"key": "title", "type": "text"}, {"key": "amount", "type": "text"}])
    make_entry("things", title="One", amount="many")
    ada.go("/admin/modeling/collections/things/")
    rows(page).nth(1).get_by_role("button", name="Settings of Amount").click()
    page.locator("dialog").get_by_label("Type").select_option("integer")
    page.get_by_role("button", name="Done").click()
    expect(rows(page).nth(1)).to_contain_text("Whole number")
    page.get_by_role("button", name="Save", exact=True).last.click()
    asked = page.get_by_role("dialog", name="This change loses content")
    expect(asked).to_contain_text("1 loses it")
    asked.get_by_role("button", name="Back to the form").click()
    assert current().by_key["things"].fields[1].type == "text"
    page.keyboard.press("Control+s")
    asked.get_by_role("button", name="Change it, and lose that").click()
    expect(state(page)).to_contain_text("Saved")
    assert current().by_key["things"].fields[1].type == "integer"
    assert ada.errors == []


def test_nothing_is_lost_by_a_fault_or_an_ended_session(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/modeling/collections/add/")
    page.get_by_label("Name", exact=True).fill("Notes")
    drawer = pick(page, "choice")
    drawer.get_by_label("Label", exact=True).fill("Mood")
    page.keyboard.press("Control+s")
    fault = page.get_by_role("alert").get_by_role("link", name="Mood, Choices")
    expect(fault).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("dialog.qk-model-drawer").get_by_label("Choices")).to_be_focused()
    page.keyboard.type("good\nbad")
    page.get_by_role("button", name="Done").click()
    expect(rows(page).nth(1)).to_contain_text("Mood")
    Session.objects.all().delete()
    page.context.clear_cookies()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("Everything that you typed is still here")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Notes")
    assert not Collection.objects.exists()


def test_a_save_that_waits_for_a_drawer_asks_once_to_sign_in(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/modeling/collections/add/")
    page.get_by_label("Name", exact=True).fill("Notes")
    pick(page, "text").get_by_label("Label", exact=True).fill("Mood")
    Session.objects.all().delete()
    page.context.clear_cookies()
    network = {"offline": False, "latency": 400, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", network)
    page.get_by_role("button", name="Done").click()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("Everything that you typed is still here")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "Not signed in." not in ada.errors


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_modelling_fits_a_phone_and_everybody(ada: Watched, scheme: str) -> None:
    page = ada.page
    make_collection("things", [{"key": "title", "type": "text"}, {"key": "amount", "type": "integer"}])
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 360, "height": 740})
    for path in ("", "add/", "things/", "things/delete/"):
        ada.go(f"/admin/modeling/collections/{path}")
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    ada.go("/admin/modeling/collections/things/")
    page.get_by_role("button", name="Settings of Amount").click()
    expect(page.get_by_role("form", name="Preview of the form")).to_contain_text("Amount")
    assert axe(page) == []
    page.get_by_role("button", name="Done").click()
