"""A field is asked for by one rule, in the form as when publishing."""

from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, expect

from accounts.canonical import Json
from content.conditions import Comparison, Condition
from tests.browser.conftest import signed_in
from tests.builders import make_collection
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VALUES: list[Json] = [None, "", "a", "1", 1, 0, True, False, ["a", "b"], [], "true"]
CASES: list[tuple[str, object]] = [
    ("eq", "a"), ("eq", 1), ("eq", True), ("eq", "1"), ("ne", "a"), ("ne", 1), ("ne", False),
    ("in", ("a", 1)), ("in", ("true",)), ("exists", True), ("exists", False),
]  # fmt: skip
FIELDS: list[dict[str, Any]] = [
    {"key": "kind", "type": "choice", "options": {"choices": ["text", "video"]}},
    {"key": "live", "type": "boolean"},
    {"key": "address", "type": "url", "condition": {"field": "kind", "operator": "eq", "value": "video"}},
    {"key": "note", "type": "text", "condition": {"field": "address", "operator": "exists", "value": True}},
    {"key": "hours", "type": "text", "condition": {"field": "live", "operator": "eq", "value": True}},
]


def test_fields_show_when_they_are_asked_for(browser: BrowserContext, web_server: LiveServer) -> None:
    make_collection("part", FIELDS, kind="component", name="Part")
    parts = {"key": "parts", "type": "blocks", "options": {"components": ["part"]}}
    make_collection("pages", [*FIELDS, parts])
    watched = signed_in(browser, web_server.url)
    page = watched.page
    watched.go("/admin/content/pages/add/")
    page.locator("#field-parts").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".qk-part-body")).to_be_visible()
    for scope in (page.locator("#entry_form > section").first, page.locator(".qk-part-body")):
        own = "[data-key=%s]"
        address, note, hours = (scope.locator(own % key).first for key in ("address", "note", "hours"))
        for field in (address, note, hours):
            expect(field).to_be_hidden()
        scope.locator(own % "kind").first.get_by_label("video").check()
        expect(address).to_be_visible()
        expect(note).to_be_hidden()
        address.locator("input").fill("https://example.com/")
        expect(note).to_be_visible()
        scope.locator(own % "kind").first.get_by_label("text").check()
        for field in (address, note):  # what is not asked for counts as empty, and keeps what was typed
            expect(field).to_be_hidden()
        assert address.locator("input").input_value() == "https://example.com/"
        scope.locator(own % "live").first.get_by_label("Yes").check()
        expect(hours).to_be_visible()

    # The script and the server decide alike.
    same = page.evaluate(
        """async ([cases, values]) => {
          const { holds } = await import("/static/content/admin/js/conditions.js");
          return cases.map(([operator, value]) => values.map((actual) => holds({ operator, value }, actual)));
        }""",
        [CASES, VALUES],
    )
    other = uuid4()
    decided = [
        [Condition(other, Comparison(operator), value).holds({str(other): actual}) for actual in VALUES]  # type: ignore[arg-type]
        for operator, value in CASES
    ]
    assert same == decided
    assert watched.violations == []
    assert watched.errors == []
