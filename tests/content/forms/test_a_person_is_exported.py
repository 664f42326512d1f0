"""What is held about one e-mail address: found, written whole, told in the log, and for nobody who may not read it."""

import json
import stat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.access import Area
from accounts.log import seal_pending
from accounts.models import Event, Role
from accounts.models.event import Seal
from accounts.rights import granting
from content import editing
from content.models import SavedView, Visit
from tests.accounts.cast import make_person
from tests.builders import (
    ROOT,
    administrator,
    make_alert,
    make_collection,
    make_entry,
    make_key,
    make_role,
    writing,
)
from tests.content.admin.conftest import sign_in
from tests.content.forms.world import GOOD, make_form, send
from tests.security.world import Unchanged
from tests.webhooks.incoming.world import make_source
from webhooks.models import Source

pytestmark = pytest.mark.django_db
WHO = "ann@example.org"
PAGE = "/admin/person/"
WHY = {"email": WHO, "reason": "She asked for it"}


def make_world() -> None:
    fields = [
        {"key": "title", "type": "text"},
        {"key": "phone", "type": "text", "data_class": "personal"},
        {"key": "mail", "type": "email"},
    ]
    make_collection("people", fields)
    make_entry("people", title="Ann", phone="CANARY-PHONE", mail="Ann@example.org")
    other = make_entry(
        "people", title="Jo", phone="of joann@example.org, o'ann@example.org", mail="ann@example.org.uk"
    )
    editing.save(other.pk, {"phone": f"ask {WHO}."}, writing=writing("people"), base=1)
    editing.save(other.pk, {"phone": "nobody"}, writing=writing("people"), base=2)
    make_form()
    send(GOOD | {"email": "ANN@example.org", "name": "CANARY-NAME"})
    send(GOOD | {"message": f"Write to {WHO}, please"})
    send(GOOD)
    author = make_person(WHO, roles=["administrator"])
    make_key(owner=author.user)
    entry = make_entry("people", title="By Ann", published=False, by=author.principal)
    editing.save(entry.pk, {"title": "Again"}, writing=writing("people", author.principal), base=1)
    Visit.objects.create(user=author.user, entry=entry, locale="en", seen_number=2, seen_at=timezone.now())
    SavedView.objects.create(owner=author.user, collection_id=entry.collection_id, name="Mine")
    make_source()
    Source.objects.update(created_by=author.user)
    seal_pending()


def run(*arguments: str, **options: Any) -> None:
    call_command("person", "export", *arguments, **options)


def test_all_that_is_held_is_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_world()
    file = tmp_path / "ann.json"
    run(" Ann@Example.org ".strip(), "--to", str(file), "--json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = json.loads(file.read_text())
    assert told["parts"]["account"] == len(found["account"]) == 1
    assert found["account"][0]["email"] == WHO
    assert len(found["api_keys"]) == 1
    assert {event["type"] for event in found["events"]} >= {"user.created", "entry.created", "entry.updated"}
    assert (len(found["entries in people"]), len(found["versions in people"])) == (1, 2)
    assert [visit["entry"] for visit in found["visits in people"]] == [found["entries in people"][0]["id"]]
    assert [view["name"] for view in found["saved views in people"]] == ["Mine"]
    assert len(found["webhook_sources"]) == 1
    mentions = found["mentions in people"]
    assert [(item["number"], item["fields"]["*"].get("phone")) for item in mentions] == [
        (1, "CANARY-PHONE"),
        (2, f"ask {WHO}."),
    ]
    assert sorted(item["fields"]["name"] for item in found["submissions of contact"]) == [
        "CANARY-NAME",
        "Visitor",
    ]
    assert found["left_out"] == []
    assert "bodies of received webhooks" in found["not_searched"]
    event = Event.objects.get(type="person.exported")
    assert event.subject_type == "user"
    assert WHO not in json.dumps(event.detail)
    assert "CANARY" not in json.dumps(list(Event.objects.values_list("detail", flat=True)))
    assert Seal.objects.exists()


def test_nobody_is_found_by_a_part_of_an_address(tmp_path: Path) -> None:
    make_world()
    make_alert(sentence=f"{WHO} read 300 drafts.")
    run("nn@example.org", "--to", str(tmp_path / "x"))
    found = json.loads((tmp_path / "x").read_text())
    assert not any(
        value for value in found.values() if isinstance(value, list) and value and isinstance(value[0], dict)
    )
    event = Event.objects.get(type="person.exported")
    assert (event.subject_type, len(event.subject_id)) == ("address", 32)
    assert "nn@example" not in event.subject_id
    run(WHO, "--to", str(tmp_path / "ann"))
    assert len(json.loads((tmp_path / "ann").read_text())["alerts"]) == 1


def test_the_command_says_what_is_wrong_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text("mine")
    for arguments, words in (
        ((WHO, "--to", str(file)), "exists already"),
        (("no address", "--to", str(tmp_path / "x")), "One e-mail address"),
        ((WHO, "--to", str(tmp_path / "nowhere" / "x")), "can't be written"),
        ((WHO, "--to", str(tmp_path / "x"), "--reason", f"of {WHO}"), "leave the address out"),
    ):
        with pytest.raises(CommandError, match=words):
            run(*arguments)
    assert file.read_text() == "mine"
    assert [item.name for item in tmp_path.iterdir()] == ["there"]


def test_the_page_asks_who_and_why_and_for_the_second_factor() -> None:
    make_world()
    ada = sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))
    assert PAGE in ada.get("/admin/").content.decode()
    with Unchanged("nothing asked for"):
        for bad in (
            {},
            {"email": WHO},
            {"email": "x", "reason": "because"},
            {"email": WHO, "reason": f"of {WHO}"},
        ):
            refused = ada.post(PAGE, bad)
            assert refused.status_code == 400
            assert "CANARY" not in refused.content.decode()
    answer: Any = ada.post(PAGE, WHY)
    assert answer.streaming
    assert "no-store" in answer.headers["Cache-Control"]
    text = answer.getvalue().decode()
    assert "CANARY-PHONE" in text
    assert "CANARY-NAME" in text
    assert Event.objects.get(type="person.exported").detail["reason"] == WHY["reason"]


def test_what_somebody_may_not_read_is_left_out_and_named_where_they_know_of_it() -> None:
    make_world()
    make_role("people_office", {"collection": "people", "actions": ("read_draft",)})
    granting.change_role(Role.objects.get(key="people_office"), by=ROOT, areas=[Area.USERS])
    edith = sign_in(make_person("edith@example.com", roles=["people_office"], with_authenticator=True))
    text = edith.post(PAGE, WHY).getvalue().decode()
    found = json.loads(text)
    assert "CANARY" not in text
    assert len(found["account"]) == 1
    assert len(found["versions in people"]) == 2
    assert "mentions in people" in found["left_out"]
    assert "events" in found["left_out"]
    assert "content that you may not know of" in found["left_out"]
    assert "contact" not in text


def test_whoever_does_not_look_after_people_is_refused() -> None:
    make_world()
    make_role("reader", {"collection": "*", "actions": ("read", "read_draft", "export")})
    rita = sign_in(make_person("rita@example.com", roles=["reader"], with_authenticator=True))
    assert PAGE not in rita.get("/admin/").content.decode()
    with Unchanged("rita"):
        assert rita.get(PAGE).status_code == 403
        assert rita.post(PAGE, WHY).status_code == 403
        assert Client().post(PAGE, WHY).status_code == 302


def test_keys_of_many_versions_are_asked_for_together(tmp_path: Path) -> None:
    make_world()

    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            run(WHO, "--to", str(tmp_path / f"{uuid4()}.json"))
        return sum("content_datakey" in query["sql"] for query in captured.captured_queries)

    few = asked()
    for number in range(5):
        make_entry("people", title="More", phone=f"{number} {WHO}")
    assert asked() == few


def test_what_stands_in_a_part_that_is_gone_is_held_and_found(tmp_path: Path) -> None:
    make_collection(
        "part", [{"key": "mail", "type": "text"}, {"key": "more", "type": "text"}], kind="component"
    )
    parts = {"key": "people", "type": "components", "options": {"components": ["part"]}}
    make_form(fields=[{"key": "name", "type": "text"}, parts])
    for mail in (WHO, "jo@example.org"):
        assert send({"name": "Visitor", "people": [{"mail": mail}]}).status_code == 201
    ada = administrator()
    path = "/api/v1/manage/collections/part"
    left = [item for item in ada.get(path).json()["fields"] if item["key"] == "more"]
    assert ada.patch(path, {"fields": left, "confirm": True}).status_code == 200
    run(WHO, "--to", str(tmp_path / "ann"))
    (found,) = json.loads((tmp_path / "ann").read_text())["submissions of contact"]
    assert WHO in json.dumps(found["as_stored"])
