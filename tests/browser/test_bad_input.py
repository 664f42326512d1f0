"""What goes wrong in a form, in a real browser: said where it is, with nothing that was typed lost."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Event
from content import editing, modeling, schema
from content.models import Collection, Entry, Version
from content.writing import Writing
from tests.accounts.cast import make_person
from tests.browser.conftest import Watched, watch
from tests.browser.test_admin_has_no_csp_violation import sign_in
from tests.builders import ROOT, make_collection, make_entry
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STRANGE = "a\u202eb\u200f é 👩‍👩‍👧‍👦🏳️‍🌈 السلام 漢字"
PASTE = """([name, text]) => {
  const box = document.querySelector(`[name="${name}"]`);
  box.focus();
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}"""


@pytest.fixture
def ada(browser: BrowserContext, web_server: LiveServer) -> Watched:
    fields: list[dict[str, Any]] = [
        {"key": "title", "type": "text", "required": True},
        {"key": "text", "type": "long_text"},
        {"key": "body", "type": "markdown"},
    ]
    make_collection("notes", fields)
    watched = watch(browser, web_server.url)
    sign_in(watched, make_person("ada@example.com", roles=["administrator"], with_authenticator=True))
    return watched


def state(page: Page, text: str) -> None:
    expect(page.locator("[data-qk-state]")).to_contain_text(text, timeout=30_000)


def box(page: Page, name: str) -> str:
    return page.locator(f"[name='f-{name}']").input_value()


def test_megabytes_are_told_at_the_field_or_for_the_whole_form(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/content/notes/add/")
    page.fill("[name='f-title']", STRANGE)
    page.evaluate(PASTE, ["f-text", "word " * 400_000])
    page.keyboard.press("Control+s")
    state(page, "Not saved")
    expect(page.locator("#field-text .errorlist")).to_contain_text("(it has 2,000,000)")
    assert len(box(page, "text")) == 2_000_000
    expect(page.locator("[name='f-text']")).to_have_attribute("dir", "ltr")  # "auto" would take a minute here
    page.evaluate(PASTE, ["f-text", "word " * 700_000])
    page.keyboard.press("Control+s")
    expect(page.get_by_role("alert")).to_contain_text("at most 3.0 MB can be saved at once")
    expect(page.get_by_role("alert")).to_contain_text("Everything that you typed is still here")
    page.evaluate(PASTE, ["f-text", "Short enough"])
    page.keyboard.press("Control+s")
    state(page, "Saved")
    expect(page.locator("[name='f-text']")).to_have_attribute("dir", "auto")
    assert STRANGE in Version.objects.get().data["*"].values()
    assert ada.violations == []


def test_going_back_after_a_save_never_brings_old_text_over_new(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(f"/admin/content/notes/{entry.pk}/change/")
    page.fill("[name='f-title']", "Second")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    ada.go(f"/admin/content/notes/{entry.pk}/history/")
    page.go_back()
    expect(page.locator("[name='f-title']")).to_have_value("Second")
    page.fill("[name='f-text']", "And more")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    newest = Version.objects.order_by("-number")[0]
    assert {"Second", "And more"} <= {str(value) for value in newest.data["*"].values()}
    assert newest.number == 3


def test_a_double_click_publishes_once(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(f"/admin/content/notes/{entry.pk}/change/")
    page.fill("[name='f-text']", "Typed just before")
    page.keyboard.press("Control+Alt+p")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Publish", exact=True).dblclick()
    expect(page.locator(".qk-form-head .qk-pill")).to_have_text("Published")
    assert Event.objects.filter(type="entry.published").count() == 1
    assert Version.objects.count() == 2
    assert ada.errors == []


def test_what_is_gone_meanwhile_is_said_and_what_was_typed_stays(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(f"/admin/content/notes/{entry.pk}/change/")
    page.fill("[name='f-title']", "Typed")
    writing = Writing(schema.current(), schema.current().by_key["notes"], ROOT)
    editing.trash(entry.pk, writing=writing)
    page.keyboard.press("Control+s")
    state(page, "Not saved")
    assert box(page, "title") == "Typed"
    expect(page.get_by_role("alert").first).to_contain_text("trash")
    editing.restore(entry.pk, writing=writing)
    page.keyboard.press("Control+s")
    state(page, "Saved")
    page.fill("[name='f-title']", "Typed again")
    modeling.delete_collection(Collection.objects.get().pk, by=ROOT, confirm=True)
    page.keyboard.press("Control+s")
    expect(page.get_by_role("alert")).to_contain_text("Everything that you typed is still here")
    assert box(page, "title") == "Typed again"
    assert not Entry.objects.exists()


def test_cookies_that_go_in_the_middle_take_nothing_along(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/content/notes/add/")
    page.fill("[name='f-title']", "Typed")
    page.context.clear_cookies()
    page.evaluate(PASTE, ["f-text", "word " * 19_000])
    page.evaluate(PASTE, ["f-body", "word " * 100_000])
    page.keyboard.press("Control+s")
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_contain_text("Everything that you typed is still here")
    assert box(page, "title") == "Typed"
    assert len(box(page, "body")) == 500_000
