"""The life of an API key: rotated, retired, disabled, idle; what is noted of its use, and what is made of that."""

import logging
from datetime import datetime, timedelta
from typing import cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import UUID

import pytest
import time_machine
from django.conf import LazySettings
from django.db import DatabaseError, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import tasks
from accounts.access import Action, Area
from accounts.authentication import ManagementAuthentication
from accounts.errors import ConflictError, NotAllowedError
from accounts.keys import api_keys, usage
from accounts.keys.hints import hint
from accounts.models import ApiKey, Event, Generation, ScopeUse, User
from accounts.valkey import valkey
from tests.accounts.cast import ARTICLES, BUILDER, Api, Person, make_key, make_person, make_policy, make_role
from tests.accounts.test_keys_cut_rights_down import principal_of_key
from tests.processes import LiveServer

pytestmark = pytest.mark.usefixtures("_django_db_helper")
NOW = timezone.now


@pytest.fixture
def reader() -> Person:
    make_policy(make_role("reader"), Action.READ)
    return make_person("rea@example.com", roles=["reader"])


def fresh(key: ApiKey) -> ApiKey:
    return ApiKey.objects.get(pk=key.pk)


def flush(key: ApiKey) -> ApiKey:
    usage.flush(by=BUILDER)
    return fresh(key)


def status(api: Api, text: str) -> int:
    code: int = Api(api.client, text).get("auth/me").status_code
    return code


def idle(key: ApiKey, days: int) -> None:
    """Let nothing have happened with a key for so many days, of a year that it lives."""
    past = NOW() - timedelta(days=days)
    ApiKey.objects.filter(pk=key.pk).update(
        created_at=past, expires_at=NOW() + timedelta(days=5), last_used_at=None
    )


# Calls with the old secret


def test_calls_are_counted_by_secret_and_nothing_is_lost_between_notes(rita: Person, anonymous: Api) -> None:
    key, old = make_key(rita.user)
    assert [status(anonymous, old) for _ in range(3)] == [200] * 3
    anonymous.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    new = api_keys.rotate(key, by=BUILDER).text  # the three calls still wait to be written down
    assert [status(anonymous, text) for text in (old, old, new)] == [200] * 3
    found = flush(key)
    assert (found.use_count, found.old_use_count) == (6, 5)
    assert found.last_used_at is not None
    assert found.new_used_at is not None
    assert (found.last_address, found.old_address) == ("192.0.2.7", "192.0.2.7")


def test_a_second_rotation_counts_anew(rita: Person, anonymous: Api) -> None:
    key, first = make_key(rita.user)
    second = api_keys.rotate(key, by=BUILDER).text
    status(anonymous, first)
    status(anonymous, second)
    assert flush(key).old_use_count == 1
    status(anonymous, first)
    third = api_keys.rotate(fresh(key), by=BUILDER).text
    assert status(anonymous, first) == 401
    assert [status(anonymous, text) for text in (second, third)] == [200, 200]
    found = flush(key)
    assert (found.use_count, found.old_use_count) == (5, 1)


def test_what_a_flush_took_and_could_not_write_is_written_by_the_next(
    rita: Person, anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = make_key(rita.user)
    status(anonymous, text)

    def fail(*_: str) -> None:
        raise DatabaseError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(Generation.objects, "bump", fail)
        with pytest.raises(DatabaseError):
            usage.flush(by=BUILDER)
    assert fresh(key).use_count == 0
    status(anonymous, text)
    assert flush(key).use_count == 1
    assert flush(key).use_count == 2
    assert flush(key).use_count == 2


def test_a_call_that_is_over_the_limit_is_no_use(rita: Person, anonymous: Api) -> None:
    key, text = make_key(rita.user, rate_limit=2)
    assert [status(anonymous, text) for _ in range(3)] == [200, 429, 429]  # a burst of one
    assert flush(key).use_count == 1


def test_the_verdict_says_what_is_known(rita: Person) -> None:
    key, _ = make_key(rita.user)
    assert usage.verdict(key, is_known=True) is None
    key = api_keys.rotate(key, by=BUILDER).key
    hour = timedelta(hours=1)

    def said(new: datetime | None, old: datetime | None, count: int = 0, *, is_known: bool = True) -> str:
        key.rotated_at = NOW() - 10 * hour
        key.new_used_at, key.old_used_at, key.old_use_count = new, old, count
        key.old_address = "192.0.2.1" if old else ""
        found = usage.verdict(key, is_known=is_known)
        assert found is not None
        assert found.is_safe is found.sentence.startswith("Safe to retire")
        return found.sentence

    now = NOW()
    assert said(None, None) == (
        "Not yet: nobody has used the new secret; no call on the old secret since the rotation."
    )
    assert said(now, now - timedelta(minutes=5), 12) == (
        "Not yet: 12 calls on the old secret since the rotation, the last 5 minutes ago from 192.0.2.1; "
        "the new one was used less than a minute ago."
    )
    assert said(now - 9 * hour, now - 5 * hour, 1).startswith("Not yet: 1 call on the old secret")
    assert said(now - 2 * hour, now - 5 * hour, 3).startswith("Safe to retire: 3 calls")
    assert said(now - 2 * hour, None).startswith("Safe to retire: no call on the old secret")
    assert said(now - 2 * hour, None, is_known=False).startswith("Not known")
    key.rotated_at = now - hour
    key.old_used_at = None
    found = usage.verdict(key, is_known=True)
    assert found is not None
    assert not found.is_safe


def test_an_overlap_can_be_ended_early(rita: Person, as_ada: Api, as_rita: Api) -> None:
    key, old = make_key(rita.user)
    path = f"manage/api-keys/{key.pk}/retire"
    assert as_ada.post(path).status_code == 409  # nothing to retire
    new = as_ada.post(f"manage/api-keys/{key.pk}/rotate", {}).json()["key"]
    assert status(as_ada, old) == 200
    assert as_rita.post(path).status_code == 403
    assert status(as_ada, old) == 200
    answer = as_ada.post(path)
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["rotation"]["safe_to_retire"]) == ("active", None)
    assert (status(as_ada, old), status(as_ada, new)) == (401, 200)
    assert Event.objects.get(type="api-key.old-secret-retired").detail["because"] == "asked"


def test_whoever_still_sends_the_retired_secret_is_told_so_and_noticed_once(
    rita: Person, anonymous: Api, caplog: pytest.LogCaptureFixture
) -> None:
    key, old = make_key(rita.user)
    api_keys.rotate(key, overlap=timedelta(hours=1), by=BUILDER)
    ApiKey.objects.filter(pk=key.pk).update(previous_valid_until=NOW() - timedelta(minutes=1))
    tasks.flush_key_usage()
    assert fresh(key).state == "active"
    assert Event.objects.get(type="api-key.old-secret-retired").detail["because"] == "time"
    for _ in range(2):
        for _ in range(3):
            answer = Api(anonymous.client, old).get("auth/me")
            assert (answer.status_code, answer.json()["code"]) == (401, "secret-retired")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        tasks.flush_key_usage()
    assert fresh(key).old_refused_count == 6
    assert fresh(key).use_count == 0
    assert Event.objects.filter(type="api-key.old-secret-refused", subject_id=str(key.pk)).count() == 1
    assert old.split("_")[3] not in caplog.text
    wrong = str(api_keys.KeyText("development", key.public_id, "a" * 43))
    assert Api(anonymous.client, wrong).get("auth/me").json()["code"] == "not-authenticated"


# Off and on


def test_a_disabled_key_is_dead_at_once_and_can_come_back(rita: Person, as_ada: Api, as_rita: Api) -> None:
    key, text = make_key(rita.user)
    at = f"manage/api-keys/{key.pk}"
    assert as_rita.post(f"{at}/disable").status_code == 403
    assert status(as_ada, text) == 200
    assert as_ada.post(f"{at}/enable").status_code == 409
    assert as_ada.post(f"{at}/disable").json()["state"] == "disabled"
    assert status(as_ada, text) == 401
    assert as_ada.post(f"{at}/disable").status_code == 409
    assert as_ada.post(f"{at}/rotate", {}).status_code == 409
    assert as_rita.post(f"{at}/enable").status_code == 403
    assert status(as_ada, text) == 401
    assert as_ada.post(f"{at}/enable").json()["state"] == "active"
    assert status(as_ada, text) == 200
    types = Event.objects.filter(subject_id=str(key.pk)).values_list("type", flat=True)
    assert {"api-key.disabled", "api-key.enabled"} <= set(types)


def test_no_key_is_enabled_by_whoever_could_not_make_it(ada: Person, rita: Person) -> None:
    _, text = make_key(ada.user, (None, Action.READ), areas=[Area.KEYS])
    limited = principal_of_key(text, of=ManagementAuthentication)
    strong, _ = make_key(ada.user, (None, Action.UPDATE))
    wide, _ = make_key(rita.user, (None, Action.UPDATE))
    for key in (strong, wide):
        api_keys.disable(key, by=limited)
        with pytest.raises(NotAllowedError):
            api_keys.enable(key, by=limited)
        assert fresh(key).state == "disabled"
    User.objects.filter(pk=rita.user.pk).update(is_active=False)
    with pytest.raises(ConflictError):
        api_keys.enable(wide, by=BUILDER)


# Idle keys


def test_an_idle_key_is_flagged_then_disabled_by_the_daily_task(rita: Person, as_ada: Api) -> None:
    young, busy, flagged, old = (
        make_key(rita.user, name=name)[0] for name in ("young", "busy", "flag", "old")
    )
    for key, days in ((busy, 200), (flagged, 40), (old, 91)):
        idle(key, days)
    ApiKey.objects.filter(pk=busy.pk).update(last_used_at=NOW() - timedelta(days=2))
    listed = {key["name"]: key["idle"] for key in as_ada.get("manage/api-keys").json()["data"]}
    assert listed == {"young": False, "busy": False, "flag": True, "old": True}
    tasks.disable_idle_keys()
    assert [fresh(key).state for key in (young, busy, flagged, old)] == ["active"] * 3 + ["disabled"]
    event = Event.objects.get(type="api-key.disabled")
    assert (event.subject_id, event.detail["because"]) == (str(old.pk), "idle")
    tasks.disable_idle_keys()
    assert Event.objects.filter(type="api-key.disabled").count() == 1


def test_a_key_that_was_enabled_again_starts_its_idle_time_anew(rita: Person) -> None:
    key, _ = make_key(rita.user)
    idle(key, 100)
    tasks.disable_idle_keys()
    api_keys.enable(key, by=BUILDER)
    tasks.disable_idle_keys()
    assert fresh(key).state == "active"


def test_an_idle_key_is_refused_also_where_the_task_did_not_run(
    rita: Person, anonymous: Api, settings: LazySettings
) -> None:
    key, text = make_key(rita.user)
    idle(key, 91)
    assert status(anonymous, text) == 200  # nothing was ever written down: it may be a busy one
    idle(key, 91)
    valkey().delete(usage.USE)
    usage.flush(by=BUILDER)
    assert status(anonymous, text) == 401
    settings.IDLE_KEYS_DISABLED_AFTER_DAYS = 0
    assert status(anonymous, text) == 200
    settings.IDLE_KEYS_DISABLED_AFTER_DAYS = 92
    assert status(anonymous, text) == 200


def test_a_busy_key_is_never_taken_for_an_idle_one_when_notes_wait(rita: Person, anonymous: Api) -> None:
    key, text = make_key(rita.user)
    idle(key, 91)
    assert status(anonymous, text) == 200  # noted in Valkey, not yet in the row
    tasks.disable_idle_keys()
    assert fresh(key).state == "active"
    Generation.objects.filter(name="key-use").update(value=1)  # the worker has stood still for years
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=NOW() - timedelta(days=91))
    assert api_keys.disable_idle(by=BUILDER) == 0
    assert status(anonymous, text) == 200


def test_without_the_store_no_key_is_disabled(rita: Person, no_valkey: None) -> None:
    key, _ = make_key(rita.user)
    idle(key, 91)
    with pytest.raises(Exception, match="gone"):
        tasks.disable_idle_keys()
    assert fresh(key).state == "active"


def test_zero_days_switch_it_off(rita: Person, settings: LazySettings) -> None:
    settings.IDLE_KEYS_DISABLED_AFTER_DAYS = 0
    key, _ = make_key(rita.user)
    idle(key, 300)
    tasks.disable_idle_keys()
    assert fresh(key).state == "active"


# A limit of its own


def test_a_key_has_the_limit_that_it_was_given(rita: Person, as_ada: Api) -> None:
    body = {"name": "n", "owner": str(rita.user.pk), "scopes": ["*:read"], "rate_limit": 30}
    made = as_ada.post("manage/api-keys", body)
    assert (made.status_code, made.json()["rate_limit"]) == (201, 30)
    answer = Api(as_ada.client, made.json()["key"]).get("auth/me")
    assert answer.headers["RateLimit-Policy"] == '"requests-burst";q=10;w=10, "requests";q=30;w=60'
    for wrong in cast("list[object]", [0, -1, 1_000_001, "30", True, 1.5, [], {}]):
        refused = as_ada.post("manage/api-keys", body | {"rate_limit": wrong})
        assert refused.status_code == 400, wrong
        assert refused.json()["errors"][0]["pointer"] == "/rate_limit"
    assert as_ada.post("manage/api-keys", body | {"rate_limit": None}).status_code == 201


# Least privilege


def test_the_scopes_that_a_call_needed_are_noted(reader: Person, anonymous: Api) -> None:
    other = UUID(int=0xE)
    key, text = make_key(
        reader.user,
        (None, Action.READ),
        (ARTICLES, Action.READ_DRAFT),
        (other, Action.READ),
        areas=[Area.KEYS],
    )
    key.created_at = NOW() - timedelta(days=200)
    usage._note_scopes(key.public_id, [f"{ARTICLES}:read"])
    usage.flush(by=BUILDER)
    found = hint(key)
    assert found.sentence == "Used 1 of 4 scopes in 90 days."
    assert found.used == ("*:read",)
    assert found.unused == (f"{other}:read", "admin:keys", "articles:read_draft")
    assert found.wildcards == (("*:read", ("articles:read",)),)
    assert found.narrower is not None
    assert found.narrower.actions == {(ARTICLES, Action.READ)}
    assert status(anonymous, text) == 200
    assert hint(fresh(key)).used == ("*:read",)


def test_an_area_that_was_used_is_noted_and_one_that_was_refused_is_not(ada: Person, anonymous: Api) -> None:
    key, text = make_key(ada.user, (None, Action.READ), areas=[Area.USERS, Area.ROLES])
    api = Api(anonymous.client, text)
    assert api.get("manage/users").status_code == 200
    assert api.get("manage/policies").status_code == 403
    assert api.post("manage/roles", {"key": "?"}).status_code == 400
    usage.flush(by=BUILDER)
    assert list(ScopeUse.objects.filter(key=key).values_list("scope", flat=True)) == ["admin:users"]
    shown = api.get("manage/users")
    assert shown.status_code == 200
    usage.flush(by=BUILDER)
    assert ScopeUse.objects.filter(key=key).count() == 1


def test_a_use_of_long_ago_is_none(reader: Person) -> None:
    key, _ = make_key(reader.user, (ARTICLES, Action.READ), (ARTICLES, Action.READ_DRAFT))
    ScopeUse.objects.create(key=key, scope=f"{ARTICLES}:read", last_used_at=NOW() - timedelta(days=91))
    ScopeUse.objects.create(key=key, scope=f"{ARTICLES}:read_draft", last_used_at=NOW() - timedelta(days=89))
    assert hint(key).used == ("articles:read_draft",)


def test_a_scope_in_use_costs_one_note_an_hour(ada: Person, anonymous: Api) -> None:
    key, text = make_key(ada.user, areas=[Area.USERS])
    api = Api(anonymous.client, text)
    api.get("manage/users")
    assert valkey().delete(usage.SCOPES) == 1
    api.get("manage/users")
    assert valkey().delete(usage.SCOPES) == 0
    with time_machine.travel(NOW() + timedelta(minutes=1)):
        assert hint(key).used == ()


def test_noting_never_costs_a_query_and_never_the_request(
    rita: Person, anonymous: Api, no_valkey: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _, text = make_key(rita.user)
    assert status(anonymous, text) == 200
    with CaptureQueriesContext(connections["default"]) as asked:
        assert status(anonymous, text) == 200
    assert not [query for query in asked if query["sql"].split()[0] in ("INSERT", "UPDATE", "DELETE")]
    assert text.split("_")[3] not in caplog.text


def test_another_process_refuses_a_dead_key_at_its_next_request(rita: Person, web_server: LiveServer) -> None:
    key, text = make_key(rita.user)

    def asked() -> int:
        headers = {"Authorization": f"Bearer {text}"}
        request = Request(f"{web_server.url}/api/v1/auth/me", headers=headers)  # noqa: S310 (our own server)
        try:
            with urlopen(request) as answer:  # noqa: S310 (our own server)
                return int(answer.status)
        except HTTPError as error:
            return error.code

    for act, then in ((api_keys.disable, 401), (api_keys.enable, 200), (api_keys.revoke, 401)):
        assert asked() == (200 if then == 401 else 401)
        act(fresh(key), by=BUILDER)
        assert asked() == then
