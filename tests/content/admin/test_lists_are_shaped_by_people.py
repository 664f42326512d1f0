"""Columns, filters, saved views and acts on many entries, each as far as the person's rights go."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from content import modeling, schema
from content.models import Entry, ListLayout, SavedView
from content.schema import CollectionSpec
from tests.accounts.cast import make_person
from tests.builders import ROOT, allow, make_collection, make_entry
from tests.content.admin.conftest import SignIn, sign_in

LIST = "/admin/content/guides/"
CANARY = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def guides(_django_db_helper: None) -> CollectionSpec:
    make_collection("people", [{"key": "name", "type": "text"}])
    choices = [{"value": "easy", "label": "Quite easy"}, {"value": "hard", "label": "Hard"}]
    return make_collection(
        "guides",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "level", "type": "choice", "filterable": True, "options": {"choices": choices}},
            {"key": "pages", "type": "integer", "filterable": True},
            {"key": "open", "type": "boolean", "filterable": True},
            {"key": "day", "type": "date"},
            {"key": "paint", "type": "color"},
            {"key": "words", "type": "tags"},
            {"key": "summary", "type": "text"},
            {"key": "salary", "type": "text", "filterable": True},
            {
                "key": "writer",
                "type": "reference",
                "filterable": True,
                "options": {"collections": ["people"]},
            },
        ],
    )


def titles(answer: Any) -> list[str]:
    return [row.title for row in answer.context["rows"]]


def choose(browser: Client, guides: CollectionSpec, *keys: str) -> None:
    names = [str(guides.by_key[key].id) if key in guides.by_key else key for key in keys]
    answer = browser.post(f"{LIST}columns/", {"order": names, "show": names})
    assert answer.status_code == 302


def test_chosen_columns_are_remembered_and_show_short_values_with_few_queries(
    ada: Client, guides: CollectionSpec
) -> None:
    people = [make_entry("people", name=f"Person {number}", published=False) for number in range(6)]
    for number in range(30):
        make_entry(
            "guides", title=f"Guide {number}", level="easy", pages=number, open=True, day="2026-03-01",
            paint="#ff0000", words=[CANARY], summary=CANARY, writer=str(people[number % 6].pk), published=False,
        )  # fmt: skip
    choose(ada, guides, "_state", "level", "pages", "open", "day", "paint", "words", "writer", "summary")
    ada.get(LIST)
    with CaptureQueriesContext(connection) as caught:
        page = ada.get(LIST, {"filter[level][eq]": "easy", "filter[writer][exists]": "true", "sort": "pages"})
    assert len(caught) <= 12
    assert not any("COUNT(" in item["sql"] for item in caught)
    text = page.content.decode()
    assert titles(page)[:2] == ["Guide 0", "Guide 1"]
    for shown in ("Quite easy", "Person 3", "1 Mar 2026", 'fill="#ff0000"', 'data-label="Open">Yes'):
        assert shown in text
    assert CANARY not in text
    assert "&lt;img src=x" in text
    assert [column.label for column in page.context["columns"]][:3] == ["State", "Level", "Pages"]
    pages = str(guides.by_key["pages"].id)
    names = ["_state", str(guides.by_key["level"].id), pages]
    moved = ada.post(f"{LIST}columns/", {"order": names, "show": names, "up": pages})
    assert moved.headers["Location"] == f"{LIST}?columns=1"
    assert [column.label for column in ada.get(LIST).context["columns"]] == ["State", "Pages", "Level"]


def test_an_editor_with_authors_and_references_in_the_list_takes_no_more_queries(
    guides: CollectionSpec, as_somebody: SignIn
) -> None:
    writer = make_entry("people", name="Person 1", published=False)
    make_entry("guides", title="Guide 1", writer=str(writer.pk), published=False)
    actions = ["read", "read_draft", "update"]
    edith = as_somebody(
        "edith",
        {"collection": "guides", "actions": actions},
        {"collection": "people", "actions": actions},
    )
    choose(edith, guides, "_state", "_author", "writer")
    edith.get(LIST)
    with CaptureQueriesContext(connection) as caught:
        page = edith.get(LIST, {"filter[writer][eq]": str(writer.pk)})
    assert page.content.decode().count("Person 1") >= 2  # in its column and in the filter's chip
    assert len(caught) <= 12


def test_the_builder_writes_the_filters_of_the_api_and_each_is_a_chip(
    ada: Client, guides: CollectionSpec
) -> None:
    make_entry("guides", title="Short", level="easy", pages=2, published=False)
    make_entry("guides", title="Long", level="easy", pages=200, published=False)
    make_entry("guides", title="Steep", level="hard", pages=2, published=False)
    assert b"Quite easy" in ada.get(LIST, {"f": "level"}).content
    answer = ada.get(LIST, {"f": "level", "o": "eq", "v": "easy", "filter[pages][lt]": "9"})
    given = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert given == {"filter[level][eq]": ["easy"], "filter[pages][lt]": ["9"]}
    page = ada.get(answer.headers["Location"])
    assert titles(page) == ["Short"]
    assert {chip.label for chip in page.context["chips"]} == {
        "Level is “Quite easy”",
        "Pages is less than “9”",
    }
    assert set(titles(ada.get(page.context["chips"][0].url))) in ({"Short", "Long"}, {"Short", "Steep"})
    for strange in ("f=nowhere", "f=summary", "f=level&o=boom&v=x", "filter[level][starts_with]=e",
                    "filter[level__contains][eq]=e", "filter[pages][eq]=x"):  # fmt: skip
        end = ada.get(f"{LIST}?{strange}", follow=True)
        assert end.redirect_chain[-1][0] == f"{LIST}?e=1", strange


def test_a_shared_view_leaves_out_what_its_reader_may_not_read_and_says_no_more(
    ada: Client, as_somebody: SignIn, guides: CollectionSpec
) -> None:
    make_entry("guides", title="One", level="easy", salary="CANARY-PAY", published=False)
    make_entry("guides", title="Two", level="hard", salary="less", published=False)
    choose(ada, guides, "level", "salary")
    shown = ada.get(LIST, {"filter[salary][eq]": "CANARY-PAY", "filter[level][eq]": "easy", "sort": "salary"})
    saved = ada.post(
        f"{LIST}views/", {"act": "save", "name": CANARY, "shared": "1", "query": shown.context["view_query"]}
    )
    url = saved.headers["Location"]
    assert titles(ada.get(url)) == ["One"]
    reader = {"collection": "guides", "actions": ("read_draft",), "fields": ("title", "level")}
    rita = as_somebody("rita", reader)
    page = rita.get(url)
    assert "Part of this view can’t be shown to you." in page.content.decode()
    assert b"CANARY" not in page.content
    assert b"salary" not in page.content.lower()
    assert CANARY not in page.content.decode()
    assert [column.label for column in page.context["columns"]] == ["Level"]
    view = str(SavedView.objects.get().pk)
    for act in ("delete", "rename"):
        assert rita.post(f"{LIST}views/", {"act": act, "view": view, "name": "Mine"}).status_code == 404
    ada.post(f"{LIST}views/", {"act": "rename", "view": view, "name": "Mine alone"})
    assert rita.get(url).headers["Location"] == f"{LIST}?e=1"
    assert rita.get(f"{LIST}?view={uuid4()}").headers["Location"] == f"{LIST}?e=1"
    ada.post(f"{LIST}views/", {"act": "delete", "view": view})
    assert not SavedView.objects.exists()


def test_a_view_keeps_filters_through_a_reference_for_who_may_read_what_they_name(
    ada: Client, as_somebody: SignIn, guides: CollectionSpec
) -> None:
    people = schema.current().by_key["people"]
    fields = [{"key": "name", "type": "text", "filterable": True, "id": str(people.fields[0].id)}]
    modeling.change_collection(people.id, {"key": "people", "name": "People", "fields": fields}, by=ROOT)
    writer = str(make_entry("people", name=CANARY, published=False).pk)
    make_entry("guides", title="One", writer=writer, published=False)
    make_entry(
        "guides", title="Two", writer=str(make_entry("people", name="B", published=False).pk), published=False
    )
    shown = ada.get(LIST, {"filter[writer.name][eq]": CANARY, "sort": "-_updated_at"})
    assert titles(shown) == ["One"]
    sent = {"act": "save", "name": "Hers", "shared": "1", "query": shown.context["view_query"]}
    url = ada.post(f"{LIST}views/", sent).headers["Location"]
    page = ada.get(url)
    assert titles(page) == ["One"]
    assert not page.context["view"].is_partial
    # Renamed since, it is the same field.
    renamed = [{**fields[0], "key": "called"}]
    modeling.change_collection(
        people.id, {"key": "people", "name": "People", "fields": renamed}, by=ROOT, confirm=True
    )
    assert titles(ada.get(url)) == ["One"]
    rita = as_somebody("rita", {"collection": "guides", "actions": ("read_draft",)})
    page = rita.get(url)
    assert "Part of this view can’t be shown to you." in page.content.decode()
    assert set(titles(page)) == {"One", "Two"}
    assert b"onerror" not in page.content
    hidden, unknown = (
        rita.post(f"{LIST}views/", {"act": "save", "name": "x", "query": f"filter[writer.{key}][eq]=a"})
        for key in ("called", "nowhere")
    )
    assert hidden.status_code == unknown.status_code == 404


def test_a_list_is_filtered_by_state_and_sorted_by_the_last_change(
    ada: Client, guides: CollectionSpec
) -> None:
    make_entry("guides", title="Public")
    make_entry("guides", title="Draft", published=False)
    make_entry("guides", title="Later")
    assert titles(ada.get(LIST, {"filter[_status][eq]": "draft"})) == ["Draft"]
    assert titles(ada.get(LIST, {"filter[_status][ne]": "draft", "sort": "_updated_at"})) == [
        "Public",
        "Later",
    ]
    assert titles(ada.get(LIST, {"filter[_status][ne]": "draft", "sort": "-_updated_at"})) == [
        "Later",
        "Public",
    ]
    page = ada.get(LIST, {"f": "_status"})
    assert [label for _, label in page.context["builder"].choices] == ["Draft", "Changed", "Published"]
    answer = ada.get(LIST, {"f": "_status", "o": "eq", "v": "draft"}, follow=True)
    assert [chip.label for chip in answer.context["chips"]] == ["State is “Draft”"]
    sent = {"act": "save", "name": "Drafts", "query": answer.context["view_query"]}
    url = ada.post(f"{LIST}views/", sent).headers["Location"]
    assert titles(ada.get(url)) == ["Draft"]
    assert not ada.get(url).context["view"].is_partial


def test_a_view_saved_by_hand_is_no_way_to_a_hidden_field(
    as_somebody: SignIn, guides: CollectionSpec
) -> None:
    rita = as_somebody(
        "rita", {"collection": "guides", "actions": ("read_draft",), "fields": ("title", "level")}
    )
    hidden, unknown = (
        rita.post(f"{LIST}views/", {"act": "save", "name": "x", "query": f"filter[{key}][eq]=a"})
        for key in ("salary", "nowhere")
    )
    assert hidden.status_code == unknown.status_code == 404
    choose(rita, guides, "salary", "level")
    assert ListLayout.objects.get().columns == [str(guides.by_key["level"].id)]


def test_many_are_published_and_each_is_told_how_it_went(
    ada: Client, as_somebody: SignIn, guides: CollectionSpec
) -> None:
    good = make_entry("guides", title="Good", published=False)
    empty = make_entry("guides", title="", published=False)
    gone = uuid4()
    asked = {"act": "publish", "ids": [str(good.pk), str(empty.pk), str(gone)]}
    page = ada.post(f"{LIST}bulk/", asked)
    assert page.status_code == 200
    assert "results" not in page.context
    assert titles(ada.get(LIST, {"status": "published"})) == []
    results = ada.post(f"{LIST}bulk/", asked | {"confirm": "1"}).context["results"]
    assert [item.is_done for item in results] == [True, False, False]
    assert results[2].detail == "There is no such entry."
    assert titles(ada.get(LIST, {"status": "published"})) == ["Good"]
    assert ada.get(f"{LIST}bulk/").status_code == 405
    assert ada.post(f"{LIST}bulk/", {"act": "publish", "ids": ["x"]}).status_code == 400
    many = [str(uuid4()) for _ in range(201)]
    assert ada.post(f"{LIST}bulk/", {"act": "publish", "ids": many}).status_code == 400
    # A reader has no such act, and an editor of some rows learns nothing of the others.
    rita = as_somebody("rita", {"collection": "guides", "actions": ("read_draft",)})
    assert rita.post(f"{LIST}bulk/", asked | {"confirm": "1"}).status_code == 404
    edith = as_somebody(
        "edith",
        {"collection": "guides", "actions": ("read_draft", "delete"), "filter": {"level": {"eq": "easy"}}},
    )
    results = edith.post(
        f"{LIST}bulk/", {"act": "trash", "ids": [str(good.pk), str(gone)], "confirm": "1"}
    ).context["results"]
    assert {(item.url, item.is_done, item.detail) for item in results} == {
        ("", False, "There is no such entry.")
    }
    good.refresh_from_db()
    assert good.trashed_at is None


def test_many_are_trashed_restored_and_erased(ada: Client, guides: CollectionSpec) -> None:
    ids = [str(make_entry("guides", title=f"Guide {number}").pk) for number in range(3)]
    for act, left in (("trash", 0), ("restore", 3), ("trash", 0)):
        ada.post(f"{LIST}bulk/", {"act": act, "ids": ids, "confirm": "1"})
        assert len(titles(ada.get(LIST))) == left
    assert not any(
        item.is_done
        for item in ada.post(f"{LIST}bulk/", {"act": "publish", "ids": ids, "confirm": "1"}).context[
            "results"
        ]
    )
    ada.post(f"{LIST}bulk/", {"act": "purge", "ids": ids, "confirm": "1"})
    assert not Entry.objects.filter(pk__in=ids).exists()


def test_every_change_to_a_list_needs_a_token_and_a_right_to_see_it(guides: CollectionSpec) -> None:
    make_entry("guides", title="Safe")
    browser = sign_in(
        make_person("eve@example.com", roles=["administrator"], with_authenticator=True), csrf=True
    )
    for path in ("bulk", "columns", "views"):
        assert browser.post(f"{LIST}{path}/", {"act": "save", "name": "x"}).status_code == 403
        assert browser.get(f"{LIST}{path}/").status_code == 405


def test_a_list_that_is_closed_has_no_pages_to_post_to(as_somebody: SignIn, guides: CollectionSpec) -> None:
    make_collection("notes", [{"key": "title", "type": "text"}])
    rita = as_somebody("rita", {"collection": "notes", "actions": ("read_draft",)})
    for path in ("bulk", "columns", "views"):
        hidden = rita.post(f"{LIST}{path}/", {"act": "save", "name": "x"})
        missing = rita.post(f"/admin/content/nowhere/{path}/", {"act": "save", "name": "x"})
        assert hidden.status_code == missing.status_code == 404
    allow("role_rita", collection="guides", actions=("create",))
    for path in ("bulk", "columns", "views"):  # to write is not to see the list
        assert rita.post(f"{LIST}{path}/", {"act": "save", "name": "x"}).status_code == 404


def test_choosing_columns_keeps_what_the_list_is_filtered_and_sorted_by(ada: Client) -> None:
    make_collection(
        "guides", [{"key": "title", "type": "text"}, {"key": "pages", "type": "integer", "filterable": True}]
    )
    for number in range(3):
        make_entry("guides", title=f"Guide {number}", pages=number, published=False)
    shown = ada.get(LIST, {"filter[pages][gte]": "1", "sort": "-pages", "q": "guide"})
    assert len(shown.context["rows"]) == 2
    sent = {"order": ["_state"], "show": ["_state"], "query": shown.context["view_query"]}
    after = ada.post(f"{LIST}columns/", sent, follow=True)
    assert [row.title for row in after.context["rows"]] == ["Guide 2", "Guide 1"]
    assert [column.id for column in after.context["columns"]] == ["_state"]
    for strange in ("name=x&args=y&view=1&next=//evil.example", "filter[nothing][eq]=1", "%00=1&q=a&q=b"):
        answer = ada.post(f"{LIST}columns/", {**sent, "query": strange})
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(LIST)
        assert ada.get(answer.headers["Location"], follow=True).status_code == 200
