"""Before publishing: what becomes public, what it refers to, and what is refused."""

from typing import Any

import pytest
from django.test import Client

from content.models import Entry, PublishedDocument
from tests.builders import allow, make_collection, make_entry
from tests.content.admin.conftest import SignIn

CANARY = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def entries(_django_db_helper: None) -> dict[str, Entry]:
    make_collection(
        "authors", [{"key": "name", "type": "text", "required": True}, {"key": "bio", "type": "text"}]
    )
    make_collection("hidden", [{"key": "name", "type": "text"}])
    make_collection(
        "articles",
        [
            {"key": "title", "type": "text", "required": True},
            {"key": "note", "type": "text", "data_class": "internal"},
            {"key": "people", "type": "references", "options": {"collections": ["authors", "hidden"]}},
        ],
    )
    ann = make_entry("authors", name=f"Ann {CANARY}", published=False)
    ben = make_entry("authors", bio="No name", published=False)
    eve = make_entry("hidden", name="EVE-THE-SECRET", published=False)
    public = make_entry("authors", name="Cora")
    people = [str(entry.pk) for entry in (ann, ben, eve, public)]
    article = make_entry("articles", title="Hello", note="Psst", people=people, published=False)
    return {"article": article, "ann": ann, "ben": ben, "eve": eve}


def path(entry: Entry) -> str:
    return f"/admin/content/articles/{entry.pk}/publish/"


def test_the_page_says_what_becomes_public_and_for_whom(ada: Client, entries: dict[str, Entry]) -> None:
    page = ada.get(path(entries["article"])).content.decode()
    assert "Title, Note and People only by the roles and keys that may read them." in page
    allow("public", collection="articles")
    page = ada.get(path(entries["article"])).content.decode()
    assert "Title and People can then be read by anyone." in page
    assert "Note only by the roles and keys that may read it." in page
    assert CANARY not in page
    ada.post(path(entries["article"]), {"locales": "en"})
    assert (
        "Nothing that you can see changes for readers." in ada.get(path(entries["article"])).content.decode()
    )


def test_others_are_published_together_or_nothing_is(ada: Client, entries: dict[str, Entry]) -> None:
    page = ada.get(path(entries["article"])).content.decode()
    assert f'value="{entries["ann"].pk}"' in page
    assert f'value="{entries["ben"].pk}" disabled' in page  # it has no name yet
    assert "Cora" not in page  # public as it stands
    both = [str(entries["ann"].pk), str(entries["ben"].pk)]
    refused = ada.post(path(entries["article"]), {"locales": "en", "together": both})
    assert refused.status_code == 400
    assert PublishedDocument.objects.filter(entry__in=[entries["article"], entries["ann"]]).count() == 0
    done = ada.post(path(entries["article"]), {"locales": "en", "together": both[:1], "base": "1"})
    assert done.status_code == 302
    assert PublishedDocument.objects.filter(entry__in=[entries["article"], entries["ann"]]).count() == 2


def test_nobody_publishes_what_they_did_not_see(ada: Client, entries: dict[str, Entry]) -> None:
    ada.post(
        f"/admin/content/articles/{entries['article'].pk}/change/",
        {"base": "1", "f-title": "Other", "_save": "1"},
    )
    stale = ada.post(path(entries["article"]), {"locales": "en", "base": "1"})
    assert stale.status_code == 400
    assert "somebody has saved a newer version" in stale.content.decode()
    assert not PublishedDocument.objects.filter(entry=entries["article"]).exists()


def test_what_one_may_not_see_or_publish_is_not_offered(
    as_somebody: SignIn, entries: dict[str, Entry]
) -> None:
    rights: list[dict[str, Any]] = [
        {"collection": "articles", "actions": ["read_draft", "publish"]},
        {"collection": "authors", "actions": ["read_draft"]},
    ]
    edith = as_somebody("edith", *rights)
    page = edith.get(path(entries["article"])).content.decode()
    assert "EVE-THE-SECRET" not in page
    assert str(entries["eve"].pk) not in page
    assert str(entries["ann"].pk) not in page
    assert "2 more entries that it refers to are not public" in page
    together = [str(entries[name].pk) for name in ("ann", "eve")]
    edith.post(path(entries["article"]), {"locales": "en", "together": together})
    assert PublishedDocument.objects.filter(entry=entries["article"]).exists()
    assert not PublishedDocument.objects.filter(entry__in=[entries["ann"], entries["eve"]]).exists()
    rita = as_somebody("rita", {"collection": "articles", "actions": ["read_draft"]})
    assert rita.get(path(entries["article"])).status_code == 403
    assert rita.post(path(entries["article"]), {"locales": "en"}).status_code == 403
