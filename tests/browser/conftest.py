"""A real browser that tells of everything that the Content-Security-Policy stopped."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
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

    def go(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[BrowserContext]:
    """Start Chromium; skipped where there is none, never in CI."""
    if not CHROMIUM.exists():
        pytest.skip(f"There is no {CHROMIUM}; install the chromium package to run this test.")
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's own loop runs in this thread
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(10_000)
        yield context
        context.close()
        chromium.close()


def watch(context: BrowserContext, url: str) -> Watched:
    """Open a page whose violations, errors and dialogs are collected."""
    page = context.new_page()
    watched = Watched(page, url)
    page.expose_function("tellViolation", lambda text: watched.violations.append(text))  # noqa: PLW0108 (Playwright marks it)
    page.add_init_script(LISTEN)
    page.on("console", watched.hear)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("dialog", lambda dialog: watched.errors.append(f"a dialog: {dialog.message}"))
    return watched


def assert_accessible(page: Page) -> None:
    """Ask axe-core what the page as it is now keeps from people with disabilities."""
    found = Axe().run(page).response["violations"]
    told = [
        f"{item['id']}: {node['html'][:200]} ({node['failureSummary'][:200]})"
        for item in found
        for node in item["nodes"][:3]
    ]
    assert not told, "\n".join(told)
