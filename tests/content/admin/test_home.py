"""The first page: for each role its own, and nothing of what a role may not see."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.audit import results
from accounts.audit.chain import Finding
from accounts.audit.verifying import Verification
from content.models import Entry
from tests.builders import make_collection, make_entry
from tests.content.admin.conftest import SignIn

CANARY = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def notes(_django_db_helper: None) -> None:
    make_collection(
        "notes", [{"key": "title", "type": "text"}, {"key": "kind", "type": "text", "filterable": True}]
    )


def path(entry: Entry, page: str = "change/") -> str:
    return f"/admin/content/notes/{entry.pk}/{page}"


def section(client: Client, name: str) -> str:
    page = client.get("/admin/").content.decode()
    return page.partition(f'aria-labelledby="home-{name}"')[2].partition("</section>")[0]


def test_each_person_sees_their_own_drafts_and_what_others_changed(
    ada: Client, as_somebody: SignIn, notes: None
) -> None:
    edith = as_somebody("edith", {"collection": "notes", "actions": ["read_draft", "create", "update"]})
    edith.post("/admin/content/notes/add/", {"f-title": f"Mine {CANARY}", "_save": "1"})
    entry = Entry.objects.get()
    assert "Mine" in section(edith, "drafts")
    assert "Mine" not in section(ada, "drafts")
    assert CANARY not in edith.get("/admin/").content.decode()
    edith.get(path(entry))
    assert "Mine" not in section(edith, "changed")
    ada.post(path(entry), {"base": "1", "f-title": "Changed by Ada", "_save": "1"})
    assert "Changed by Ada" in section(edith, "changed")
    edith.get(path(entry))
    assert "Changed by Ada" not in section(edith, "changed")
    make_entry("notes", title="Out there")
    assert "Out there" in section(edith, "published")


def test_who_opens_nothing_that_is_public_is_not_told_that_nothing_is(
    as_somebody: SignIn, notes: None
) -> None:
    make_entry("notes", title="Out there")
    walter = as_somebody(
        "walter",
        {"collection": "notes", "actions": ["read"]},
        {
            "collection": "notes",
            "actions": ["read_draft", "create"],
            "filter": {"_created_by": {"eq": "$user"}},
        },
    )
    assert "Nothing of what you may open is public yet." in section(walter, "published")


def test_who_is_typing_is_told_to_those_who_may_see_the_entry(
    ada: Client, as_somebody: SignIn, notes: None
) -> None:
    entry = make_entry("notes", title="Hidden words", kind="secret", published=False)
    ada.get(path(entry))
    assert ada.post(path(entry, "presence/"), {"typing": "1"}).json() == {"others": []}
    edith = as_somebody("edith", {"collection": "notes", "actions": ["read_draft"]})
    edith.get(path(entry))
    others = edith.post(path(entry, "presence/"), {"typing": "0"}).json()["others"]
    assert [(item["name"], item["typing"]) for item in others] == [("ada@example.com", True)]
    assert "Hidden words" in section(edith, "writing")
    walter = as_somebody(
        "walter", {"collection": "notes", "actions": ["read_draft"], "filter": {"kind": {"eq": "open"}}}
    )
    assert walter.post(path(entry, "presence/"), {"typing": "1"}).status_code == 404
    assert "ada@" not in section(walter, "writing")
    assert edith.get(path(entry, "presence/")).status_code == 405


def test_titles_and_rows_that_are_hidden_stay_so(ada: Client, as_somebody: SignIn, notes: None) -> None:
    make_entry("notes", title="TITLE-CANARY", kind="open")
    make_entry("notes", title="ROW-CANARY", kind="secret")
    rita = as_somebody(
        "rita",
        {
            "collection": "notes",
            "actions": ["read_draft"],
            "filter": {"kind": {"eq": "open"}},
            "fields": ["kind"],
        },
    )
    shown = section(rita, "published")
    assert shown.count("<li>") == 1
    assert "Untitled" in shown
    assert "CANARY" not in rita.get("/admin/").content.decode()


def test_an_empty_home_says_what_to_do(ada: Client, as_somebody: SignIn) -> None:
    assert "Make the first one" in ada.get("/admin/").content.decode()
    mallory = as_somebody("mallory")
    page = mallory.get("/admin/").content.decode()
    assert "Your role opens no collection yet" in page
    assert "Needs attention" not in page


def test_a_log_that_is_not_intact_needs_attention(ada: Client, as_somebody: SignIn) -> None:
    broken = Verification(findings=[Finding("altered", 7, None, "The event was changed.")])
    results.keep(broken, by="schedule")
    assert "The log is not intact" in ada.get("/admin/").content.decode()
    assert "The log is not intact" not in as_somebody("mallory").get("/admin/").content.decode()
    results.keep(Verification(), by="schedule")
    assert "The log is not intact" not in ada.get("/admin/").content.decode()


def test_the_number_of_questions_does_not_grow_with_the_collections(ada: Client, notes: None) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as questions:
            assert ada.get("/admin/").status_code == 200
        return len(questions)

    make_entry("notes", title="One")
    ada.get("/admin/")
    few = asked()
    for number in range(12):
        make_collection(f"more_{number}", [{"key": "title", "type": "text"}])
        make_entry(f"more_{number}", title="One")
    ada.get("/admin/")
    assert asked() <= few <= 26  # of an administrator, whom a dozen things may concern


def test_what_waits_to_be_published_is_listed_for_those_who_may_publish_it(
    ada: Client, as_somebody: SignIn, notes: None
) -> None:
    make_entry("notes", title=f"Waits {CANARY}", kind="mine", published=False)
    make_entry("notes", title="Not hers", kind="other", published=False)
    make_entry("notes", title="Out there", kind="mine")
    assert "Out there" not in ada.get("/admin/review/").content.decode()
    reads = {"collection": "notes", "actions": ["read_draft"]}
    publishes = {"collection": "notes", "actions": ["publish"], "filter": {"kind": {"eq": "mine"}}}
    page = as_somebody("edith", reads, publishes).get("/admin/review/").content.decode()
    assert "Waits &quot;&gt;" in page
    assert "Not hers" not in page
    walter = as_somebody("walter", reads)
    assert walter.get("/admin/review/").status_code == 403
    assert b"/admin/review/" not in walter.get("/admin/").content
    blind = as_somebody("rita", {"collection": "notes", "actions": ["publish"]})
    assert blind.get("/admin/review/").status_code == 403


def test_when_nothing_waits_the_page_says_so(ada: Client, notes: None) -> None:
    assert b"Nothing waits to be published" in ada.get("/admin/review/").content
    with CaptureQueriesContext(connection) as few:
        ada.get("/admin/review/")
    for number in range(4):
        make_entry("notes", title=f"Note {number}", published=False)
    with CaptureQueriesContext(connection) as more:
        assert ada.get("/admin/review/").content.count(b"Note ") >= 4
    assert len(more) <= len(few) + 2
