"""Who guesses is stopped: by account, by address, by both; who only wants to lock somebody out gains nothing."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import Authenticator, Event
from accounts.sign_in import lockout
from tests.accounts.cast import PASSWORD, Api, Person, make_person, make_role

LOGIN = "/admin/login/"


def attempt(api: Api, email: str, password: str = "wrong", address: str = "192.0.2.1") -> Any:
    api.client.defaults["REMOTE_ADDR"] = address
    return api.post("auth/login", {"email": email, "password": password})


def without_instance(answer: Any) -> tuple[int, dict[str, Any], dict[str, str]]:
    headers = {
        name: value for name, value in answer.headers.items() if name not in ("X-Request-ID", "RateLimit")
    }
    return answer.status_code, {**answer.json(), "instance": ""}, headers


@pytest.fixture(autouse=True)
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let these tests ask as often as they want: the limit by minute is another test's."""
    monkeypatch.setattr("accounts.limits.SignInThrottle.allow_request", lambda *_: True)


def test_ten_failures_from_one_address_lock_the_account_there_and_not_elsewhere(
    rita: Person, anonymous: Api
) -> None:
    for _ in range(10):
        assert attempt(anonymous, rita.email).status_code == 401
    assert attempt(anonymous, rita.email, PASSWORD).status_code == 401
    assert Event.objects.filter(type=lockout.LOCKED_OUT).exists()
    assert attempt(anonymous, rita.email, PASSWORD, "198.51.100.7").status_code == 200
    other = make_person("other@example.com")
    assert attempt(anonymous, other.email, PASSWORD).status_code == 200


def test_fifty_failures_from_anywhere_lock_the_account(rita: Person, anonymous: Api) -> None:
    for number in range(50):
        attempt(anonymous, rita.email, address=f"192.0.2.{number}")
    assert attempt(anonymous, rita.email, PASSWORD, "198.51.100.7").status_code == 401
    with time_machine.travel(timezone.now() + timedelta(minutes=15, seconds=30)):
        assert attempt(anonymous, rita.email, PASSWORD, "198.51.100.7").status_code == 200


def test_fifty_failures_of_anybody_lock_the_address(rita: Person, anonymous: Api) -> None:
    for number in range(50):
        attempt(anonymous, f"nobody{number}@example.com")
    assert attempt(anonymous, rita.email, PASSWORD).status_code == 401
    assert attempt(anonymous, rita.email, PASSWORD, "198.51.100.7").status_code == 200


def test_who_holds_a_whole_network_gains_nothing_by_it(rita: Person, anonymous: Api) -> None:
    for number in range(10):
        attempt(anonymous, rita.email, address=f"2001:db8::{number + 1}")
    assert attempt(anonymous, rita.email, PASSWORD, "2001:db8::ffff").status_code == 401
    assert attempt(anonymous, rita.email, PASSWORD, "2001:db8:0:1::1").status_code == 200


def test_a_lock_ends_however_often_it_is_tried(rita: Person, anonymous: Api) -> None:
    start = timezone.now()
    with time_machine.travel(start) as clock:
        for _ in range(10):
            attempt(anonymous, rita.email)
        for minute in range(1, 15):
            clock.move_to(start + timedelta(minutes=minute))
            assert attempt(anonymous, rita.email, PASSWORD).status_code == 401
        clock.move_to(start + timedelta(minutes=15, seconds=30))
        assert attempt(anonymous, rita.email, PASSWORD).status_code == 200


def test_locked_switched_off_wrong_and_unknown_get_one_answer(rita: Person, anonymous: Api) -> None:
    off = make_person("off@example.com", is_active=False)
    for _ in range(11):
        attempt(anonymous, "locked@example.com")
        attempt(anonymous, rita.email)
    answers = [
        attempt(anonymous, "locked@example.com", address="192.0.2.1"),
        attempt(anonymous, rita.email, PASSWORD, "192.0.2.1"),
        attempt(anonymous, off.email, PASSWORD, "192.0.2.2"),
        attempt(anonymous, off.email, "wrong", "192.0.2.2"),
        attempt(anonymous, rita.email, "wrong", "192.0.2.2"),
        attempt(anonymous, "nobody@example.com", "wrong", "192.0.2.2"),
        attempt(anonymous, "no address at all", "wrong", "192.0.2.2"),
    ]
    first, *others = [without_instance(answer) for answer in answers]
    assert first[0] == 401
    assert all(other == first for other in others)


def test_one_hash_is_made_whatever_the_reason(
    rita: Person, anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accounts.sign_in.passwords import PatientArgon2Hasher

    off = make_person("off@example.com", is_active=False)
    for _ in range(10):
        attempt(anonymous, rita.email)
    hashes: list[str] = []
    for name in ("encode", "verify"):
        real = getattr(PatientArgon2Hasher, name)

        def noted(hasher: Any, *args: Any, _real: Any = real, _name: str = name) -> Any:
            hashes.append(_name)
            return _real(hasher, *args)

        monkeypatch.setattr(PatientArgon2Hasher, name, noted)
    for email, address in (
        (rita.email, "192.0.2.1"),
        (rita.email, "192.0.2.2"),
        (off.email, "192.0.2.2"),
        ("nobody@example.com", "192.0.2.2"),
    ):
        hashes.clear()
        attempt(anonymous, email, address=address)
        assert len(hashes) == 1, email


def test_wrong_codes_lock_like_wrong_passwords(ada: Person, anonymous: Api) -> None:
    for _ in range(10):
        Authenticator.objects.update(throttling_failure_count=0)
        body = {"email": ada.email, "password": PASSWORD, "otp": "000000"}
        assert anonymous.post("auth/login", body).status_code == 401
    assert anonymous.post("auth/login", ada.login_body()).status_code == 401


def test_made_up_spellings_and_headers_are_no_way_to_fresh_counters(rita: Person, anonymous: Api) -> None:
    """Whatever a client writes freely, the counters stay the same (threats, G12 and G13)."""
    spellings = [rita.email.upper(), f" {rita.email}", f"{rita.email} ", rita.email.title(), rita.email]
    for number in range(10):
        anonymous.post(
            "auth/login",
            {"email": spellings[number % 5], "password": "wrong"},
            **{
                "X-Forwarded-For": f"203.0.113.{number}",
                "X_Forwarded_For": f"203.0.113.{number}",
                "Forwarded": f"for=203.0.113.{number}",
                "User-Agent": f"agent {number}",
                "Cookie": f"browser=x{number}.k1.{'0' * 64}",
            },
        )
    assert anonymous.post("auth/login", {"email": rita.email, "password": PASSWORD}).status_code == 401


def test_a_stranger_does_not_lock_people_out_of_their_own_browser(rita: Person, anonymous: Api) -> None:
    rita.user.groups.add(make_role("reader"))
    own = Client(REMOTE_ADDR="203.0.113.5")
    assert own.post(LOGIN, {"email": rita.email, "password": PASSWORD}).status_code == 303
    own.post("/admin/logout/")
    for number in range(60):
        attempt(anonymous, rita.email, address=f"192.0.2.{number}")
    stranger = Client(REMOTE_ADDR="203.0.113.6")
    assert stranger.post(LOGIN, {"email": rita.email, "password": PASSWORD}).status_code == 400
    assert own.post(LOGIN, {"email": rita.email, "password": PASSWORD}).status_code == 303
    # And it is known as hers alone, and has a limit of its own.
    own.post("/admin/logout/")
    other = make_person("other@example.com")
    for _ in range(10):
        own.post(LOGIN, {"email": rita.email, "password": "wrong"})
    assert own.post(LOGIN, {"email": rita.email, "password": PASSWORD}).status_code == 400
    assert own.post(LOGIN, {"email": other.email, "password": PASSWORD}).status_code == 303


def test_after_a_hundred_in_a_row_strangers_wait_until_the_person_was_there(
    rita: Person, anonymous: Api
) -> None:
    """NIST SP 800-63B-4, 3.2.2: pauses between the attempts don't help."""
    now = timezone.now()
    with time_machine.travel(now) as clock:
        for number in range(100):
            clock.move_to(now + timedelta(hours=number))
            assert attempt(anonymous, rita.email).status_code == 401
        clock.move_to(now + timedelta(hours=200))
        assert attempt(anonymous, rita.email, PASSWORD).status_code == 401
        lockout.lift(rita.user, by=rita.principal)
        clock.move_to(now + timedelta(hours=201))
        assert attempt(anonymous, rita.email, PASSWORD).status_code == 200


def test_an_administrator_lifts_a_lock(ada: Person, rita: Person, anonymous: Api) -> None:
    for _ in range(10):
        attempt(anonymous, rita.email)
    lockout.lift(rita.user, by=ada.principal)
    assert attempt(anonymous, rita.email, PASSWORD).status_code == 200
    told = Event.objects.get(type=lockout.LIFTED)
    assert (told.actor_id, told.subject_id) == (ada.user.pk, str(rita.user.pk))
