"""An endpoint from its form to a receiver that breaks and is mended, in a real browser; usable by everybody."""

import json
import re
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect

from accounts.ids import uuid7
from tests.browser.conftest import Watched, faults_in_every_dress, make_administrator, sign_in
from tests.builders import ROOT, make_collection, make_entry
from tests.processes import LiveServer
from tests.webhooks.world import FIELDS, Receiver, make_attempt, make_delivery, make_endpoint, work
from webhooks import endpoints
from webhooks.models import Delivery, Endpoint

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ENDPOINTS: Final = "/admin/webhooks/endpoint/"
LOG: Final = "/admin/webhooks/delivery/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def collections(_django_db_helper: None) -> None:
    make_collection("articles", FIELDS, name="Articles")
    make_collection("notes", [{"key": "word", "type": "text"}], name="Notes")
    work()


def look(watched: Watched, name: str) -> None:
    """Look for what the policy stopped, and then for what keeps people out: axe measures with styles of its own."""
    assert not watched.violations, name
    assert not watched.errors, name
    assert not faults_in_every_dress(watched.page, name), name
    watched.violations.clear()
    watched.errors.clear()


@pytest.mark.usefixtures("collections")
def test_an_endpoint_is_set_up_breaks_and_is_mended(ada: Watched, receiver: Receiver) -> None:
    page = ada.page
    ada.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ada.go("/admin/")
    page.locator("#nav-sidebar").get_by_role("link", name="Endpoints").click()
    page.get_by_role("link", name="Add the first one").click()
    examples = page.locator("[data-qk-examples] details:visible")
    expect(examples).to_have_count(0)
    expect(page.get_by_text("Tick something, and an example stands here.")).to_be_visible()
    page.get_by_label("Name:").fill("Website")
    page.get_by_label("URL:").fill("not an address")
    page.locator("[name=types][value='entry.published']").check()
    expect(examples).to_have_count(1)
    expect(examples.locator("pre")).to_contain_text('"type": "entry.published"')
    page.locator("[name=types][value='entry.*']").check()
    expect(page.locator("[name=types][value='entry.created']")).to_be_disabled()
    expect(examples).to_have_count(7)
    expect(page.get_by_label("Articles")).to_be_hidden()
    page.get_by_label("Only of these:").check()
    page.get_by_label("Articles").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".field-url .errorlist")).to_be_visible()
    expect(page.get_by_label("Articles")).to_be_checked()
    look(ada, "refused")
    page.get_by_label("URL:").fill(receiver.url)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.get_by_role("heading", name="Shown this once")).to_be_visible()
    look(ada, "shown once")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    receiver.secret = page.evaluate("navigator.clipboard.readText()").partition("=")[2]
    assert receiver.secret.startswith("whsec_")
    page.get_by_role("link", name="Send a test").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_role("heading", name="webhook.test")).to_be_visible()
    work()
    expect(page.get_by_text("It arrived, with 1 attempt.")).to_be_visible()  # the page looks again by itself

    entry = make_entry("articles", title="The lamp")
    make_entry("notes", word="Nobody hears of it")
    work()
    heard = receiver.verified()
    assert sorted(event["type"] for event in heard) == ["entry.created", "entry.published", "webhook.test"]
    ada.go(LOG)
    expect(page.locator(".qk-hook-table tbody tr")).to_have_count(3)
    expect(page.get_by_role("link", name="The lamp").first).to_have_attribute(
        "href", re.compile(str(entry.pk))
    )

    receiver.statuses[:] = [500] * 2
    make_entry("articles", title="In the dark")
    work()
    ada.go(f"{ENDPOINTS}{Endpoint.objects.get().pk}/change/")
    expect(page.get_by_text("Nothing has arrived since")).to_be_visible()
    expect(page.locator(".qk-hook-numbers")).to_contain_text("60.0%")
    expect(page.locator(".qk-hook-day .qk-hook-up").first).to_be_visible()
    expect(page.locator(".qk-hook-day .qk-hook-down").first).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.locator(".qk-hook-figure tbody tr").last).to_contain_text("Failed 2")
    look(ada, "the page of one that fails")
    page.locator(".qk-hook-table").get_by_role("link", name="entry.published").first.click()
    expect(page.get_by_text("Next attempt")).to_be_visible()
    look(ada, "a delivery that waits")
    page.get_by_role("button", name="Send it now").click()
    expect(page.get_by_text("It is sent once more, with the same id.")).to_be_visible()
    work()
    expect(page.get_by_text("It arrived, with 2 attempts.")).to_be_visible()
    ids = [json.loads(asked.body)["data"]["slug"] for asked in receiver.asked]
    assert ids.count("in-the-dark") >= 3

    ada.go(f"{LOG}?state=delivered")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Send once more").click()
    expect(page.get_by_text("1 delivery is sent once more.")).to_be_visible()
    assert Delivery.objects.waiting().exists()
    assert not ada.violations
    assert not ada.errors


@pytest.mark.usefixtures("collections")
def test_an_endpoint_is_set_up_without_a_script(
    chromium: Browser, web_server: LiveServer, receiver: Receiver
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    sign_in(page, web_server.url, make_administrator())
    page.goto(f"{web_server.url}{ENDPOINTS}add/")
    page.get_by_label("Name:").fill("Website")
    page.get_by_label("URL:").fill(receiver.url)
    page.locator("[name=types][value='entry.*']").check()
    expect(page.locator("[data-qk-examples] details")).to_have_count(15)
    page.get_by_label("Only of these:").check()
    page.get_by_label("Notes").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".qk-keys code")).to_have_text(re.compile("^WEBHOOK_SECRET=whsec_"))
    page.get_by_role("link", name="Send a test").click()
    page.get_by_role("button", name="Send a test").click()
    work()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_text("It arrived, with 1 attempt.")).to_be_visible()
    assert len(Endpoint.objects.get().collection_ids) == 1
    context.close()


@pytest.mark.usefixtures("collections")
def test_a_secret_is_rotated_with_the_keyboard_alone(ada: Watched) -> None:
    endpoint = make_endpoint("https://www.example.com/hook").endpoint
    page = ada.page
    ada.go(f"{ENDPOINTS}{endpoint.pk}/change/")
    page.get_by_role("link", name="New secret…").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Hours for which both secrets sign").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("1000")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing was done yet.")).to_be_visible()
    look(ada, "refused")
    page.get_by_label("Hours for which both secrets sign").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Shown this once")).to_be_visible()
    expect(page.get_by_text("Deliveries carry a signature of the former secret too")).to_be_visible()
    assert endpoint.secrets.filter(state="retiring").count() == 1


@pytest.mark.usefixtures("collections")
def test_every_page_of_webhooks_can_be_used_by_everybody(ada: Watched) -> None:
    for path in (ENDPOINTS, LOG):
        ada.go(path)
        look(ada, f"{path} with nothing")
    check = {
        "name": "old",
        "title": "Ten minutes old",
        "expected": "refused",
        "status": 204,
        "passed": False,
        "advice": "Refuse a webhook-timestamp that is more than five minutes old.",
    }
    made = make_endpoint(
        f"https://www.example.com/{'a-long-path-' * 12}", name="Website, production", algorithm="v1a"
    )
    endpoint = made.endpoint
    endpoints.rotate_secret(endpoint, by=ROOT)
    checks = [check, {**check, "passed": True, "status": 401, "advice": ""}]
    Endpoint.objects.update(
        conformance={"at": "2026-01-02T03:04:05Z", "passed": False, "checks": checks},
        failing_since=endpoint.created_at,
    )
    delivery = make_delivery(
        endpoint, state="waiting", subject_type="entry", subject_id=str(uuid7()), locale="en"
    )
    for status in (500, None):
        make_attempt(delivery, status=status, response_body="x" * 500, request_headers={"webhook-signature": "v1,[hidden]"},
                     response_headers={"location": "https://www.example.com/" + "x" * 150})  # fmt: skip
    make_attempt(make_delivery(endpoint), status=204, is_success=True, error="", milliseconds=12)
    one = f"{ENDPOINTS}{endpoint.pk}/"
    for path in (ENDPOINTS, f"{ENDPOINTS}add/", f"{one}change/", LOG, f"{LOG}?state=missed", f"{LOG}{delivery.pk}/change/",
                 *(f"{one}do/{act}/" for act in ("test", "check", "rotate-secret", "end-overlap", "recover", "disable", "remove", "enable"))):  # fmt: skip
        ada.go(path)
        look(ada, path)
