"""Every type of field in a real browser: comfort that loses nothing, says things in words, and obeys the policy."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from content.models import DraftDocument, Entry
from tests.browser.conftest import Watched, axe
from tests.builders import make_collection, make_entry
from tests.content.fields.test_lengths import COUNTED

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
LEVELS = [f"{CANARY} {number}" for number in range(12)]
FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "options": {"max_length": 60}},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
    {"key": "intro", "type": "long_text", "options": {"max_length": 200}},
    {"key": "body", "type": "markdown"},
    {"key": "many", "type": "integer", "options": {"min": 1, "max": 10}},
    {"key": "price", "type": "decimal"},
    {"key": "good", "type": "boolean"},
    {"key": "on", "type": "date"},
    {"key": "at", "type": "datetime"},
    {"key": "mail", "type": "email"},
    {"key": "site", "type": "url"},
    {"key": "level", "type": "choice", "options": {"choices": ["easy", "hard"]}},
    {"key": "levels", "type": "choices", "options": {"choices": LEVELS}},
    {"key": "words", "type": "tags"},
    {"key": "data", "type": "json"},
    {"key": "colour", "type": "color"},
    {"key": "place", "type": "geo_point"},
    {"key": "parts", "type": "components", "options": {"components": ["box"]}},
]
INSIDE = ["title", "body", "at", "words", "data", "colour", "place", "level", "good"]
FULL: dict[str, Any] = {
    "title": CANARY,
    "intro": f"{CANARY} שלום \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "body": f"# entry_form\n\n*Hi* {CANARY}\n\n<script>alert(1)</script>\n\n![cat](https://x.example/cat.png)",
    "at": "2026-01-31T14:30:05.123456Z",
    "on": "2026-01-31",
    "words": [CANARY],
    "data": {"a": CANARY, "n": [1, 2]},
    "levels": [LEVELS[11]],
}


def make_everything() -> Entry:
    """Make a collection of all types with an entry that holds the canary in every text."""
    make_collection("box", [spec for spec in FIELDS if spec["key"] in INSIDE], kind="component")
    make_collection("things", FIELDS)
    part = {key: value for key, value in FULL.items() if key in INSIDE}
    return make_entry("things", **FULL, parts=[part])


def values_of(page: Page) -> Any:
    return page.evaluate("[...new FormData(document.querySelector('#entry_form'))]")


def test_what_people_type_is_helped_along(ada: Watched) -> None:
    make_collection("box", [spec for spec in FIELDS if spec["key"] in INSIDE], kind="component")
    make_collection("things", FIELDS)
    make_entry("things", title="Fresh bread", words=["Bread", f"Bread {CANARY}"])
    page = ada.page
    page.emulate_media(reduced_motion="reduce")
    ada.go("/admin/content/things/add/")

    count = page.evaluate(
        "async (texts) => { const url = [...document.scripts].map((s) => s.src).find((src) => /form(\\.\\w+)?\\.js/.test(src));"
        " const { characters } = await import(new URL('counters.js', url)); return texts.map(characters); }",
        [text for text, _ in COUNTED],
    )
    assert count == [number for _, number in COUNTED]

    # The slug follows the title until it is touched, and says when it is not free.
    slug, title = page.locator("[name=f-slug]"), page.locator("[name=f-title]")
    title.type("Straße")
    expect(slug).to_have_value("strasse")
    title.fill("Fresh bread")
    expect(slug).to_have_value("fresh-bread-2")
    expect(page.locator(".qk-slug-note")).to_contain_text("ends in a number")
    title.fill("你好")
    expect(page.locator(".qk-slug-note")).to_contain_text("No address can be made")
    slug.fill("fresh-bread")
    expect(page.locator(".qk-slug-note")).to_contain_text("“fresh-bread-2” is free")
    page.get_by_role("button", name="Use that").click()
    expect(slug).to_have_value("fresh-bread-2")
    title.fill("\U0001f468\u200d\U0001f469\u200d\U0001f467" * 3)
    expect(page.locator("#field-title .qk-counter")).to_have_text("3 of 60")
    expect(slug).to_have_value("fresh-bread-2")

    # Tags: typed, chosen from those in use, pasted, removed; all with the keyboard.
    box = page.locator("#field-words .qk-tag-box").first
    box.type("One,")
    box.type("bre")
    expect(page.locator("#field-words [role=option]")).to_have_count(2)
    box.press("ArrowDown")
    expect(box).to_have_attribute(
        "aria-activedescendant", page.locator("#field-words [role=option]").first.get_attribute("id") or ""
    )
    box.press("Enter")
    box.type(CANARY)
    box.press("Enter")
    box.type("Last")
    box.press("Enter")
    box.press("Backspace")
    assert page.locator("[name=f-words]").input_value().split("\n") == ["One", "Bread", CANARY]
    page.get_by_role("button", name="Remove “One”").click()
    assert page.locator("[name=f-words]").input_value().split("\n") == ["Bread", CANARY]

    # JSON says where it breaks; Tab indents, Escape then Tab leaves; tidying loses nothing.
    area, said = page.locator("[name=f-data]"), page.locator("#field-data .qk-json-said")
    area.fill('{"a": 1,\n "b": 1.10,}')
    expect(said).to_contain_text("Line 2, column 12: there is a comma too many")
    area.fill('{"a":[1,{}],"b":1.10}')
    expect(said).to_have_text("This is right JSON.")
    page.locator("#field-data").get_by_role("button", name="Tidy").click()
    expect(area).to_have_value('{\n  "a": [\n    1,\n    {}\n  ],\n  "b": 1.10\n}')
    area.press("Control+z")
    expect(area).to_have_value('{"a":[1,{}],"b":1.10}')
    area.press("End")
    area.press("Tab")
    expect(area).to_have_value('{"a":[1,{}],"b":1.10}  ')
    area.press("Escape")
    area.press("Tab")
    expect(area).not_to_be_focused()

    # A colour and its swatch; a place by paste, by click and by keys.
    page.fill("[name=f-colour]", "#fff")
    expect(page.locator("#field-colour .qk-swatch")).to_have_value("#ffffff")
    expect(page.locator("#field-colour .qk-said")).to_contain_text(
        "black 21.0 to 1 (easy to read), white 1.0 to 1 (hard to read)"
    )
    page.fill("[name=f-colour]", "reddish")
    expect(page.locator("#field-colour .qk-said")).to_contain_text("Not a colour yet")
    lat, lng = page.locator("[name=f-place_lat]"), page.locator("[name=f-place_lng]")
    lat.type("64°9′0″N 21°56′24″W")
    lat.press("Tab")
    expect(lat).to_have_value("64.15")
    expect(lng).to_have_value("-21.94")
    expect(page.locator("#field-place a")).to_have_attribute("rel", "noopener noreferrer")
    page.locator("#field-place .qk-map").press("Shift+ArrowDown")
    expect(lat).to_have_value("54.15")
    page.locator("#field-place .qk-map").click(position={"x": 5, "y": 5})
    assert float(lng.input_value()) < -170

    # Markdown: shortcuts that can be undone, and the preview.
    body = page.locator("[name=f-body]")
    body.fill("word")
    body.press("Control+a")
    body.press("Control+b")
    expect(body).to_have_value("**word**")
    body.press("Control+z")
    expect(body).to_have_value("word")
    page.locator("#field-body").get_by_role("button", name="Preview").click()
    body.fill(FULL["body"])
    shown = page.locator("#field-body .qk-preview")
    expect(shown.locator("em").first).to_have_text("Hi")
    expect(shown).to_contain_text("Image: cat")
    assert shown.locator("img, script, [id]").count() == 0

    # Choices, an address to open, and a list that can be narrowed.
    page.get_by_role("radio", name="Yes").first.check()
    page.fill("[name=f-site]", "javascript:alert(1)")
    assert page.locator("#field-site a").get_attribute("href") is None
    page.fill("[name=f-site]", "https://x.example/")
    expect(page.locator("#field-site a")).to_have_attribute("href", "https://x.example/")
    page.fill("#field-levels .qk-filter", " 11")
    expect(page.locator("#field-levels label:visible")).to_have_count(1)

    assert ada.violations == []
    assert [error for error in ada.errors if "favicon" not in error] == []


def test_moments_are_typed_in_a_zone_and_opening_changes_nothing(ada: Watched) -> None:
    entry = make_everything()
    page = ada.page
    ada.go("/admin/")
    page.evaluate("localStorage.setItem('qk-zone', 'Europe/Berlin')")
    with page.expect_response("**/change/"):
        ada.go(f"/admin/content/things/{entry.pk}/change/")
    expect(page.locator("#field-at .qk-moment input[type=date]").first).to_have_value("2026-01-31")
    expect(page.locator("#field-at .qk-said").first).to_contain_text("14:30 UTC")
    expect(page.locator("#field-at .qk-moment [type=time]").first).to_have_value("15:30:05")
    sent = dict(values_of(page))
    assert (sent["f-at_time"], sent["f-at_zone"]) == ("14:30:05.123456", "UTC")
    assert (sent["f-parts-0-at_time"], sent["f-parts-0-words"]) == ("14:30:05.123456", CANARY)
    expect(page.locator("#field-parts .qk-map")).to_have_count(1)
    expect(page.locator("#field-parts .qk-tags")).to_have_count(1)

    moment = page.locator("#field-at .qk-moment").first
    moment.locator("[type=date]").fill("2026-03-29")
    moment.locator("[type=time]").fill("02:30:00")
    expect(page.locator("#field-at .qk-said").first).to_contain_text("There is no such time in Europe/Berlin")
    moment.locator("[type=date]").fill("2026-10-25")
    expect(page.locator("#field-at .qk-said").first).to_contain_text("comes twice")
    moment.get_by_label("Which of the two times").select_option(index=1)
    expect(page.locator("[name=f-at_time]")).to_have_value("01:30")
    moment.get_by_label("Time zone").focus()
    moment.get_by_label("Time zone").select_option("Asia/Tokyo")
    expect(moment.locator("[type=time]")).to_have_value("10:30")
    expect(page.locator("[name=f-at_time]")).to_have_value("01:30")

    page.fill("[name=f-slug]", "new-address")
    expect(page.locator(".qk-slug-note")).to_contain_text("links to that address will break")
    page.get_by_role("button", name="Put it back").click()
    expect(page.locator("[name=f-slug]")).not_to_have_value("new-address")

    page.locator("#field-at [data-qk-reset]").click()
    expect(page.locator(".qk-unsaved")).to_have_count(0)
    before = DraftDocument.objects.get(entry=entry).data
    ada.go(f"/admin/content/things/{entry.pk}/change/")
    page.locator("[name=f-title]").focus()
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.keyboard.press("Enter")
    page.wait_for_load_state()
    assert DraftDocument.objects.get(entry=entry).data == before

    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": 360, "height": 740})
        ada.go(f"/admin/content/things/{entry.pk}/change/")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert ada.violations == []
    assert [error for error in ada.errors if "favicon" not in error] == []
    assert axe(page) == []  # last, as axe itself tries out inline styles
