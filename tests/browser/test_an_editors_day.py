"""A day of Edith's: what others imported is found, something new is written, and both come to the public and back."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from playwright.sync_api import BrowserContext, Page, expect

from content.models import DraftDocument, Entry, PublishedDocument
from tests.accounts.cast import make_person
from tests.browser.conftest import Watched, signed_in, watch
from tests.builders import make_collection, make_locale, make_role
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIST = "/admin/content/posts/"
ACTS = ("read", "read_draft", "create", "update", "delete", "publish", "unpublish", "restore")


def an_imported_blog(folder: Path) -> None:
    """Import posts in two languages, as a team does that moves here."""
    for number in range(12):
        post = folder / "en" / f"post-{number}.md"
        post.parent.mkdir(exist_ok=True)
        kind = "release" if number % 2 else "news"
        post.write_text(f"---\ntitle: Post {number}\nkind: {kind}\n---\n\nWords of post {number}.\n")
    arabic = folder / "ar" / "post-3.md"
    arabic.parent.mkdir()
    arabic.write_text("---\ntitle: المقال الثالث\nkind: release\n---\n\nكلام.\n")
    arguments = ("--collection", "posts", "--locale-pattern", "{locale}/**")
    call_command("import_markdown", str(folder), *arguments, stdout=StringIO())


@pytest.fixture
def edith(browser: BrowserContext, web_server: LiveServer, tmp_path: Path) -> Watched:
    make_locale("ar", direction="rtl", fallback=("en",))
    make_collection("quote", [{"key": "words", "type": "text"}], kind="component", name="Quote")
    make_collection(
        "posts",
        [
            {"key": "title", "type": "text", "required": True, "localized": True, "filterable": True},
            {
                "key": "kind",
                "type": "choice",
                "filterable": True,
                "options": {"choices": ["news", "release"]},
            },
            {"key": "body", "type": "markdown", "localized": True},
            {"key": "parts", "type": "blocks", "localized": True, "options": {"components": ["quote"]}},
            {"key": "source_path", "type": "text", "unique": True},
        ],
        localized=True,
    )
    an_imported_blog(tmp_path)
    make_role("editor_of_posts", {"collection": "posts", "actions": ACTS})
    return signed_in(
        browser,
        web_server.url,
        make_person("edith@example.com", roles=["editor_of_posts"], with_authenticator=True),
    )


def saved(page: Page) -> None:
    page.keyboard.press("Control+s")
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")


def find_a_post(page: Page) -> None:
    """Find the releases: by search, filter, column, and by a view from then on."""
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(12)
    page.keyboard.press("/")
    page.keyboard.type("post 7")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    page.goto(page.url.split("?")[0])
    page.get_by_text("Filter", exact=True).click()
    page.locator(".qk-list-panel").get_by_role("link", name="Kind", exact=True).click()
    page.get_by_label("Value").select_option("release")
    page.get_by_role("button", name="Add the filter").click()
    expect(rows).to_have_count(6)
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Kind", exact=True).check()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="Kind")).to_be_visible()
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Name").fill("Releases")
    page.get_by_role("button", name="Save the view").click()
    expect(page.get_by_role("navigation", name="Views").locator("[aria-current]")).to_have_text("Releases")


def write_and_publish(page: Page) -> None:
    """Write something new with a block, and make it public."""
    page.get_by_role("link", name="Add an entry").click()
    page.fill("[name='f-title']", "What we did")
    page.fill("[name='f-body']", "# A day\n\nIt was long.")
    page.locator("#field-parts").get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("[name='f-parts-0-words']")).to_be_focused()
    page.keyboard.type("So it was")
    saved(page)
    page.keyboard.press("Control+Alt+p")
    page.get_by_role("dialog", name="Publish").get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("h1 .qk-published")).to_be_visible()


def meet_a_conflict(edith: Watched, browser: BrowserContext) -> None:
    """Save the same field in two tabs: nothing is overwritten, one is chosen."""
    page, path = edith.page, edith.page.url.removeprefix(edith.url)
    other = watch(browser, edith.url)
    other.go(path)
    other.page.fill("[name='f-title']", "What they did")
    saved(other.page)
    other.page.close()
    page.fill("[name='f-title']", "What we all did")
    page.keyboard.press("Control+s")
    expect(page.locator("#field-title .qk-theirs")).to_contain_text("What they did")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")
    expect(page.locator("[name='f-title']")).to_have_value("What we all did")
    assert other.violations == []


def look_back(page: Page) -> None:
    """See in the time line what happened, compare, and take one field back."""
    page.locator("#content").get_by_role("link", name="History", exact=True).click()
    happened = page.locator(".qk-happening")
    expect(happened).to_have_count(4)
    expect(happened.nth(0)).to_contain_text("saved version 3")
    expect(happened.nth(0)).to_contain_text("Changed Title in English")
    expect(happened.nth(2)).to_contain_text("published version 1 in English")
    expect(happened.nth(3)).to_contain_text("Public now in English")
    page.get_by_role("radio", name="From version 1").check()
    page.get_by_role("button", name="Compare the two chosen versions").click()
    expect(page.locator("ins").first).to_contain_text("all")
    page.get_by_role("button", name="Restore Title of version 1").click()
    expect(page.locator(".messagelist")).to_contain_text("Title of version 1 is back, as version 4.")
    expect(page.locator("[name='f-title']")).to_have_value("What we did")


def translate(page: Page) -> None:
    """Write it in a language that runs the other way, beside what it falls back to."""
    page.get_by_role("link", name="ar not written yet").click()
    expect(page.locator("#field-title .qk-stand-in")).to_contain_text("What we did")
    title = page.locator("[name='f-title']")
    assert title.evaluate("box => [box.dir, box.lang]") == ["rtl", "ar"]
    title.fill("ما فعلناه")
    saved(page)


def do_many_at_once(edith: Watched) -> None:
    """Take six back from the public, publish them again, and throw two away."""
    page = edith.page
    views = page.get_by_role("navigation", name="Views")
    views.get_by_role("link", name="Releases").click()
    expect(views.locator("[aria-current]")).to_have_text("Releases")
    view = page.url.removeprefix(edith.url)
    for act, rows, done in (("Unpublish", 6, 6), ("Publish", 6, 6), ("Move to trash", 2, 2)):
        edith.go(view)
        expect(page.locator("[data-qk-row]")).to_have_count(6)
        page.locator("[data-qk-row]").first.click()
        page.locator("[data-qk-row]").nth(rows - 1).click(modifiers=["Shift"])
        expect(page.locator("[data-qk-count]")).to_have_text(f"{rows} selected")
        page.get_by_role("button", name=f"{act}…", exact=True).click()
        page.get_by_role("button", name=act, exact=True).click()
        expect(page.locator(".qk-list-results .qk-done")).to_have_count(done)


def test_an_editors_day(edith: Watched, browser: BrowserContext) -> None:
    page = edith.page
    edith.go(LIST)
    find_a_post(page)
    write_and_publish(page)
    meet_a_conflict(edith, browser)
    look_back(page)
    translate(page)
    written = Entry.objects.get(created_by__email="edith@example.com")
    states = dict(DraftDocument.objects.filter(entry=written).values_list("locale", "status"))
    assert states == {"en": "published", "ar": "draft"}  # what is restored is what readers see
    edith.go(LIST)
    do_many_at_once(edith)
    assert Entry.objects.filter(trashed_at__isnull=False).count() == 2
    assert PublishedDocument.objects.filter(locale="en").count() == 11  # twelve and a new one, without two
    # On the way home, by phone: what happened to a post that others had imported.
    page.set_viewport_size({"width": 360, "height": 740})
    imported = DraftDocument.objects.filter(locale="ar", content_locale="ar").exclude(entry=written).get()
    edith.go(f"{LIST}{imported.entry_id}/history/")
    expect(page.locator(".qk-happening").first).to_contain_text("edith@example.com")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert edith.violations == []
    assert [error for error in edith.errors if "status of 409" not in error] == []
