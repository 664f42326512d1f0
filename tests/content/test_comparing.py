"""Blocks between two versions: what stayed, moved, changed, came and went."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content import diffing
from content.schema import current
from content.writing import Writing
from tests.builders import ROOT, make_collection

pytestmark = pytest.mark.django_db


@pytest.fixture
def blocks() -> SimpleNamespace:
    quote = make_collection("quote", [{"key": "words", "type": "text"}], kind="component", name="Quote")
    rule = make_collection("rule", [{"key": "words", "type": "text"}], kind="component", name="Rule")
    field = {"key": "blocks", "type": "blocks", "options": {"components": ["quote", "rule"]}}
    spec = make_collection("pages", [field]).fields[0]
    writing = Writing(current(), current().by_key["pages"], ROOT)

    def of(kind: str, words: str) -> dict[str, Any]:
        made = {"quote": quote, "rule": rule}[kind]
        return {"_component": str(made.id), str(made.fields[0].id): words}

    return SimpleNamespace(of=of, spec=spec, writing=writing)


def told(
    blocks: SimpleNamespace, one: list[Any], other: list[Any]
) -> list[tuple[str, str, int | None, int | None]]:
    found = diffing.parts(one, other, blocks.spec, blocks.writing)
    return [(part.component, part.change, part.before, part.after) for part in found]


def test_each_block_says_what_became_of_it(blocks: SimpleNamespace) -> None:
    a, b, c = (blocks.of("quote", words) for words in "abc")
    rule = blocks.of("rule", "---")
    assert told(blocks, [a, b, c], [c, a, b]) == [
        ("Quote", "moved", 3, 1), ("Quote", "same", 1, 2), ("Quote", "same", 2, 3),
    ]  # fmt: skip
    assert told(blocks, [a, b], [a, rule, b]) == [
        ("Quote", "same", 1, 1), ("Rule", "added", None, 2), ("Quote", "same", 2, 3),
    ]  # fmt: skip
    assert told(blocks, [a, rule], [blocks.of("quote", "a and more")]) == [
        ("Quote", "changed", 1, 1), ("Rule", "removed", 2, None),
    ]  # fmt: skip
    changed = diffing.parts([a], [blocks.of("quote", "a and more")], blocks.spec, blocks.writing)[0]
    assert ("+", " and more") in changed.words
    assert ("=", "Words: a") in changed.words


def test_five_hundred_blocks_are_compared_at_once(blocks: SimpleNamespace) -> None:
    many = [blocks.of("quote", f"words {number}") for number in range(500)]
    began = time.process_time()
    found = diffing.parts(many, many[::-1], blocks.spec, blocks.writing)
    assert time.process_time() - began < 10  # far from it: what is quadratic would take minutes
    assert sum(part.change == "moved" for part in found) == 499


@given(one=st.text(max_size=200), other=st.text(max_size=200))
def test_the_runs_of_words_give_both_sides(one: str, other: str) -> None:
    runs = diffing.compare(one, other)
    assert "".join(text for op, text in runs if op != "+") == one
    assert "".join(text for op, text in runs if op != "-") == other


@given(places=st.permutations(range(12)))
def test_what_has_not_moved_is_in_order_and_nothing_alone_has_moved(places: list[int]) -> None:
    stayed = diffing._longest_rising(list(places))
    kept = [place for place in places if place in stayed]
    assert kept == sorted(kept)
    assert (len(kept) == 12) is (list(places) == sorted(places))
