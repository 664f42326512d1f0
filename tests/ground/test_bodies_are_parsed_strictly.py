"""The JSON parser: what it refuses, where it says the fault is, and that no bytes can break it."""

import contextlib
import io
import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.api import json_body
from accounts.api.json_body import BodyTooLargeError, MalformedBodyError
from cms_project.parsers import StrictJSONParser

REFUSED = [
    (b"", "not-json", ""),
    (b"{", "not-json", ""),
    (b'{"a": 1,}', "not-json", ""),
    (b"{'a': 1}", "not-json", ""),
    (b'\xef\xbb\xbf{"a": 1}', "not-json", ""),
    (b'{"a": "\xff"}', "not-utf-8", ""),
    (b'{"a": "\xed\xa0\x80"}', "not-utf-8", ""),
    (b'{"a": "\x00"}', "not-json", ""),
    (b'{"a": NaN}', "not-a-number", ""),
    (b'{"a": -Infinity}', "not-a-number", ""),
    (b'{"a": 1e999}', "number-too-large", ""),
    (b'{"a": ' + b"9" * 65 + b"}", "number-too-large", ""),
    (b'{"a": 0.' + b"1" * 65 + b"}", "number-too-large", ""),
    (b'{"a": 1, "a": 2}', "repeated-key", "/a"),
    (b'{"x": [0, {"k/y": 1, "k\\/y": 2}]}', "repeated-key", "/x/1/k~1y"),
    (b'{"a": ["ok", "\\u0000"]}', "bad-character", "/a/1"),
    (b'{"a": {"b": "\\ud800"}}', "bad-character", "/a/b"),
    (b'{"\\udc00": 1}', "bad-character", "/?"),
    (b"[" * 33 + b"]" * 33, "too-deep", ""),
    (b'{"a":' * 100_000, "too-deep", ""),
    (b"[" + b"{}," * 20_000 + b"{}]", "too-many-values", ""),
]


@pytest.mark.parametrize(("body", "code", "pointer"), REFUSED)
def test_a_malformed_body_is_refused_with_its_place(body: bytes, code: str, pointer: str) -> None:
    with pytest.raises(MalformedBodyError) as caught:
        json_body.loads(body)
    assert caught.value.problem.code == code
    assert caught.value.problem.pointer == pointer


def test_brackets_inside_strings_are_not_depth() -> None:
    body = json.dumps({"a": "[{" * 500, "b": '"\\"[['}).encode()
    assert json_body.loads(body)["a"] == "[{" * 500


def test_a_paired_surrogate_escape_is_one_character() -> None:
    assert json_body.loads(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_the_deepest_allowed_value_is_allowed() -> None:
    json_body.loads(b"[" * 32 + b"]" * 32)


def test_a_text_that_never_ends_hides_no_brackets_before_it() -> None:
    with pytest.raises(MalformedBodyError) as caught:
        json_body.loads(b"[" * 33 + b'"[' * 3)
    assert caught.value.problem.code == "too-deep"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(value=json_values, escaped=st.booleans())
def test_every_proper_value_comes_through_unchanged(value: Any, *, escaped: bool) -> None:
    assert json_body.loads(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    try:
        value = json_body.loads(body)
    except MalformedBodyError:
        return
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


@given(st.text('{}[]",:\\u0d8f1ea NI-.', max_size=60))
def test_no_almost_json_raises_anything_else(text: str) -> None:
    try:
        value = json_body.loads(text.encode())
    except MalformedBodyError:
        return
    assert not (isinstance(value, float) and math.isnan(value))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500_000 + b"]" * 500_000,
        b'{"a":"' + b"\\" * 1_000_000,
        b'"' * 1_000_000,
        b'"' + b'\\"' * 500_000,
        b'{"a":[' + b"{}," * 300_000 + b"{}]}",
        b"9" * 1_000_000,
        b"[" + b"0," * 500_000 + b"0]",
        b"{" + b",".join(b'"%d":0' % number for number in range(100_000)) + b"}",
        b"{" + b",".join(b'"%d":0' % number for number in range(100_000)) + b',"99999":0}',
    ],
)
def test_a_full_sized_hostile_body_is_answered_quickly(body: bytes) -> None:
    started = time.process_time()
    with contextlib.suppress(MalformedBodyError):
        json_body.loads(body)
    assert time.process_time() - started < 1.0


class View:
    """What the parser asks a view about."""

    max_body_bytes = 100


class ArrayView(View):
    takes_array = True


def parse(body: bytes, view: object, media_type: str = "application/json") -> Any:
    request = Request(APIRequestFactory().post("/", data=body, content_type=media_type))
    return StrictJSONParser().parse(io.BytesIO(body), media_type, {"view": view, "request": request})


def test_an_array_is_taken_only_where_a_view_wants_one() -> None:
    assert parse(b"[1]", ArrayView()) == [1]
    for body in (b"[1]", b"1", b'"x"', b"null"):
        with pytest.raises(MalformedBodyError) as caught:
            parse(body, View())
        assert caught.value.problem.code == "not-an-object"
    with pytest.raises(MalformedBodyError):
        parse(b"1", ArrayView())


def test_a_body_over_the_limit_is_refused_unparsed() -> None:
    assert parse(b'{"a": "' + b"x" * 80 + b'"}', View())
    with pytest.raises(BodyTooLargeError):
        parse(b"{" + b" " * 100, View())


def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    class Unreadable:
        def read(self, _: int) -> bytes:
            raise AssertionError("nothing should be read")

    request = Request(APIRequestFactory().post("/", data=b"x" * 200, content_type="application/json"))
    parser: Any = StrictJSONParser()
    with pytest.raises(BodyTooLargeError):
        parser.parse(Unreadable(), "application/json", {"view": View(), "request": request})


def test_another_charset_is_refused() -> None:
    assert parse(b"{}", View(), 'application/json; charset="UTF-8"') == {}
    with pytest.raises(MalformedBodyError):
        parse('{"a": "é"}'.encode("latin-1"), View(), "application/json; charset=latin-1")
