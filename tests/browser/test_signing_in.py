"""Signing in as people do: an app, a passkey, both lost, locked out and back, sessions ended, a step-up for a key."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pyotp
import pytest
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from accounts.log import seal_pending
from accounts.models import ApiKey, Authenticator, Event, Passkey, RecoveryCodes, Session
from accounts.sign_in import mails
from tests.accounts.cast import PASSWORD, Person, make_person, make_role
from tests.browser.conftest import make_administrator, sign_in, watch
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db]
NEW = "a wholly other phrase"


class Key:
    """Chromium's own virtual authenticator, by WebAuthn over CDP."""

    def __init__(self, page: Page) -> None:
        self.cdp = page.context.new_cdp_session(page)
        self.cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        added = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.identifier = added["authenticatorId"]

    def lose(self) -> None:
        self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.identifier})

    def refuse(self) -> None:
        state = {"authenticatorId": self.identifier, "isUserVerified": False}
        self.cdp.send("WebAuthn.setUserVerified", state)


@pytest.fixture
def site(web_server: LiveServer) -> str:
    return web_server.public_url


@pytest.fixture
def other(chromium: Browser, browser: BrowserContext) -> Iterator[BrowserContext]:
    """A second browser, of another profile."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    yield context
    context.close()


def first_step(page: Page, site: str, person: Person, password: str = PASSWORD) -> None:
    page.goto(f"{site}/admin/login/")
    page.fill("[name=email]", person.email)
    page.fill("[name=password]", password)
    page.keyboard.press("Enter")


def sign_out(page: Page) -> None:
    page.click("#logout-form button")
    page.wait_for_url("**/login/")


def secret_of(page: Page) -> Any:
    text = page.locator(".qk-enrolment code").inner_text()
    return pyotp.TOTP(text.replace(" ", ""))


def test_an_app_a_passkey_and_a_code_when_both_are_lost(browser: BrowserContext, site: str) -> None:
    make_administrator()
    role = make_role("editor", require_second_factor=True)
    edith = make_person("edith@example.com", roles=[role.key])
    watched = watch(browser, site)
    page, key = watched.page, Key(watched.page)
    # The app, at the first sign-in
    first_step(page, site, edith)
    page.wait_for_url("**/enrolment/")
    app = secret_of(page)
    page.fill("[name=code]", app.now())
    page.click("text=Confirm and sign in")
    codes = page.locator(".qk-codes code").all_inner_texts()
    assert len(codes) == 10
    page.click("text=I have kept them")
    page.wait_for_url("**/admin/")
    # A passkey beside it
    page.click("a[title='Your account']")
    page.click("text=Add a passkey")
    page.fill("[name=name]", "Laptop")
    page.click("text=Make the passkey")
    expect(page.locator("text=“Laptop” was added")).to_be_visible()
    sign_out(page)
    # Signing in with each
    page.click("text=Sign in with a passkey")
    page.wait_for_url("**/admin/")
    sign_out(page)
    Authenticator.objects.update(last_step=-1)
    first_step(page, site, edith)
    page.fill("[name=code]", app.now())
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    sign_out(page)
    first_step(page, site, edith)
    page.click("text=Use a passkey")
    page.wait_for_url("**/admin/")
    sign_out(page)
    # Both lost
    key.lose()
    first_step(page, site, edith)
    page.fill("[name=code]", codes[4].upper())
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")
    assert len(RecoveryCodes.objects.get().macs) == 9
    assert not watched.violations
    assert not watched.errors


def test_a_passkey_that_is_not_shown_says_so_and_another_way_is_open(
    browser: BrowserContext, site: str
) -> None:
    ada = make_administrator()
    watched = watch(browser, site)
    page, key = watched.page, Key(watched.page)
    sign_in(page, site, ada)
    page.goto(f"{site}/admin/account/passkeys/new/")
    page.click("text=Make the passkey")  # a name is asked for by the server: nothing is lost by it
    expect(page.locator(".errornote")).to_contain_text("A name")
    page.fill("[name=name]", "Phone")
    key.refuse()
    page.click("text=Make the passkey")
    expect(page.locator("[data-passkey-said]")).to_contain_text("No passkey was shown")
    assert page.input_value("[name=name]") == "Phone"
    assert not Passkey.objects.exists()


def test_locked_out_by_a_stranger_and_back_by_mail(
    browser: BrowserContext, site: str, outbox: list[Any]
) -> None:
    make_administrator()
    walter = make_person("walter@example.com", roles=[make_role("writer").key])
    watched = watch(browser, site)
    page = watched.page
    for _ in range(10):
        first_step(page, site, walter, "wrong")
        expect(page.locator("[role=alert]").first).to_be_visible()
    first_step(page, site, walter)
    expect(page.locator("[role=alert]").first).to_contain_text("wait a quarter of an hour")
    page.click("text=Forgot your password?")
    page.fill("[name=email]", walter.email)
    page.click("text=Send the link")
    page.wait_for_url("**/sent/")
    seal_pending()
    assert mails.send_due() == 1
    (secret,) = re.findall(r"/admin/link/#(\S+)", outbox[0].body)
    page.goto(f"{site}/admin/link/#{secret}")
    page.wait_for_url("**/new-password/")
    assert secret not in page.url
    assert secret not in page.evaluate("JSON.stringify(performance.getEntriesByType('resource'))")
    page.fill("[name=password]", "abc")
    expect(page.locator(".qk-strength p")).to_contain_text("3 of at least 15 characters")
    page.fill("[name=password]", NEW)
    expect(page.locator(".qk-strength p")).to_contain_text("ood")
    page.fill("[name=repeated]", NEW)
    page.keyboard.press("Enter")
    page.wait_for_url("**/login/")
    first_step(page, site, walter, NEW)
    page.wait_for_url("**/admin/")
    assert not watched.violations


def test_a_session_is_ended_from_another_browser_and_ends(
    browser: BrowserContext, other: BrowserContext, site: str
) -> None:
    ada = make_administrator()
    here, there = watch(browser, site).page, watch(other, site).page
    sign_in(here, site, ada)
    sign_in(there, site, ada)
    here.goto(f"{site}/admin/account/")
    expect(here.locator("text=This one")).to_be_visible()
    here.locator("button", has_text=re.compile("^End$")).click()
    expect(here.locator("text=The session was ended")).to_be_visible()
    there.goto(f"{site}/admin/account/")
    there.wait_for_url("**/login/**")
    assert Session.objects.live().count() == 1


def test_a_step_up_for_a_key_keeps_what_was_typed(browser: BrowserContext, site: str) -> None:
    ada = make_administrator()
    make_role("website")
    watched = watch(browser, site)
    page, _key = watched.page, Key(watched.page)
    sign_in(page, site, ada)
    page.goto(f"{site}/admin/account/passkeys/new/")
    page.fill("[name=name]", "Laptop")
    page.click("text=Make the passkey")
    page.wait_for_url("**/account/")
    made = make_person("walter@example.com")
    page.goto(f"{site}/admin/accounts/user/{made.user.pk}/change/")
    page.fill("[name=name]", "Walter Writes")
    long_ago = timezone.now() - timedelta(minutes=11)
    Session.objects.update(verified_at=long_ago, confirmed_at=long_ago)
    page.click("[name=_save]")
    expect(page.locator("h1")).to_contain_text("Confirm that it")
    page.fill("[name=step-up-reason]", "Asked for by telephone")
    page.click("text=Use a passkey")
    page.wait_for_url("**/accounts/user/")
    made.user.refresh_from_db()
    assert made.user.name == "Walter Writes"
    told = Event.objects.filter(type="user.updated").latest("at")
    assert told.detail["reason"] == "Asked for by telephone"
    assert not ApiKey.objects.exists()
    assert not watched.violations
    assert [error for error in watched.errors if "403" not in error] == []


def test_a_key_is_copied_while_it_is_shown(browser: BrowserContext, site: str) -> None:
    ada, role = make_administrator(), make_role("website")
    browser.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    watched = watch(browser, site)
    page = watched.page
    sign_in(page, site, ada)
    page.goto(f"{site}/admin/accounts/apikey/add/")
    page.fill("[name=name]", "Build")
    page.select_option("[name=role]", label=role.name)
    page.check("[value='*:read']")
    page.click("[name=_save]")
    page.click("#copy-codes")
    expect(page.locator("[role=status]")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator(".qk-keys code").inner_text()
    assert copied.startswith("qk_development_")
    assert not watched.violations
    assert not watched.errors


def test_a_session_that_ends_while_somebody_writes_is_begun_again_with_a_passkey(
    browser: BrowserContext, site: str
) -> None:
    """The dialog of the admin knows passkeys too."""
    ada = make_administrator()
    watched = watch(browser, site)
    page, _key = watched.page, Key(watched.page)
    sign_in(page, site, ada)
    page.goto(f"{site}/admin/account/passkeys/new/")
    page.fill("[name=name]", "Laptop")
    page.click("text=Make the passkey")
    page.wait_for_url("**/account/")
    Session.objects.update(ended_at=timezone.now())
    page.evaluate(
        "import('/static/content/admin/js/session.js').then((m) => {"
        " window.again = m.signInAgain().then(() => 'in'); })"
    )
    page.locator("dialog button[data-passkey]").click()
    assert page.evaluate("again") == "in"
