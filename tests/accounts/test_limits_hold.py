"""Limits: the headers of the draft, 429 with Retry-After, one bucket a caller, and what happens without the store."""

import logging
import re
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis
import time_machine
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import buckets, limits, outages
from accounts.access import Action
from accounts.errors import UnavailableError
from accounts.limits import Policy, hit
from accounts.models import Event, Role
from accounts.pages import frame
from accounts.rights import granting
from accounts.valkey import circuit, valkey
from tests.accounts.cast import BUILDER, PASSWORD, Api, Person, make_key, make_person, make_role

pytestmark = pytest.mark.usefixtures("_django_db_helper")
SOME = Policy("some", quota=3, fails_open=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotas that a test can use up."""
    monkeypatch.setattr(limits, "READS", Policy("reads", quota=5, fails_open=True))
    monkeypatch.setattr(limits.SignInThrottle, "policy", Policy("sign-ins", quota=3, fails_open=False))


def test_the_headers_have_the_form_of_the_draft(as_rita: Api) -> None:
    answer = as_rita.get("auth/me")
    assert answer.headers["RateLimit-Policy"] == '"reads-burst";q=400;w=10, "reads";q=1200;w=60'
    assert re.fullmatch(r'"reads-burst";r=399;t=\d+, "reads";r=1199;t=\d+', answer.headers["RateLimit"])
    assert "X-RateLimit-Limit" not in answer.headers
    assert "RateLimit-Limit" not in answer.headers


def test_writes_and_reads_have_quotas_of_their_own(as_rita: Api) -> None:
    assert as_rita.post("auth/logout").headers["RateLimit-Policy"].endswith('"writes";q=600;w=60')


def test_the_remainder_falls_and_ends_in_a_429(as_rita: Api, small: None) -> None:
    left = [as_rita.get("auth/me") for _ in range(6)]
    assert [answer.status_code for answer in left] == [200] * 5 + [429]
    remaining = [int(re.findall(r"r=(\d+)", answer.headers["RateLimit"])[0]) for answer in left]
    assert remaining == [4, 3, 2, 1, 0, 0]
    assert 1 <= int(left[-1].headers["Retry-After"]) <= 60
    assert left[-1].json()["code"] == "too-many-requests"
    assert left[-1].headers["Content-Type"] == "application/problem+json"


def test_a_burst_ends_in_a_429_long_before_the_minute_is_used_up(
    as_rita: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "READS", Policy("reads", quota=100, burst=2, fails_open=True))
    last = [as_rita.get("auth/me") for _ in range(3)][-1]
    assert last.status_code == 429
    assert 1 <= int(last.headers["Retry-After"]) <= 10
    assert re.fullmatch(r'"reads-burst";r=0;t=\d+, "reads";r=98;t=\d+', last.headers["RateLimit"])


def test_whoever_waits_as_long_as_they_are_told_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WINDOW_SECONDS", 1)
    for _ in range(2):  # once with the former window empty, once with it full
        states = [hit(SOME, "patient") for _ in range(4)]
        last = states[-1]
        assert last is not None
        if not last.is_exceeded:
            continue
        time.sleep(last.resets_in)
        after = hit(SOME, "patient")
        assert after is not None
        assert not after.is_exceeded


def test_what_is_refused_is_not_counted() -> None:
    for _ in range(10):
        hit(SOME, "eager")
    state = hit(SOME, "eager", is_counted=False)
    assert state is not None
    assert state.levels[0].remaining == 0
    counters = [valkey().get(key) for key in valkey().scan_iter("quillkeep:limits*eager*")]
    assert counters == [b"3"]


def test_callers_have_buckets_of_their_own(as_rita: Api, as_ada: Api, small: None) -> None:
    assert [as_rita.get("auth/me").status_code for _ in range(6)][-1] == 429
    assert as_ada.get("auth/me").status_code == 200


def test_a_person_is_one_caller_however_often_they_sign_in(
    as_rita: Api, rita: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = rita.sign_in()
    monkeypatch.setattr(limits, "READS", Policy("reads", quota=5, fails_open=True))
    codes = [api.get("auth/me").status_code for api in (as_rita, again) * 3]
    assert codes == [200] * 5 + [429]


def test_nothing_that_a_client_writes_gives_a_fresh_bucket(anonymous: Api, small: None) -> None:
    codes = []
    for number in range(5):
        headers = {
            "X-Forwarded-For": f"192.0.2.{number}",
            "User-Agent": f"{number}",
            "X-Real-IP": f"192.0.2.{number}",
            "Cookie": f"session={number}",
            "Accept-Language": f"x-{number}",
        }
        body = {"email": f"person{number}@example.com", "password": "x"}
        codes.append(anonymous.post("auth/login", body, **headers).status_code)
    assert codes == [401, 401, 401, 429, 429]


def test_no_spelling_of_a_path_or_query_gives_a_fresh_bucket(as_rita: Api, small: None) -> None:
    paths = ["auth/me", "auth/me?x=1", "auth/sessions", "auth/sessions?limit=5", "roles", "auth/%6de"]
    assert as_rita.get(paths[-1]).status_code == 200  # the same view
    codes = [as_rita.get(path).status_code for path in paths if path != "roles"]
    assert codes == [200, 400, 200, 200, 429]


def test_a_subscriber_of_ipv6_is_one_caller(anonymous: Api, small: None) -> None:
    codes = []
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::1", "2001:db8::3", "2001:db8:0:1::1"):
        anonymous.client.defaults["REMOTE_ADDR"] = address
        codes.append(anonymous.post("auth/login", {"email": "x@example.com", "password": "x"}).status_code)
    assert codes == [401, 401, 401, 429, 401]


def test_all_sign_ins_together_have_a_ceiling(anonymous: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    few = Policy("sign-ins", quota=3, overall=4, fails_open=False)
    monkeypatch.setattr(limits.SignInThrottle, "policy", few)
    answers = []
    for number in range(6):
        anonymous.client.defaults["REMOTE_ADDR"] = f"192.0.2.{number}"
        answers.append(anonymous.post("auth/login", {"email": "x@example.com", "password": "x"}))
    assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 2
    assert "overall" not in answers[-1].headers["RateLimit"]


def test_strangers_who_use_the_ceiling_up_keep_nobody_out_of_a_browser_they_know(
    ada: Person, anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else ten addresses were enough to stop all sign-ins, and every act that asks for a step-up, lockdowns too."""
    few = Policy("sign-ins", quota=3, overall=4, fails_open=False)
    browser, api = Client(), ada.sign_in()
    browser.post("/admin/login/", {"email": ada.email, "password": PASSWORD})
    browser.post("/admin/login/code/", {"code": ada.code()})
    browser.post("/admin/logout/")
    monkeypatch.setattr(limits, "SIGN_INS", few)
    monkeypatch.setattr(limits.SignInThrottle, "policy", few)
    monkeypatch.setattr(frame, "SIGN_INS", few)
    wrong = {"email": "x@example.com", "password": "x"}
    codes = []
    for number in range(5):
        anonymous.client.defaults["REMOTE_ADDR"] = f"192.0.2.{number}"
        codes.append(anonymous.post("auth/login", wrong).status_code)
    assert codes[-1] == 429
    assert browser.post("/admin/login/", wrong).status_code == 429  # as somebody else it is a stranger
    assert browser.post("/admin/login/", {"email": ada.email, "password": PASSWORD}).status_code == 303
    assert browser.post("/admin/login/code/", {"code": ada.code()}).status_code == 303
    assert browser.post("/admin/login/", wrong).status_code == 429  # its own address is full by now, too
    assert api.post("auth/step-up", {"otp": ada.code(), "reason": "An attack"}).status_code == 204


def test_the_door_of_the_admin_counts_in_the_same_bucket(
    anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Policy("sign-ins", quota=2, overall=3, fails_open=False)
    monkeypatch.setattr(limits.SignInThrottle, "policy", few)
    monkeypatch.setattr(frame, "SIGN_INS", few)
    wrong = {"email": "x@example.com", "password": "x"}
    browser = anonymous.client
    assert anonymous.post("auth/login", wrong).status_code == 401
    assert [browser.post("/admin/login/", wrong).status_code for _ in range(2)] == [400, 429]
    browser.defaults["REMOTE_ADDR"] = "2001:db8::1"
    assert browser.post("/admin/login/", wrong).status_code == 400
    browser.defaults["REMOTE_ADDR"] = "192.0.2.55"
    assert browser.post("/admin/login/", wrong).status_code == 429  # all together had three


def test_a_view_of_much_work_has_a_bucket_of_its_own(as_rita: Api) -> None:
    answer = as_rita.get("openapi.json")
    assert answer.headers["RateLimit-Policy"] == '"exports-burst";q=15;w=10, "exports";q=30;w=60'
    codes = [as_rita.get("openapi.json").status_code for _ in range(15)]
    assert codes == [200] * 14 + [429]
    assert as_rita.get("auth/me").status_code == 200


# Numbers of a role


def test_the_most_generous_role_counts(as_ada: Api) -> None:
    for key, number in (("slow", 2), ("slower", 1), ("silent", None)):
        granting.change_role(make_role(key), requests_per_minute=number, by=BUILDER)
    person = make_person("carl@example.com", roles=["slow", "slower", "silent"])
    api = person.sign_in()
    answers = [api.get("auth/me") for _ in range(3)]
    assert answers[0].headers["RateLimit-Policy"].endswith('"requests";q=2;w=60')
    assert [answer.status_code for answer in answers] == [200, 429, 429]  # a burst of one in ten seconds
    assert as_ada.get("auth/me").headers["RateLimit-Policy"].endswith('"reads";q=1200;w=60')


def test_a_changed_number_counts_at_the_next_request(as_ada: Api, rita: Person) -> None:
    make_role("steady")
    assert as_ada.patch(f"manage/users/{rita.user.pk}", {"roles": ["steady"]}).status_code == 200
    api = rita.sign_in()
    assert '"reads"' in api.get("auth/me").headers["RateLimit-Policy"]
    changed = as_ada.patch("manage/roles/steady", {"requests_per_minute": 90})
    assert (changed.status_code, changed.json()["requests_per_minute"]) == (200, 90)
    assert (
        api.get("auth/me").headers["RateLimit-Policy"] == '"requests-burst";q=30;w=10, "requests";q=90;w=60'
    )
    assert as_ada.patch("manage/roles/steady", {"requests_per_minute": None}).status_code == 200
    assert '"reads"' in api.get("auth/me").headers["RateLimit-Policy"]
    for wrong in (0, -1, 1_000_001, True, "9", 1.5):
        refused = as_ada.patch("manage/roles/steady", {"requests_per_minute": wrong})
        assert refused.status_code == 400, wrong
        assert refused.json()["errors"][0]["pointer"] == "/requests_per_minute"


def test_the_public_role_says_how_much_anonymous_readers_may(anonymous: Api) -> None:
    granting.change_role(Role.objects.get(key="public"), requests_per_minute=30, by=BUILDER)
    answer = anonymous.get("content/articles")
    assert answer.headers["RateLimit-Policy"] == '"requests-burst";q=10;w=10, "requests";q=30;w=60'


# Bad credentials


def test_guessing_credentials_soon_costs_us_nothing(
    anonymous: Api, rita: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAILURES", Policy("failures", quota=3, fails_open=True))
    _, good = make_key(rita.user, (None, Action.READ))
    bad = Api(anonymous.client, good[:-1] + ("0" if good[-1] != "0" else "1"))
    assert [bad.get("auth/me").status_code for _ in range(4)] == [401, 401, 401, 429]
    with (
        CaptureQueriesContext(connections["default"]) as default,
        CaptureQueriesContext(connections["delivery"]) as delivery,
    ):
        answer = bad.get("content/articles")
    assert (answer.status_code, len(default), len(delivery)) == (429, 0, 0)
    assert "Retry-After" in answer.headers
    bad.client.defaults["REMOTE_ADDR"] = "192.0.2.77"
    assert bad.get("auth/me").status_code == 401


def test_whoever_shares_an_address_with_somebody_guessing_goes_on(
    as_rita: Api, anonymous: Api, rita: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAILURES", Policy("failures", quota=1, fails_open=True))
    assert as_rita.get("auth/me").status_code == 200
    bad = Api(anonymous.client, "qk_nonsense")
    assert [bad.get("auth/me").status_code for _ in range(2)] == [401, 429]
    assert as_rita.get("auth/me").status_code == 200
    assert as_rita.post("auth/logout").status_code == 204
    assert as_rita.get("auth/me").status_code == 429  # known, checked, and no longer good
    _, fresh = make_key(rita.user, (None, Action.READ))
    assert Api(anonymous.client, fresh).get("auth/me").status_code == 429  # until the minute is over


def test_those_who_send_none_are_not_held_for_guessing(
    anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FAILURES", Policy("failures", quota=1, fails_open=True))
    bad = Api(anonymous.client, "qk_nonsense")
    assert [bad.get("content/articles").status_code for _ in range(2)] == [401, 429]
    assert anonymous.get("content/articles").status_code == 404  # nothing is published, and nobody is refused


# Without the store


def test_without_the_store_sign_in_is_shut_and_reading_is_open(
    as_rita: Api, rita: Person, no_valkey: None
) -> None:
    shut = as_rita.post("auth/login", rita.login_body())
    assert (shut.status_code, shut.json()["code"]) == (503, "unavailable")
    assert "Retry-After" in shut.headers
    assert as_rita.post("auth/refresh", {"refresh": as_rita.refresh}).status_code == 503
    assert as_rita.get("auth/me").status_code == 200
    assert as_rita.patch("manage/roles/x", {}).status_code == 403  # asked, and refused for another reason
    assert Api(as_rita.client).get("content/articles").status_code == 404


def test_an_outage_is_told_once_and_so_is_its_end(
    as_rita: Api, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise redis.ConnectionError("gone")

    caplog.set_level(logging.WARNING, logger="quillkeep.limits")
    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "execute_command", fail)
        for _ in range(5):
            assert as_rita.get("auth/me").status_code == 200
        outages.Outage().note(redis.ConnectionError())  # another process sees it too
    told = [record.getMessage() for record in caplog.records if "can't be counted" in record.getMessage()]
    assert len(told) == 2
    assert list(Event.objects.filter(type__startswith="limits.").values_list("type", flat=True)) == [
        "limits.unavailable"
    ]
    circuit.close()
    assert "RateLimit" in as_rita.get("auth/me").headers
    assert set(Event.objects.filter(type__startswith="limits.").values_list("type", flat=True)) == {
        "limits.unavailable",
        "limits.available",
    }


def test_an_outage_whose_end_nobody_told_does_not_hide_the_next_one() -> None:
    """All processes that knew of it were ended before the store was back, as when a host starts anew."""
    outages.Outage().note(redis.ConnectionError())
    outages.Outage().note(redis.ConnectionError())
    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=True):
        outages.Outage().note(redis.ConnectionError())
        outages.Outage().note(redis.ConnectionError())
    assert Event.objects.filter(type=outages.GONE).count() == 2


def test_a_store_that_hangs_costs_one_request_the_wait_and_not_each(
    as_rita: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def hang(*_: object, **__: object) -> None:
        asked.append(1)
        time.sleep(0.2)
        raise redis.TimeoutError("hung")

    started = time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(redis.Redis, "execute_command", hang)
        for _ in range(10):
            assert as_rita.get("auth/me").status_code == 200
    assert len(asked) == 1
    assert time.monotonic() - started < 1.5


def test_the_store_is_tried_again_by_one_request_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.valkey.REST_SECONDS", 0.05)
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise redis.ConnectionError("gone")

    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            circuit.call(fail)
    assert len(tried) == 1
    time.sleep(0.06)
    inside: list[str] = []

    def slow() -> None:
        with pytest.raises(redis.ConnectionError, match="a moment ago"):
            circuit.call(lambda: inside.append("let in"))

    circuit.call(slow)
    assert not inside
    circuit.call(lambda: inside.append("whole"))
    assert inside == ["whole"]


def test_parallel_requests_never_get_more_than_the_quota() -> None:
    policy = Policy("parallel", quota=20, burst=50, fails_open=False)
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


def test_counting_is_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    hit(limits.READS, "warm")
    sent: list[object] = []
    real = redis.Redis.execute_command

    def count(self: redis.Redis, *arguments: Any, **options: Any) -> Any:
        sent.append(arguments[0])
        return real(self, *arguments, **options)

    monkeypatch.setattr(redis.Redis, "execute_command", count)
    hit(replace(limits.READS, overall=10_000), "one")
    assert sent == ["EVALSHA"]


def test_a_window_that_was_full_fills_the_next_one_in_proportion() -> None:
    window = buckets.Window("some", 10, 1, "sliding")
    for _ in range(10):
        buckets.buckets().take([window])
    time.sleep(1.5)  # half of the former window still counts
    let_in = [not buckets.buckets().take([window])[0].is_full for _ in range(10)]
    assert 3 <= let_in.count(True) <= 8


def test_a_policy_that_fails_closed_says_so(no_valkey: None) -> None:
    with pytest.raises(UnavailableError):
        hit(Policy("x", quota=1, fails_open=False), "one")
    assert hit(Policy("x", quota=1, fails_open=True), "one") is None
