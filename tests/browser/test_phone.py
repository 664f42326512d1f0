"""With one hand on a phone: find an entry, fix a typo, save and publish. Only taps, at 360 x 740."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from content.models import Entry, PublishedDocument
from tests.browser.conftest import Watched, axe, signed_in
from tests.builders import make_collection, make_entry
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "required": True, "filterable": True, "options": {"max_length": 200}},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
    {"key": "text", "type": "long_text", "help": f"In a few words {CANARY}"},
    {"key": "words", "type": "rich_text"},
    {"key": "level", "type": "choice", "options": {"choices": ["easy", "hard"]}},
    {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}},
]
SHOTS = os.environ.get("QUILLKEEP_SCREENSHOTS", "")  # a folder, to look at the pages oneself

# What can be tapped, seen and small. Not: links in running text (WCAG 2.5.8), what a label makes larger.
SMALL = """least => {
  const isShown = (box) => box.width > 1 && box.height > 1;
  const found = [];
  for (const item of document.querySelectorAll("#content :is(a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=tab])")) {
    const style = getComputedStyle(item);
    if (!item.checkVisibility() || style.visibility === "hidden" || item.matches(".visually-hidden, p a, li > a:not([class]), :disabled")) continue;
    const box = (item.matches("[type=checkbox], [type=radio]") ? item.closest("label, td") ?? item : item).getBoundingClientRect();
    if (isShown(box) && (box.width < least - 0.5 || box.height < least - 0.5)) found.push(`${item.outerHTML.slice(0, 120)} ${Math.round(box.width)}x${Math.round(box.height)}`);
  }
  return found;
}"""


@pytest.fixture(params=["light", "dark"])
def phone(
    browser: BrowserContext, web_server: LiveServer, request: pytest.FixtureRequest, _django_db_helper: None
) -> Iterator[Watched]:
    make_collection("quote", [{"key": "said", "type": "text"}], kind="component", name="Quote")
    make_collection("notes", FIELDS, name=f"Notes {CANARY}")
    for number in range(12):
        make_entry(
            "notes", title=f"Another note about something rather long, number {number}", published=False
        )
    parts = [{"_component": "quote", "said": "Well said"}]
    make_entry(
        "notes",
        title="Soup with a tpyo",
        text="Old\nlines",
        words="<p>Rich <strong>text</strong></p>",
        parts=parts,
    )
    chromium = browser.browser
    assert chromium is not None
    context = chromium.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2,
        color_scheme=request.param,
    )  # fmt: skip
    context.set_default_timeout(10_000)
    watched = signed_in(context, web_server.url)
    yield watched
    context.close()


WIDE = """[...document.querySelectorAll("body *")].filter((item) => item.getBoundingClientRect().right > 361)
  .map((item) => item.outerHTML.slice(0, 120)).slice(0, 8)"""


def look(page: Page, name: str) -> None:
    """Check what holds for each page on a phone, and keep a picture where somebody wants to look."""
    page.wait_for_load_state("load")  # with every style sheet: a tap does not wait for what follows it
    if SHOTS:
        theme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        page.screenshot(path=Path(SHOTS) / f"phone-{name}-{theme}.png")
    fits = "document.documentElement.scrollWidth <= 360 && visualViewport.scale === 1"
    assert page.evaluate(fits), [name, page.evaluate(WIDE)]
    small = page.evaluate(SMALL, 24)
    assert small == [], "\n".join([name, *small])


def touch(page: Page, target: Locator) -> None:
    """Tap where the target is seen; Playwright's own `tap` moves the page first where something is sticky."""
    box = target.bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def is_in_sight(bar: Locator) -> None:
    box = bar.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 740.5


def test_a_typo_is_fixed_and_published_with_one_hand(phone: Watched) -> None:
    page = phone.page
    phone.go("/admin/content/notes/")
    look(page, "list")
    page.get_by_role("searchbox").tap()
    page.keyboard.type("soup")
    page.locator(".qk-list-search button").tap()
    page.wait_for_url("**q=soup*")
    look(page, "found")
    page.get_by_role("link", name="Soup with a tpyo").tap()
    title = page.locator("[name='f-title']")
    expect(title).to_have_value("Soup with a tpyo")
    look(page, "form")
    bar = page.locator(".submit-row")
    for button in bar.locator("input[type=submit]").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["height"], box["width"]) >= 43.5
    is_in_sight(bar)
    for place in ("document.body.scrollHeight", "document.body.scrollHeight / 2", "0"):
        page.evaluate(f"window.scrollTo(0, {place})")
        page.wait_for_timeout(50)
        is_in_sight(bar)
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    look(page, "form-end")
    # What has the focus is never behind the bar.
    page.locator("[name='f-parts-0-said']").tap()
    box, above = page.locator("[name='f-parts-0-said']").bounding_box(), bar.bounding_box()
    assert box is not None
    assert above is not None
    assert box["y"] + box["height"] <= above["y"] + 1
    title.tap()
    title.fill("Soup with a typo")
    is_in_sight(bar)
    look(page, "typed")
    before = title.bounding_box()
    touch(page, bar.get_by_role("button", name="Save", exact=True))
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")
    after = title.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2  # neither the tap nor what is said above moves the page
    look(page, "saved")
    bar.get_by_role("button", name="Publish…").tap()
    dialog = page.get_by_role("dialog", name="Publish")
    expect(dialog).to_contain_text("Title only by the roles and keys that may read it")
    look(page, "publish")
    publish = dialog.get_by_role("button", name="Publish", exact=True)
    box = publish.bounding_box()
    assert box is not None
    assert box["height"] >= 43.5
    is_in_sight(publish)
    publish.tap()
    expect(page.locator("h1 .qk-published")).to_be_visible()
    look(page, "published")
    entry = Entry.objects.get(latest_number=2)
    assert "Soup with a typo" in str(PublishedDocument.objects.get(entry=entry).data)
    assert phone.violations == []
    assert phone.errors == []
    assert axe(page) == []  # last: axe puts styles of its own into the page, which the policy refuses


def test_what_waits_is_published_from_the_review(phone: Watched) -> None:
    page = phone.page
    phone.go("/admin/review/")
    button = page.get_by_role("link", name="Publish").first
    expect(button).to_be_in_viewport(ratio=1)
    look(page, "review")
    button.tap()
    page.get_by_role("button", name="Publish", exact=True).tap()
    expect(page.locator("h1 .qk-published")).to_be_visible()
    assert phone.violations == phone.errors == []


def test_a_form_fits_also_where_its_icons_never_come(phone: Watched) -> None:
    page = phone.page
    page.route("**/*.woff2", lambda route: route.abort())
    phone.go(f"/admin/content/notes/{Entry.objects.latest('pk').pk}/change/")
    expect(page.locator("[contenteditable][aria-label]").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= 360"), page.evaluate(WIDE)


def test_nothing_shows_by_hovering_alone(phone: Watched) -> None:
    """Every rule for `:hover` only paints: none of them shows, moves or unhides something."""
    phone.go("/admin/content/notes/")
    shown = phone.page.evaluate("""() => {
      const told = [];
      const walk = (rules) => {
        for (const rule of rules) {
          if (rule.cssRules?.length) walk(rule.cssRules);
          if (!rule.selectorText?.includes(":hover") || /:focus/u.test(rule.selectorText)) continue;
          for (const name of ["display", "visibility", "opacity", "transform", "clip-path", "max-height", "height"]) {
            if (rule.style.getPropertyValue(name)) told.push(`${rule.selectorText} { ${name} }`);
          }
        }
      };
      for (const sheet of document.styleSheets) if (sheet.href?.includes("/content/")) walk(sheet.cssRules);
      return told;
    }""")
    assert shown == []
