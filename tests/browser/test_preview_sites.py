"""A preview site is set up by mouse and by keyboard, and its pages can be used by everybody."""

import re
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from previews.models import PreviewSite, SigningKey
from previews.signing.table import tables
from tests.browser.conftest import Watched, faults_in_every_dress, make_administrator, sign_in
from tests.builders import make_collection, make_entry, make_locale
from tests.previews.world import FIELDS, make_site
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SITES: Final = "/admin/previews/previewsite/"
URL: Final = "https://www.example.com/api/preview?path=/blog/"


@pytest.fixture
def collections(_django_db_helper: None) -> None:
    tables.forget()
    make_locale("de")
    make_collection("articles", FIELDS, localized=True, name="Articles")
    make_collection("notes", [{"key": "word", "type": "text"}], name="Notes")
    make_entry("articles", title="Läuse & Flöhe", slug="laeuse", published=False)


def look(watched: Watched, name: str) -> None:
    """Look for what the policy stopped, and then for what keeps people out: axe measures with styles of its own."""
    assert not watched.violations, name
    assert not watched.errors, name
    assert not faults_in_every_dress(watched.page, name), name
    watched.violations.clear()
    watched.errors.clear()


@pytest.mark.usefixtures("collections")
def test_a_site_is_set_up_with_the_mouse(ada: Watched) -> None:
    page = ada.page
    ada.go("/admin/")
    page.locator("#nav-sidebar").get_by_role("link", name="Preview sites").click()
    page.get_by_role("link", name="Add the first one").click()
    page.get_by_label("Name:").fill("Blog")
    page.get_by_label("Origins:").fill("https://www.example.com")
    rows = page.locator("[data-qk-handoff-row]")
    expect(rows).to_have_count(1)
    rows.nth(0).get_by_label("Collection").select_option("articles")
    address = rows.nth(0).get_by_label("URL")
    address.fill(URL)
    rows.nth(0).get_by_role("button", name="{slug}", exact=True).click()
    expect(address).to_have_value(f"{URL}{{slug}}")
    expect(rows.nth(0).locator("[data-qk-example]")).to_have_text(f"Such as {URL}laeuse")
    expect(rows.nth(0).get_by_role("button", name="{wage}")).to_have_count(0)

    page.get_by_role("button", name="Add an address").click()
    rows.nth(1).get_by_label("Collection").select_option("notes")
    rows.nth(1).get_by_label("URL").fill("https://other.example/{word}")
    page.get_by_role("button", name="Add an address").click()
    rows.nth(2).get_by_role("button", name="Remove address 3").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("It must be on one of the site’s origins.")).to_be_visible()
    expect(rows).to_have_count(2)
    expect(rows.nth(0).get_by_label("URL")).to_have_value(f"{URL}{{slug}}")
    look(ada, "refused")
    rows.nth(1).get_by_label("URL").fill("https://www.example.com/{word}")
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_role("heading", name="Shown this once")).to_be_visible()
    site = PreviewSite.objects.get()
    lines = page.locator(".qk-lines code")
    expect(lines).to_have_text(
        [
            re.compile("^CMS_URL=http"),
            "CMS_ENVIRONMENT=development",
            f"SITE_ID={site.pk}",
            "ALGORITHM=EdDSA",
            re.compile(r"^CLIENT_SECRET=qkps_development_\S{43}$"),
        ]
    )
    look(ada, "shown once")
    secret = lines.nth(4).inner_text().partition("=")[2]
    page.get_by_role("link", name="I have copied them").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    assert secret not in page.content()
    assert {row.url.partition("{")[0] for row in site.handoff_urls.all()} == {URL, "https://www.example.com/"}
    assert not ada.violations
    assert not ada.errors


@pytest.mark.usefixtures("collections")
def test_a_site_is_set_up_with_the_keyboard_alone(ada: Watched) -> None:
    page = ada.page
    ada.go(f"{SITES}add/")
    page.get_by_label("Name:").focus()
    page.keyboard.type("Blog")
    page.keyboard.press("Tab")
    page.keyboard.type("https://www.example.com")
    page.keyboard.press("Tab")
    expect(page.locator("[data-qk-handoff-row]").get_by_label("Collection")).to_be_focused()
    page.keyboard.type("Art")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("[data-qk-handoff-row]").get_by_label("URL")).to_be_focused()
    page.keyboard.type(f"{URL}{{slug}}")
    page.keyboard.press("Enter")
    expect(page.locator(".qk-lines code")).to_have_count(5)
    assert PreviewSite.objects.get().handoff_urls.count() == 1
    assert not ada.violations
    assert not ada.errors


@pytest.mark.usefixtures("collections")
def test_it_works_without_a_script(chromium: Browser, web_server: LiveServer) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    sign_in(page, web_server.url, make_administrator())
    page.goto(f"{web_server.url}{SITES}add/")
    page.get_by_label("Name:").fill("Blog")
    page.get_by_label("Origins:").fill("https://www.example.com")
    rows = page.locator("[data-qk-handoff-row]")
    expect(rows).to_have_count(3)
    rows.nth(1).get_by_label("Collection").select_option("articles")
    rows.nth(1).get_by_label("URL").fill(f"{URL}{{slug}}")
    page.get_by_label("HS256").check()
    page.get_by_role("button", name="Save", exact=True).click()
    key = SigningKey.objects.get(algorithm="HS256")
    expect(page.locator(".qk-lines code").last).to_have_text(f"SHARED_SECRET_KID={key.pk}")
    page.get_by_role("link", name="I have copied them").click()
    expect(page.locator("[data-qk-handoff-row]").nth(0).get_by_label("URL")).to_have_value(f"{URL}{{slug}}")
    expect(page.locator("[data-qk-example]").nth(0)).to_have_text(f"Such as {URL}laeuse")
    context.close()


@pytest.mark.usefixtures("collections")
def test_every_page_of_previews_can_be_used_by_everybody(ada: Watched) -> None:
    site = make_site("Blog", cdn_origin="https://cdn.example.com").site
    check = {
        "name": "The page",
        "url": f"{URL}laeuse",
        "status": 200,
        "found": ["title"],
        "sentence": "It shows a draft.",
    }
    probe = {
        "verdict": "leak",
        "sentence": "Visitors see drafts.",
        "checks": [check, {**check, "name": "The CDN"}],
    }
    PreviewSite.objects.update(probe=probe, probed_at=site.created_at)
    key = SigningKey.objects.get(state="active")
    for path in (SITES, f"{SITES}{site.pk}/change/", f"{SITES}{site.pk}/do/rotate-secret/", f"{SITES}{site.pk}/do/remove/",
                 "/admin/previews/signingkey/", f"/admin/previews/signingkey/{key.pk}/change/",
                 "/admin/previews/signingkey/rotate/EdDSA/", "/admin/previews/preview/"):  # fmt: skip
        ada.go(path)
        look(ada, path)
