"""Light and dark, on a desk and on a phone: nothing is kept from people with disabilities, nothing scrolls sideways."""

import pytest
from django.contrib import admin
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accounts_pages import visit_each
from tests.browser.conftest import assert_accessible, make_administrator, sign_in, watch
from tests.builders import make_collection, make_entry, make_locale
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DRESSES = (("light", 1280), ("dark", 1280), ("dark", 360), ("light", 360))


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
    assert_accessible(page)
    sign_in(page, web_server.url, make_administrator())
    here = f"/admin/content/notes/{entry.pk}/"
    paths = ["/admin/", "/admin/content/notes/", f"{here}change/", f"{here}publish/", f"{here}history/"]
    faults = []
    for path in paths:
        for scheme, width in DRESSES:
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.set_viewport_size({"width": width, "height": 800})
            watched.go(path)
            if path.endswith("change/"):
                expect(page.locator("[contenteditable][aria-label]")).to_be_visible()
            page.wait_for_timeout(200)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            if width == 1280 or scheme == "light":
                try:
                    assert_accessible(page)
                except AssertionError as error:
                    faults.append(f"{path} {scheme} {width}: {str(error)[:1500]}")
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
        for scheme, width in DRESSES:
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_timeout(50)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                faults.append(f"{name} scrolls sideways at {width}")
            try:
                assert_accessible(page)
            except AssertionError as error:
                faults.append(f"{name} {scheme} {width}: {str(error)[:1500]}")

    visit_each(browser, web_server, look)
    assert not faults, "\n".join(faults)
    tables = {model._meta.model_name for model in admin.site._registry}
    assert {f"{table}-{page}" for table in tables for page in ("list", "change")} <= set(seen)
