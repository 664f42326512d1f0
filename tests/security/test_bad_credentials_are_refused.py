"""Whatever is sent as a credential and is none: the same 401 at every path of the API, at once, and no word of it kept.

`BAD` is where further kinds of credential add theirs.
"""

import logging
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import jwt
import pytest
from django.conf import settings
from django.db import connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from accounts.errors import NotAuthenticatedError
from accounts.keys.api_keys import KeyText, parse
from accounts.sign_in import links
from accounts.sign_in.links import Purpose
from tests.accounts.cast import make_person
from tests.builders import anonymous, make_key, make_role
from tests.security.paths import UNKNOWN, api_paths
from tests.security.world import Unchanged, assert_problem

pytestmark = pytest.mark.django_db
LONGEST_MS = 250  # on a busy machine; the middle one of a path's answers takes 5


@dataclass(frozen=True)
class Good:
    """A key that works, another one's parts to mix it with, and the tokens of somebody who is signed in."""

    text: str
    other: str
    access: str
    refresh: str
    ended: str  # an access token whose session was ended
    link: str  # of a mail

    @property
    def parts(self) -> KeyText:
        return parse(self.text)


def _with_secret(good: Good, secret: str) -> str:
    return str(KeyText(good.parts.environment, good.parts.public_id, secret))


def _mixed(one: str, other: str) -> str:
    head, _, signature = one.split(".")
    return ".".join([head, other.split(".")[1], signature])


def _foreign(algorithm: str) -> str:
    headers = {"typ": "at+jwt", "kid": "k1"}
    claims = {
        "iss": f"{settings.PUBLIC_URL}#development",
        "aud": "quillkeep:development:api",
        "sub": str(UUID(int=1)),
        "tv": 0,
    }
    key = "x" * 32 if algorithm != "none" else None
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


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
    "a refresh token": lambda good: f"Bearer {good.refresh}",
    "an access token of an ended session": lambda good: f"Bearer {good.ended}",
    "an access token that is cut off": lambda good: f"Bearer {good.access[:-1]}",
    "an access token with more behind it": lambda good: f"Bearer {good.access}.{good.access.split('.')[2]}",
    "the signature of another token": lambda good: (
        f"Bearer {good.access.rpartition('.')[0]}.{good.refresh.rpartition('.')[2]}"
    ),
    "the claims of another token": lambda good: f"Bearer {_mixed(good.access, good.refresh)}",
    "no signature": lambda good: f"Bearer {good.access.rpartition('.')[0]}.",
    "a token of nobody's": lambda _: f"Bearer {_foreign('HS256')}",
    "a token without an algorithm": lambda _: f"Bearer {_foreign('none')}",
    "the link of a mail": lambda good: f"Bearer {good.link}",
    "only blanks": lambda _: "   ",
    "empty": lambda _: "",
}
# The body is what is signed in with there, and headers are not looked at.
OPEN_DOORS = {"/api/v1/auth/login", "/api/v1/auth/refresh"}


@pytest.fixture
def good() -> Good:
    make_role("idle")
    person = make_person("somebody@example.com")
    mine, other = person.sign_in(), person.sign_in()
    other.post("auth/logout")
    return Good(
        text=make_key(role="idle").key,
        other=make_key(role="idle").key,
        access=mine.credential,
        refresh=mine.refresh,
        ended=other.credential,
        link=links.make_token(person.user, Purpose.RESET),
    )


@pytest.mark.parametrize("kind", BAD)
def test_it_is_a_401_everywhere_and_changes_nothing(
    kind: str, good: Good, caplog: pytest.LogCaptureFixture
) -> None:
    header = BAD[kind](good)
    api, slow = anonymous(), []
    caplog.set_level(logging.DEBUG)
    paths = [(method, path) for method, path in api_paths() if path not in OPEN_DOORS]
    # Of previews it is written down that a token was refused, and why.
    noted = [path for _, path in paths if path.startswith("/api/v1/preview/")]
    assert len(noted) == 1
    with Unchanged(kind, but=("accounts_event", "accounts_unsealed")):
        assert_problem(api.get(noted[0], Authorization=header), 401)
    with Unchanged(kind):
        for method, path in paths:
            if path in noted:
                continue
            body = {} if method in ("POST", "PATCH") else None
            started = time.perf_counter()
            answer = api.request(method, path, body, Authorization=header)
            if (time.perf_counter() - started) * 1000 > LONGEST_MS:
                slow.append(path)
            problem = assert_problem(answer, 401)
            assert answer["WWW-Authenticate"].startswith('Bearer realm="quillkeep"'), path
            assert problem["code"] == (
                "other-environment" if kind == "of another environment" else "not-authenticated"
            ), path
            for secret in (parse(good.text).secret, parse(good.other).secret):
                assert secret not in answer.content.decode(), path
    assert len(slow) <= 2, slow  # another process may have had the processor
    for text in (good.text, good.other):
        assert parse(text).secret not in caplog.text
        assert parse(text).secret[:12] not in caplog.text
    for text in (good.access, good.refresh, good.ended, good.link):
        assert text.rpartition(".")[2] not in caplog.text


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
    assert anonymous().get("/api/v1/auth/me", Authorization=f"Bearer {good.access}").status_code == 200


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
