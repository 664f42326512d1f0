"""Visitors send forms: what is taken, what is refused and where, and that robots and floods are held off."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from accounts.models import Event
from cms_project import lockdown
from content.forms import keeping, quotas
from content.models import Submission
from content.tasks import erase_submissions
from tests.builders import ROOT, administrator, anonymous, make_collection, make_key, make_role
from tests.content.forms.world import FIELDS, GOOD, MANAGE, PATH, make_form, send, send_html
from tests.security.world import assert_problem

pytestmark = pytest.mark.django_db


def values_of(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = (
        administrator().get(f"{MANAGE}/submissions/{answer.json()['id']}").json()["fields"]
    )
    return found


def without_instance(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "instance"}


def places(answer: Any) -> list[tuple[str, str]]:
    return [(item["pointer"], item["code"]) for item in assert_problem(answer, 400)["errors"]]


def test_a_visitor_sends_a_form_and_it_is_stored_encrypted() -> None:
    make_form()
    answer = send(GOOD | {"age": 42, "topics": ["b"]})
    assert answer.status_code == 201, answer.content
    assert set(answer.json()) == {"id"}
    row = Submission.objects.get(pk=UUID(answer.json()["id"]))
    assert row.body.startswith("v1.")
    assert "Visitor" not in row.body
    assert (row.expires_at - row.received_at).days == 90
    shown = values_of(answer)
    assert (shown["name"], shown["age"], shown["topics"], shown["news"]) == ("Visitor", 42, ["b"], None)
    assert Event.objects.get(type="form.submitted").address == ""


def test_a_closed_form_is_as_missing_as_one_that_is_not_there() -> None:
    make_form()
    assert (
        administrator().patch("/api/v1/manage/collections/contact", {"form": {"open": False}}).status_code
        == 200
    )
    make_collection()
    closed, missing, articles = (
        send(GOOD, path=f"/api/v1/forms/{key}") for key in ("contact", "nothing", "articles")
    )
    assert closed.status_code == 404
    assert without_instance(closed) == without_instance(missing) == without_instance(articles)
    assert send("{", path="/api/v1/forms/nothing").status_code == 404


def test_a_new_form_is_closed() -> None:
    make_collection("contact", FIELDS, kind="form")
    assert send(GOOD).status_code == 404


def test_each_fault_is_named_where_it_stands() -> None:
    make_form()
    assert places(send({"name": "", "email": "no", "age": "x", "zz": 1, "message": "x" * 501})) == [
        ("/email", "invalid-email"),
        ("/age", "invalid-type"),
        ("/zz", "unknown-key"),
        ("/message", "too-long"),
        ("/name", "required"),
    ]
    assert not Submission.objects.exists()
    assert places(send('{"name": "a", "name": "b"}')) == [("/name", "repeated-key")]
    assert_problem(send("[]"), 400)
    assert_problem(send(GOOD, path=f"{PATH}?x=1"), 400)


def test_what_is_not_asked_for_is_not_kept() -> None:
    make_form()
    assert values_of(send(GOOD | {"why": "because"}))["why"] is None
    assert values_of(send(GOOD | {"why": "because", "news": True}))["why"] == "because"


def test_a_plain_html_form_works_without_script() -> None:
    make_form()
    pairs = [*GOOD.items(), ("age", ""), ("news", "on"), ("topics", "a"), ("topics", "b"), ("homepage", "")]
    answer = send_html(pairs)
    assert answer.status_code == 201, answer.content
    assert "Location" not in answer.headers
    assert values_of(answer) == GOOD | {
        "age": None,
        "news": True,
        "topics": ["a", "b"],
        "code": None,
        "why": None,
    }
    typed = values_of(send_html([*(GOOD | {"message": "a\r\nb"}).items(), ("age", "7")]))
    assert (typed["age"], typed["message"]) == (7, "a\nb")
    assert places(send_html([*GOOD.items(), ("name", "again")])) == [("/name", "repeated-key")]
    assert places(send_html([*GOOD.items(), ("age", "many"), ("zz", "1")])) == [("/age", "invalid-type")]
    for bad in ("name=%ZZ", "name=%ff", "name=%00", "name=ä", "&".join(["name=a"] * 1001)):
        assert_problem(send_html(bad), 400)


def test_other_kinds_of_bodies_are_refused() -> None:
    make_form()
    client: Any = anonymous().client
    for kind in ("multipart/form-data; boundary=x", "text/plain", "application/json; charset=latin-1", ""):
        assert_problem(client.generic("POST", PATH, "name=a", content_type=kind), 415)
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        assert client.generic(method, PATH).status_code == 405


def test_a_page_of_an_allowed_origin_may_read_the_answer(settings: Any) -> None:
    make_form()
    settings.CORS_ALLOWED_ORIGINS = ["https://www.example.com"]
    good = send(GOOD, Origin="https://www.example.com")
    assert good.headers["Access-Control-Allow-Origin"] == "https://www.example.com"
    assert "Access-Control-Allow-Credentials" not in good.headers
    other = send(GOOD, Origin="https://evil.example")
    assert other.status_code == 201  # whom it is open to is not for the browser to say
    assert "Access-Control-Allow-Origin" not in other.headers
    asked = {"Origin": "https://www.example.com", "Access-Control-Request-Method": "POST"}
    assert "POST" in anonymous().client.options(PATH, headers=asked).headers["Access-Control-Allow-Methods"]


def test_a_lockdown_closes_forms() -> None:
    make_form()
    lockdown.begin(reason="An incident", by=ROOT)
    assert_problem(send(GOOD), 423)
    assert not Submission.objects.exists()


def test_a_body_may_be_as_large_as_the_form_says() -> None:
    make_form(max_bytes=300)
    assert send(GOOD | {"message": "x" * 150}).status_code == 201
    assert_problem(send(GOOD | {"message": "x" * 350}), 413)


def test_a_robot_in_the_honeypot_is_told_that_all_is_well() -> None:
    make_form()
    good, robot = send(GOOD), send(GOOD | {"homepage": "https://spam.example"})
    assert robot.status_code == 201
    assert {k: v for k, v in robot.headers.items() if k not in ("X-Request-ID", "RateLimit")}.keys() == {
        k: v for k, v in good.headers.items() if k not in ("X-Request-ID", "RateLimit")
    }.keys()
    assert len(robot.content) == len(good.content)
    assert UUID(robot.json()["id"]).version == UUID(good.json()["id"]).version
    for again in (True, ["x"], 1):
        assert send(GOOD | {"homepage": again}, address="192.0.2.9").status_code == 201
    assert [str(row.pk) for row in Submission.objects.all()] == [good.json()["id"]]
    assert Event.objects.filter(type="form.submitted").count() == 1
    assert [event.detail["count"] for event in Event.objects.filter(type="form.trapped")] == [1]
    assert send(GOOD | {"homepage": ""}, address="192.0.2.9").status_code == 201
    # What is wrong with the rest is told to everybody alike.
    assert places(send({"homepage": "x"}, address="192.0.2.9")) == places(send({}, address="192.0.2.9"))


def test_a_form_without_a_honeypot_takes_no_more_for_that() -> None:
    make_form(honeypot="")
    assert places(send(GOOD | {"": "x"})) == [("/", "unknown-key")]
    assert places(send(GOOD | {"homepage": "x"})) == [("/homepage", "unknown-key")]


def test_a_robot_makes_as_much_work_as_a_person() -> None:
    """No test is timed; what takes time is what the database is asked to do, and that it commits."""
    make_form()
    send(GOOD)
    send(GOOD | {"homepage": "x"})  # the first of an hour is told to the log

    def asked(body: dict[str, Any]) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            assert send(body).status_code == 201
        words = [query["sql"].split(" ")[0] for query in captured.captured_queries]
        return [word for word in words if word not in ("ROLLBACK", "RELEASE")]  # to the savepoint

    person, robot = asked(GOOD), asked(GOOD | {"homepage": "x"})
    assert robot == person
    assert robot.count("INSERT") == 2
    assert robot[-1] == "COMMIT"


def test_one_stranger_can_neither_fill_a_form_nor_keep_others_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_form()
    monkeypatch.setattr(quotas, "KEPT", ((3, 3600), (4, 86400)))
    assert [send(GOOD).status_code for _ in range(5)] == [201, 201, 201, 429, 429]
    refused = send(GOOD)
    assert int(refused.headers["Retry-After"]) > 60
    assert Submission.objects.count() == 3
    assert send(GOOD, address="203.0.113.7").status_code == 201
    # Correcting what is wrong costs nothing of that.
    assert [send({}, address="203.0.113.8").status_code for _ in range(4)] == [400] * 4
    assert send(GOOD, address="203.0.113.8").status_code == 201
    assert send(GOOD, address="2001:db8::1").status_code == 201
    flood = [send({}, address="203.0.113.9").status_code for _ in range(12)]
    assert flood.count(429) == 2


def test_a_form_takes_so_much_and_then_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    make_form()
    monkeypatch.setattr(quotas, "MOST_STORED", 2)
    assert [send(GOOD, address=f"203.0.113.{n}").status_code for n in range(2)] == [201, 201]
    for number in range(3):
        problem = assert_problem(send(GOOD, address=f"203.0.113.{10 + number}"), 503)
        assert problem["code"] == "form-full"
    assert Event.objects.filter(type="form.full").count() == 1
    monkeypatch.setattr(quotas, "MOST_STORED", 20)
    monkeypatch.setattr(quotas, "MOST_BYTES", 200)
    assert send(GOOD, address="203.0.113.20").status_code == 503


def test_without_valkey_forms_are_taken(broken_valkey: None) -> None:
    make_form()
    assert send(GOOD).status_code == 201
    assert send(GOOD | {"homepage": "x"}).status_code == 201


def test_the_address_is_kept_only_where_the_form_says_so() -> None:
    make_form(keep_address=True)
    answer = send(GOOD, address="203.0.113.77")
    assert (
        administrator().get(f"{MANAGE}/submissions/{answer.json()['id']}").json()["address"] == "203.0.113.77"
    )
    administrator().patch("/api/v1/manage/collections/contact", {"form": {"keep_address": False}})
    answer = send(GOOD, address="203.0.113.78")
    assert "address" not in administrator().get(f"{MANAGE}/submissions/{answer.json()['id']}").json()


def test_a_bad_credential_is_refused_and_a_good_one_may_send() -> None:
    make_form()
    assert_problem(send(GOOD, Authorization="Bearer nonsense"), 401)
    make_role("nothing")
    assert make_key(role="nothing").post(PATH, GOOD).status_code == 201
    event = Event.objects.get(type="form.submitted")
    assert event.actor_kind == "service"


def test_what_is_over_is_gone_and_then_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "_BATCH", 2)
    make_form(retention_days=1)
    ids = [send(GOOD).json()["id"] for _ in range(4)]
    Submission.objects.filter(pk__in=ids[:3]).update(
        received_at=timezone.now() - timedelta(days=2), expires_at=timezone.now() - timedelta(days=1)
    )
    root = administrator()
    assert [row["id"] for row in root.get(f"{MANAGE}/submissions").json()["data"]] == ids[3:]
    assert_problem(root.get(f"{MANAGE}/submissions/{ids[0]}"), 404)
    erase_submissions()
    erase_submissions()
    assert [str(row.pk) for row in Submission.objects.all()] == ids[3:]
    # What was erased is told of in the same transaction, or a worker that dies would have erased it untold.
    told = Event.objects.filter(type="submissions.expired").order_by("at")
    assert [event.detail["count"] for event in told] == [2, 1]


def test_a_shorter_time_holds_for_what_is_there_and_a_longer_one_does_not() -> None:
    make_form(retention_days=30)
    row = Submission.objects.get(pk=send(GOOD).json()["id"])
    root, at = administrator(), "/api/v1/manage/collections/contact"
    assert root.patch(at, {"form": {"retention_days": 365}}).status_code == 200
    row.refresh_from_db()
    assert (row.expires_at - row.received_at).days == 30
    assert root.patch(at, {"form": {"retention_days": 3}}).status_code == 200
    row.refresh_from_db()
    assert (row.expires_at - row.received_at).days == 3
    Submission.objects.update(received_at=timezone.now() - timedelta(days=2))
    problem = assert_problem(root.patch(at, {"form": {"retention_days": 1}}), 409)
    assert [effect["change"] for effect in problem["effects"]] == ["shortened"]
    assert root.patch(at, {"form": {"retention_days": 1}, "confirm": True}).status_code == 200
    assert not Submission.objects.live().exists()


def test_deleting_a_form_asks_and_erases() -> None:
    make_form()
    send(GOOD)
    root = administrator()
    problem = assert_problem(root.delete("/api/v1/manage/collections/contact"), 409)
    assert problem["effects"][0]["lost"] == 1
    assert root.delete("/api/v1/manage/collections/contact?confirm=true").status_code == 204
    assert not Submission.objects.exists()
    assert send(GOOD).status_code == 404


# What a form may be made of


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"fields": [{"key": "a", "type": "reference"}]}, "/fields/0/type"),
        ({"fields": [{"key": "a", "type": "rich_text"}]}, "/fields/0/type"),
        ({"fields": [{"key": "a", "type": "json"}]}, "/fields/0/type"),
        ({"fields": [{"key": "a", "type": "slug"}]}, "/fields/0/type"),
        ({"fields": [{"key": "a", "type": "text", "filterable": True}]}, "/fields/0/filterable"),
        ({"fields": [{"key": "a", "type": "text", "unique": True}]}, "/fields/0/unique"),
        ({"fields": [{"key": "a", "type": "boolean", "default": True}]}, "/fields/0/default"),
        ({"localized": True}, "/localized"),
        ({"form": {"retention_days": 0}}, "/form/retention_days"),
        ({"form": {"retention_days": 3651}}, "/form/retention_days"),
        ({"form": {"retention_days": True}}, "/form/retention_days"),
        ({"form": {"retention_days": None}}, "/form/retention_days"),
        ({"form": {"max_bytes": 65537}}, "/form/max_bytes"),
        ({"form": {"open": 1}}, "/form/open"),
        ({"form": {"honeypot": "A b"}}, "/form/honeypot"),
        ({"form": {"honeypot": "a"}, "fields": [{"key": "a", "type": "text"}]}, "/form/honeypot"),
        ({"form": {"notice": "\x07"}}, "/form/notice"),
        ({"form": {"zz": 1}}, "/form/zz"),
        ({"form": []}, "/form"),
        ({"kind": "many", "form": {}}, "/form"),
    ],
)  # fmt: skip
def test_a_form_holds_plain_values_for_a_finite_time(members: dict[str, Any], place: str) -> None:
    answer = administrator().post(
        "/api/v1/manage/collections", {"key": "poll", "name": "Poll", "kind": "form", **members}
    )
    assert place in [pointer for pointer, _ in places(answer)]


def test_a_component_brings_nothing_into_a_form_that_it_may_not_hold() -> None:
    make_collection("plain", [{"key": "text", "type": "text", "required": True}], kind="component")
    make_collection("rich", [{"key": "text", "type": "rich_text"}], kind="component")
    part = {"key": "part", "type": "component", "options": {"components": ["plain"]}}
    make_form(fields=[part])
    answer = send({"part": {"text": "inside"}})
    assert values_of(answer) == {"part": {"text": "inside"}}
    assert places(send({"part": {"text": 5, "zz": 1}})) == [
        ("/part/text", "invalid-type"),
        ("/part/zz", "unknown-field"),
    ]
    root = administrator()
    bad = {"fields": [part | {"options": {"components": ["rich"]}}]}
    assert places(root.patch("/api/v1/manage/collections/contact", bad)) == [
        ("/fields/0/options/components", "not-in-form")
    ]
    widened = {"fields": [{"key": "text", "type": "text"}, {"key": "more", "type": "markdown"}]}
    assert places(root.patch("/api/v1/manage/collections/plain", widened)) == [
        ("/fields/1/type", "not-in-form")
    ]


def test_every_field_of_a_form_is_personal_at_least() -> None:
    make_form(
        fields=[
            {"key": "a", "type": "text", "data_class": "public"},
            {"key": "b", "type": "text", "data_class": "secret"},
        ]
    )
    shown = administrator().get("/api/v1/manage/collections/contact").json()
    assert [field["data_class"] for field in shown["fields"]] == ["personal", "secret"]


def test_a_form_of_an_earlier_release_is_closed() -> None:
    make_form()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE content_collection SET form = NULL")
        cursor.execute("UPDATE accounts_generation SET value = value + 1 WHERE name = 'schema'")
    assert send(GOOD).status_code == 404
    assert administrator().get("/api/v1/manage/collections/contact").json()["form"]["open"] is False


# Bodies of all kinds

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_names = st.sampled_from([field["key"] for field in FIELDS] + ["homepage", "place", "part", "zz"])
_quick = bounded(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def wide_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.limits.admit", lambda *_, **__: None)  # so many requests are another test's
    monkeypatch.setattr(quotas, "KEPT", ((10**9, 3600),))
    make_collection("plain", [{"key": "text", "type": "text"}], kind="component")
    parts = {"options": {"components": ["plain"]}}
    more: list[dict[str, Any]] = [
        {"key": "place", "type": "geo_point"},
        {"key": "part", "type": "components", **parts},
    ]
    make_form(fields=FIELDS + more)


@_quick
@given(st.dictionaries(_names, _json, max_size=8))
def test_no_json_breaks_a_form(wide_form: None, body: dict[str, Any]) -> None:
    answer = send(json.dumps(GOOD | body))
    assert answer.status_code in (201, 400), answer.content


@_quick
@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_break_a_form(wide_form: None, body: bytes) -> None:
    client = anonymous().client
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        assert client.generic("POST", PATH, body, content_type=kind).status_code in (201, 400)


@_quick
@given(st.lists(st.tuples(_names, st.text(max_size=30)), min_size=1, max_size=10))
def test_no_html_form_breaks_a_form(wide_form: None, pairs: list[tuple[str, str]]) -> None:
    usable = [(name, text.encode(errors="ignore").decode()) for name, text in pairs]
    assert send_html(usable).status_code in (201, 400)


def test_a_form_that_changes_meanwhile_is_read_anew() -> None:
    """What was removed between two looks is refused like anything unknown."""
    make_form()
    administrator().patch("/api/v1/manage/collections/contact", {"fields": [FIELDS[0]], "confirm": True})
    assert [pointer for pointer, _ in places(send(GOOD))] == ["/email", "/message"]
