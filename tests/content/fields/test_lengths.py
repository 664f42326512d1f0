"""Lengths count what readers count, and nothing grows without end."""

import pytest

from content.fields import REGISTRY, FieldError
from content.fields.strings import characters, longest
from tests.content.fields.world import World, make_field

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
COUNTED: list[tuple[str, int]] = [
    ("hello", 5),
    (FAMILY, 1),
    ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 2),
    ("\U0001f44d\U0001f3fd", 1),
    ("e\u0301a", 2),
    ("q\u0323\u0307", 1),
    ("क्षि", 1),
    ("हिन्दी", 2),
    ("a\u200fb", 2),
    ("שלום\u200f", 4),
    ("각", 1),
    ("a\nb", 3),
    ("a\r\nb", 3),
    ("❤\ufe0f", 1),
    ("", 0),
]


@pytest.mark.parametrize(("text", "count"), COUNTED)
def test_characters_are_counted_as_readers_do(text: str, count: int) -> None:
    assert characters(text) == count


@pytest.mark.parametrize("kind", ["text", "long_text", "markdown", "rich_text"])
def test_a_limit_is_of_characters_and_bounded_in_code_points(kind: str) -> None:
    field, field_type = make_field(kind, options={"max_length": 3}), REGISTRY[kind]
    markup = kind == "rich_text"

    def clean(text: str) -> object:
        return field_type.clean(f"<p>{text}</p>" if markup else text, field, World())

    assert clean(FAMILY * 3) is not None
    for refused in (FAMILY * 4, "abcd", "a" + "\u0301" * 16 + "b" + "\u0301" * 16 + "c" + "\u0301" * 16):
        with pytest.raises(FieldError) as caught:
            clean(refused)
        assert caught.value.problems[0].code == "too-long"


@pytest.mark.parametrize("kind", ["text", "long_text"])
def test_a_minimum_counts_the_same_and_the_schema_stays_true(kind: str) -> None:
    field, field_type = make_field(kind, options={"min_length": 2, "max_length": 20}), REGISTRY[kind]
    with pytest.raises(FieldError) as caught:
        field_type.clean(FAMILY, field, World())
    assert caught.value.problems[0].code == "too-short"
    kept = field_type.clean(FAMILY * 20, field, World())
    assert isinstance(kept, str)
    assert len(kept) <= field_type.json_schema(field, World())["maxLength"]


def test_a_line_never_takes_more_room_than_an_index_has() -> None:
    field = make_field("text", options={"max_length": 500})
    assert REGISTRY["text"].clean("\U0001f600" * 500, field, World()) is not None
    with pytest.raises(FieldError) as caught:
        REGISTRY["text"].clean(FAMILY * 200, field, World())
    assert caught.value.problems[0].code == "too-long"
    assert longest(500, room=2_000) == 2_000


@pytest.mark.parametrize(
    "text", ["x" * 2_000_000, FAMILY * 290_000, "a\u200f" * 1_000_000, "e\u0301" * 1_000_000]
)
def test_megabytes_are_refused_in_each_field_before_they_take_long(text: str) -> None:
    for kind in (
        "text",
        "long_text",
        "slug",
        "email",
        "url",
        "choice",
        "color",
        "date",
        "datetime",
        "decimal",
    ):
        with pytest.raises(FieldError):
            REGISTRY[kind].clean(text, make_field(kind), World())
    for kind in ("integer", "boolean", "json"):
        with pytest.raises(FieldError):
            REGISTRY[kind].from_form(text, make_field(kind), World())
