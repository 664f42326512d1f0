"""A real browser that tells of everything that the Content-Security-Policy stopped."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Route, sync_playwright

from tests.accounts.cast import PASSWORD, Person, make_person
from tests.content.admin.conftest import sign_in as pass_the_door
from tests.processes import LiveServer

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
AXE = Axe().axe_script
Rules = list[str] | None
LOOKS = [
    "color-contrast",
    "link-in-text-block",
    "scrollable-region-focusable",
]  # what colours and widths change
DRESSES: tuple[tuple[Literal["light", "dark"], int, Rules], ...] = (
    ("light", 1280, None),
    ("dark", 1280, LOOKS),
    ("dark", 360, None),
)
# In its new dress: the first frame is asked for before the page is drawn, the second one after that.
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# What it loads anew before it looks: not every style sheet, which only a rule reads that is off unless it is asked for.
MEDIA_ALONE = {"preload": {"assets": ["media"]}}
LISTEN = """
document.addEventListener("securitypolicyviolation", (event) => {
  const { violatedDirective, blockedURI, sourceFile, lineNumber, sample } = event;
  window.tellViolation([violatedDirective, blockedURI, sourceFile, lineNumber, sample].join(" "));
});
"""


@dataclass
class Watched:
    """A page with everything that went wrong in it."""

    page: Page
    url: str
    violations: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
            self.violations.append(message.text)
        elif message.type == "error":
            self.errors.append(f"{message.text} at {message.location.get('url')}")

    def answer(self, dialog: Dialog) -> None:
        """Note that the page asked something, and go on; a question that nobody answers holds everything."""
        self.errors.append(f"a dialog: {dialog.type} {dialog.message}")
        dialog.accept()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Chromium, once for all tests of this worker; skipped where there is none, never in CI."""
    if not CHROMIUM.exists():
        pytest.skip(f"There is no {CHROMIUM}; install the chromium package to run this test.")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's own loop runs in this thread from now on
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def browser(chromium: Browser, web_server: LiveServer) -> Iterator[BrowserContext]:
    """Give a profile of its own to a test; it is closed before the database is reset."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(10_000)
    yield context
    context.close()


def watch(context: BrowserContext, url: str) -> Watched:
    """Open a page whose violations, errors and dialogs are collected."""
    page = context.new_page()
    watched = Watched(page, url)
    page.expose_function("tellViolation", lambda text: watched.violations.append(text))  # noqa: PLW0108 (Playwright marks it)
    page.add_init_script(LISTEN)
    page.on("console", watched.hear)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("dialog", watched.answer)
    return watched


def sign_in(page: Page, url: str, person: Person) -> None:
    """Go through the door with password and code, as `test_signing_in` is about."""
    page.goto(f"{url}/admin/")
    page.fill("[name=email]", person.email)
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.fill("[name=code]", person.code())
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")


def signed_in(context: BrowserContext, url: str, person: Person | None = None) -> Watched:
    """Open a watched page in which somebody is signed in: an administrator if nobody is named."""
    bring_session(context, url, person or make_administrator())
    return watch(context, url)


def bring_session(context: BrowserContext, url: str, person: Person) -> None:
    """Put the session of somebody who came through the door elsewhere into a browser: three pages less to draw."""
    session = pass_the_door(person).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])


def make_administrator() -> Person:
    return make_person("ada@example.com", roles=["administrator"], with_authenticator=True)


@pytest.fixture
def person(_django_db_helper: None) -> Person:
    """Somebody to sign in; a module whose tests need a world before that has a fixture of its own."""
    return make_administrator()


@pytest.fixture
def ada(browser: BrowserContext, web_server: LiveServer, person: Person) -> Watched:
    """A watched page in which the person is signed in."""
    return signed_in(browser, web_server.url, person)


def come_late(route: Route) -> None:
    """Handle a route as a slow line does."""
    time.sleep(0.7)
    route.continue_()


def faults_in_every_dress(page: Page, name: str) -> list[str]:
    """Tell what keeps people with disabilities from the page as it is now, and where it scrolls sideways."""
    found = [fault for dress in DRESSES for fault in _faults_in(page, name, *dress)]
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    page.set_viewport_size({"width": 1280, "height": 900})
    return found


def _faults_in(
    page: Page, name: str, scheme: Literal["light", "dark"], width: int, rules: Rules
) -> list[str]:
    page.emulate_media(
        color_scheme=scheme, reduced_motion="reduce"
    )  # a colour on its way to another is neither
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(DRAWN)
    where = f"{name}, {scheme}, {width} px"
    is_wide = page.evaluate("document.documentElement.scrollWidth") > width
    return [
        *([f"{where}: scrolls sideways"] if is_wide else []),
        *(f"{where}: {told}" for told in axe(page, rules)),
    ]


def axe(page: Page, rules: Rules = None) -> list[str]:
    """Return what axe-core finds on the page as it is now."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    options = {"resultTypes": ["violations"], **MEDIA_ALONE, **({"runOnly": rules} if rules else {})}
    found = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [
        f"{item['id']}: {node['html'][:200]} ({node['failureSummary'][:200]})"
        for item in found
        for node in item["nodes"][:3]
    ]
