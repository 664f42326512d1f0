"""Rich text in a real browser: what is untouched stays, what is pasted is tidied, and entries can be linked to."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from content.models import Version
from tests.browser.conftest import Watched, signed_in, watch
from tests.builders import make_collection, make_entry
from tests.processes import LiveServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CANARY = '"><img src=x onerror=alert(1)>'
# As the sanitizer keeps it and as no editor would write it: cells without paragraphs, a list item without one.
STORED = "<table><tbody><tr><td>one</td></tr></tbody></table><ul><li>two</li></ul>"
WORD = """<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style>p.MsoNormal{margin:0}</style></head><body>
<!--StartFragment--><p class=MsoNormal><b>Plan</b><o:p></o:p></p>
<p class=MsoListParagraphCxSpFirst style='mso-list:l0 level1 lfo1'><![if !supportLists]><span style='mso-list:Ignore'>1.
<span style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp;</span></span><![endif]>First</p>
<p class=MsoListParagraphCxSpMiddle style='mso-list:l0 level2 lfo1'><span style='mso-list:Ignore'>&middot;</span>Inner</p>
<p class=MsoListParagraphCxSpLast style='mso-list:l0 level1 lfo1'><span style='mso-list:Ignore'>2.</span>Second</p>
<p><span style='font-weight:700;font-style:italic'>Loud</span><b style="font-weight:normal">quiet</b><span style='display:none'>hidden</span><a href="javascript:alert(1)" onclick="alert(1)">Link</a>
<img src=x onerror=alert(1)><script>alert(1)</script></p><!--EndFragment--></body></html>"""


@pytest.fixture
def ada(browser: BrowserContext, web_server: LiveServer) -> Watched:
    make_collection("authors", [{"key": "name", "type": "text"}])
    make_collection(
        "notes",
        [
            {"key": "title", "type": "text"},
            {"key": "text", "type": "rich_text", "label": "Text", "options": {"collections": ["authors"]}},
        ],
    )
    return signed_in(browser, web_server.url)


def paste(page: Page, markup: str) -> None:
    """Paste as browsers do, with markup on the clipboard."""
    page.locator("#field-text [contenteditable]").evaluate(
        """(box, markup) => {
          const clipboardData = new DataTransfer();
          clipboardData.setData("text/html", markup);
          clipboardData.setData("text/plain", "plain");
          box.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
        }""",
        markup,
    )


def text_of(page: Page) -> str:
    return page.locator("[name='f-text']").input_value()


def test_untouched_text_stays_pasted_text_is_tidied_and_entries_are_linked_to(ada: Watched) -> None:
    author = make_entry("authors", name=f"Ann {CANARY}")
    entry = make_entry("notes", title="One", text=STORED)
    page = ada.page
    ada.go(f"/admin/content/notes/{entry.pk}/change/")
    box = page.locator("#field-text [contenteditable]")
    expect(box).to_have_attribute("role", "textbox")
    expect(box).to_have_attribute("aria-label", "Text")

    # Typed and taken back: as it came, though the editor would write it another way.
    box.locator("li").click()
    page.keyboard.type("x")
    assert text_of(page) != STORED
    page.keyboard.press("Backspace")
    assert text_of(page) == STORED

    # One tab stop for all buttons; arrows go from one to the next.
    first = page.locator("#field-text .prose-menubar button").first
    first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('.prose-menubar') !== null")
    assert page.locator("#field-text .prose-menubar button[tabindex='0']").count() == 1

    # From a word processor: lists are lists, and nothing of it runs.
    box.click()
    page.keyboard.press("Control+a")
    paste(page, WORD)
    tidy = text_of(page)
    assert "<strong>Plan</strong>" in tidy
    assert (
        '<ol data-type="decimal"><li><p>First</p><ul><li><p>Inner</p></li></ul></li><li><p>Second</p></li></ol>'
        in tidy
    )
    assert "<strong><em>Loud</em></strong>quiet" in tidy
    for gone in ("Mso", "mso", "hidden", "javascript:", "onclick", "onerror", "<script", "<o:p"):
        assert gone not in tidy, gone

    # A link to an entry, by its title.
    page.keyboard.press("Control+End")
    page.get_by_role("button", name="Link to an entry").click()
    page.keyboard.type("Ann")
    page.locator("[role=option]").first.click()
    expect(box.locator("a")).to_have_attribute("href", f"quillkeep:entry/{author.pk}")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")
    saved = Version.objects.get(entry=entry, number=2)
    assert f'<a href="quillkeep:entry/{author.pk}"' in str(saved.data)
    assert ada.violations == []
    assert ada.errors == []


def test_an_editor_out_of_sight_starts_when_somebody_comes_to_it_and_else_in_a_quiet_moment(
    ada: Watched,
) -> None:
    many = [{"key": f"text_{number}", "type": "rich_text"} for number in range(12)]
    make_collection("essays", [{"key": "title", "type": "text"}, *many])
    stored: dict[str, Any] = {item["key"]: "<p>Stored</p>" for item in many}
    entry = make_entry("essays", title="One", **stored)
    page = ada.page
    page.add_init_script("window.requestIdleCallback = () => 0;")
    ada.go(f"/admin/content/essays/{entry.pk}/change/")
    expect(page.locator("#field-text_0 [contenteditable]")).to_have_text("Stored")
    last = page.locator("#field-text_11")
    expect(last.locator("[contenteditable]")).to_have_count(0)

    last.locator("textarea").focus()
    expect(last.locator("[contenteditable]")).to_be_focused()
    page.wait_for_timeout(100)  # the editor puts its caret where it wants it a frame after it has the focus
    page.keyboard.press("Control+End")
    page.keyboard.type(" and typed")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-qk-state]")).to_contain_text("Saved")
    saved = Version.objects.get(entry=entry, number=2).data
    assert "<p>Stored and typed</p>" in str(saved)
    assert str(saved).count("<p>Stored</p>") == 11

    quiet = watch(page.context, ada.url)
    quiet.go(f"/admin/content/essays/{entry.pk}/change/")
    expect(quiet.page.locator("[contenteditable]")).to_have_count(12)
    assert [*ada.violations, *quiet.violations, *ada.errors, *quiet.errors] == []
