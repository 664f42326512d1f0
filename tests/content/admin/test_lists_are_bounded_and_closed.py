"""Lists in the admin: few queries at any size, strict addresses, and only what may be seen."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from content import editing
from tests.accounts.cast import make_person
from tests.builders import make_collection, make_entry, make_locale, writing
from tests.content.admin.conftest import SignIn, sign_in

LIST = "/admin/content/articles/"


def titles(answer: Any) -> list[str]:
    return [row.title for row in answer.context["rows"]]


def queries_of(browser: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as caught:
        assert browser.get(path).status_code == 200
    return len(caught)


def test_the_list_takes_at_most_twelve_queries_whatever_its_size(ada: Client, as_somebody: SignIn) -> None:
    make_locale("de")
    make_collection()
    make_entry(title="One")
    edith = as_somebody("edith", {"collection": "articles", "actions": ("read_draft", "create", "update")})
    for browser in (ada, edith):
        browser.get(LIST)  # each process reads the schema and the policies once for each generation of them
    few = [queries_of(browser, LIST) for browser in (ada, edith)]
    for number in range(70):
        make_entry(title=f"Entry {number}", published=number % 2 == 0)
    many = [
        queries_of(browser, path)
        for browser in (ada, edith)
        for path in (LIST, f"{LIST}?page=2", f"{LIST}?q=entry", f"{LIST}?status=draft")
    ]
    assert max(few + many) <= 12, (few, many)
    assert max(many) <= max(few) + 1  # and searching costs no query of its own


def test_entries_are_searched_filtered_sorted_and_paged(ada: Client) -> None:
    make_collection()
    for number in range(53):
        make_entry(title=f"Entry {number:02}", published=number < 3)
    first = ada.get(LIST)
    assert len(titles(first)) == 50
    assert titles(first)[0] == "Entry 52"
    assert titles(ada.get(first.context["next"])) == ["Entry 02", "Entry 01", "Entry 00"]
    assert set(titles(ada.get(LIST, {"status": "published"}))) == {"Entry 00", "Entry 01", "Entry 02"}
    assert titles(ada.get(LIST, {"sort": "title"}))[:2] == ["Entry 00", "Entry 01"]
    assert titles(ada.get(LIST, {"q": "17"})) == ["Entry 17"]
    assert b"Nothing here matches" in ada.get(LIST, {"q": "nowhere"}).content


def test_what_is_unknown_in_an_address_leads_back_to_the_list(ada: Client) -> None:
    make_collection()
    make_entry(title="Kept")
    for strange in (
        "_to_field=password", "_popup=1", "created_by__password__startswith=a", "title__contains=K", "status=deleted",
        "status=draft&status=published", "sort=_status", "sort=body", "sort=nowhere", "page=0", "page=x", "page=99999",
        "cursor=abc", "locale=xx", "q=%00", "e=1&x=2",
    ):  # fmt: skip
        answer = ada.get(f"{LIST}?{strange}")
        assert answer.status_code == 302, strange
        assert answer.headers["Location"] == f"{LIST}?e=1"
    assert ada.get(f"{LIST}?e=1").status_code == 200
    assert ada.get(f"{LIST}?e=1&e=2").status_code == 404


def test_a_field_that_may_not_be_read_can_be_neither_sorted_nor_searched_by_nor_shown(
    as_somebody: SignIn,
) -> None:
    make_collection(
        "staff",
        [
            {"key": "name", "type": "text", "filterable": True},
            {"key": "team", "type": "text", "filterable": True},
        ],
    )
    make_entry("staff", name="CANARY", team="Red", published=False)
    rita = as_somebody("rita", {"collection": "staff", "actions": ("read_draft",), "fields": ("team",)})
    page = rita.get("/admin/content/staff/")
    assert page.status_code == 200
    assert b"CANARY" not in page.content
    assert rita.get("/admin/content/staff/?sort=name").headers["Location"].endswith("?e=1")
    assert titles(rita.get("/admin/content/staff/?q=canary")) == []
    assert len(titles(rita.get("/admin/content/staff/?q=red"))) == 1


def test_only_rows_of_the_grant_are_listed_and_only_open_collections_stand_in_the_sidebar(
    as_somebody: SignIn,
) -> None:
    make_collection(
        "notes", [{"key": "title", "type": "text"}, {"key": "team", "type": "text", "filterable": True}]
    )
    make_collection("secrets", [{"key": "title", "type": "text"}], name="CANARY-COLLECTION")
    make_entry("notes", title="Ours", team="red", published=False)
    theirs = make_entry("notes", title="CANARY", team="blue", published=False)
    edith = as_somebody(
        "edith",
        {
            "collection": "notes",
            "actions": ("read_draft", "update", "delete"),
            "filter": {"team": {"eq": "red"}},
        },
    )
    page = edith.get("/admin/content/notes/")
    assert titles(page) == ["Ours"]
    for path in ("/admin/", "/admin/content/", "/admin/content/notes/"):
        assert b"CANARY" not in edith.get(path).content
    assert edith.get("/admin/content/secrets/").status_code == 404
    assert edith.get("/admin/modeling/collections/").status_code == 403
    assert edith.get("/admin/modeling/collections/secrets/").status_code == 404
    assert edith.get("/admin/modeling/locales/").status_code == 403
    answer = edith.post(f"/admin/content/notes/{theirs.pk}/trash/", {"confirm": "1"})
    assert answer.status_code == 404


def test_the_trash_is_a_list_of_its_own_with_restore_and_purge(ada: Client) -> None:
    make_collection()
    entry = make_entry(title="Gone")
    other = make_entry(title="Stays")
    answer = ada.post(f"{LIST}{entry.pk}/trash/", {"confirm": "1"}, follow=True)
    assert "is in the trash" in answer.content.decode()
    assert titles(answer) == ["Stays"]
    assert titles(ada.get(f"{LIST}trash/")) == ["Gone"]
    assert b"in the trash" in ada.get(f"{LIST}{entry.pk}/change/").content
    assert ada.post(f"{LIST}{entry.pk}/change/", {"base": "1", "f-title": "x"}).status_code == 409
    ada.post(f"{LIST}{entry.pk}/restore/")
    assert set(titles(ada.get(LIST))) == {"Gone", "Stays"}
    assert ada.post(f"{LIST}{other.pk}/purge/", {"confirm": "1"}).status_code == 409
    editing.trash(entry.pk, writing=writing("articles"))
    ada.post(f"{LIST}{entry.pk}/purge/", {})
    assert titles(ada.get(f"{LIST}trash/")) == ["Gone"]
    ada.post(f"{LIST}{entry.pk}/purge/", {"confirm": "1"})
    assert titles(ada.get(f"{LIST}trash/")) == []


def test_trashing_says_who_refers_to_the_entry_as_far_as_that_may_be_known(
    ada: Client, as_somebody: SignIn
) -> None:
    make_collection("authors", [{"key": "name", "type": "text"}])
    make_collection(
        "books",
        [
            {"key": "title", "type": "text"},
            {"key": "writer", "type": "reference", "options": {"collections": ["authors"]}},
        ],
    )
    ann = make_entry("authors", name="Ann", published=False)
    make_entry("books", title="CANARY-BOOK", writer=str(ann.pk), published=False)
    path = f"/admin/content/authors/{ann.pk}/trash/"
    assert b"CANARY-BOOK" in ada.get(path).content
    edith = as_somebody("edith", {"collection": "authors", "actions": ("read_draft", "delete")})
    page = edith.get(path)
    assert b"Other entries refer to this one" in page.content
    assert b"CANARY" not in page.content
    assert edith.post(path, {}).status_code == 409
    assert edith.post(path, {"confirm": "1"}).status_code == 302


def test_two_versions_are_compared_by_word_and_an_old_one_comes_back(
    ada: Client, as_somebody: SignIn
) -> None:
    make_collection()
    entry = make_entry(title="Old soup", body="Hot and good", published=False)
    editing.save(entry.pk, {"title": "New soup", "body": "Hot and bad"}, writing=writing("articles"), base=1)
    make_entry(title="Other", published=False)
    here = f"{LIST}{entry.pk}/"
    days = ada.get(f"{here}history/").context["days"]
    assert [item.number for day in days for item in day.items] == [2, 1]
    text = ada.get(f"{here}diff/?from=1&to=2").content.decode()
    words = re.sub(r"<span[^>]*>[^<]*</span>", "", text)
    assert "<del>Old</del> soup" in words
    assert "<ins>New</ins> soup" in words
    assert "<ins>bad</ins>" in words
    assert ada.get(f"{here}diff/?from=1&to=7").status_code == 404
    assert ada.get(f"{here}diff/").status_code == 302
    rita = as_somebody("rita", {"collection": "articles", "actions": ("read_draft",), "fields": ("title",)})
    text = rita.get(f"{here}diff/?from=1&to=2").content.decode()
    assert "New<span" in text
    assert "bad" not in text
    assert (
        ada.post(f"{here}history/1/restore/", {"base": "1"}, follow=True)
        .content.decode()
        .count("Somebody saved in between")
        == 1
    )
    ada.post(f"{here}history/1/restore/", {"base": "2"})
    assert 'value="Old soup"' in ada.get(f"{here}change/").content.decode()


@pytest.mark.parametrize(
    "act", ["change", "publish", "unpublish", "trash", "restore", "purge", "history/1/restore"]
)
@pytest.mark.usefixtures("_django_db_helper")
def test_every_change_is_a_post_with_a_token(act: str) -> None:
    make_collection()
    entry = make_entry(title="Safe")
    browser = sign_in(
        make_person("ada@example.com", roles=["administrator"], with_authenticator=True), csrf=True
    )
    answer = browser.post(
        f"{LIST}{entry.pk}/{act}/", {"base": "1", "confirm": "1", "locales": "en", "f-title": "x"}
    )
    assert answer.status_code == 403
    entry.refresh_from_db()
    assert (entry.latest_number, entry.trashed_at) == (1, None)
    if act in {"restore", "history/1/restore"}:
        assert browser.get(f"{LIST}{entry.pk}/{act}/").status_code == 405


@pytest.mark.usefixtures("_django_db_helper")
def test_nobody_signed_in_is_sent_to_the_door(client: Client) -> None:
    make_collection()
    for path in (LIST, f"{LIST}add/", "/admin/modeling/collections/", "/admin/choices/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/admin/login/")


def test_no_stock_door_of_django_leads_to_content(ada: Client) -> None:
    make_collection()
    entry = make_entry(title="Kept")
    for path in (
        "/admin/content/entry/",
        f"/admin/content/entry/{entry.pk}/change/",
        "/admin/content/version/",
        "/admin/content/draftdocument/",
        "/admin/content/publisheddocument/?_to_field=data",
        "/admin/autocomplete/?app_label=content&model_name=reference&field_name=target",
        f"/admin/r/1/{entry.pk}/",
    ):
        assert ada.get(path).status_code in {403, 404}, path
