"""Forms in the admin: modelled like any collection, their submissions masked until somebody says why they look."""

import csv
import io
from typing import Any

import pytest
from django.test import Client

from accounts.models import Event
from content.models import Submission
from content.schema import current
from tests.accounts.cast import make_person
from tests.content.admin.conftest import SignIn, collection_of
from tests.content.forms.world import GOOD, make_form, send
from tests.security.markup import alive, canary
from tests.security.world import Unchanged

pytestmark = pytest.mark.django_db

LIST = "/admin/forms/contact/"
READ = {"collection": "contact", "actions": ("read",), "fields": ("name", "email", "message")}
MODEL = "/admin/modeling/collections/contact/"


def make_sent(**values: Any) -> str:
    sent: str = send(GOOD | values).json()["id"]
    return sent


def test_submissions_are_masked_until_somebody_says_why_they_look(as_somebody: SignIn) -> None:
    make_form()
    sent = make_sent(code="1234")
    edith = as_somebody("edith", READ)
    assert "/admin/forms/contact/" in edith.get("/admin/").content.decode()
    page = edith.get(LIST)
    assert sent in page.content.decode()
    for answer in (page, edith.get(f"{LIST}{sent}/")):
        assert "visitor@example.org" not in answer.content.decode()
        assert "no-store" in answer.headers["Cache-Control"]
    with Unchanged("no reason"):
        for reason in ("", "a", "  x ", "y" * 501):
            refused = edith.post(f"{LIST}{sent}/", {"reason": reason})
            assert refused.status_code == 400
            assert "visitor@example.org" not in refused.content.decode()
    shown = edith.post(f"{LIST}{sent}/", {"reason": "She called about her order"})
    assert "visitor@example.org" in shown.content.decode()
    assert "1234" not in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]
    event = Event.objects.get(type="values.revealed")
    assert (event.subject_type, event.subject_id) == ("submission", sent)
    assert event.detail == {"fields": ["email", "message", "name"], "reason": "She called about her order"}


def test_what_was_sent_is_text(ada: Client) -> None:
    make_form(notice=canary("notice"))
    sent = make_sent(name=canary("sent"), message=f"{canary('more')}\nx")
    shown = ada.post(f"{LIST}{sent}/", {"reason": "To see"}).content.decode()
    assert "sent" in shown
    for text in (shown, ada.get(LIST).content.decode(), ada.get(MODEL).content.decode()):
        assert not alive(text)


def test_whoever_may_not_read_them_finds_no_pages(as_somebody: SignIn) -> None:
    make_form()
    sent = make_sent()
    wide = {"collection": "*", "actions": ("read", "read_draft", "delete", "export", "create", "update")}
    edith = as_somebody("edith", wide)
    assert "/admin/forms/" not in edith.get("/admin/").content.decode()
    with Unchanged("not hers"):
        for path in (LIST, f"{LIST}export/", f"{LIST}{sent}/", f"{LIST}{sent}/erase/"):
            assert edith.get(path).status_code == 404, path
            assert edith.post(path, {"reason": "Because", "format": "csv"}).status_code in (404, 405), path
    rita = as_somebody("rita", READ)
    with Unchanged("reading is all she may"):
        for path in (f"{LIST}export/", f"{LIST}{sent}/erase/"):
            for answer in (rita.get(path), rita.post(path, {"reason": "Because", "format": "csv"})):
                assert answer.status_code == 403, path
        assert rita.post(LIST).status_code == 405
    assert rita.get(f"{LIST}?zz=1").headers["Location"] == f"{LIST}?e=1"
    assert rita.get(f"{LIST}?before=x").status_code == 302


def test_a_submission_is_erased_after_a_confirmation(ada: Client) -> None:
    make_form()
    sent = make_sent()
    assert ada.get(f"{LIST}{sent}/erase/").status_code == 200
    assert Submission.objects.exists()
    assert ada.post(f"{LIST}{sent}/erase/").headers["Location"] == LIST
    assert not Submission.objects.exists()
    assert ada.post(f"{LIST}{sent}/erase/").status_code == 404


def test_an_export_asks_why_and_for_the_second_factor(as_somebody: SignIn, ada: Client) -> None:
    make_form()
    make_sent(message="=1+1")
    assert ada.get(f"{LIST}export/").status_code == 200
    assert ada.post(f"{LIST}export/", {"format": "csv", "reason": "x"}).status_code == 400
    file: Any = ada.post(f"{LIST}export/", {"format": "csv", "reason": "The yearly report"})
    assert [row["message"] for row in csv.DictReader(io.StringIO(file.getvalue().decode()))] == ["'=1+1"]
    assert Event.objects.get(type="submissions.exported").detail["reason"] == "The yearly report"
    edith = as_somebody("edith", {**READ, "actions": ("read", "export")})  # who has no second factor
    asked = edith.post(f"{LIST}export/", {"format": "csv", "reason": "The yearly report"})
    assert not asked.streaming
    assert "visitor@example.org" not in asked.content.decode()
    assert Event.objects.filter(type="submissions.exported").count() == 1


def test_a_list_of_many_has_pages(ada: Client) -> None:
    form = make_form()
    sent = make_sent()
    row = Submission.objects.get(pk=sent)
    for _ in range(60):
        Submission.objects.create(
            form_id=form.id, body="x", size=1, received_at=row.received_at, expires_at=row.expires_at
        )
    first = ada.get(LIST)
    assert len(first.context["rows"]) == 50
    second = ada.get(f"{LIST}{first.context['older']}")
    assert len(second.context["rows"]) == 11
    assert str(second.context["rows"][-1].pk) == sent


# Modelling


def test_a_form_is_modelled_with_what_applies_to_it(ada: Client) -> None:
    made = {"name": "Contact", "key": "contact", "kind": "form", "field-count": "1", "_save": "1",
            "field-0-key": "name", "field-0-type": "text", "field-0-data_class": "public", "field-0-order": "1"}  # fmt: skip
    assert ada.post("/admin/modeling/collections/add/", made).status_code == 302
    page = ada.get(MODEL)
    offered = [key for _, types in page.context["families"] for key in (item.key for item in types)]
    assert "text" in offered
    assert not {"reference", "rich_text", "slug", "blocks", "json"} & set(offered)
    row = page.context["form"].rows[0]
    inputs = {box.name.rpartition("-")[2] for _, boxes in row.sections() for box in boxes}
    assert not {"localized", "unique", "filterable", "default"} & inputs
    assert "localized" not in page.context["form"].members.fields
    typed = collection_of(page) | {
        "form-open": "on", "form-retention_days": "30", "form-notice": "Why\r\nnot", "form-honeypot": "fax",
        "form-max_bytes": "1000",
    }  # fmt: skip
    assert ada.post(MODEL, typed).status_code == 302
    options = current().by_key["contact"].form
    assert options is not None
    assert (options.open, options.retention_days, options.notice) == (True, 30, "Why\nnot")
    assert current().by_key["contact"].fields[0].data_class == "personal"
    for name, value in {"retention_days": "0", "max_bytes": "70000", "honeypot": "name"}.items():
        answer = ada.post(MODEL, typed | {f"form-{name}": value})
        assert answer.status_code == 400, name
        assert [place for place, _, _ in answer.context["summary"]] == [f"id_form-{name}"]
    changed = Event.objects.filter(type="collection.changed").latest("at")
    assert changed.detail["options"] == ["honeypot", "max_bytes", "notice", "open", "retention_days"]


def test_a_shorter_time_asks_before_it_erases(ada: Client) -> None:
    make_form()
    make_sent()
    Submission.objects.update(received_at="2026-01-01T00:00:00Z")
    typed = collection_of(ada.get(MODEL)) | _options_of(ada) | {"form-retention_days": "1"}
    asked = ada.post(MODEL, typed)
    assert asked.context["loses"]
    assert ada.post(MODEL, typed | {"_confirm": "1"}).status_code == 302
    assert not Submission.objects.live().exists()


def test_deleting_a_form_says_how_much_goes_with_it(ada: Client) -> None:
    make_form()
    make_sent()
    assert "1 submission" in ada.get(f"{MODEL}delete/").content.decode()
    assert ada.post(f"{MODEL}delete/", {"key": "contact"}).status_code == 302
    assert not Submission.objects.exists()


def _options_of(browser: Client) -> dict[str, str]:
    form = browser.get(MODEL).context["form"].options
    values = {bound.html_name: bound.value() for bound in form}
    return {
        name: "on" if value is True else str(value)
        for name, value in values.items()
        if value not in (False, "")
    }


def test_persons_need_a_session(ada: Client) -> None:
    make_form()
    sent = make_sent()
    make_person("mallory@example.com")
    for path in (LIST, f"{LIST}{sent}/", f"{LIST}export/", f"{LIST}{sent}/erase/"):
        assert Client().get(path).status_code == 302
        assert Client().post(path, {"reason": "Because"}).status_code == 302
