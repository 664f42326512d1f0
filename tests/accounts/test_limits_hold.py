"""Limits: the headers of the draft, 429 with Retry-After, one bucket a caller, and what happens without the store."""

import re
import threading
from typing import Any

import pytest

from accounts import limits
from accounts.errors import UnavailableError
from accounts.limits import Policy, hit
from tests.accounts.cast import Api, Person

pytestmark = pytest.mark.usefixtures("_django_db_helper")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotas that a test can use up."""
    monkeypatch.setattr(limits, "READS", Policy("reads", quota=5, fails_open=True))
    monkeypatch.setattr(limits.SignInThrottle, "policy", Policy("sign-ins", quota=3, fails_open=False))


def test_the_headers_have_the_form_of_the_draft(as_rita: Api) -> None:
    answer = as_rita.get("auth/me")
    assert re.fullmatch(r'"reads";q=1200;w=60', answer.headers["RateLimit-Policy"])
    assert re.fullmatch(r'"reads";r=\d+;t=\d+', answer.headers["RateLimit"])
    assert "X-RateLimit-Limit" not in answer.headers


def test_the_remainder_falls_and_ends_in_a_429(as_rita: Api, small: None) -> None:
    left = [as_rita.get("auth/me") for _ in range(6)]
    assert [answer.status_code for answer in left] == [200] * 5 + [429]
    remaining = [int(re.findall(r"r=(\d+)", answer.headers["RateLimit"])[0]) for answer in left]
    assert remaining == [4, 3, 2, 1, 0, 0]
    assert 1 <= int(left[-1].headers["Retry-After"]) <= 60
    assert left[-1].json()["code"] == "too-many-requests"


def test_callers_have_buckets_of_their_own(as_rita: Api, as_ada: Api, small: None) -> None:
    for _ in range(6):
        last = as_rita.get("auth/me")
        assert last.status_code in (200, 429)
    assert as_ada.get("auth/me").status_code == 200


def test_nothing_that_a_client_writes_gives_a_fresh_bucket(anonymous: Api, small: None) -> None:
    codes = []
    for number in range(5):
        headers = {
            "X-Forwarded-For": f"192.0.2.{number}",
            "User-Agent": f"{number}",
            "X-Real-IP": f"192.0.2.{number}",
        }
        body = {"email": f"person{number}@example.com", "password": "x"}
        codes.append(anonymous.post("auth/login", body, **headers).status_code)
    assert codes == [401, 401, 401, 429, 429]


def test_without_the_store_sign_in_is_shut_and_reading_is_open(
    as_rita: Api, rita: Person, no_valkey: None
) -> None:
    shut = as_rita.post("auth/login", rita.login_body())
    assert (shut.status_code, shut.json()["code"]) == (503, "unavailable")
    assert "Retry-After" in shut.headers
    assert as_rita.get("auth/me").status_code == 200


def test_parallel_requests_never_get_more_than_the_quota() -> None:
    policy = Policy("parallel", quota=20, fails_open=False)
    passed: list[Any] = []

    def ask() -> None:
        for _ in range(10):
            state = hit(policy, "one")
            assert state is not None
            assert state.remaining >= 0
            if not state.is_exceeded:
                passed.append(state)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 20


def test_a_policy_that_fails_closed_says_so(no_valkey: None) -> None:
    with pytest.raises(UnavailableError):
        hit(Policy("x", quota=1, fails_open=False), "one")
    assert hit(Policy("x", quota=1, fails_open=True), "one") is None
