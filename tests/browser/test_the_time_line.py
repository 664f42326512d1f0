"""The time line of an entry in a real browser: any two versions by keyboard, in every dress, on a phone, on two pages."""

import pytest
from playwright.sync_api import BrowserContext, expect

from accounts.access import Action
from accounts.rights.granting import grant_entry
from content import editing, publishing
from tests.accounts.cast import make_person
from tests.browser.conftest import faults_in_every_dress, signed_in
from tests.builders import ROOT, make_collection, make_entry, make_locale, writing
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'


def test_versions_and_events_are_read_chosen_and_compared(
    browser: BrowserContext, web_server: LiveServer
) -> None:
    make_locale("de", fallback=("en",))
    make_collection(
        "notes",
        [
            {"key": "title", "type": "text", "localized": True, "label": f"Title {CANARY}"},
            {"key": "level", "type": "integer"},
        ],
        localized=True,
    )
    entry, work = make_entry("notes", title="Version 1"), writing("notes")
    grant_entry(make_person("walter@example.com").user, [Action.READ_DRAFT], entry, by=ROOT)
    for number in range(2, 44):
        editing.save(entry.pk, {"title": f"Version {number}"}, writing=work, base=number - 1, message=CANARY)
    publishing.publish(entry.pk, writing=work)
    watched = signed_in(browser, web_server.url)
    page = watched.page
    here = f"/admin/content/notes/{entry.pk}/history/"
    watched.go(here)
    expect(page.get_by_role("heading", name="Today")).to_be_visible()
    assert faults_in_every_dress(page, "history") == []
    watched.violations.clear()  # axe measures with styles of its own, and reads ours once more
    watched.errors.clear()

    # Any two, by keyboard, also from another page; without a script (the page has none of its own).
    page.set_viewport_size({"width": 1280, "height": 800})
    watched.go(here)
    expect(page.get_by_role("listitem").filter(has_text="Public now")).to_contain_text("saved version 43")
    page.get_by_role("radio", name="To version 40").focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="To version 39")).to_be_checked()
    page.get_by_role("button", name="Older ›").press("Enter")
    expect(page.get_by_text("Version 39, on another page")).to_be_visible()
    expect(page.get_by_text("gave rights on it to walter@example.com: see")).to_be_visible()
    page.get_by_role("radio", name="From version 1", exact=True).check()
    page.get_by_role("button", name="Compare the two chosen versions").press("Enter")
    expect(page.get_by_role("heading", name="Version 1 and version 39")).to_be_visible()
    expect(page.locator("ins").first).to_contain_text("39")
    page.locator("#content").get_by_role("link", name="History", exact=True).first.click()
    page.get_by_role("button", name="Restore version 42", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("Version 42 is back, as version 44.")
    assert watched.violations == watched.errors == []
