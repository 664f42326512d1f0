"""Passwords: long rather than odd, known ones refused, every spelling the same, and never cut (NIST SP 800-63B-4)."""

import threading
import time
import unicodedata
from typing import Literal

import pytest
from django.contrib.auth.hashers import identify_hasher
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import people
from accounts.errors import InvalidInputError, UnavailableError
from accounts.models import User
from accounts.sign_in import passwords
from tests.accounts.cast import BUILDER, PASSWORD, Api, Person, make_person, make_role

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def problems(person: Person, password: str) -> list[str]:
    try:
        people.set_password(person.user, password, by=person.principal)
    except InvalidInputError as error:
        return [problem.detail for problem in error.errors]
    return []


def test_fifteen_characters_stand_alone_and_eight_with_a_second_factor(rita: Person, ada: Person) -> None:
    assert problems(rita, "vorsichtig wie") == ["At least 15 characters; this has 14."]
    assert problems(rita, "vorsichtig wie1") == []
    assert problems(ada, "kmqzwtv") == ["At least 8 characters; this has 7."]
    assert problems(ada, "kmqzwtvy") == []


def test_who_must_have_a_second_factor_may_choose_a_short_one(ada: Person, rita: Person) -> None:
    people.change_user(rita.user, roles=[make_role("editor", require_second_factor=True).key], by=BUILDER)
    assert problems(rita, "kmqzwtvy") == []


def test_a_short_password_never_stands_alone_later(ada: Person, anonymous: Api) -> None:
    """The role that asked for more is gone, and the password is still short."""
    make_role("editor", require_second_factor=True)
    edith = make_person("edith@example.com", roles=["editor"])
    people.set_password(edith.user, "kmqzwtvy", by=edith.principal)
    people.change_user(edith.user, roles=[], by=BUILDER)
    answer = anonymous.post("auth/login", {"email": edith.email, "password": "kmqzwtvy"})
    assert (answer.status_code, answer.json()["code"]) == (401, "second-factor-enrolment-required")


@pytest.mark.parametrize("length", [15, 64, 73, 256, 1000])
def test_every_character_counts(rita: Person, anonymous: Api, length: int) -> None:
    text = ("Ein sehr langer Satz über Ölgötzen und 漢字 " * 30)[: length - 1]
    people.set_password(rita.user, text + "x", by=rita.principal)
    assert anonymous.post("auth/login", {"email": rita.email, "password": text + "x"}).status_code == 200
    for other in (text, text + "y", text + "xx", text + "X"):
        assert anonymous.post("auth/login", {"email": rita.email, "password": other}).status_code == 401


@pytest.mark.parametrize("chosen", ["NFC", "NFD", "NFKC"])
@pytest.mark.parametrize("typed", ["NFC", "NFD", "NFKD"])
def test_a_password_is_the_same_on_every_keyboard(
    rita: Person, anonymous: Api, chosen: Form, typed: Form
) -> None:
    text = "pässwörd 漢字 ﬁnden ½"
    people.set_password(rita.user, unicodedata.normalize(chosen, text), by=rita.principal)
    sent = unicodedata.normalize(typed, text)
    assert anonymous.post("auth/login", {"email": rita.email, "password": sent}).status_code == 200


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("password1", "everybody tries first"),
        ("qwertyuiop", "everybody tries first"),
        ("aaaaaaaaaaaaaaaa", "easily guessed"),
        ("1234567890123456", "easily guessed"),
        ("quillkeep2026", "belong to you or to this place"),
        ("ada@example.com", "belong to you or to this place"),
        ("Quillkeep-!!", "belong to you or to this place"),
        ("quillkeep-example1", "belong to you or to this place"),  # of one each, more than four are left
    ],
)
def test_what_strangers_try_first_is_refused_and_it_is_said_why(
    ada: Person, password: str, said: str
) -> None:
    before = User.objects.get(pk=ada.user.pk).password
    (problem,) = problems(ada, password)
    assert said in problem
    assert User.objects.get(pk=ada.user.pk).password == before


@pytest.mark.parametrize("password", ["only small letters here", "         spaces      ", "ÄÖÜ ß ñ ç ø å æ œ", "🦔🦊🐌🪶🌵🧊🫖🪴"])  # fmt: skip
def test_no_kind_of_character_is_asked_for_or_refused(ada: Person, password: str) -> None:
    assert problems(ada, password) == []


def test_endless_passwords_are_refused_before_anything_looks_at_them(rita: Person) -> None:
    started = time.perf_counter()
    assert problems(rita, "x" * 4097) == ["At most 4096 bytes."]
    assert problems(rita, "é" * 100_000) == ["At most 4096 bytes."]
    assert time.perf_counter() - started < 0.5


@settings(max_examples=60)
@given(st.text(max_size=300))
def test_any_text_can_be_estimated(text: str) -> None:
    found = passwords.estimate(text, about=[text, "ada@example.com"])
    assert 0 <= found.score <= 4


def test_hashes_are_argon2id(rita: Person) -> None:
    stored = User.objects.get(pk=rita.user.pk).password
    assert identify_hasher(stored).algorithm == "argon2"
    assert stored.startswith("argon2$argon2id$")


def test_a_rush_of_hashes_is_cut_off_and_none_runs_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, refused = [0], [0], [0]
    gate = threading.Event()

    def slow() -> None:
        try:
            with passwords._turn():
                running[0] += 1
                most[0] = max(most[0], running[0])
                gate.wait(5)
                running[0] -= 1
        except UnavailableError:
            refused[0] += 1

    threads = [threading.Thread(target=slow) for _ in range(10)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 5
    while refused[0] < 6 and time.monotonic() < deadline:
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert (most[0], refused[0]) == (1, 6)


def test_a_change_ends_every_token_and_session(rita: Person) -> None:
    api = rita.sign_in()
    people.set_password(rita.user, PASSWORD + " and more", by=rita.principal)
    assert api.get("auth/me").status_code == 401
    assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401
