"""Light and dark, on a desk and on a phone: nothing is kept from people with disabilities, nothing scrolls sideways."""

import pytest
from django.contrib import admin
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts_pages import visit_each
from tests.browser.conftest import axe, faults_in_every_dress, make_administrator, sign_in, watch
from tests.builders import make_collection, make_entry, make_locale
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_pages_are_accessible_in_every_dress(browser: BrowserContext, web_server: LiveServer) -> None:
    make_locale("de", fallback=("en",))
    make_collection("quote", [{"key": "words", "type": "text"}], kind="component")
    make_collection("authors", [{"key": "name", "type": "text", "filterable": True}])
    make_collection(
        "notes",
        [
            {"key": "title", "type": "text", "required": True, "localized": True, "help": "Short."},
            {"key": "text", "type": "rich_text", "localized": True},
            {"key": "source", "type": "markdown"},
            {"key": "kind", "type": "choice", "options": {"choices": ["one", "two"]}, "filterable": True},
            {"key": "author", "type": "reference", "options": {"collections": ["authors"]}},
            {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}},
        ],
        localized=True,
    )
    author = make_entry("authors", name="Ann")
    parts = [{"_component": "quote", "words": "So it is"}]
    entry = make_entry("notes", title="First", text="<p>Words</p>", author=str(author.pk), parts=parts)
    watched = watch(browser, web_server.url)
    page = watched.page
    watched.go("/admin/login/")
    assert axe(page) == []
    sign_in(page, web_server.url, make_administrator())
    here = f"/admin/content/notes/{entry.pk}/"
    paths = [
        "/admin/",
        "/admin/review/",
        "/admin/content/notes/",
        f"{here}change/",
        f"{here}publish/",
        f"{here}history/",
    ]
    faults: list[str] = []
    for path in paths:
        watched.go(path)
        if path.endswith("change/"):
            expect(page.locator("[contenteditable][aria-label]")).to_be_visible()
        faults += faults_in_every_dress(page, path)
    watched.go(f"{here}change/")
    page.locator("#field-author").get_by_role("button", name="Replace").click()
    expect(page.get_by_role("listbox", name="Entries")).to_be_visible()
    faults += faults_in_every_dress(page, "picker")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Alt+p")
    expect(
        page.get_by_role("dialog", name="Publish").get_by_role("button", name="Publish", exact=True)
    ).to_be_focused()
    faults += faults_in_every_dress(page, "publishing")
    assert not faults, "\n".join(faults)
    # Violations are not asked for here: axe measures with styles of its own, which the policy refuses.


def test_pages_of_accounts_are_accessible_in_every_dress(
    browser: BrowserContext, web_server: LiveServer
) -> None:
    """The doors with what they refuse, and every table: lists, forms, deleting, what is shown once."""
    faults: list[str] = []
    seen: list[str] = []

    def look(page: Page, name: str) -> None:
        seen.append(name)
        faults.extend(faults_in_every_dress(page, name))

    visit_each(browser, web_server, look)
    assert not faults, "\n".join(faults)
    tables = {model._meta.model_name for model in admin.site._registry}
    assert {f"{table}-{page}" for table in tables for page in ("list", "change")} <= set(seen)
