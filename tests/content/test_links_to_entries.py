"""Rich text links to entries: noted like every reference, and only words for those who can't see where they lead."""

import pytest

from content.models import Reference
from tests.builders import (
    administrator,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
)

pytestmark = pytest.mark.django_db


def linked(entry, words="Ann"):
    return f'<p>By <a href="quillkeep:entry/{entry.pk}" rel="noopener noreferrer">{words}</a>.</p>'


@pytest.fixture
def author():
    make_collection("authors", [{"key": "name", "type": "text"}])
    make_collection("secrets", [{"key": "name", "type": "text"}])
    quote = {"key": "words", "type": "rich_text", "options": {"collections": ["authors"]}}
    make_collection("quote", [quote], kind="component")
    make_collection(
        "articles",
        [
            {"key": "title", "type": "text"},
            {"key": "text", "type": "rich_text", "options": {"collections": ["authors"]}},
            {"key": "parts", "type": "blocks", "options": {"components": ["quote"]}},
        ],
    )
    allow("public", collection="articles")
    return make_entry("authors", name="Ann")


def test_a_link_names_its_collection_for_those_who_see_the_entry(author):
    allow("public", collection="authors")
    entry = make_entry(title="A", text=linked(author))
    text = anonymous().get(f"/api/v1/content/articles/{entry.pk}").json()["text"]
    href = f'href="quillkeep:entry/{author.pk}"'
    assert text == f'<p>By <a {href} rel="noopener noreferrer" data-collection="authors">Ann</a>.</p>'


@pytest.mark.parametrize("reason", ["no right", "a draft", "another collection", "nothing there"])
def test_a_link_that_leads_nowhere_visible_is_only_words(author, reason):
    target = author
    if reason == "a draft":
        allow("public", collection="authors")
        target = make_entry("authors", name="Ben", published=False)
    if reason == "another collection":
        allow("public", collection="secrets")
        target = make_entry("secrets", name="Ben")
    text = linked(target, "<strong>Ann</strong> &amp; co")
    if reason == "nothing there":
        text = text.replace(str(target.pk), "01890a5d-ac96-774b-bcce-b302099a8057")
    entry = make_entry(title="A", text=text, parts=[{"_component": "quote", "words": text}])
    document = anonymous().get(f"/api/v1/content/articles/{entry.pk}").json()
    words = "<p>By <strong>Ann</strong> &amp; co.</p>"
    assert (document["text"], document["parts"][0]["words"]) == (words, words)
    listed = anonymous().get("/api/v1/content/articles?fields=text").json()["data"][0]
    assert listed["text"] == words


def test_a_draft_shows_the_link_as_it_was_written(author):
    entry = make_entry(title="A", text=linked(author), published=False)
    make_role("editor", {"collection": "articles", "actions": ["read_draft"]})
    document = make_key(role="editor").get(f"/api/v1/manage/content/articles/{entry.pk}").json()
    assert document["text"] == linked(author)


def test_what_is_linked_to_knows_who_links(author):
    entry = make_entry(
        title="A", text=linked(author), parts=[{"_component": "quote", "words": linked(author)}]
    )
    assert set(Reference.objects.filter(source=entry).values_list("target", "published")) == {
        (author.pk, True),
        (author.pk, False),
    }
    refused = administrator().delete(f"/api/v1/manage/content/authors/{author.pk}")
    assert refused.status_code == 409
    assert refused.json()["code"] == "referenced"


def test_rich_text_is_not_expanded(author):
    allow("public", collection="authors")
    make_entry(title="A", text=linked(author))
    for query in ("expand=text", "fields=text.name"):
        refused = anonymous().get(f"/api/v1/content/articles?{query}")
        assert refused.status_code == 400, query


def test_a_link_in_another_locale_is_looked_up_there():
    make_locale("de")
    make_collection("authors", [{"key": "name", "type": "text", "localized": True}], localized=True)
    fields = [{"key": "text", "type": "rich_text", "options": {"collections": ["authors"]}}]
    make_collection("articles", fields)
    for key in ("articles", "authors"):
        allow("public", collection=key)
    author = make_entry("authors", name="Ann", locale="de")
    entry = make_entry(text=linked(author))
    assert "<a " not in anonymous().get(f"/api/v1/content/articles/{entry.pk}").json()["text"]
    assert "<a " in anonymous().get(f"/api/v1/content/articles/{entry.pk}?locale=de").json()["text"]
