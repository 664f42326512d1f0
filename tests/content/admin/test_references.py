"""References in the admin: the picker and the cards tell of an entry what its reader may see, and of the rest nothing."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.limits import Policy
from accounts.models import User
from content import modeling
from content.admin import picker
from content.models import Entry, Version, Visit
from tests.builders import ROOT, make_collection, make_entry, make_locale
from tests.content.admin.conftest import SignIn

CANARY = '"><img src=x onerror=alert(1)>'
PICKER = "/admin/choices/"


def url(entry: Entry, collection: str, act: str = "change") -> str:
    return f"/admin/content/{collection}/{entry.pk}/{act}/"


def found(client: Client, **given: str) -> list[dict[str, Any]]:
    answer = client.get(PICKER, given)
    assert answer.status_code == 200, answer.content[:200]
    return list(answer.json()["entries"])


def titles(client: Client, **given: str) -> list[str]:
    return [entry["title"] for entry in found(client, **given)]


def make_books(extra: int = 0) -> None:
    """Make authors, places and books with references to both, `extra` more reference fields and one in blocks."""
    make_collection("authors", [{"key": "name", "type": "text"}, {"key": "city", "type": "text"}])
    make_collection("places", [{"key": "name", "type": "text"}])
    both = {"collections": ["authors", "places"]}
    inside = [{"key": "by", "type": "reference", "options": both}]
    make_collection("quote", inside, kind="component")
    make_collection("books", [
        {"key": "title", "type": "text"},
        {"key": "author", "type": "reference", "options": {"collections": ["authors"]}},
        {"key": "also", "type": "references", "options": both},
        {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}},
        *({"key": f"more_{n}", "type": "reference", "options": both} for n in range(extra)),
    ])  # fmt: skip


def test_titles_are_found_as_they_are_typed_the_ones_that_begin_so_first(ada: Client) -> None:
    make_books()
    first = make_entry("authors", name=f"Ann Gull {CANARY}")
    make_entry("authors", name="Susann Tern", published=False)
    make_entry("places", name="Gull island", published=False)
    assert titles(ada, q="ann") == [f"Ann Gull {CANARY}", "Susann Tern"]
    assert titles(ada, q="gul an") == ["Gull island", f"Ann Gull {CANARY}"]
    assert titles(ada, q="gull", **{"in": "authors,nowhere"}) == [f"Ann Gull {CANARY}"]
    assert titles(ada, q="n", state="published") == [f"Ann Gull {CANARY}"]
    assert titles(ada, q="%") == titles(ada, q="nobody") == []
    entry = found(ada, q="ann gull")[0]
    assert (entry["id"], entry["collection"], entry["status"]) == (str(first.pk), "authors", "published")
    assert entry["url"] == url(first, "authors")
    assert "Published" in entry["card"]
    assert "<img" not in entry["card"]
    assert found(ada, id=str(first.pk)) == [entry]
    for given in ({"q": "x" * 201}, {"state": "trashed"}, {"to_field": "id"}, {"q": "\x00"}):
        assert ada.get(PICKER, given).headers["Location"] == f"{PICKER}?e=1"
    for given in ({"id": str(uuid4())}, {"id": "x"}, {"in": "nowhere"}, {"in": "quote"}):
        assert ada.get(PICKER, given).status_code == 404
    assert ada.post(PICKER).status_code == 405


def test_without_words_what_was_open_comes_first_then_the_newest_and_never_more_than_twenty(
    ada: Client,
) -> None:
    make_books()
    entries = [make_entry("authors", name=f"Author {n}", published=False) for n in range(24)]
    assert titles(ada) == [f"Author {n}" for n in range(23, 3, -1)]
    assert len(found(ada, q="author")) == 20

    me = User.objects.get(email="ada@example.com")
    Visit.objects.create(user=me, entry=entries[1], locale="en", seen_number=1, seen_at=timezone.now())
    assert titles(ada)[:2] == ["Author 1", "Author 23"]


def test_whoever_asks_too_often_waits(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_books()
    monkeypatch.setattr(picker, "READS", Policy("picker-test", quota=1, fails_open=False))
    assert ada.get(PICKER).status_code == 200
    answer = ada.get(PICKER)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_who_may_not_read_the_title_finds_nothing_by_its_words(ada: Client, as_somebody: SignIn) -> None:
    make_books()
    mine = make_entry("authors", name=f"CANARY {CANARY}", city="Oslo", published=False)
    make_entry("authors", name="CANARY of Bergen", city="Bergen", published=False)
    blind = as_somebody("blind", {"collection": "authors", "actions": ("read_draft",), "fields": ("city",)})
    north = as_somebody(
        "north", {"collection": "authors", "actions": ("read_draft",), "filter": {"city": {"eq": "Oslo"}}}
    )
    mixed = as_somebody(
        "mixed",
        {"collection": "authors", "actions": ("read_draft",), "fields": ("city",)},
        {"collection": "authors", "actions": ("read_draft",), "filter": {"city": {"eq": "Oslo"}}},
    )
    assert titles(blind, q="canary") == []
    assert sorted(titles(blind)) == sorted(
        f"Untitled ({str(e)[-6:]})" for e in Entry.objects.values_list("pk", flat=True)
    )
    assert "CANARY" not in blind.get(PICKER).content.decode()
    assert "CANARY" not in blind.get(PICKER, {"id": str(mine.pk)}).content.decode()
    for person in (north, mixed):
        assert titles(person, q="canary") == titles(person) == [f"CANARY {CANARY}"]
        assert [item["key"] for item in person.get(PICKER).json()["collections"]] == ["authors"]
    assert len(titles(ada, q="canary")) == 2


def test_a_field_that_names_entries_no_longer_does_not_go_on_naming_them(
    ada: Client, as_somebody: SignIn
) -> None:
    made = make_collection("notes", [{"key": "secret", "type": "text"}, {"key": "open", "type": "text"}])
    make_entry("notes", secret="CANARY", open="Plain", published=False)
    rita = as_somebody("rita", {"collection": "notes", "actions": ("read_draft",), "fields": ("open",)})

    fields = [{"id": str(spec.id), "key": spec.key, "type": spec.type} for spec in reversed(made.fields)]
    modeling.change_collection(made.id, {"fields": fields}, by=ROOT)
    assert titles(rita, q="plain") == ["Plain"]
    assert titles(rita, q="canary") == titles(ada, q="canary") == []
    page = rita.get(url(Entry.objects.get(), "notes")).content.decode()
    assert "CANARY" not in page
    assert "Plain" in page


def test_readers_of_what_is_public_pick_that_and_learn_nothing_of_drafts(as_somebody: SignIn) -> None:
    make_books()
    public = make_entry("authors", name="Ann")
    make_entry("authors", name="CANARY draft", published=False)
    rita = as_somebody("rita", {"collection": "authors", "actions": ("read",)})
    assert titles(rita) == titles(rita, q="an") == titles(rita, state="published") == ["Ann"]
    assert titles(rita, state="draft") == titles(rita, state="changed") == []
    assert (found(rita)[0]["url"], found(rita)[0]["status"]) == ("", "published")
    assert rita.get(PICKER).json()["collections"] == [{"key": "authors", "name": "Authors", "add": ""}]
    assert rita.get(PICKER, {"id": str(public.pk)}).status_code == 200
    assert as_somebody("mallory").get(PICKER).status_code in {302, 403, 404}


def test_what_is_chosen_shows_as_a_card_and_what_is_hidden_can_be_kept_or_removed(
    ada: Client, as_somebody: SignIn
) -> None:
    make_books()
    ann = make_entry("authors", name="CANARY-ANN", published=False)
    isle = make_entry("places", name=f"Isle {CANARY}", published=False)
    book = make_entry(
        "books", title="Book", author=str(ann.pk), also=[str(isle.pk), str(ann.pk)], published=False
    )
    page = ada.get(url(book, "books")).content.decode()
    assert page.count(f'data-id="{ann.pk}"') == 2
    assert page.count("CANARY-ANN</bdi>") == 2
    edith = as_somebody(
        "edith",
        {"collection": "books", "actions": ("read_draft", "update")},
        {"collection": "places", "actions": ("read_draft",)},
    )
    answer = edith.get(url(book, "books"))
    page = answer.content.decode()
    assert "CANARY" not in page
    assert page.count("An entry that you can’t see") == 4  # as a card and as an option, in two fields
    assert "Isle &quot;&gt;&lt;img" in page
    rows = {"f-also-count": "2", "f-also-0": str(isle.pk), "f-also-1": str(ann.pk)}
    moved = rows | {"f-also-0-order": "2", "f-also-1-order": "1"}
    sent = {"base": "1", "f-title": "Book", "f-author": str(ann.pk), "f-parts-count": "0"}
    assert ada.post(url(book, "books"), sent | moved).status_code == 302
    assert [str(ann.pk), str(isle.pk)] in Version.objects.get(entry=book, number=2).data["*"].values()
    assert edith.post(url(book, "books"), sent | moved | {"base": "2", "f-title": "New"}).status_code == 302
    assert str(ann.pk) in Version.objects.get(entry=book, number=3).data["*"].values()
    gone = {"base": "3", "f-author": "", "f-also-1": ""}
    assert edith.post(url(book, "books"), sent | rows | gone).status_code == 302
    left = Version.objects.get(entry=book, number=4).data["*"].values()
    assert [str(isle.pk)] in left
    assert str(ann.pk) not in left
    typed = sent | rows | {"base": "4", "f-also-1": "", "f-author": "", "f-author-id": str(ann.pk)}
    refused = edith.post(url(book, "books"), typed)
    assert refused.status_code == 400  # who can't see it can't choose it
    assert "CANARY" not in refused.content.decode()
    assert ada.post(url(book, "books"), typed).status_code == 302


def test_a_form_asks_once_for_all_its_references_however_many_fields_and_blocks_it_has(ada: Client) -> None:
    make_books(extra=12)
    make_locale("de")
    ann = make_entry("authors", name="Ann", published=False)
    isle = make_entry("places", name="Isle", published=False)
    empty = make_entry("books", title="Empty", published=False)
    full = make_entry(
        "books",
        title="Full",
        author=str(ann.pk),
        also=[str(isle.pk), str(ann.pk)],
        parts=[{"_component": "quote", "by": str(pk)} for pk in (ann.pk, isle.pk) * 10],
        published=False,
        **{f"more_{n}": str(isle.pk) for n in range(12)},  # type: ignore[arg-type]  # fields, no arguments of the builder
    )

    def asked(entry: Entry) -> tuple[int, int]:
        ada.get(url(entry, "books"))  # statements that a thread keeps are made once
        with CaptureQueriesContext(connection) as queries:
            page = ada.get(url(entry, "books")).content
        assert len(re.findall(rb"<option", page)) < 1_500
        drafts = [query for query in queries if "content_draftdocument" in query["sql"]]
        return len(queries), len(drafts)

    few, many = asked(empty), asked(full)
    assert many[0] - few[0] <= 2  # where the present ones are from, and the present ones
    assert many[1] - few[1] == 1


def test_only_forms_may_be_framed_and_only_by_our_own_pages(ada: Client) -> None:
    make_books()
    entry = make_entry("authors", name="Ann", published=False)
    for path in (url(entry, "authors"), "/admin/content/authors/add/"):
        plain, framed = ada.get(path), ada.get(f"{path}?drawer=1")
        assert "frame-ancestors 'none'" in plain.headers["Content-Security-Policy"]
        assert "frame-src 'self'" in plain.headers["Content-Security-Policy"]
        assert plain.headers["X-Frame-Options"] == "DENY"
        policy = framed.headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in policy
        assert "frame-src" not in policy  # no drawer in a drawer
        assert framed.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert b'id="header"' not in framed.content
        assert b"breadcrumbs" not in framed.content
        saved = ada.post(f"{path}?drawer=1", {"base": "1", "f-name": "Anna", "f-city": ""})
        assert saved.headers["Location"].endswith("/change/?drawer=saved")
    for path in (
        "/admin/", "/admin/content/authors/", url(entry, "authors", "history"), url(entry, "authors", "publish"),
        f"/admin/content/authors/{uuid4()}/change/", PICKER, "/admin/login/", "/admin/modeling/collections/",
    ):  # fmt: skip
        answer = ada.get(f"{path}?drawer=1")
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
        assert answer.headers["X-Frame-Options"] == "DENY", path
        assert "frame-src" not in answer.headers["Content-Security-Policy"], path
    for given in ("drawer=2", "drawer=1&drawer=1", "drawer"):
        answer = ada.get(f"{url(entry, 'authors')}?{given}")
        assert answer.headers["X-Frame-Options"] == "DENY", given
    refused = ada.get(f"{url(entry, 'authors')}?drawer=1&x=1")
    assert refused.headers["Location"] == f"{url(entry, 'authors')}?e=1&drawer=1"
