"""HTML from people: hostile strings of our own writing, what good markup keeps, one result, linear time."""

import html
import re
import time
from contextlib import suppress
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from content import sanitizing
from content.markdown import to_html
from content.sanitizing import (
    MARKDOWN,
    MAX_BYTES,
    MAX_DEPTH,
    RICH_TEXT,
    MarkupError,
    plain_text,
    safe_link,
    sanitize,
)

SCRIPTS = '''
<script>alert(1)</script>
<SCRIPT SRC=//evil.example/x.js></SCRIPT>
<script/x>alert(1)</script/>
<scr<script>ipt>alert(1)</scr</script>ipt>
<<script>alert(1)//<</script>
<script>alert(1)</script
<script
alert(1)</script>
</script><script>alert(1)</script>
<p><script>if (a<b) alert("</p>")</script></p>
<img src=x onerror=alert(1)>
<img src="x" onerror="alert(1)"//>
<img/src="x"/onerror=alert(1)>
<img src=`x` onerror=alert(1)>
<IMG """><SCRIPT>alert(1)</SCRIPT>">
<img src=x:alert(alt) onerror=eval(src) alt=1>
<img src=data:image/svg+xml;base64,PHN2Zy8+>
<img srcset="x 1x, javascript:alert(1) 2x">
<body onload=alert(1)>
<svg onload=alert(1)>
<svg><script>alert(1)</script></svg>
<svg><script xlink:href=data:,alert(1) />
<svg><a xlink:href="javascript:alert(1)"><text y=20>x</text></a></svg>
<svg><animate attributeName=href values=javascript:alert(1) /></svg>
<svg><set attributeName=onload to=alert(1)></svg>
<svg><foreignObject><iframe srcdoc="<script>alert(1)</script>"></foreignObject></svg>
<svg><style><img src=x onerror=alert(1)></style></svg>
<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">
<svg><title><a id="</title><img src=x onerror=alert(1)>"></svg>
<svg><desc><![CDATA[</desc><script>alert(1)</script>]]></svg>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">
<math><mi><mglyph><svg><mtext><textarea><path id="</textarea><img onerror=alert(1) src=1>">
<math><annotation-xml encoding="text/html"><style><img src=x onerror=alert(1)></style></annotation-xml></math>
<math><mi xlink:href="javascript:alert(1)">x</mi></math>
<math href="javascript:alert(1)">x</math>
<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>
<form><input name=attributes><input name=parentNode></form>
<form action="javascript:alert(1)"><button>x</button></form>
<button formaction="javascript:alert(1)">x</button>
<input type=image src=x formaction=javascript:alert(1)>
<isindex action=javascript:alert(1) type=image>
<noscript><p title="</noscript><img src=x onerror=alert(1)>">
<noscript><style></noscript><img src=x onerror=alert(1)></style>
<noembed><p title="</noembed><img src=x onerror=alert(1)>">
<noframes><p title="</noframes><img src=x onerror=alert(1)>">
<xmp><p title="</xmp><img src=x onerror=alert(1)>">
<title><p title="</title><img src=x onerror=alert(1)>">
<textarea><p title="</textarea><img src=x onerror=alert(1)>">
<plaintext><script>alert(1)</script>
<iframe src="javascript:alert(1)"></iframe>
<iframe srcdoc="&lt;script&gt;alert(1)&lt;/script&gt;"></iframe>
<iframe><p title="</iframe><img src=x onerror=alert(1)>">
<template><script>alert(1)</script></template>
<template><style></template><img src=x onerror=alert(1)></style>
<template><p><template></p><img src=x onerror=alert(1)></template>
<select><template><img src=x onerror=alert(1)></template></select>
<select><style></select><img src=x onerror=alert(1)></style>
<option><style></option><img src=x onerror=alert(1)></style>
<style>@import "//evil.example/x.css";</style>
<style><!--</style><img src=x onerror=alert(1)>--></style>
<style>*{background:url(javascript:alert(1))}</style>
<link rel=stylesheet href=//evil.example/x.css>
<link rel=import href=data:text/html,<script>alert(1)</script>>
<base href="//evil.example/">
<meta http-equiv=refresh content="0;url=javascript:alert(1)">
<object data="javascript:alert(1)"></object>
<object type="text/x-scriptlet" data="//evil.example/x"></object>
<embed src="javascript:alert(1)">
<applet code="x" archive="//evil.example/x.jar"></applet>
<frameset onload=alert(1)><frame src=javascript:alert(1)></frameset>
<marquee onstart=alert(1)>x</marquee>
<video><source onerror=alert(1)></video>
<video poster=javascript:alert(1)//></video>
<audio src=x onerror=alert(1)></audio>
<details open ontoggle=alert(1)>x</details>
<dialog open oncancel=alert(1)>x</dialog>
<keygen autofocus onfocus=alert(1)>
<p style="background:url(javascript:alert(1))">x</p>
<p style="x:expression(alert(1))">x</p>
<p class="a" id="location" name="cookie">x</p>
<p onclick=alert(1) onmouseover="alert(1)">x</p>
<p/onclick=alert(1)/>x</p>
<p "onclick=alert(1)">x</p>
<p a='><img src=x onerror=alert(1)>'>x</p>
<p title="`onmouseover=alert(1)">x</p>
<table background="javascript:alert(1)"><tr><td>x</td></tr></table>
<table><td background=javascript:alert(1)>x
<table><style></table><img src=x onerror=alert(1)></style>
<table><script>alert(1)</script></table>
<table><tr><svg><td><style><img src=x onerror=alert(1)></style>
<a><table><td></a><img src=x onerror=alert(1)>
<a href="javascript:alert(1)">x</a>
<a href=" javascript:alert(1)">x</a>
<a href="JaVaScRiPt:alert(1)">x</a>
<a href="java	script:alert(1)">x</a>
<a href="java&#10;script:alert(1)">x</a>
<a href="java&#x0000d;script:alert(1)">x</a>
<a href="java&Tab;script:alert(1)">x</a>
<a href="java&NewLine;script&colon;alert(1)">x</a>
<a href="javascript&colon;alert&lpar;1&rpar;">x</a>
<a href="&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)">x</a>
<a href="&#0000106&#0000097&#0000118&#0000097script&#0000058alert(1)">x</a>
<a href="&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1)">x</a>
<a href="&#1;javascript:alert(1)">x</a>
<a href="&#14;  javascript:alert(1);">x</a>
<a href="&#xa0;javascript:alert(1)">x</a>
<a href="\u2028javascript:alert(1)">x</a>
<a href="\ufeffjavascript:alert(1)">x</a>
<a href="java\u200bscript:alert(1)">x</a>
<a href="javascript://%0aalert(1)">x</a>
<a href="javascript&amp;colon;alert(1)">x</a>
<a href="vbscript:msgbox(1)">x</a>
<a href="livescript:alert(1)">x</a>
<a href="data:text/html,<script>alert(1)</script>">x</a>
<a href="data:text/html;base64,PHNjcmlwdD4=">x</a>
<a href="file:///etc/passwd">x</a>
<a href="blob:https://evil.example/1">x</a>
<a href="intent://evil#Intent;end">x</a>
<a href="view-source:javascript:alert(1)">x</a>
<a href="feed:javascript:alert(1)">x</a>
<a href="//evil.example">x</a>
<a href="/\\evil.example">x</a>
<a href="\\\\evil.example">x</a>
<a href="https:\\\\evil.example">x</a>
<a href="/&#9;/evil.example">x</a>
<a href="https://bank.example@evil.example">x</a>
<a href="https:evil.example">x</a>
<a href="https:///evil.example">x</a>
<a href="quillkeep:entry/javascript:alert(1)">x</a>
<a href="quillkeep:entry/../../admin">x</a>
<a href='x' href='javascript:alert(1)'>x</a>
<a HREF=/ok HREF=javascript:alert(1)>x</a>
<a href=/ok target=_blank rel=opener ping=//evil.example>x</a>
<a href="x"onclick=alert(1)>x</a>
<a title='"><img src=x onerror=alert(1)>' href=/ok>x</a>
<a title="<!--" href="--><img src=x onerror=alert(1)>">x</a>
<!--><img src=x onerror=alert(1)>-->
<!---><img src=x onerror=alert(1)>-->
<!--a--!><img src=x onerror=alert(1)>-->
<!-- --!> <img src=x onerror=alert(1)> -->
<!--[if gte IE 4]><script>alert(1)</script><![endif]-->
<!DOCTYPE x [<!ENTITY a "<script>alert(1)</script>">]>&a;
<?xml version="1.0"?><?php echo 1 ?><x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>
<![CDATA[<script>alert(1)</script>]]>
<x onfocus=alert(1) tabindex=1>x</x>
<x-y onclick=alert(1)>x</x-y>
<p\u0000onclick=alert(1)>x
<scr\u0000ipt>alert(1)</scr\u0000ipt>
<a href="java\u0000script:alert(1)">x</a>
<p>\u0000<script>alert(1)</script>
+ADw-script+AD4-alert(1)+ADw-/script+AD4-
%3Cscript%3Ealert(1)%3C/script%3E
&lt;script&gt;alert(1)&lt;/script&gt;
&amp;lt;script&amp;gt;alert(1)
<code class="language-x onclick">x</code>
<code class='language-"onclick=alert(1)'>x</code>
<td colspan="1000000">x</td>
<ol start="9999999999999999999999">x</ol>
<b><i></b><script>alert(1)</script></i>
<p><table><p onclick=alert(1)>x</table>
<ul><li><ul><script>alert(1)</script>
<h1 onclick=alert(1)>x</h9>
<
<a
<a href
<a href="
</
</a
<!
<!-
<a href="x" <b>
'''
CORPUS = [line for line in SCRIPTS.replace("\\u0000", "\x00").strip("\n").split("\n") if line]


class Reading(HTMLParser):
    """Reads markup the simple way and holds every element and attribute against the allow-list."""

    def __init__(self, policy: sanitizing.Policy) -> None:
        super().__init__(convert_charrefs=True)
        self.policy = policy

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.policy.attributes, tag
        for name, value in attrs:
            assert name in ("rel", *self.policy.attributes[tag]), (tag, name)
            if name in ("href", "src"):
                scheme = urlsplit(value or "").scheme
                assert scheme in ("", "http", "https", "mailto", "tel", "quillkeep"), value
                assert not re.match(r"[\s\x00-\x20]*[/\\]{2}", value or ""), value
                assert not re.search(r"[\s\\\x00-\x20]", value or ""), value
            if name == "rel":
                assert value == "noopener noreferrer"
        if tag == "a":
            assert "rel" in dict(attrs)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def assert_safe(markup: str, policy: sanitizing.Policy = RICH_TEXT) -> None:
    reading = Reading(policy)
    reading.feed(markup)
    reading.close()
    for opening in re.findall(r"<[^>]*>", markup):
        assert re.fullmatch(r'</?[a-z][a-z0-9]*(?: [a-z]+="[^"<>]*")*>', opening), opening


def test_the_corpus_is_big_enough():
    assert len(CORPUS) >= 120
    assert len(set(CORPUS)) == len(CORPUS)


@pytest.mark.parametrize("policy", [RICH_TEXT, MARKDOWN], ids=["rich_text", "markdown"])
@pytest.mark.parametrize("hostile", CORPUS)
def test_hostile_markup_comes_out_harmless_and_stays_so(hostile, policy):
    for framed in (
        hostile,
        f"<p>{hostile}</p>",
        f"<table><tr><td>{hostile}",
        f"<ul><li><a href='/x'>{hostile}",
        hostile * 2,
    ):
        clean = sanitize(framed, policy)
        assert_safe(clean, policy)
        assert sanitize(clean, policy) == clean


@pytest.mark.parametrize("hostile", CORPUS)
def test_hostile_markdown_comes_out_harmless(hostile):
    for source in (
        hostile,
        f"> - {hostile}\n\ntext {hostile} text\n",
        f"| a |\n|---|\n| {hostile} |\n",
        f"# {hostile}\n",
    ):
        assert_safe(to_html(source), MARKDOWN)


@pytest.mark.parametrize("hostile", CORPUS)
def test_hostile_addresses_are_no_markdown_links(hostile):
    for address in re.findall(r"""(?:href|src|action)=["']?([^"'>]+)""", hostile):
        for source in (
            f"[x]({address})",
            f"[x](<{address}>)",
            f"![x]({address})",
            f"<{address}>",
            f"[x]\n\n[x]: {address}\n",
        ):
            assert_safe(to_html(source), MARKDOWN)


TAGS = [*MARKDOWN.attributes, "b", "i", "form", "section"]
TAGS = [*MARKDOWN.attributes, "b", "i", "form", "section"]
pieces = st.sampled_from(
    [
        *CORPUS,
        *(f"<{tag}>" for tag in TAGS),
        *(f"</{tag}>" for tag in TAGS),
        *"&<>\"'= \nx\x00é",
        *("<!--", "-->", "&lt;", "&amp;", "&#60;", "<td colspan=2>", "<a href=/x>"),
    ]
)


@pytest.mark.parametrize("policy", [RICH_TEXT, MARKDOWN], ids=["rich_text", "markdown"])
@settings(max_examples=300)
@given(parts=st.lists(pieces | st.text(max_size=8), max_size=14), size=st.sampled_from([1, 30, 4_000]))
def test_whatever_comes_is_harmless_and_has_one_result(parts, size, policy):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sanitizing, "PIECE", size)  # where bleach's pieces end must not show
        clean = sanitize("".join(parts), policy)
    assert_safe(clean, policy)
    assert sanitize(clean, policy) == clean


@settings(max_examples=100)
@given(words=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_plain_words_survive(words):
    assert html.unescape(sanitize(html.escape(words))) == words


GOOD = [
    "<h2>Title</h2><p>Some <strong>bold</strong>, <em>soft</em>, <u>u</u>, <s>s</s>, H<sub>2</sub>O, x<sup>2</sup></p>",
    '<p><a href="https://example.com/?a=1&amp;b=2" title="T" rel="noopener noreferrer">link</a></p>',
    '<p><a href="quillkeep:entry/01890a5d-ac96-774b-bcce-b302099a8057" rel="noopener noreferrer">entry</a></p>',
    "<ul><li>one<ul><li>two</li></ul></li></ul>",
    '<ol start="3"><li>three</li></ol><hr><blockquote><p>said</p></blockquote>',
    '<pre><code class="language-python">if a &lt; b:\n    pass</code></pre>',
    '<table><tbody><tr><th scope="col" colspan="2">A</th></tr><tr><td align="right">1</td></tr></tbody></table>',
    "<figure><table><thead><tr><td>x</td></tr></thead></table><figcaption>f</figcaption></figure>",
    "a&nbsp;b &amp; c &lt; d<br>e",
    "",
]


@pytest.mark.parametrize("markup", GOOD)
def test_good_markup_stays_as_it_is(markup):
    assert sanitize(markup) == markup


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<b>b</b><i>i</i><strike>s</strike><del>d</del>", "<strong>b</strong><em>i</em><s>s</s><s>d</s>"),
        ("<h1>a</h1><h6>b</h6>", "<h2>a</h2><h4>b</h4>"),
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<div><p>a</p></div>", "<p>a</p>"),
        ("<table><tr><td>a", "<table><tbody><tr><td>a</td></tr></tbody></table>"),
        ("<table>loose<tr><td>a", "<table><tbody><tr><td>loose</td></tr><tr><td>a</td></tr></tbody></table>"),
        ("<style>p{}</style><p>a</p><script>x</script>", "<p>a</p>"),
        (
            "<a href='/a'>x<a href='/b'>y",
            '<a href="/a" rel="noopener noreferrer">x</a><a href="/b" rel="noopener noreferrer">y</a>',
        ),
        ("<p>a</p><!-- c --><p>b</p>", "<p>a</p><p>b</p>"),
        ("1 < 2 && 3 > 2", "1 &lt; 2 &amp;&amp; 3 &gt; 2"),
        ("<pre>\n\n  a\n b</pre>", "<pre>  a\n b</pre>"),
    ],
)
def test_untidy_markup_becomes_what_was_meant(markup, expected):
    assert sanitize(markup) == expected


@pytest.mark.parametrize(
    "address",
    [
        *(
            "https://example.com",
            "HTTP://example.com/a?b#c",
            "https://example.com:8080/",
            "https://bücher.example/",
        ),
        *("mailto:a@b.example?subject=x", "tel:+4930123", "/", "/a%20b", "/a:b", "#top"),
        "quillkeep:entry/01890a5d-ac96-774b-bcce-b302099a8057",
    ],
)
def test_a_good_address_is_kept(address):
    assert safe_link(address) == address


@pytest.mark.parametrize(
    "address", ["", "a", "../a", "?a=1", "./a.md", "javascript:x", "http:", "https://", "tel:", "mailto:"]
)
def test_rich_text_knows_no_relative_addresses(address):
    assert safe_link(address) is None


@pytest.mark.parametrize("address", ["a/b.md", "../a", "?a=1", "./a.md#b", "a", "a.html?x"])
def test_markdown_may_point_beside_itself(address):
    assert safe_link(address, relative=True) == address


@pytest.mark.parametrize(
    "address", ["javascript:x", "java:script", "a:b", "//x", "\\x", "a b", "data:x", "x&colon;y", "a/b:c"]
)
def test_a_relative_address_holds_nothing_like_a_scheme(address):
    assert safe_link(address, relative=True) is None


def test_words_come_out_block_by_block():
    table = "<table><tbody><tr><td>e</td><td>f</td></tr></tbody></table>"
    assert plain_text(f"<h2>A &amp; b</h2><ul><li>c<br>d</li></ul>{table}") == "A & b\nc\nd\ne\tf"


def test_depth_is_limited():
    assert sanitize("<blockquote>" * MAX_DEPTH).count("</blockquote>") == MAX_DEPTH
    with pytest.raises(MarkupError) as caught:
        sanitize("<blockquote>" * (MAX_DEPTH + 1))
    assert caught.value.code == "too-deep"


def test_length_is_limited_on_the_way_in_and_out():
    for markup in ("x" * (MAX_BYTES + 1), "é" * (MAX_BYTES // 2 + 1), "&" * (MAX_BYTES // 2)):
        with pytest.raises(MarkupError) as caught:
            sanitize(markup)
        assert caught.value.code == "too-long"


HEAVY = {
    "paragraphs": '<p>Lorem <strong>ipsum</strong> <a href="https://e.example/?a=1&amp;b=2">dolor</a> sit amet.</p>\n',
    "reopened formatting": "<p><b>",
    "misnested": "<b><i></b></i>",
    "attributes": "<a b=c ",
    "entities": "&#1",
    "digits": "1",
    "quotes": "<a b=\"'>",
    "comments": "<!--",
    "cells": "<td>x",
    "angles": "<",
    "breaks": "<br>",
    "line breaks": "<pre>\n\n</pre>",
    "ends": "</a>",
}


@pytest.mark.parametrize("unit", HEAVY.values(), ids=HEAVY.keys())
def test_time_grows_with_the_length_only(unit):
    def seconds(length: int) -> float:
        front = "&#" if unit == "1" else "<table><tr>" if unit.startswith("<td") else ""
        markup = front + unit * (length // len(unit))
        start = time.process_time()
        with suppress(MarkupError):
            sanitize(markup)
        return time.process_time() - start

    seconds(1_000)
    small, large = seconds(40_000), seconds(160_000)
    if large >= 0.2 + 10 * small:  # a busy machine makes one run longer, and none of them shorter
        large = min(large, seconds(160_000), seconds(160_000))
    assert large < 0.2 + 10 * small  # 4 when linear, 16 when quadratic
    assert large < 8  # far from it on a quiet machine
