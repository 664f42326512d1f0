"""Reading submissions: who may, what the log keeps of it, and that nothing that was sent stands anywhere else."""

import csv
import io
import json
import logging
from typing import Any
from unittest.mock import Mock

import pytest
from django.apps import apps
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError

from accounts.access import Action, Scopes
from accounts.alerting.reading import raise_due
from accounts.audit.exporting import lines, sealed
from accounts.audit.searching import Sought
from accounts.log import seal_pending
from accounts.models import Alert, Event
from content.forms import quotas, reading
from content.forms.bodies import Reading
from content.models import Submission
from tests.builders import administrator, anonymous, make_collection, make_key, make_role, make_user
from tests.content.forms.world import FIELDS, GOOD, MANAGE, PATH, make_form, send
from tests.security.world import Unchanged, assert_problem

pytestmark = pytest.mark.django_db

READING = ("name", "email", "message", "age", "news", "topics", "why")
EXPORT = {"format": "csv", "reason": "The yearly report"}


def make_reader(*actions: str, fields: tuple[str, ...] | None = READING, collection: str = "contact") -> Any:
    key = f"reader_{'_'.join(actions)}_{collection if collection != '*' else 'all'}_{len(fields or ())}"
    make_role(key, {"collection": collection, "actions": actions, "fields": fields})
    return make_key(role=key)


def test_a_list_tells_nothing_that_was_sent() -> None:
    make_form()
    ids = [send(GOOD).json()["id"] for _ in range(3)]
    reader = make_reader("read")
    page = reader.get(f"{MANAGE}/submissions?limit=2").json()
    assert [row["id"] for row in page["data"]] == ids[:0:-1]
    assert set(page["data"][0]) == {"id", "received_at", "expires_at", "size"}
    rest = reader.get(f"{MANAGE}/submissions?limit=2&cursor={page['meta']['next_cursor']}").json()
    assert [row["id"] for row in rest["data"]] == ids[:1]
    assert not Event.objects.filter(type="submission.read").exists()
    assert_problem(reader.get(f"{MANAGE}/submissions?zz=1"), 400)


def test_values_are_for_who_is_given_their_fields_by_name_and_each_read_is_an_event() -> None:
    make_form()
    sent = send(GOOD | {"code": "1234"}).json()["id"]
    reader = make_reader("read")
    for _ in range(2):
        answer = reader.get(f"{MANAGE}/submissions/{sent}")
        assert answer.status_code == 200
        assert set(answer.json()["fields"]) == set(READING)
        assert "1234" not in answer.content.decode()
    events = list(Event.objects.filter(type="submission.read"))
    assert len(events) == 2
    assert (events[0].subject_type, events[0].subject_id) == ("submission", sent)
    assert events[0].detail == {"collection": "contact", "fields": list(READING)}
    assert administrator().get(f"{MANAGE}/submissions/{sent}").json()["fields"]["code"] == "1234"


@pytest.mark.parametrize(
    "policy",
    [
        {"collection": "*", "actions": ("read", "read_draft", "export", "delete", "create", "update")},
        {"collection": "contact", "actions": ("read", "export", "delete")},  # every public and internal field
        {"collection": "contact", "actions": ("read_draft", "manage_schema"), "fields": READING},
        {"collection": "contact", "actions": ("read",), "fields": READING, "filter": {"_created_by": {"eq": "$user"}}},
        {"collection": "articles", "actions": ("read",)},
    ],
)  # fmt: skip
def test_whoever_is_not_given_them_sees_nothing_of_submissions(policy: dict[str, Any]) -> None:
    make_collection()
    make_form()
    sent = send(GOOD).json()["id"]
    make_role("other", policy)
    api = make_key(role="other")
    with Unchanged(policy):
        for method, path, body in (
            ("GET", f"{MANAGE}/submissions", None),
            ("GET", f"{MANAGE}/submissions/{sent}", None),
            ("DELETE", f"{MANAGE}/submissions/{sent}", None),
            ("POST", f"{MANAGE}/export", EXPORT),
        ):
            assert_problem(api.request(method, path, body), 404)
            assert_problem(api.request(method, path.replace("contact", "nothing"), body), 404)
            assert_problem(anonymous().request(method, path, body), 401)


def test_reading_is_not_erasing_nor_exporting_and_scopes_cut_both() -> None:
    make_form()
    sent = send(GOOD).json()["id"]
    reader = make_reader("read")
    with Unchanged("reader"):
        assert_problem(reader.delete(f"{MANAGE}/submissions/{sent}"), 403)
        assert_problem(reader.post(f"{MANAGE}/export", EXPORT), 403)
    make_role("all", {"collection": "contact", "actions": ("read", "delete", "export"), "fields": READING})
    owner = make_user(roles=("all",))
    form_id = Submission.objects.get().form_id
    cut = make_key(owner=owner, scopes=Scopes(frozenset({(form_id, Action.READ)}), frozenset()))
    assert cut.get(f"{MANAGE}/submissions/{sent}").status_code == 200
    assert_problem(cut.delete(f"{MANAGE}/submissions/{sent}"), 403)
    assert make_key(owner=owner).delete(f"{MANAGE}/submissions/{sent}").status_code == 204
    assert not Submission.objects.exists()
    assert Event.objects.get(type="submission.erased").subject_id == sent
    assert_problem(make_key(owner=owner).delete(f"{MANAGE}/submissions/{sent}"), 404)


def test_a_submission_of_another_form_is_missing() -> None:
    make_form()
    make_form("poll", [{"key": "name", "type": "text"}])
    sent = send(GOOD).json()["id"]
    other = f"/api/v1/manage/forms/poll/submissions/{sent}"
    assert_problem(administrator().get(other), 404)
    assert_problem(administrator().delete(other), 404)
    assert Submission.objects.count() == 1


def test_removed_fields_are_read_until_what_was_sent_is_over() -> None:
    make_form()
    sent = send(GOOD | {"age": 3}).json()["id"]
    root = administrator()
    kept = [field for field in FIELDS if field["key"] not in ("age", "message")]
    changed = {"fields": [*kept, {"key": "age", "type": "text"}], "confirm": True}
    assert root.patch("/api/v1/manage/collections/contact", changed).status_code == 200
    shown = root.get(f"{MANAGE}/submissions/{sent}").json()
    assert shown["fields"]["age"] is None
    assert {item["key"]: item["value"] for item in shown["former_fields"]} == {"age": 3, "message": "Hello"}
    table = root.post(f"{MANAGE}/export", EXPORT).getvalue().decode()
    assert '"age (removed)"' in table


def test_a_body_that_was_altered_or_moved_is_said_so_and_stops_nothing() -> None:
    make_form()
    first, second = (send(GOOD | {"name": name}).json()["id"] for name in ("One", "Two"))
    bodies = dict(Submission.objects.values_list("pk", "body"))
    Submission.objects.filter(pk=first).update(
        body=next(body for pk, body in bodies.items() if str(pk) == second)
    )
    root = administrator()
    shown = root.get(f"{MANAGE}/submissions/{first}").json()
    assert (shown["fields"], bool(shown["fault"])) == ({}, True)
    rows = json.loads(root.post(f"{MANAGE}/export", EXPORT | {"format": "json"}).getvalue())
    assert [row["fields"].get("name") for row in rows] == [None, "Two"]


def test_an_export_is_streamed_with_a_reason_and_told() -> None:
    make_form()
    for number in range(3):
        send(
            GOOD | {"name": f"Visitor {number}", "topics": ["a", "b"], "code": "1234"},
            address=f"192.0.2.{number}",
        )
    make_role("taker", {"collection": "contact", "actions": ("read",), "fields": READING})
    make_role(
        "taker", {"collection": "contact", "actions": ("export",), "fields": ("name", "topics", "code")}
    )
    taker = make_key(role="taker")
    answer = taker.post(f"{MANAGE}/export", EXPORT)
    assert answer.status_code == 200
    assert answer.streaming
    assert answer.headers["Content-Disposition"] == 'attachment; filename="contact.csv"'
    assert "no-store" in answer.headers["Cache-Control"]
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [(row["name"], row["topics"]) for row in rows] == [(f"Visitor {n}", "a, b") for n in range(3)]
    assert set(rows[0]) == {"id", "received_at", "name", "topics", "fault"}
    event = Event.objects.get(type="submissions.exported")
    assert (event.detail["count"], event.detail["reason"], event.detail["format"]) == (
        3,
        EXPORT["reason"],
        "csv",
    )
    listed = json.loads(administrator().post(f"{MANAGE}/export", EXPORT | {"format": "json"}).getvalue())
    assert [row["fields"]["code"] for row in listed] == ["1234"] * 3
    for bad in (
        {},
        {"format": "xml", "reason": "because"},
        {"format": "csv", "reason": " a "},
        EXPORT | {"zz": 1},
    ):
        assert_problem(administrator().post(f"{MANAGE}/export", bad), 400)
    Submission.objects.all().delete()
    assert json.loads(administrator().post(f"{MANAGE}/export", EXPORT | {"format": "json"}).getvalue()) == []


def test_a_table_that_breaks_off_says_so_in_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Granian ends an answer whose chunks raise like any other; JSON without its end is seen to be none."""
    make_form()
    for number in range(3):
        send(GOOD, address=f"192.0.2.{number}")
    answer = administrator().post(f"{MANAGE}/export", EXPORT)
    monkeypatch.setattr(Reading, "open", Mock(side_effect=OperationalError("gone")))
    lines: list[bytes] = []
    with pytest.raises(OperationalError):
        lines.extend(answer.streaming_content)
    assert lines[-1].decode() == f'"{reading.BROKEN_OFF}"\r\n'


def test_no_cell_of_an_export_is_a_formula() -> None:
    make_form()
    for number, text in enumerate(("=1+1", "+1", "-1", "@x", "\t=1", ' "=1', "＝1", "a;=1")):
        send(GOOD | {"message": text}, address=f"198.51.100.{number}")
    table = administrator().post(f"{MANAGE}/export", EXPORT).getvalue().decode()
    for row in csv.DictReader(io.StringIO(table)):
        assert row["message"].startswith("'") or ";'=" in row["message"], row
    assert len(list(csv.DictReader(io.StringIO(table)))) == 8


def test_a_large_export_counts_for_the_alert_and_a_full_form_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    make_form()
    monkeypatch.setitem(settings.SECURITY_ALERT_THRESHOLDS, "mass-export", 3)
    for number in range(3):
        send(GOOD, address=f"192.0.2.{number}")
    administrator().post(f"{MANAGE}/export", EXPORT).getvalue()
    monkeypatch.setattr(quotas, "MOST_STORED", 3)
    assert send(GOOD, address="192.0.2.9").status_code == 503
    seal_pending()
    raise_due()
    assert set(Alert.objects.values_list("rule", flat=True)) >= {"mass-export", "form-full"}
    assert "contact" in Alert.objects.get(rule="form-full").sentence


CANARY = "canary-4711@example.net"


def test_what_was_sent_stands_nowhere_but_in_the_encrypted_body(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    make_collection("open", [{"key": "title", "type": "text"}])
    make_form()
    root = administrator()
    sent = send({"name": CANARY, "email": CANARY, "message": CANARY}).json()["id"]
    assert send({"name": CANARY, "email": f"{CANARY} x", "zz": CANARY}).status_code == 400
    assert send({"name": CANARY, CANARY: CANARY, "email": CANARY}).status_code == 400
    assert send({"name": CANARY, "email": CANARY, "homepage": CANARY}).status_code == 201
    assert CANARY in root.get(f"{MANAGE}/submissions/{sent}").content.decode()
    assert CANARY in root.post(f"{MANAGE}/export", EXPORT).getvalue().decode()
    assert root.delete(f"{MANAGE}/submissions/{sent}").status_code == 204
    send({"name": CANARY, "email": CANARY, "message": CANARY})
    seal_pending()
    for model in apps.get_models():
        for row in model._default_manager.values():
            assert "canary-4711" not in json.dumps(row, cls=DjangoJSONEncoder, default=repr), model
    assert "canary-4711" not in caplog.text
    written = b"".join(data for _, data in lines("jsonl", sealed(Sought())))
    assert b"form.submitted" in written
    assert b"canary-4711" not in written


def test_the_delivery_plane_and_lists_of_entries_know_no_forms() -> None:
    make_form()
    sent = send(GOOD).json()["id"]
    root = administrator()
    for path in (
        "content/contact", f"content/contact/{sent}", "manage/content/contact", f"manage/content/contact/{sent}",
        f"manage/content/contact/{sent}/versions", f"forms/contact/{sent}",
    ):  # fmt: skip
        assert_problem(root.get(f"/api/v1/{path}"), 404)
    assert root.get(PATH).status_code == 405
    assert_problem(root.post("/api/v1/manage/content/contact", {"fields": {}}), 404)


def test_the_schema_of_the_api_shows_what_open_forms_take() -> None:
    make_form(notice="We answer you, and keep this for 90 days.")
    make_form("closed_one", [], open=False)
    schema = anonymous().get("/api/v1/openapi.json").json()
    operation = schema["paths"]["/api/v1/forms/contact"]["post"]
    assert operation["description"] == "We answer you, and keep this for 90 days."
    body = schema["components"]["schemas"]["ContactForm"]
    assert body["required"] == ["name", "email"]
    assert (body["properties"]["name"]["type"], body["properties"]["age"]["type"]) == (
        "string",
        ["integer", "null"],
    )
    assert set(body["properties"]) == {field["key"] for field in FIELDS}
    assert body["additionalProperties"] is False
    assert "homepage" not in json.dumps(schema)
    assert "closed_one" not in json.dumps(schema)
