"""Reads of drafts, and of personal and secret fields, are events: names and never values, one a request."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from accounts import tasks
from accounts.audit import reads, verifying
from accounts.canonical import canonical_bytes
from accounts.log import seal_pending
from accounts.models import Event
from accounts.valkey import valkey
from content import editing
from content.models import Entry
from content.schema import current
from tests.accounts.cast import make_person
from tests.builders import (
    Api,
    administrator,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_role,
    writing,
)
from tests.content.admin.conftest import sign_in

pytestmark = pytest.mark.django_db
PEOPLE = "/api/v1/manage/content/people"
PUBLIC = "/api/v1/content/people"
FIELDS: list[dict[str, Any]] = [
    {"key": "name", "type": "text", "required": True, "filterable": True},
    {"key": "slug", "type": "slug", "options": {"from": "name"}},
    {"key": "mail", "type": "email", "data_class": "personal"},
    {"key": "wage", "type": "integer", "data_class": "secret"},
    {"key": "boss", "type": "reference", "options": {"collections": ["people"]}, "filterable": True},
]
VALUES: dict[str, Any] = {"name": "CANARY-NAME", "mail": "canary@example.com", "wage": 731648}


@pytest.fixture
def entry() -> Entry:
    make_collection("people", FIELDS)
    return make_entry("people", **VALUES)


@pytest.fixture
def ada(entry: Entry) -> Api:
    return administrator()


def reader(*fields: str) -> Api:
    """Return a key whose role reads these fields of published people, and no drafts."""
    make_role("reader", {"collection": "people", "fields": fields or None})
    return make_key(role="reader")


def logged() -> list[Event]:
    return list(Event.objects.filter(type__in=(reads.DRAFT, reads.SENSITIVE)).order_by("at"))


def only() -> Event:
    (event,) = logged()
    text = json.dumps(event.detail)
    assert not [value for value in VALUES.values() if str(value) in text]
    return event


def ok(answer: Any) -> Any:
    assert answer.status_code == 200, answer.content
    return answer.json()


# Management


def test_reading_a_draft_is_an_event(ada: Api, entry: Entry) -> None:
    ok(ada.get(f"{PEOPLE}/{entry.pk}?fields=name,slug"))
    event = only()
    assert (event.type, event.subject_type, event.subject_id) == ("draft.read", "entry", str(entry.pk))
    assert event.credential.startswith("api-key:")
    assert event.detail == {"collection": "people", "of": "drafts", "where": "api"}


def test_personal_and_secret_fields_are_named(ada: Api, entry: Entry) -> None:
    ok(ada.get(f"{PEOPLE}/{entry.pk}"))
    event = only()
    assert (event.type, event.detail["fields"]) == ("sensitive.read", {"people": ["mail", "wage"]})


def test_a_list_is_one_event_with_its_number_and_the_first_ids(ada: Api) -> None:
    for number in range(30):
        make_entry("people", name=f"P{number}", published=False)
    ok(ada.get(f"{PEOPLE}?limit=30&fields=name"))
    event = only()
    assert (event.type, event.subject_type) == ("draft.read", "collection")
    assert (event.detail["count"], len(event.detail["ids"])) == (30, reads.MAX_IDS)


def test_an_empty_list_shows_nothing_and_is_no_event(ada: Api) -> None:
    ok(ada.get(f"{PEOPLE}?filter[name][eq]=nobody&fields=name"))
    assert logged() == []


def test_versions_and_differences_are_reads(ada: Api, entry: Entry) -> None:
    editing.save(entry.pk, {"name": "Other"}, writing=writing("people"), base=1)
    for path, versions in (("versions", [1, 2]), ("versions/1", [1]), ("diff?from=1&to=2", [1, 2])):
        before = len(logged())
        ok(ada.get(f"{PEOPLE}/{entry.pk}/{path}"))
        found = logged()
        assert len(found) == before + 1, path
        assert found[-1].detail["versions"] == versions
    assert [event.type for event in logged()] == ["draft.read", "sensitive.read", "draft.read"]


def test_what_an_act_answers_is_logged_when_it_is_sensitive(ada: Api, entry: Entry) -> None:
    """An update that changes nothing would else be a way to read a wage without a trace."""
    answer = ada.patch(f"{PEOPLE}/{entry.pk}", {"fields": {}}, **{"If-Match": '"1"'})
    assert answer.status_code == 200
    assert answer.json()["wage"] == 731648
    assert only().type == "sensitive.read"


def test_a_refusal_that_shows_the_present_document_is_logged(ada: Api, entry: Entry) -> None:
    answer = ada.patch(f"{PEOPLE}/{entry.pk}", {"fields": {"name": "x"}}, **{"If-Match": '"9"'})
    assert answer.status_code == 412
    assert "canary@example.com" in answer.content.decode()
    assert only().type == "sensitive.read"


def test_a_refused_read_is_no_event(entry: Entry) -> None:
    key = reader("name")
    assert key.get(f"{PEOPLE}/{entry.pk}").status_code == 404
    assert anonymous().get(f"{PEOPLE}/{entry.pk}").status_code == 401
    assert logged() == []


def test_the_same_read_again_is_one_event_and_another_one_is_not(ada: Api, entry: Entry) -> None:
    for _ in range(3):
        ok(ada.get(f"{PEOPLE}/{entry.pk}?fields=name"))
    assert len(logged()) == 1
    ok(ada.get(f"{PEOPLE}/{entry.pk}?fields=mail"))
    ok(administrator().get(f"{PEOPLE}/{entry.pk}?fields=name"))
    assert len(logged()) == 3


def test_without_valkey_it_is_logged_each_time(ada: Api, entry: Entry, broken_valkey: None) -> None:
    for _ in range(2):
        ok(ada.get(f"{PEOPLE}/{entry.pk}?fields=name"))
    assert len(logged()) == 2


def test_a_read_costs_one_event_more_and_no_other_question(ada: Api, entry: Entry) -> None:
    path = f"{PEOPLE}/{entry.pk}?fields=name"
    ok(ada.get(f"{PEOPLE}?fields=name"))

    def statements() -> list[str]:
        with CaptureQueriesContext(connections["default"]) as queries:
            ok(ada.get(path))
        return [query["sql"].split()[0] for query in queries.captured_queries]

    first, second = statements(), statements()
    assert first.count("INSERT") == 1
    assert second.count("INSERT") == 0
    assert first.count("SELECT") == second.count("SELECT")


def test_what_can_not_be_logged_is_not_read(ada: Api, entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr(reads, "record", fail)
    answer = ada.get(f"{PEOPLE}/{entry.pk}")
    assert answer.status_code == 500
    assert "CANARY" not in answer.content.decode()
    monkeypatch.undo()
    ok(ada.get(f"{PEOPLE}/{entry.pk}"))
    assert len(logged()) == 1  # the failure was not remembered as a read


# Delivery


def test_published_public_fields_leave_no_event_and_ask_the_writing_role_nothing(entry: Entry) -> None:
    key = reader("name", "slug")
    with CaptureQueriesContext(connections["default"]) as queries:
        ok(key.get(PUBLIC))
        ok(key.get(f"{PUBLIC}/{entry.pk}"))
    assert logged() == []
    assert not queries.captured_queries


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("", ["mail"]),
        ("/{id}", ["mail"]),
        ("?fields=mail&search=canary", ["mail"]),
        ("?fields=boss.mail", ["mail"]),
    ],
)
def test_a_published_personal_field_is_logged_when_it_is_shown(
    entry: Entry, path: str, fields: list[str]
) -> None:
    make_entry("people", name="canary", boss=str(entry.pk))
    key = reader("name", "slug", "mail", "boss")
    ok(key.get(PUBLIC + path.replace("{id}", str(entry.pk))))
    event = only()
    assert (event.type, event.detail["of"]) == ("sensitive.read", "published")
    assert event.detail["fields"] == {"people": fields}


def test_what_everybody_may_read_is_in_the_access_log_alone(entry: Entry) -> None:
    allow("public", collection="people", fields=("name", "mail"))
    assert "canary@example.com" in anonymous().get(PUBLIC).content.decode()
    assert logged() == []


@pytest.fixture
def delivery_alone(settings: LazySettings) -> None:
    resolve(
        "/healthz"
    )  # loads the URLs, which are those of the process that tests run in, whichever test comes first
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, plane="delivery")


def test_the_delivery_plane_alone_hands_the_event_on_to_a_worker(entry: Entry, delivery_alone: None) -> None:
    key = reader("name", "mail")
    for _ in range(2):
        ok(key.get(f"{PUBLIC}/{entry.pk}"))
    assert logged() == []
    assert valkey().llen(reads.QUEUE) == 1
    tasks.record_reads()
    event = only()
    assert (event.type, event.subject_id) == ("sensitive.read", str(entry.pk))
    assert event.credential.startswith("api-key:")
    assert valkey().llen(reads.QUEUE) == valkey().llen(reads.WORKING) == 0
    seal_pending()
    assert verifying.verify().pending == 0
    assert not [item for item in verifying.verify().findings if item.problem != "head"]


def test_a_worker_that_was_killed_in_the_middle_loses_and_doubles_nothing(
    entry: Entry, delivery_alone: None
) -> None:
    key = reader("name", "mail")
    ok(key.get(f"{PUBLIC}/{entry.pk}"))
    client = valkey()
    line = client.lindex(reads.QUEUE, 0) or b""
    client.lmove(reads.QUEUE, reads.WORKING, "LEFT", "RIGHT")
    tasks.record_reads()
    assert len(logged()) == 1
    client.rpush(reads.WORKING, line)  # as if it was killed after the commit
    tasks.record_reads()
    assert len(logged()) == 1
    assert client.llen(reads.WORKING) == 0


@pytest.mark.parametrize("change", [{"type": "draft.read"}, {"tag": "k1:00"}, {"actor": None}, {}])
def test_a_read_that_somebody_made_up_in_valkey_is_not_written(
    entry: Entry, delivery_alone: None, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    ok(reader("name", "mail").get(f"{PUBLIC}/{entry.pk}"))
    valkey().rpush(reads.QUEUE, "[" * 100_000, '{"at": "0001-01-01T00:00:00+14:00"}')
    line = json.loads(valkey().lpop(reads.QUEUE))  # type: ignore[arg-type]
    valkey().rpush(reads.QUEUE, json.dumps(line | change) if change else "nonsense")
    tasks.record_reads()
    assert logged() == []
    assert "did not write" in caplog.text
    assert valkey().llen(reads.WORKING) == 0


def test_nobody_with_valkey_alone_can_say_that_a_read_is_in_the_log(entry: Entry) -> None:
    """Who knows what will be read knows all of the mark but the key."""
    marks: list[bytes] = []

    def watched(value: object) -> bytes:
        marks.append(canonical_bytes(value))
        return marks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reads, "canonical_bytes", watched)
        ok(reader("name", "mail").get(f"{PUBLIC}/{entry.pk}"))
    assert valkey().keys(f"{reads._SEEN}*")
    (known,) = set(marks)
    assert not valkey().exists(reads._SEEN + hashlib.sha256(known).hexdigest())


def test_without_valkey_the_delivery_plane_alone_refuses_what_it_can_not_log(
    entry: Entry, delivery_alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = reader("name", "mail")

    def fail(*_: Any, **__: Any) -> Any:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(redis.Redis, "execute_command", fail)
    answer = key.get(f"{PUBLIC}/{entry.pk}")
    assert answer.status_code == 503
    assert "canary" not in answer.content.decode()
    ok(key.get(f"{PUBLIC}/{entry.pk}?fields=name"))


# The admin


def test_opening_a_form_is_the_read_of_a_draft(entry: Entry) -> None:
    person = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    browser: Client = sign_in(person)
    for _ in range(2):
        assert browser.get(f"/admin/content/people/{entry.pk}/change/").status_code == 200
    event = only()
    assert (event.type, event.actor_id, event.detail["where"]) == ("draft.read", person.user.pk, "admin")
    assert event.credential.startswith("session:")
    assert "fields" not in event.detail  # they are masked


def test_comparing_versions_in_the_admin_is_a_read(entry: Entry) -> None:
    editing.save(entry.pk, {"name": "Other"}, writing=writing("people"), base=1)
    browser = sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))
    assert browser.get(f"/admin/content/people/{entry.pk}/diff/?from=1&to=2").status_code == 200
    assert only().detail["versions"] == [1, 2]


def test_a_list_of_the_admin_shows_and_finds_nothing_personal(entry: Entry) -> None:
    ada = sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))
    mail = current().by_key["people"].by_key["mail"].id
    for path in ("", "?q=canary@example.com", f"?column={mail}"):
        answer = ada.get(f"/admin/content/people/{path}", follow=True)
        assert answer.status_code == 200
        assert "canary@example.com" not in answer.content.decode().replace(
            "?q=canary@example.com", ""
        ).replace('value="canary@example.com"', "")
    assert logged() == []


@pytest.fixture
def named(entry: Entry) -> Entry:
    """What people call a guest is personal."""
    make_collection("guests", [{"key": "name", "type": "text", "required": True, "data_class": "personal"}])
    make_collection(
        "visits",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "guest", "type": "reference", "options": {"collections": ["guests"]}},
        ],
    )
    return make_entry("guests", name="CANARY-GUEST")


@pytest.fixture
def browser(named: Entry) -> Client:
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


@pytest.mark.parametrize(
    "path",
    [
        "/admin/choices/?in=guests", "/admin/choices/?in=guests&q=canary", "/admin/choices/?id={guest}", "/admin/content/visits/{visit}/change/",
        "/admin/content/visits/add/", "/admin/content/guests/", "/admin/content/guests/{guest}/change/", "/admin/content/guests/{guest}/history/",
        "/admin/content/guests/{guest}/trash/", "/admin/content/guests/{guest}/unpublish/", "/admin/",
    ],
)  # fmt: skip
def test_a_personal_name_is_what_no_page_calls_an_entry_by(browser: Client, named: Entry, path: str) -> None:
    visit = make_entry("visits", title="A visit", guest=str(named.pk))
    answer = browser.get(path.format(guest=named.pk, visit=visit.pk))
    assert answer.status_code == 200
    assert "CANARY-GUEST" not in answer.content.decode()
    assert not [event for event in logged() if event.type == "sensitive.read"]


# The access log


def test_the_access_log_names_the_key_and_the_session(entry: Entry, caplog: pytest.LogCaptureFixture) -> None:
    key = reader("name")
    with caplog.at_level("INFO", "quillkeep.request"):
        ok(key.get(PUBLIC))
        line: Any = caplog.records[-1]
        assert line.credential == f"api-key {key.key.split('_')[2]}"
        assert line.principal
        anonymous().get(PUBLIC)
        assert not hasattr(caplog.records[-1], "principal")
        Api(Client(), "qk_development_wrong_key").get(PUBLIC)
        assert not hasattr(caplog.records[-1], "credential")
        browser = sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))
        for path in ("/admin/content/people/", "/admin/accounts/event/"):
            browser.get(path)
            line = caplog.records[-1]
            assert line.credential.startswith("session ")
            assert line.principal


def test_the_formatters_keep_what_names_the_key(entry: Entry, caplog: pytest.LogCaptureFixture) -> None:
    from cms_project.logs import JSONFormatter, ReadableFormatter

    key = reader("name")
    with caplog.at_level("INFO", "quillkeep.request"):
        ok(key.get(PUBLIC))
    public_id, secret = key.key.split("_")[2], key.key.split("_")[3]
    for formatter in (JSONFormatter(), ReadableFormatter()):
        text = formatter.format(caplog.records[-1])
        assert f"api-key {public_id}" in text
        assert secret not in text
