"""Taking strangers' files apart: what is understood, and what is refused within a moment."""

import contextlib
import time
from decimal import Decimal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from content.importing.front_matter import MAX_FILE, DocumentError, MarkdownDocument, parse


def front_of(yaml_text: str):
    return parse(f"---\n{yaml_text}\n---\nbody\n".encode()).front


def outcome(raw: bytes) -> MarkdownDocument | str:
    """Return the document, or the reason why it is none."""
    try:
        return parse(raw)
    except DocumentError as error:
        return str(error)


def refused(raw: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(raw)
    return str(caught.value)


def test_yaml_and_toml_front_matter_and_none_at_all():
    assert parse(b"---\ntitle: Hi\n---\n\nText\n") == MarkdownDocument({"title": "Hi"}, "Text\n")
    assert parse(b'+++\ntitle = "Hi"\n+++\nText\n') == MarkdownDocument({"title": "Hi"}, "Text\n")
    assert parse(b"# Hi\n\n---\n\nText") == MarkdownDocument({}, "# Hi\n\n---\n\nText")
    assert parse(b"---\n---\nText") == MarkdownDocument({}, "Text")
    assert parse(b"") == MarkdownDocument({}, "")


def test_windows_lines_and_a_byte_order_mark_are_nothing_special():
    assert parse(b"\xef\xbb\xbf---\r\ntitle: Hi\r\n---\r\n\r\nOne\r\nTwo\r") == MarkdownDocument(
        {"title": "Hi"}, "One\nTwo\n"
    )


def test_a_rule_within_the_body_does_not_end_it():
    assert parse(b"---\ntitle: Hi\n---\nOne\n\n---\n\nTwo\n").body == "One\n\n---\n\nTwo\n"


def test_yaml_has_no_surprises():
    assert front_of(
        "a: no\nb: 1.10\nc: 12:30\nd: 007\ne: 2020-01-01\nf: ~\ng: 0x1F\nh: 1_000\ni: .inf\nj: on"
    ) == {
        "a": "no",
        "b": Decimal("1.10"),
        "c": "12:30",
        "d": "007",
        "e": "2020-01-01",
        "f": None,
        "g": "0x1F",
        "h": "1_000",
        "i": ".inf",
        "j": "on",
    }
    assert front_of('a: "1"\nb: 1\nc: true\nd: "true"\ne: [x, {y: 2}]') == {
        "a": "1",
        "b": 1,
        "c": True,
        "d": "true",
        "e": ["x", {"y": 2}],
    }


def test_toml_keeps_times_as_text_and_numbers_exact():
    raw = b"+++\nat = 2020-01-01T10:00:00Z\nday = 2020-01-01\nprice = 1.10\nbig = 1e999999999\nnone = nan\n+++\n"
    assert parse(raw).front == {
        "at": "2020-01-01T10:00:00+00:00",
        "day": "2020-01-01",
        "price": Decimal("1.10"),
        "big": "1E+999999999",
        "none": "NaN",
    }


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"---\na: &x [1]\nb: *x\n---\n", "anchors or aliases"),
        (b"---\nb: *x\n---\n", "anchors or aliases"),
        (b"---\na: !!python/object/apply:os.system [id]\n---\n", "tag"),
        (b"---\na: !!python/name:os.system\n---\n", "tag"),
        (b"---\na: !!set {x}\n---\n", "tag"),
        (b"---\n!!map\na: 1\n---\n", "tag"),
        (b"---\n<<: {a: 1}\n---\n", "merge keys"),
        (b"---\na: 1\na: 2\n---\n", "'a' twice"),
        (b"---\n? [a, b]\n: c\n---\n", "no plain text"),
        (b"---\n- a\n---\n", "no list of keys"),
        (b"---\nplain\n---\n", "no list of keys"),
        (b"---\na: [1\n---\n", "no YAML"),
        (b"---\na: 1\n--- b: 2\n...\n", "more than one"),
        (b"---\na: 1\n", "never closed"),
        (b"+++\na = 1\n---\n", "never closed"),
        (b"+++\na = \n+++\n", "no TOML"),
        (b"+++\na = 1\na = 2\n+++\n", "no TOML"),
        (b"---\na: \x00\n---\n", "NUL"),
        (b"---\na: 1\n---\nb\x00", "NUL"),
        (b"---\na: \x1b[31m\n---\n", "control characters"),
        (b"---\na: \xff\n---\n", "not UTF-8 (byte 7)"),
        (b"\xff\xfe-\x00-\x00-\x00", "not UTF-8"),
        (b'---\na: "\\ud800"\n---\n', "no YAML"),
        (b"x" * (MAX_FILE + 1), "larger than 2 MB"),
        (b"---\na: " + b"x" * 1_000_000 + b"\n---\n", "larger than 64 KB"),
    ],
)  # fmt: skip
def test_what_is_dangerous_or_broken_is_refused_with_its_reason(raw, why):
    assert why in refused(raw)


@pytest.mark.parametrize(
    "inner",
    [
        b"---\n" + b"[" * 60_000 + b"\n---\n",
        b"---\na: " + b"{b: " * 15_000 + b"\n---\n",
        b"---\n" + b"- " * 30_000 + b"\n---\n",
        b"---\na: [" + b"1," * 30_000 + b"]\n---\n",
        b"---\n" + b"? " * 30_000 + b"\n---\n",
        b"---\n" + b"".join(b"k%d: 1\n" % n for n in range(5_000)) + b"---\n",
        b"---\na0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (n, n, n - 1) for n in range(1, 60)) + b"---\n",
        b"+++\na = " + b"[" * 20_000 + b"\n+++\n",
        b"+++\n" + b".".join([b"a"] * 30_000) + b" = 1\n+++\n",
        b"+++\n[" + b".".join([b"a"] * 30_000) + b"]\n+++\n",
        b"+++\na = " + b"9" * 60_000 + b"\n+++\n",
        b"---\n" * 400_000 + b"x",
        b"---\n" + b"-- -\n" * 400_000,
    ],
    ids=lambda raw: repr(raw[:24]),
)  # fmt: skip
def test_bombs_are_defused_within_a_moment(inner):
    started = time.process_time()
    with contextlib.suppress(DocumentError):
        parse(inner)
    assert time.process_time() - started < 2


@given(st.binary(max_size=300))
def test_any_bytes_are_parsed_or_refused_by_one_error(raw):
    for before, after in ((b"", b""), (b"---\n", b"\n---\n"), (b"+++\n", b"\n+++\n")):
        found = outcome(before + raw + after)
        if isinstance(found, MarkdownDocument):
            assert isinstance(found.front, dict)
            assert "\r" not in found.body
        else:
            assert found
            assert "\n" not in found


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_a_file_without_front_matter_is_its_own_body(text):
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not plain.startswith(("---", "+++")) and "\0" not in plain:
        assert parse(text.encode()) == MarkdownDocument({}, plain)


TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["C"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(TEXTS.filter(lambda key: key != "<<"), VALUES, max_size=6), TEXTS)
def test_what_a_safe_writer_wrote_is_read_back(front, body):
    dumped = yaml.safe_dump(front, allow_unicode=True)
    found = outcome(f"---\n{dumped}---\n{body}".encode())
    if isinstance(found, MarkdownDocument):
        assert found == MarkdownDocument(front, body.lstrip("\n"))
    else:
        assert "&id0" in dumped or "nested too deeply" in found
