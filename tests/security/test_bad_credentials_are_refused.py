"""Whatever is sent as a credential and is none: the same 401 at every path of the API, at once, and no word of it kept.

`BAD` is where further kinds of credential add theirs.
"""

import logging
import string
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from accounts.api_keys import KeyText, parse
from accounts.errors import NotAuthenticatedError
from tests.builders import anonymous, make_key, make_role
from tests.security.paths import UNKNOWN, api_paths
from tests.security.world import Unchanged, assert_problem

pytestmark = pytest.mark.django_db
LONGEST_MS = 250  # on a busy machine; the middle one of a path's answers takes 5


@dataclass(frozen=True)
class Good:
    """A key that works, and another one's parts to mix it with."""

    text: str
    other: str

    @property
    def parts(self) -> KeyText:
        return parse(self.text)


def _with_secret(good: Good, secret: str) -> str:
    return str(KeyText(good.parts.environment, good.parts.public_id, secret))


# What is sent → the header. Each is refused for a reason of its own.
BAD: dict[str, Callable[[Good], str]] = {
    "no scheme": lambda good: good.text,
    "another scheme": lambda good: f"Basic {good.text}",
    "nothing after the scheme": lambda _: "Bearer ",
    "two credentials": lambda good: f"Bearer {good.text} {good.text}",
    "two with a comma": lambda good: f"Bearer {good.text}, Bearer {good.other}",
    "a space before it": lambda good: f"Bearer  {good.text}",
    "a tab for the space": lambda good: f"Bearer\t{good.text}",
    "cut off": lambda good: f"Bearer {good.text[:-1]}",
    "one letter more": lambda good: f"Bearer {good.text}0",
    "only the prefix": lambda _: "Bearer qk_",
    "upper case": lambda good: f"Bearer {good.text.upper()}",
    "a wrong checksum": lambda good: f"Bearer {good.text[:-6]}000000",
    "another secret": lambda good: f"Bearer {_with_secret(good, 'a' * 43)}",
    "the secret of another key": lambda good: f"Bearer {_with_secret(good, parse(good.other).secret)}",
    "an unknown public id": lambda good: (
        f"Bearer {KeyText(good.parts.environment, 'a' * 12, good.parts.secret)}"
    ),
    "of another environment": lambda good: (
        f"Bearer {KeyText('production', good.parts.public_id, good.parts.secret)}"
    ),
    "very long": lambda good: f"Bearer {good.text}{'a' * 7000}",
    "letters of other scripts": lambda good: f"Bearer {good.text[:-1]}\u0430",
    "digits of other scripts": lambda good: f"Bearer {good.text[:-1]}\u0663",
    "an injection": lambda _: "Bearer qk_development_' OR 1=1 --_x",
    "a null byte, escaped": lambda good: f"Bearer {good.text[:-4]}%00aa",
    "JSON": lambda good: f'Bearer {{"key": "{good.text}"}}',
    "a number": lambda _: "Bearer 0",
    "only blanks": lambda _: "   ",
    "empty": lambda _: "",
}
# The body is what is signed in with there, and headers are not looked at.
OPEN_DOORS = {"/api/v1/auth/login", "/api/v1/auth/refresh"}


@pytest.fixture
def good() -> Good:
    make_role("idle")
    return Good(make_key(role="idle").key, make_key(role="idle").key)


@pytest.mark.parametrize("kind", BAD)
def test_it_is_a_401_everywhere_and_changes_nothing(
    kind: str, good: Good, caplog: pytest.LogCaptureFixture
) -> None:
    header = BAD[kind](good)
    api, slow = anonymous(), []
    caplog.set_level(logging.DEBUG)
    with Unchanged(kind):
        for method, path in api_paths():
            if path in OPEN_DOORS:
                continue
            body = {} if method in ("POST", "PATCH") else None
            started = time.perf_counter()
            answer = api.request(method, path, body, Authorization=header)
            if (time.perf_counter() - started) * 1000 > LONGEST_MS:
                slow.append(path)
            problem = assert_problem(answer, 401)
            assert answer["WWW-Authenticate"].startswith('Bearer realm="quillkeep"'), path
            assert problem["code"] == "not-authenticated", path
            for secret in (parse(good.text).secret, parse(good.other).secret):
                assert secret not in answer.content.decode(), path
    assert len(slow) <= 2, slow  # another process may have had the processor
    for text in (good.text, good.other):
        assert parse(text).secret not in caplog.text
        assert parse(text).secret[:12] not in caplog.text


@pytest.mark.parametrize("kind", BAD)
def test_it_asks_the_database_once_at_most(kind: str, good: Good) -> None:
    header = BAD[kind](good)
    for path, alias in (("/api/v1/content/articles", "delivery"), ("/api/v1/auth/me", "default")):
        with CaptureQueriesContext(connections[alias]) as asked:
            assert_problem(anonymous().get(path, Authorization=header), 401)
        assert len(asked) <= 1


def test_where_there_is_nothing_a_bad_credential_finds_nothing(good: Good) -> None:
    for method, path in UNKNOWN:
        body = {} if method == "POST" else None
        assert_problem(anonymous().request(method, path, body, Authorization=f"Bearer {good.text}0"), 404)


def test_a_good_one_works_beside_them(good: Good) -> None:
    assert anonymous().get("/api/v1/auth/me", Authorization=f"Bearer {good.text}").status_code == 200
    assert anonymous().get("/api/v1/auth/me", Authorization=f"bearer {good.text}").status_code == 200


@given(
    st.text(max_size=300) | st.text(alphabet="qkdevlopmnt_0aZ", max_size=120).map(lambda text: f"qk_{text}")
)
def test_whatever_is_taken_for_a_key_is_one(text: str) -> None:
    """No text breaks the parser, and what it takes is written as it was read."""
    try:
        found = parse(text)
    except NotAuthenticatedError:
        return
    assert str(found) == text


@given(st.text(alphabet=string.ascii_letters + string.digits, min_size=43, max_size=43), st.integers(0, 73))
def test_one_wrong_letter_is_found_without_asking_the_database(secret: str, place: int) -> None:
    text = str(KeyText("development", "a" * 12, secret))
    assert parse(text).secret == secret
    spot = min(place, len(text) - 1)
    spoilt = text[:spot] + ("0" if text[spot] != "0" else "1") + text[spot + 1 :]
    with pytest.raises(NotAuthenticatedError):
        parse(spoilt)
