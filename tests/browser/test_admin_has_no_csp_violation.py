"""A newcomer's first hour in a real browser: whatever they do, the policy has nothing to stop."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from content.fields import REGISTRY
from content.models import PublishedDocument
from tests.browser.conftest import Watched, signed_in
from tests.builders import make_collection, make_locale
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
FIELDS: list[tuple[str, str, dict[str, str]]] = [
    ("title", "text", {"Required to publish": "on", "Differs by locale": "on", "Can be filtered": "on"}),
    ("slug", "slug", {"Differs by locale": "on", "Made from": "title"}),
    ("intro", "rich_text", {"Differs by locale": "on"}),
    ("steps", "markdown", {"Differs by locale": "on"}),
    ("minutes", "integer", {"Can be filtered": "on"}),
    ("level", "choice", {"Choices": "easy\nhard"}),
    ("vegetarian", "boolean", {}),
    ("cooked_on", "date", {}),
    ("place", "geo_point", {}),
    ("author", "reference", {"Authors": "on"}),
    ("parts", "blocks", {"Differs by locale": "on", "Quote": "on"}),
]


def press(page: Page, name: str) -> None:
    """Press a button and wait for what follows: a page, or the word of a form that stays."""
    if name == "Publish":
        page.locator("[name=_publish]").click()
        page.get_by_role("dialog", name="Publish").get_by_role("button", name="Publish", exact=True).click()
        return
    if page.locator("[data-qk-form]").count() and name == "Save":
        page.locator("[data-qk-state]").evaluate("state => { state.textContent = '' }")
        page.get_by_role("button", name=name, exact=True).last.click()
        expect(page.locator("[data-qk-state]")).to_have_text(re.compile("^(Saved|Not saved)"))
        return
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).last.click()


def follow(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.locator("#content").get_by_role("link", name=name, exact=True).first.click()


def model_recipes(watched: Watched) -> None:
    """Make a collection of eleven fields, field by field."""
    page = watched.page
    watched.go("/admin/modeling/collections/add/")
    page.fill("#id_name", f"Recipes {CANARY}")
    page.fill("#id_key", "recipes")
    page.check("#id_localized")
    for key, kind, members in FIELDS:
        page.get_by_role("button", name="Add a field", exact=True).click()
        label = REGISTRY[kind].label
        page.locator(".qk-choice", has=page.get_by_text(label, exact=True)).first.click()
        drawer = page.locator("dialog.qk-model-drawer .qk-model-settings")
        drawer.locator("[name$=-key]").fill(key)
        drawer.locator("[name$=-help]").fill(CANARY)
        for name, value in members.items():
            if value == "on":
                drawer.get_by_label(name).check()
            else:
                drawer.get_by_label(name).fill(value)
        page.get_by_role("button", name="Done", exact=True).click()
        expect(page.locator(".qk-model-list")).to_contain_text(key)
    press(page, "Save")
    expect(page.locator(".messagelist")).to_contain_text("is there")


def write(page: Page, values: dict[str, Any]) -> None:
    for key, value in values.items():
        page.fill(f"[name='f-{key}']", value)


@pytest.fixture
def ada(browser: BrowserContext, web_server: LiveServer) -> Watched:
    """Ada, signed in with password and code, in a world with two locales, an author and a component."""
    make_locale("ar", direction="rtl")
    make_collection("authors", [{"key": "name", "type": "text"}])
    quote = [{"key": "words", "type": "rich_text"}, {"key": "source", "type": "text"}]
    make_collection("quote", quote, kind="component")
    return signed_in(browser, web_server.url)


def test_modelling_writing_publishing_comparing_and_restoring(ada: Watched, tmp_path: Path) -> None:
    page = ada.page
    model_recipes(ada)

    ada.go("/admin/content/authors/add/")
    page.fill("[name=f-name]", f"Ann {CANARY}")
    press(page, "Save")

    ada.go("/admin/content/recipes/add/")
    write(page, {"title": f"Lentil soup {CANARY}", "steps": "1. Chop\n2. Cook", "minutes": "25"})
    page.check("[name='f-level'][value='easy']")
    page.locator("#field-author").get_by_role("button", name="Choose an entry").click()
    page.get_by_role("listbox", name="Entries").get_by_role("option", name="Ann").click()
    editor = page.locator("#field-intro [contenteditable]")
    editor.click()
    page.keyboard.type("Warm and ")
    page.keyboard.press("Control+b")
    page.keyboard.type("quick")
    page.locator("#field-parts").get_by_role("button", name="Add", exact=True).click()
    page.locator("#field-parts [contenteditable]").click()
    page.keyboard.type("So good")
    press(page, "Publish")
    expect(page.locator(".messagelist")).to_contain_text("Published in English.")
    document = PublishedDocument.objects.get(locale="en")
    assert "<p>Warm and <strong>quick</strong></p>" in document.data.values()
    assert "<p>So good</p>" in str(document.data)

    follow(page, "ar not written yet")
    expect(page.locator("[name='f-title']")).to_have_value("")
    page.fill("[name='f-title']", "شوربة عدس")
    page.keyboard.press("Control+s")
    expect(page.locator(".messagelist")).to_contain_text("Saved as version 2.")

    ada.go("/admin/content/recipes/add/")
    write(page, {"title": "Bread", "place_lat": "far north"})
    press(page, "Save")
    expect(page.locator(".errornote")).to_contain_text("Place")
    expect(page.locator("[name='f-place_lat']")).to_have_value("far north")
    write(page, {"place_lat": "64.1", "place_lng": "-21.9"})
    press(page, "Save")
    page.fill("[name='f-title']", "")
    press(page, "Publish")
    expect(page.get_by_role("dialog")).to_contain_text("Title")
    page.get_by_role("dialog").get_by_role("link", name="Title").click()
    page.fill("[name='f-title']", "Better bread")
    press(page, "Save")

    follow(page, "History")
    press(page, "Compare the two chosen versions")
    expect(page.locator("ins").first).to_contain_text("Better bread")
    follow(page, "History")
    page.get_by_role("button", name="Restore version 1", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("Version 1 is back")
    follow(page, "Move to trash…")
    press(page, "Move to the trash")
    follow(page, "Trash")
    press(page, "Restore")
    expect(page.locator(".messagelist")).to_contain_text("is back, as a draft")

    for path in (
        "/admin/", "/admin/content/", "/admin/content/recipes/", "/admin/content/recipes/?q=soup&status=published",
        "/admin/content/recipes/?_to_field=password", "/admin/modeling/collections/", "/admin/modeling/locales/",
        "/admin/modeling/collections/recipes/", "/admin/modeling/collections/recipes/delete/",
    ):  # fmt: skip
        ada.go(path)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": 360, "height": 740})
        for path in (
            "/admin/content/recipes/",
            "/admin/content/recipes/add/",
            "/admin/modeling/collections/recipes/",
        ):
            ada.go(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path

    assert ada.violations == []
    assert [error for error in ada.errors if "favicon" not in error and "400" not in error] == []


def test_the_listener_does_hear_a_violation(ada: Watched) -> None:
    ada.go("/admin/")
    ada.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))"
    )
    ada.page.wait_for_timeout(200)
    assert ada.violations
