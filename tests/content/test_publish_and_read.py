"""From a draft to what a reader gets, through the restricted role."""

from uuid import uuid4

import pytest

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


def without_instance(response):
    return {key: value for key, value in response.json().items() if key != "instance"}


def test_a_published_entry_is_read_by_id_and_by_slug():
    make_collection()
    allow("public", collection="articles")
    entry = make_entry(title="Hello World", body="# Hi\n\n**there**")
    by_id = anonymous().get(f"/api/v1/content/articles/{entry.pk}")
    by_slug = anonymous().get("/api/v1/content/articles/hello-world")
    assert by_id.status_code == 200, by_id.content
    assert by_id.content == by_slug.content
    document = by_id.json()
    assert document["_id"] == str(entry.pk)
    assert document["title"] == "Hello World"
    assert document["body"]["source"] == "# Hi\n\n**there**"
    assert "<strong>there</strong>" in document["body"]["html"]
    assert document["_locale"] == "en"
    assert document["_version"] == 1


def test_an_anonymous_reader_cannot_tell_a_draft_from_a_missing_entry():
    make_collection()
    allow("public", collection="articles")
    draft = make_entry(published=False)
    for_draft = anonymous().get(f"/api/v1/content/articles/{draft.id}")
    for_nothing = anonymous().get(f"/api/v1/content/articles/{uuid4()}")
    assert for_draft.status_code == 404
    assert without_instance(for_draft) == without_instance(for_nothing)


def test_without_a_policy_the_collection_is_missing():
    make_collection()
    make_entry()
    assert anonymous().get("/api/v1/content/articles").status_code == 404
    assert without_instance(anonymous().get("/api/v1/content/articles")) == without_instance(
        anonymous().get("/api/v1/content/nothing")
    )


def test_an_api_key_reads_what_its_role_may():
    make_collection()
    make_entry(title="One")
    make_role("reader", {"collection": "articles"})
    answer = make_key(role="reader").get("/api/v1/content/articles")
    assert [item["title"] for item in answer.json()["data"]] == ["One"]
    assert answer["Cache-Control"] == "private, no-store"
    make_role("other")
    assert make_key(role="other").get("/api/v1/content/articles").status_code == 404


def test_falls_back_by_whole_document_and_says_so():
    make_locale("de", fallback=("en",))
    make_locale("fr")
    make_collection()
    allow("public", collection="articles")
    make_entry(title="Hello")
    german = anonymous().get("/api/v1/content/articles?locale=de").json()["data"]
    assert [(item["title"], item["_locale"]) for item in german] == [("Hello", "en")]
    assert anonymous().get("/api/v1/content/articles?locale=fr").json()["data"] == []
    assert anonymous().get("/api/v1/content/articles?locale=xx").status_code == 400


def test_the_whole_way_through_the_management_api():
    api = administrator()
    made = api.post(
        "/api/v1/manage/collections",
        {
            "key": "recipes",
            "name": "Recipes",
            "fields": [
                {"key": "title", "type": "text", "required": True, "filterable": True},
                {"key": "slug", "type": "slug", "options": {"from": "title"}},
                {"key": "servings", "type": "integer", "filterable": True, "options": {"min": 1, "max": 50}},
                {"key": "intro", "type": "rich_text"},
                {"key": "related", "type": "references", "options": {"collections": ["recipes"]}},
            ],
        },
    )
    assert made.status_code == 201, made.content
    soup = api.post(
        "/api/v1/manage/content/recipes",
        {"fields": {"title": "Soup", "servings": 4, "intro": "<p>Hot<script>x</script></p>"}},
    )
    assert soup.status_code == 201, soup.content
    assert soup.json()["_status"] == {"en": "draft"}
    stew = api.post(
        "/api/v1/manage/content/recipes", {"fields": {"title": "Stew", "related": [soup.json()["_id"]]}}
    )
    assert stew.status_code == 201, stew.content
    path = f"/api/v1/manage/content/recipes/{stew.json()['_id']}"
    published = api.post(f"{path}/publish")
    assert published.status_code == 200, published.content
    assert published.json()["_status"] == {"en": "published"}
    allow("public", collection="recipes")
    read = anonymous().get("/api/v1/content/recipes/stew").json()
    assert read["related"] == []  # the soup is a draft
    api.post(f"/api/v1/manage/content/recipes/{soup.json()['_id']}/publish")
    read = anonymous().get("/api/v1/content/recipes/stew?expand=related").json()
    assert [item["title"] for item in read["related"]] == ["Soup"]
    assert read["related"][0]["intro"] == "<p>Hot</p>"
    listed = anonymous().get("/api/v1/content/recipes?filter[servings][gte]=3&sort=-title&count=exact").json()
    assert [item["title"] for item in listed["data"]] == ["Soup"]
    assert listed["meta"] == {"limit": 20, "next_cursor": None, "total": 1}
    unpublished = api.post(f"{path}/unpublish")
    assert unpublished.json()["_status"] == {"en": "draft"}
    assert anonymous().get("/api/v1/content/recipes/stew").status_code == 404


def test_a_stale_save_overwrites_nothing():
    make_collection()
    api = administrator()
    entry = make_entry(title="First")
    path = f"/api/v1/manage/content/articles/{entry.pk}"
    assert api.patch(path, {"fields": {"title": "Second"}}).status_code == 428
    assert api.patch(path, {"fields": {"title": "Second"}}, **{"If-Match": '"1"'}).status_code == 200
    stale = api.patch(path, {"fields": {"title": "Third"}}, **{"If-Match": '"1"'})
    assert stale.status_code == 412
    assert stale.json()["current"]["title"] == "Second"
    assert api.get(path).json()["_status"] == {"en": "changed"}
