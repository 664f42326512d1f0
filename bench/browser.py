"""What an editor waits for in Chromium, on the web server of `make run`: the large form, and the picker of entries."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
QUIET = 1.0  # seconds without a long task, after which the page is taken to have come to rest
PATIENCE = 30.0
# Chromium tells of every task that kept the page from answering for more than 50 ms (W3C, Long Tasks API).
WATCH = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longTasks.push(task.startTime + task.duration);
}).observe({ type: "longtask", buffered: true });
"""
READY = """() => ({
  ready: performance.getEntriesByName("qk:ready")[0]?.startTime ?? null,
  tasks: window.longTasks,
  now: performance.now(),
  answered: performance.getEntriesByType("navigation")[0].responseStart,
  waiting: [...document.querySelectorAll("textarea[data-rich]")].filter(
    (area) => !area.closest(".prose-editor") && area.getBoundingClientRect().top < innerHeight).length,
})"""
# From the last key to the list that answers it: the picker says `aria-busy` while it asks.
TYPED = """(words) => new Promise((resolve) => {
  const box = document.querySelector(".qk-picker-words");
  const list = document.querySelector(".qk-picker-list");
  const started = performance.now();
  let asked = false;
  new MutationObserver((_, observer) => {
    if (list.hasAttribute("aria-busy")) asked = true;
    else if (asked) {
      observer.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - started));
    }
  }).observe(list, { attributes: true, attributeFilter: ["aria-busy"] });
  box.value = words;
  box.dispatchEvent(new Event("input", { bubbles: true }));
})"""


@dataclass(frozen=True, slots=True)
class Load:
    """One load of a form, in milliseconds from the start of the navigation.

    `answered` is the first byte of the page; `ready` when every script of the form has gone through it (the mark
    `qk:ready`, set by `form.js`); `interactive` the later of that and the end of the last long task, with a quiet
    second after it, and with every editor of formatted text that is in sight taking words.
    """

    answered: float
    ready: float
    interactive: float


class Reader:
    """Chromium, signed in with the cookies of a session."""

    def __init__(self, browser: Browser, url: str, cookies: dict[str, str]) -> None:
        self.browser = browser
        self.url = url
        self.cookies = cookies

    @contextmanager
    def context(self) -> Iterator[BrowserContext]:
        """Open a window with an empty cache."""
        context = self.browser.new_context(viewport={"width": 1280, "height": 900})
        try:
            host = urlsplit(self.url).hostname or ""
            context.add_cookies(
                [
                    {"name": name, "value": value, "domain": host, "path": "/"}
                    for name, value in self.cookies.items()
                ]
            )
            context.add_init_script(WATCH)
            yield context
        finally:
            context.close()

    def loads(self, path: str, count: int) -> tuple[list[Load], list[Load]]:
        """Load a form with an empty cache and then with a filled one, so many times."""
        cold, warm = [], []
        for _ in range(count):
            with self.context() as context:
                page = context.new_page()
                cold.append(self.load(page, path))
                warm.append(self.load(page, path))
        return cold, warm

    def load(self, page: Page, path: str) -> Load:
        """Load a form and wait until it has come to rest."""
        page.goto("about:blank")
        page.goto(f"{self.url}{path}", wait_until="commit")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.2)
            told: dict[str, Any] = page.evaluate(READY)
            last = max([told["ready"] or 0.0, *told["tasks"]])
            if told["ready"] is not None and not told["waiting"] and told["now"] > last + QUIET * 1000:
                return Load(told["answered"], told["ready"], last)
        raise TimeoutError(f"{path} did not come to rest within {PATIENCE:.0f} s.")

    def picked(self, path: str, field: str, words: list[str]) -> list[float]:
        """Return milliseconds from the last key to the entries that were found, for each of the words."""
        with self.context() as context:
            page = context.new_page()
            self.load(page, path)
            row = page.locator(f"#field-{field}")
            row.get_by_role("button", name="Replace").click()
            page.locator(".qk-picker-list:not([aria-busy])").wait_for()
            return [page.evaluate(TYPED, item) for item in words]


@contextmanager
def chromium(url: str, cookies: dict[str, str]) -> Iterator[Reader]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        try:
            yield Reader(browser, url, cookies)
        finally:
            browser.close()
