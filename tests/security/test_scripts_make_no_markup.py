"""Our scripts never make markup or code of text (threat J12), and no page lets another's run (J9)."""

import pytest

from tests.script_check import faults, scripts


@pytest.mark.parametrize("path", scripts(), ids=lambda path: path.name)
def test_a_script_of_ours_builds_elements_only(path):
    assert faults(path.read_text(), path.name) == []


@pytest.mark.parametrize(
    "source",
    [
        "a.innerHTML = b",
        "a['innerHTML'] = b",
        "a['inner' + 'HTML'] = b",
        "a.outerHTML += b",
        "a?.insertAdjacentHTML('beforeend', b)",
        "document.write(b)",
        "$(a).html(b)",
        "range.createContextualFragment(b)",
        "Document.parseHTMLUnsafe(b)",
        "frame.srcdoc = b",
        "frame.setAttribute('srcdoc', b)",
        "a.setAttribute('onclick', b)",
        "a.setAttribute('style', b)",
        "eval(b)",
        "window.eval(b)",
        "new Function(b)",
        "setTimeout('go()', 1)",
        "setTimeout(`go(${b})`, 1)",
        "a.href = 'javascript:go()'",
        "const c = '<b>' + b + '</b>'",
        "alert(b)",
        "new DOMParser().parseFromString(b, 'text/html')",
        "if (",
    ],
)
def test_the_linter_finds(source):
    assert faults(source, "any.js")


@pytest.mark.parametrize(
    "source",
    [
        "const html = 1; use(html); a[i + 1]; a.textContent = '<b>'; h('p', {title: b}, b)",
        "setTimeout(go, 1); setTimeout(() => go(), 1)",
        "a.setAttribute('aria-label', b); a.style.top = `${y}px`",
    ],
)
def test_the_linter_lets_be(source):
    assert faults(source, "any.js") == []


def test_one_script_alone_reads_pages():
    assert faults("new DOMParser()", "markup.js") == []
