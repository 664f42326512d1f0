"""Conditions of fields: what may be asked, what is refused with its place, and when a field is asked for."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from content.conditions import Condition, ConditionError, asked_for


@dataclass
class Sibling:
    id: UUID
    key: str
    condition: Condition | None = None


KIND, VIDEO, CAPTION = Sibling(uuid4(), "kind"), Sibling(uuid4(), "video"), Sibling(uuid4(), "caption")
SIBLINGS = [KIND, VIDEO, CAPTION]


def parse(raw: object, of: Sibling = VIDEO, siblings: list[Sibling] = SIBLINGS) -> Condition:
    return Condition.parse(raw, of=of.id, siblings=siblings)


@pytest.mark.parametrize(
    ("operator", "value", "actual", "holds"),
    [
        ("eq", "video", "video", True),
        ("eq", "video", "text", False),
        ("eq", "video", None, False),
        ("eq", "a", ["b", "a"], True),
        ("eq", 1, True, False),
        ("eq", True, 1, False),
        ("eq", True, True, True),
        ("ne", "video", "text", True),
        ("ne", "video", "video", False),
        ("ne", "video", None, True),
        ("ne", "a", ["b", "a"], False),
        ("in", ["a", "b"], "b", True),
        ("in", ["a", "b"], "c", False),
        ("in", ["a"], ["a", "c"], True),
        ("exists", True, "", True),
        ("exists", True, None, False),
        ("exists", False, None, True),
        ("exists", False, 0, False),
    ],
)
def test_a_condition_holds_when_it_should(operator, value, actual, holds):
    condition = parse({"field": "kind", "operator": operator, "value": value})
    assert condition.holds({str(KIND.id): actual}) is holds
    assert Condition.load(condition.as_json()) == condition
    assert condition.shown(SIBLINGS) == {"field": "kind", "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ("x", ""),
        ({"field": "kind", "operator": "eq", "value": 1, "x": 1}, "/x"),
        ({"operator": "eq", "value": 1}, "/field"),
        ({"field": "nope", "operator": "eq", "value": 1}, "/field"),
        ({"field": ["kind"], "operator": "eq", "value": 1}, "/field"),
        ({"field": "video", "operator": "eq", "value": 1}, "/field"),
        ({"field": "kind", "operator": "gt", "value": 1}, "/operator"),
        ({"field": "kind", "operator": ["eq"], "value": 1}, "/operator"),
        ({"field": "kind", "operator": "eq"}, "/value"),
        ({"field": "kind", "operator": "eq", "value": [1]}, "/value"),
        ({"field": "kind", "operator": "eq", "value": "a\x00"}, "/value"),
        ({"field": "kind", "operator": "eq", "value": 10**400}, "/value"),
        ({"field": "kind", "operator": "eq", "value": float("nan")}, "/value"),
        ({"field": "kind", "operator": "in", "value": []}, "/value"),
        ({"field": "kind", "operator": "in", "value": ["a", {}]}, "/value/1"),
        ({"field": "kind", "operator": "in", "value": ["a"] * 51}, "/value"),
        ({"field": "kind", "operator": "exists", "value": 1}, "/value"),
    ],
)
def test_nonsense_is_refused_with_its_place(raw, pointer):
    with pytest.raises(ConditionError) as caught:
        parse(raw)
    assert [problem.pointer for problem in caught.value.problems] == [pointer]


def test_a_circle_is_refused_however_long_it_is():
    first = parse({"field": "caption", "operator": "exists", "value": True}, of=VIDEO)
    second = parse({"field": "kind", "operator": "exists", "value": True}, of=CAPTION)
    siblings = [KIND, Sibling(VIDEO.id, "video", first), Sibling(CAPTION.id, "caption", second)]
    with pytest.raises(ConditionError) as caught:
        parse({"field": "video", "operator": "exists", "value": True}, of=KIND, siblings=siblings)
    assert caught.value.problems[0].code == "circular"


def test_a_field_that_hangs_on_one_that_is_not_asked_for_is_not_asked_for_either():
    video = Sibling(VIDEO.id, "video", parse({"field": "kind", "operator": "eq", "value": "video"}))
    caption = Sibling(
        CAPTION.id, "caption", parse({"field": "video", "operator": "exists", "value": True}, of=CAPTION)
    )
    fields = [KIND, video, caption]
    values: dict[str, Any] = {str(VIDEO.id): "x", str(KIND.id): "video"}
    assert asked_for(fields, values) == {KIND.id, VIDEO.id, CAPTION.id}
    assert asked_for(fields, {**values, str(KIND.id): "text"}) == {KIND.id}


def test_a_circle_that_got_in_all_the_same_ends():
    one = Sibling(
        VIDEO.id, "video", Condition.load({"field": str(CAPTION.id), "operator": "exists", "value": True})
    )
    other = Sibling(
        CAPTION.id, "caption", Condition.load({"field": str(VIDEO.id), "operator": "exists", "value": True})
    )
    assert isinstance(asked_for([one, other], {}), set)


@given(
    raw=st.recursive(
        st.none() | st.text() | st.integers() | st.floats(),
        lambda s: st.lists(s) | st.dictionaries(st.text(), s),
    )
)
def test_no_input_raises_anything_else(raw):
    for value in (
        raw,
        {"field": "kind", "operator": "eq", "value": raw},
        {"field": raw},
        {"field": "kind", "operator": raw},
    ):
        with suppress(ConditionError):
            parse(value)
