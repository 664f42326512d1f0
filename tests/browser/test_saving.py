"""Saving in a real browser: nothing jumps, nothing is lost, and nobody is asked without a reason."""

from typing import Any

import pytest
from django.contrib.sessions.models import Session as BrowserSession
from playwright.sync_api import BrowserContext, Page, expect

from content import modeling, schema
from content.models import Entry, Field, Version
from tests.accounts.cast import PASSWORD, Person
from tests.browser.conftest import Watched, make_administrator, watch
from tests.builders import ROOT, make_collection, make_entry, make_locale

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
FIELDS = [
    {"key": "title", "type": "text", "required": True, "localized": True, "options": {"max_length": 200}},
    {"key": "slug", "type": "slug", "localized": True, "options": {"from": "title"}},
    {"key": "text", "type": "long_text", "localized": True},
    {"key": "words", "type": "rich_text", "localized": True},
    {"key": "seo", "type": "email", "label": "Contact", "required": True},
]


@pytest.fixture
def person(_django_db_helper: None) -> Person:
    make_locale("de", fallback=("en",))
    spec = make_collection("notes", FIELDS, localized=True)
    Field.objects.filter(collection_id=spec.id, key="seo").update(group=f"Search {CANARY}")
    return make_administrator()


def state(page: Page, text: str) -> None:
    expect(page.locator("[data-qk-state]")).to_contain_text(text)


def test_a_day_at_the_form(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/content/notes/add/")
    title, text = page.locator("[name='f-title']"), page.locator("[name='f-text']")

    # Row 1: saved from any field, caret and scroll kept, also the first time.
    title.fill(f"Hello {CANARY}")
    text.fill("\n".join(f"line {number}" for number in range(200)))
    text.evaluate("box => { box.focus(); box.setSelectionRange(3, 5); scrollTo(0, 120) }")
    place = text.bounding_box()
    page.keyboard.press("Control+s")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    entry = Entry.objects.get()
    assert page.url.endswith(f"/admin/content/notes/{entry.pk}/change/?locale=en")
    assert text.evaluate("box => [document.activeElement === box, box.selectionStart, box.selectionEnd]") == [
        True,
        3,
        5,
    ]
    moved = text.bounding_box()
    assert place is not None
    assert moved is not None
    assert abs(moved["y"] - place["y"]) < 2  # what is new above it moves nothing in sight
    assert entry.latest_number == 1
    expect(page.locator("[name='f-slug']")).to_have_value("hello-img-srcx-onerroralert1")
    expect(page.locator("h1")).to_contain_text("Hello")

    # Rows 3 and 15: a mark where something changed, and none when it was taken back; then nobody is asked.
    title.press("End")
    page.keyboard.type("!")
    expect(page.locator("#field-title.qk-unsaved")).to_be_visible()
    page.keyboard.press("Backspace")
    expect(page.locator("#field-title.qk-unsaved")).to_have_count(0)
    page.locator("#field-words [contenteditable]").click()
    page.keyboard.type("x")
    page.keyboard.press("Control+z")
    expect(page.locator("#field-words.qk-unsaved")).to_have_count(0)
    page.get_by_role("link", name="History").click()
    page.wait_for_url("**/history/**")
    page.go_back()

    # With a change there is a question; staying stays, resetting puts the field back.
    title.fill("Another")
    page.get_by_role("link", name="History").click()
    page.get_by_role("button", name="Stay").click()
    expect(title).to_have_value("Another")
    page.get_by_role("button", name="Reset Title").click()
    expect(title).to_have_value(f"Hello {CANARY}")
    expect(page.locator(".qk-unsaved")).to_have_count(0)

    # Row 7: what is wrong stands at its field, in its tab too, and the first one has the focus.
    page.get_by_role("tab", name="Search").click()
    page.fill("[name='f-seo']", "nobody")
    page.get_by_role("tab").first.click()
    page.keyboard.press("Control+s")
    state(page, "Not saved")
    expect(page.locator("#field-seo .errorlist")).to_be_visible()
    expect(page.locator("[name='f-seo']")).to_be_focused()
    expect(page.get_by_role("tab", name="Search")).to_contain_text("1 to look at")
    page.get_by_role("tab").first.click()
    page.locator(".errornote a").first.click()
    expect(page.locator("[name='f-seo']")).to_be_focused()

    # Row 8: a draft may be incomplete; publishing lists all that is missing.
    page.fill("[name='f-seo']", "")
    page.get_by_role("tab").first.click()
    title.fill("")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    page.locator("[name=_publish]").click()
    dialog = page.get_by_role("dialog", name="Publish")
    expect(dialog.locator(".qk-missing li")).to_have_count(2)
    dialog.get_by_role("link", name="Title").click()  # to the field, in whatever tab it stands
    expect(title).to_be_focused()
    title.fill("Complete")
    page.get_by_role("tab", name="Search").click()
    page.fill("[name='f-seo']", "a@example.com")
    page.keyboard.press("Control+Alt+p")
    expect(dialog.locator(".qk-becomes")).to_contain_text(
        "only by the roles and keys that may read them in English"
    )
    dialog.get_by_role("button", name="Publish", exact=True).dblclick()
    expect(page.locator("h1 .qk-published")).to_be_visible()
    assert list(Version.objects.order_by("-number").values_list("number", flat=True)) == [3, 2, 1]

    # Another locale shows what it falls back to, and takes it only when asked.
    page.get_by_role("link", name="de not written yet").click()
    expect(page.locator("#field-title .qk-stand-in")).to_contain_text("Complete")
    expect(page.locator("[name='f-title']")).to_have_value("")
    page.locator("#field-title").get_by_role("button", name="Start from it").click()
    expect(page.locator("[name='f-title']")).to_have_value("Complete")
    assert ada.violations == []
    assert [error for error in ada.errors if "status of 400" not in error] == []


def test_a_session_that_ends_loses_nothing(ada: Watched, person: Person) -> None:
    entry = make_entry("notes", title="First", seo="a@example.com")
    page = ada.page
    ada.go(f"/admin/content/notes/{entry.pk}/change/")
    page.fill("[name='f-title']", f"Typed {CANARY}")
    page.context.clear_cookies()
    BrowserSession.objects.all().delete()
    page.keyboard.press("Control+s")
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog.locator("[name=email]")).to_have_value(person.email)
    dialog.locator("[name=password]").fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.locator("#form-problem")).to_be_visible()
    dialog.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    dialog.locator("[name=code]").fill(person.code())
    page.keyboard.press("Enter")
    state(page, "Saved")
    entry.refresh_from_db()
    assert entry.latest_number == 2
    expect(page.locator("[name='f-title']")).to_have_value(f"Typed {CANARY}")
    assert ada.violations == []


def test_a_form_that_nobody_touched_asks_nothing_when_it_is_left(ada: Watched) -> None:
    make_collection("quote", [{"key": "words", "type": "text"}], kind="component")
    rows: list[dict[str, Any]] = [
        {"key": "title", "type": "text"},
        {"key": "words", "type": "rich_text"},
        {"key": "source", "type": "markdown"},
        {"key": "when", "type": "datetime"},
        {"key": "tint", "type": "color"},
        {"key": "raw", "type": "json"},
        {"key": "note", "type": "reference", "options": {"collections": ["notes"]}},
        {"key": "others", "type": "references", "options": {"collections": ["notes"]}},
        {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}},
    ]
    make_collection("posts", rows)
    note = str(make_entry("notes", title="Note", seo="a@example.com").pk)
    parts = [{"_component": "quote", "words": "So it is"}]
    entry = make_entry(
        "posts",
        title="First",
        words="<p>Words</p>",
        raw={"a": [1]},
        note=note,
        others=[note],
        parts=parts,
        when="2026-03-04T05:06:07Z",
        tint="#abcdef",
    )
    for path in (f"/admin/content/posts/{entry.pk}/change/", "/admin/content/posts/add/"):
        ada.go(path)
        ada.page.locator("h1").click()  # a page may only ask people who did something in it
        ada.page.locator("#field-words [contenteditable]").wait_for()
        ada.go("/admin/content/posts/")
    assert ada.errors == []


SLOW_SAVES = """
const real = window.fetch;
window.fetch = async (address, options) => {
  const answer = await real(address, options);
  if (String(address).includes("/add/")) await new Promise((resolve) => setTimeout(resolve, 1500));
  return answer;
};
"""


def test_an_address_is_not_taken_by_the_very_entry_that_is_being_saved(ada: Watched) -> None:
    ada.page.add_init_script(SLOW_SAVES)
    ada.go("/admin/content/notes/add/")
    title, slug = ada.page.locator("[name='f-title']"), ada.page.locator("[name='f-slug']")
    # The answer comes when the entry is stored, and before the form knows that.
    with ada.page.expect_response("**/slug/") as answer:
        title.fill("Hello")
        ada.page.keyboard.press("Control+s")
    assert answer.value.json() == {"slug": "hello-2", "is_taken": True, "public": ""}
    state(ada.page, "Saved")
    expect(slug).to_have_value("hello")
    expect(ada.page.locator(".qk-unsaved")).to_have_count(0)
    expect(ada.page.locator(".qk-slug-note")).to_be_empty()


def test_an_address_follows_on_where_a_save_was_refused(ada: Watched) -> None:
    ada.page.add_init_script(SLOW_SAVES)
    ada.go("/admin/content/notes/add/")
    ada.page.locator("[name='f-seo']").evaluate("input => { input.value = 'nobody' }")
    with ada.page.expect_response("**/slug/"):
        ada.page.locator("[name='f-title']").fill("Hello")
        ada.page.keyboard.press("Control+s")
    state(ada.page, "Not saved")
    expect(ada.page.locator("[name='f-slug']")).to_have_value("hello")


def test_two_tabs_choose_by_field_and_a_removed_field_is_told(ada: Watched, browser: BrowserContext) -> None:
    entry = make_entry("notes", title="First", text="Old", seo="a@example.com", published=False)
    path = f"/admin/content/notes/{entry.pk}/change/"
    ada.go(path)
    second = watch(browser, ada.url)
    second.go(path)
    for name, words in (("title", f"Theirs {CANARY}"), ("text", "Theirs")):
        second.page.fill(f"[name='f-{name}']", words)
    second.page.keyboard.press("Control+s")
    state(second.page, "Saved")
    page = ada.page
    for name in ("title", "text"):
        page.fill(f"[name='f-{name}']", "Mine")
    page.keyboard.press("Control+s")
    expect(page.locator("#field-title .qk-theirs")).to_contain_text(f"Theirs {CANARY}")
    expect(page.locator("[name='f-title']")).to_have_value("Mine")
    page.locator("#field-title").get_by_label("Version 2").check()
    page.get_by_role("button", name="Save", exact=True).last.click()
    state(page, "Saved")
    values = Version.objects.get(entry=entry, number=3).data["en"].values()
    assert f"Theirs {CANARY}" in values
    assert "Mine" in values
    expect(page.locator("[name='f-title']")).to_have_value(f"Theirs {CANARY}")

    # A field that is taken out of the collection while its form is open: told, and the rest is kept.
    page.fill("[name='f-text']", "More")
    kept = [field for field in FIELDS if field["key"] != "words"]
    spec = schema.current().by_key["notes"]
    raw = {"key": "notes", "name": "Notes", "localized": True, "fields": kept}
    modeling.change_collection(spec.id, raw, by=ROOT, confirm=True)
    page.keyboard.press("Control+s")
    state(page, "Saved")
    assert "More" in Version.objects.order_by("-number")[0].data["en"].values()
    assert ada.violations == second.violations == []
