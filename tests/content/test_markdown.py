"""Markdown becomes HTML: what CommonMark says, what MDX adds left out, bounded whatever is sent."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content.markdown import MAX_BYTES, to_html
from content.sanitizing import MARKDOWN, MarkupError, sanitize


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hello *you* **all** ~~not~~", "<p>Hello <em>you</em> <strong>all</strong> <s>not</s></p>\n"),
        ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n"),
        ("![A](/a.png 'T')", '<p><img src="/a.png" alt="A" title="T"></p>\n'),
        ("[a](../b.md#c)", '<p><a href="../b.md#c" rel="noopener noreferrer">a</a></p>\n'),
        (
            "<https://e.example/?a&b>",
            '<p><a href="https://e.example/?a&amp;b" rel="noopener noreferrer">https://e.example/?a&amp;b</a></p>\n',
        ),
        ("```py title\na < b\n```", '<pre><code class="language-py">a &lt; b\n</code></pre>\n'),
        ("https://e.example/", "<p>https://e.example/</p>\n"),
        ("<kbd>x</kbd> <b>y</b>", "<p><kbd>x</kbd> <strong>y</strong></p>\n"),
        ("", ""),
    ],
)
def test_markdown_becomes_html(source, expected):
    assert to_html(source) == expected


def test_tables_keep_their_alignment():
    made = to_html("| a | b |\n|:--|--:|\n| 1 | 2 |\n")
    assert '<th align="left">a</th>' in made
    assert '<td align="right">2</td>' in made


def test_headings_can_be_linked_to_each_by_its_own_id():
    made = to_html("# Hé *llo*, `w`!\n\n## Same\n\n## Same\n\n### !!!\n")
    assert '<h1 id="hé-llo-w">' in made
    assert '<h2 id="same">' in made
    assert '<h2 id="same-2">' in made
    assert '<h3 id="section">' in made


def test_images_come_from_this_site_or_by_https_only():
    for address in (
        "http://e.example/a.png",
        "data:image/png;base64,AA",
        "//e.example/a.png",
        "javascript:x",
        "mailto:a@b.c",
    ):
        assert "src" not in to_html(f"<img src='{address}' alt='x'>")
    assert 'src="https://e.example/a.png"' in to_html("![x](https://e.example/a.png)")


MDX = """import Chart from '../chart'
import { a,
  b } from "x"

export const meta = {
  title: "x > y",
}

# Title

<Chart data={[1, 2, {a: ">"}]} render={() => <b>no</b>}>

Inner **words**

</Chart>

Text <Icon.Small name="x" /> and {/* a comment */}more.

<>

fragment

</>

```jsx
import x from "y"
<Chart />
```

I import things, and export them.
"""


def test_mdx_keeps_its_words_and_loses_its_code():
    made = to_html(MDX)
    for gone in ("Chart data", "meta", "../chart", "comment", "Icon", "&gt;"):
        assert gone not in made.split("<pre>", maxsplit=1)[0]
    for kept in ("<strong>words</strong>", "Text  and more.", "fragment", "I import things"):
        assert kept in made
    assert 'import x from "y"\n&lt;Chart /&gt;' in made


@settings(max_examples=150)
@given(
    source=st.lists(
        st.text(max_size=10)
        | st.sampled_from(
            [
                "# ",
                "> ",
                "- ",
                "1. ",
                "```\n",
                "`",
                "*",
                "_",
                "[",
                "](",
                ")",
                "<",
                ">",
                "<A ",
                "{",
                "}",
                "{/*",
                "*/}",
            ]
        )
        | st.sampled_from(
            [
                "\n",
                "\n\n",
                "|",
                "|-|\n",
                "import 'x'\n",
                "export default {",
                "<Foo>",
                "</Foo>",
                "<b>",
                "&#1;",
                "\\",
                "~~",
            ]
        ),
        max_size=30,
    ).map("".join)
)
def test_any_source_becomes_safe_html_or_is_refused(source):
    try:
        made = to_html(source)
    except MarkupError as error:
        assert error.code in ("too-deep", "too-long")  # noqa: PT017 -- both outcomes are fine
        return
    assert sanitize(made, MARKDOWN) == made


def test_length_is_limited():
    with pytest.raises(MarkupError) as caught:
        to_html("x" * (MAX_BYTES + 1))
    assert caught.value.code == "too-long"


def test_a_reference_used_often_does_not_grow_without_bound():
    with pytest.raises(MarkupError) as caught:
        to_html(f'[a]: /x "{"t" * 100_000}"\n\n' + "[a] " * 10_000)
    assert caught.value.code == "too-long"


HEAVY = {
    "brackets": "[",
    "images": "![[[",
    "emphasis": "*a_ ",
    "strong": "**a *b ",
    "backticks": "`a",
    "links": "[a](",
    "components": "<A ",
    "components in lines": "x <A {\n",
    "comments": "{/*",
    "html": "<a b=",
    "quotes": "> > > > x\n",
    "tables": "a|b\n-|-\n",
    "references": "[a]: x\n",
    "entities": "&#",
    "lines": "a\n",
}


@pytest.mark.parametrize("unit", HEAVY.values(), ids=HEAVY.keys())
def test_time_grows_with_the_length_only(unit):
    def seconds(length: int) -> float:
        to_html.cache_clear()
        source = unit * (length // len(unit))
        start = time.process_time()
        to_html(source)
        return time.process_time() - start

    seconds(500)
    small, large = seconds(10_000), seconds(40_000)
    if large >= 0.3 + 10 * small:  # a busy machine makes one run longer, and none of them shorter
        large = min(large, seconds(40_000), seconds(40_000))
    assert large < 0.3 + 10 * small  # 4 when linear, 16 when quadratic
    assert large < 4


@pytest.mark.parametrize("front", ["> " * 30, "- " * 30, "1. > " * 15])
def test_deep_nesting_before_many_lines_is_refused_at_once(front):
    start = time.process_time()
    with pytest.raises(MarkupError) as caught:
        to_html(front + "x\n" * 100_000)
    assert caught.value.code == "too-deep"
    assert time.process_time() - start < 0.5
