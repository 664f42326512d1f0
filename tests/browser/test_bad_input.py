"""Bad input in a real browser: a clear message, nothing lost, never an error of ours."""

from typing import Any

import pytest
from django.contrib.sessions.models import Session as BrowserSession
from playwright.sync_api import BrowserContext, Page, expect

from accounts.models import Event
from content import editing, modeling, schema
from content.models import Entry, Version
from content.writing import Writing
from tests.accounts.cast import PASSWORD, Person
from tests.browser.conftest import Watched, make_administrator, sign_in
from tests.builders import ROOT, make_collection, make_entry
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
SIGNS = "👩‍👩‍👧‍👦 \u200fשלום\u202eabc\u202c e\u0301o\u0308"
QUOTE: list[dict[str, Any]] = [
    {"key": "words", "type": "text", "options": {"max_length": 40}},
    {"key": "by", "type": "text"},
]
FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text"},
    {"key": "text", "type": "long_text"},
    {"key": "steps", "type": "markdown"},
    {"key": "more", "type": "markdown"},
    {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}},
]
FILL = "(box, size) => { box.value = 'word '.repeat(size / 5); box.dispatchEvent(new Event('input', { bubbles: true })) }"


@pytest.fixture
def person(_django_db_helper: None) -> Person:
    make_collection("quote", QUOTE, kind="component", name="Quote")
    make_collection("notes", FIELDS)
    return make_administrator()


def state(page: Page, text: str) -> None:
    expect(page.locator("[data-qk-state]")).to_contain_text(text, timeout=60_000)


def path(entry: Entry) -> str:
    return f"/admin/content/notes/{entry.pk}/change/"


def without(key: str) -> None:
    spec = schema.current().by_key["notes"]
    kept = [field for field in FIELDS if field["key"] != key]
    modeling.change_collection(
        spec.id, {"key": "notes", "name": "Notes", "fields": kept}, by=ROOT, confirm=True
    )


def values(number: int) -> str:
    return "\n".join(str(value) for value in Version.objects.get(number=number).data["*"].values())


def test_two_megabytes_are_saved_and_more_is_told_before_it_is_sent(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(path(entry))
    for name in ("steps", "more"):
        page.locator(f"[name='f-{name}']").evaluate(FILL, 995_000)
    page.fill("[name='f-title']", SIGNS)
    page.keyboard.press("Control+s")
    state(page, "Saved")
    assert len(values(2)) > 1_990_000
    assert SIGNS.split(maxsplit=1)[0] in values(2)

    page.locator("[name='f-text']").evaluate(FILL, 3_000_000)
    page.keyboard.press("Control+s")
    expect(page.locator(".errornote")).to_contain_text("The form is 5 MB; at most 4 MB can be saved at once.")
    expect(page.locator("#field-text .errorlist")).to_contain_text("This is 3 MB.")
    expect(page.locator("[name='f-text']")).to_be_focused()
    assert len(page.input_value("[name='f-text']")) == 3_000_000
    # Small enough to be sent, too long for its field: the field says so.
    page.locator("[name='f-text']").evaluate(FILL, 1_500_000)
    page.keyboard.press("Control+s")
    expect(page.locator("#field-text .errorlist")).to_contain_text(
        "At most 100,000 characters", timeout=60_000
    )
    assert len(page.input_value("[name='f-text']")) == 1_500_000
    assert Entry.objects.get().latest_number == 2
    assert ada.violations == []
    assert [error for error in ada.errors if "status of 400" not in error] == []


def test_a_large_form_survives_its_session(ada: Watched, person: Person) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(path(entry))
    for name in ("steps", "more"):
        page.locator(f"[name='f-{name}']").evaluate(FILL, 800_000)
    page.context.clear_cookies()
    BrowserSession.objects.all().delete()
    page.keyboard.press("Control+s")
    dialog = page.get_by_role("dialog", name="Sign in again")
    dialog.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    dialog.locator("[name=code]").fill(person.code())
    page.keyboard.press("Enter")
    state(page, "Saved")
    assert len(values(2)) > 1_500_000


def test_going_back_after_a_save_shows_what_was_saved(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(path(entry))
    page.fill("[name='f-title']", "Second")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    ada.go("/admin/content/notes/")
    page.go_back()
    expect(page.locator("[name='f-title']")).to_have_value("Second")
    # Somebody else saves while the page is away: what comes back is theirs, or is told; never silently the old one.
    ada.go("/admin/content/notes/")
    editing.save(entry.pk, {"title": "Theirs"}, writing=Writing.on("notes", by=ROOT), base=2, locale="en")
    page.go_back()
    page.fill("[name='f-text']", "Mine")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    assert "Theirs" in values(4)
    assert "Mine" in values(4)


def test_a_second_click_publishes_once(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(path(entry))
    page.locator("[name=_publish]").dblclick()
    dialog = page.get_by_role("dialog", name="Publish")
    dialog.get_by_role("button", name="Publish", exact=True).dblclick()
    expect(page.locator("h1 .qk-published")).to_be_visible()
    page.wait_for_timeout(500)
    assert Event.objects.filter(type="entry.published").count() == 1
    assert ada.errors == []


def test_a_field_that_is_removed_meanwhile_is_told_and_the_rest_is_saved(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(path(entry))
    page.fill("[name='f-title']", "Kept")
    page.fill("[name='f-text']", f"Typed {CANARY}")
    without("text")
    page.keyboard.press("Control+s")
    expect(page.locator(".errornote")).to_contain_text("“Text” can’t be saved here any more")
    expect(page.locator(".qk-gone textarea")).to_have_value(f"Typed {CANARY}")
    expect(page.locator("[name='f-title']")).to_have_value("Kept")
    page.keyboard.press("Control+s")
    expect(page.locator("#field-text")).to_have_count(0)  # all is saved, so the form is shown as it is now
    expect(page.locator("[name='f-title']")).to_have_value("Kept")
    assert "Kept" in values(2)
    assert "Typed" not in values(2)
    assert ada.violations == []


def test_what_is_typed_stays_when_the_entry_or_the_collection_goes_away(ada: Watched) -> None:
    entry = make_entry("notes", title="First", published=False)
    page = ada.page
    ada.go(path(entry))
    page.fill("[name='f-title']", "Typed")
    writing = Writing.on("notes", by=ROOT)
    editing.trash(entry.pk, writing=writing, confirm=True)
    page.keyboard.press("Control+s")
    expect(page.locator(".errornote")).to_contain_text("in the trash")
    expect(page.locator("[name='f-title']")).to_have_value("Typed")
    editing.restore(entry.pk, writing=writing)
    page.keyboard.press("Control+s")
    state(page, "Saved")
    assert "Typed" in values(Entry.objects.get().latest_number)
    page.fill("[name='f-title']", "More")
    modeling.delete_collection(schema.current().by_key["notes"].id, by=ROOT, confirm=True)
    page.keyboard.press("Control+s")
    expect(page.locator(".errornote")).to_contain_text("is not here any more")
    expect(page.locator("[name='f-title']")).to_have_value("More")


def test_a_fault_inside_a_folded_part_is_led_to(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/content/notes/add/")
    box = page.locator("#field-parts")
    parts = box.locator(".qk-part")
    for count, words in enumerate(("one", "x" * 50), start=1):
        box.get_by_role("button", name="Add", exact=True).click()
        expect(parts).to_have_count(count)
        parts.last.locator("input[type=text]").first.fill(words)
    parts.nth(1).get_by_role(
        "button", name="Move Quote up"
    ).click()  # its name has the number 1, its place is the first
    box.get_by_role("button", name="Fold all").click()
    page.keyboard.press("Control+s")
    wrong = page.locator("[name='f-parts-1-words']")
    expect(wrong).to_be_focused()
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_f-parts-1-words-errors")).to_contain_text("At most 40 characters")
    assert "id_f-parts-1-words-errors" in (wrong.get_attribute("aria-describedby") or "")
    expect(parts.nth(1).locator("> .qk-part-body")).to_be_hidden()
    parts.nth(0).get_by_role("button", name="Fold Quote").click()
    page.locator(".errornote").get_by_role("link", name="Parts › Quote 1 › Words").click()
    expect(wrong).to_be_focused()
    wrong.fill("right")
    page.keyboard.press("Control+s")
    state(page, "Saved")
    expect(page.locator("#field-parts .errorlist")).to_have_count(0)
    expect(wrong).not_to_have_attribute("aria-invalid", "true")
    assert ada.violations == []


def test_without_a_script_a_form_without_its_session_is_kept(
    browser: BrowserContext, web_server: LiveServer, person: Person
) -> None:
    entry = make_entry("notes", title="First", published=False)
    chromium = browser.browser
    assert chromium is not None
    plain = chromium.new_context(java_script_enabled=False)
    plain.set_default_timeout(10_000)
    page = plain.new_page()

    sign_in(page, web_server.url, person)
    page.goto(f"{web_server.url}{path(entry)}")
    page.fill("[name='f-title']", "Typed")
    plain.clear_cookies()
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.get_by_role("heading", name="Not saved yet")).to_be_visible()
    other = plain.new_page()
    sign_in(other, web_server.url, person)
    page.get_by_role("button", name="Send it again").click()
    if page.get_by_role("button", name="Send it again").count():  # the token is from before the sign-in
        page.get_by_role("button", name="Send it again").click()
    expect(page.locator("[name='f-title']")).to_have_value("Typed")
    assert "Typed" in values(2)
    plain.close()


def test_the_direction_of_very_long_text_is_not_looked_for(ada: Watched) -> None:
    """With `dir="auto"` Chromium takes a minute for two megabytes in one box."""
    page = ada.page
    ada.go("/admin/content/notes/add/")
    box = page.locator("[name='f-text']")
    was = box.get_attribute("dir")
    for text, expected in (("word " * 40_000, "ltr"), ("short", "auto")):
        page.evaluate(
            """([box, text]) => { box.value = text; box.dispatchEvent(new Event("input", { bubbles: true })); }""",
            [box.element_handle(), text],
        )
        expect(box).to_have_attribute("dir", expected if was == "auto" else str(was))
