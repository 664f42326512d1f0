"""YAML of strangers: data alone, within limits, and what we write we read as the same."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms_project.schema_code import yaml_in, yaml_out

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20) | st.sampled_from(
    ["no", "yes", "on", "null", "~", "", "1e5", "0x1F", "0o17", "1_000", "12:30:45", "2026-11-28", ".5", "1.", "-", "- a",
     "a: b", "#c", "a #c", "&a", "*a", "!t", "|", ">", "%x", "@x", "`x", "'", '"', "\n", " a", "a ", "a\nb\n", "a\n b", "<<", "=",
     "\u2028", "\ufeff", "\x85", "\x07"]
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18), 10**18)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_as_the_same(value: Any) -> None:
    text = yaml_out.write({"section": value})
    read = yaml_in.read(text.encode()).value["section"]
    assert read == value
    assert repr(read) == repr(value)  # 1 is not 1.0, nor true


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_line(raw: bytes) -> None:
    faults = [yaml_in.Fault(1, "", "-")]
    try:
        yaml_in.read(raw)
    except yaml_in.FileError as error:
        faults = error.faults
    assert faults
    assert all(fault.detail and fault.line >= 0 for fault in faults)


def lines_of(text: str) -> list[tuple[int, str]]:
    with pytest.raises(yaml_in.FileError) as refused:
        yaml_in.read(text.encode())
    return [(fault.line, fault.detail) for fault in refused.value.faults]


def test_anchors_aliases_tags_merges_and_repeated_keys_are_all_told_at_once() -> None:
    text = "a: &x 1\nb: *x\nc: !!python/object/apply:os.system ['id']\nd: 1\nd: 2\ne:\n  <<: {f: 1}\ng: !!str 5\n"
    assert [line for line, _ in lines_of(text)] == [1, 2, 3, 5, 7, 8]


def test_words_are_read_as_yaml_1_2_has_them() -> None:
    assert yaml_in.read(b"[no, yes, on, 012, 1_0, 0x1F, 2026-11-28, 12:30, .inf, 1e5]").value == [
        "no", "yes", "on", "012", "1_0", "0x1F", "2026-11-28", "12:30", ".inf", "1e5"
    ]  # fmt: skip
    assert yaml_in.read(b"[true, null, ~, 5, -1.5, '5']").value == [True, None, None, 5, -1.5, "5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 21 + "]" * 21, "Nested deeper than 20"),
        ("[" * 100_000, "Nested deeper than 20"),
        ("a: 1\n---\nb: 2\n", "one document"),
        ("? [a, b]\n: c\n", "A key is a text"),
        ("{? {a: b} : c}", "A key is a text"),
        ("a: 1" + "0" * 100, "too long"),
        ("a: 1.5e999", "too large"),
        ("- " + "x" * (4 * 1024 * 1024), "larger than 4 MB"),
        ("a: [1, 2", "Did not find expected"),
        ('"a\\0b": 1', "NUL"),
        ('a: ["\\0"]', "NUL"),
    ],
)
def test_what_is_too_much_is_refused(text: str, said: str) -> None:
    assert any(said.lower() in detail.lower() for _, detail in lines_of(text))


def test_a_billion_laughs_and_masses_of_values_cost_no_time() -> None:
    laughs = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    started = time.monotonic()
    assert lines_of(laughs)
    assert "more than 200,000 values" in lines_of("[" + "1," * 300_000 + "]")[0][1]
    assert time.monotonic() - started < 10


def test_bytes_that_are_no_utf_8_are_told_with_their_line() -> None:
    with pytest.raises(yaml_in.FileError) as refused:
        yaml_in.read(b"a: 1\nb: \xff\n")
    assert [fault.line for fault in refused.value.faults] == [2]
