"""Versions, their differences, restoring them; the trash; who refers to whom; unique values."""

import threading

import pytest
from django.db import DatabaseError, connection, connections

from accounts.errors import InvalidInputError
from accounts.models import Event
from content import editing
from content.documents import hash_of_version
from content.models import Entry, Version
from tests.builders import (
    ROOT,
    administrator,
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    writing,
)

pytestmark = pytest.mark.django_db

FIELDS = [
    {"key": "title", "type": "text", "localized": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}, "localized": True},
    {"key": "secret", "type": "text"},
    {"key": "next", "type": "reference", "options": {"collections": ["posts"]}},
]


@pytest.fixture
def posts():
    return make_collection("posts", FIELDS)


def path_of(entry):
    return f"/api/v1/manage/content/posts/{entry.pk}"


def test_each_save_is_a_version_and_a_save_without_a_change_is_none(posts):
    api = administrator()
    entry = make_entry("posts", title="The quick fox", published=False)
    path = path_of(entry)
    assert (
        api.patch(
            path, {"fields": {"title": "The slow fox"}, "message": "Slower"}, **{"If-Match": '"1"'}
        ).json()["_version"]
        == 2
    )
    assert (
        api.patch(path, {"fields": {"title": "The slow fox"}}, **{"If-Match": '"2"'}).json()["_version"] == 2
    )
    listed = api.get(f"{path}/versions").json()["data"]
    assert [(item["number"], item["message"]) for item in listed] == [(2, "Slower"), (1, "")]
    version = Version.objects.get(entry=entry, number=2)
    assert version.sha256 == hash_of_version(entry.pk, 2, version.data)
    assert api.get(f"{path}/versions/1").json()["fields"]["title"] == "The quick fox"
    diff = api.get(f"{path}/diff?from=1&to=2&locale=en").json()
    assert diff["fields"][0]["words"] == [["=", "The "], ["-", "quick"], ["+", "slow"], ["=", " fox"]]
    restored = api.post(f"{path}/versions/1/restore")
    assert restored.json()["_version"] == 3
    assert restored.json()["title"] == "The quick fox"


def test_a_version_can_not_be_changed_even_by_sql(posts):
    make_entry("posts", title="x")
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("UPDATE content_version SET message = 'forged'")
    connection.close()
    with pytest.raises(DatabaseError), connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE content_version SET message = 'forged'")
    connections["owner"].close()


def test_versions_show_only_readable_fields_of_readable_entries(posts):
    entry = make_entry("posts", title="Open", secret="canary", published=False)
    editing.save(entry.pk, {"secret": "canary2"}, writing=writing("posts"), base=1)
    make_role("half", {"collection": "posts", "actions": ("read_draft",), "fields": ("title",)})
    half = make_key(role="half")
    for tail in ("/versions", "/versions/1", "/diff?from=1&to=2", ""):
        answer = half.get(path_of(entry) + tail)
        assert answer.status_code == 200, tail
        assert b"canary" not in answer.content
    make_role("reader", {"collection": "posts"})
    reader = make_key(role="reader")
    for tail in ("/versions", "/versions/1", "/diff?from=1&to=2", ""):
        assert reader.get(path_of(entry) + tail).status_code == 404
    other = make_entry("posts", title="Other")
    assert half.get(f"{path_of(other)}/versions/2").status_code == 404


def test_the_trash_withdraws_and_gives_back(posts):
    allow("public", collection="posts")
    api = administrator()
    entry = make_entry("posts", title="Gone soon")
    assert api.delete(path_of(entry)).status_code == 204
    assert anonymous().get(f"/api/v1/content/posts/{entry.pk}").status_code == 404
    assert api.get("/api/v1/manage/content/posts").json()["data"] == []
    trashed = api.get("/api/v1/manage/content/posts?filter[_status][eq]=trashed").json()["data"]
    assert [item["_status"] for item in trashed] == [{"en": "trashed"}]
    assert api.patch(path_of(entry), {"fields": {"title": "x"}}, **{"If-Match": '"1"'}).status_code == 409
    assert api.post(f"{path_of(entry)}/publish").status_code == 404
    assert api.post(f"{path_of(entry)}/restore").json()["_status"] == {"en": "draft"}
    assert api.delete(f"{path_of(entry)}?purge=true").status_code == 204
    assert not Entry.objects.filter(pk=entry.pk).exists()
    assert not Version.objects.filter(entry_id=entry.pk).exists()
    types = list(Event.objects.filter(subject_id=str(entry.pk)).order_by("at").values_list("type", flat=True))
    assert types == [
        "entry.created",
        "entry.published",
        "entry.unpublished",
        "entry.trashed",
        "entry.restored",
        "entry.deleted",
    ]


def test_purging_needs_its_own_right(posts):
    entry = make_entry("posts", title="x")
    make_role("cleaner", {"collection": "posts", "actions": ("read_draft", "delete")})
    cleaner = make_key(role="cleaner")
    assert cleaner.delete(f"{path_of(entry)}?purge=true").status_code == 403
    assert Entry.objects.filter(pk=entry.pk).exists()
    assert cleaner.delete(path_of(entry)).status_code == 204


def test_deleting_says_who_refers_to_it_as_far_as_one_may_know(posts):
    target = make_entry("posts", title="Target")
    source = make_entry("posts", title="Source", next=str(target.pk))
    refused = administrator().delete(path_of(target))
    assert refused.status_code == 409
    assert refused.json()["code"] == "referenced"
    assert refused.json()["referrers"] == [{"_id": str(source.pk), "_collection": "posts", "title": "Source"}]
    assert administrator().delete(f"{path_of(target)}?confirm=true").status_code == 204


def test_publish_lists_everything_that_is_missing():
    make_locale("de")
    fields = [
        {"key": "title", "type": "text", "required": True, "localized": True},
        {"key": "kind", "type": "text", "required": True},
        {
            "key": "video",
            "type": "url",
            "required": True,
            "condition": {"field": "kind", "operator": "eq", "value": "video"},
        },
    ]
    make_collection("posts", fields)
    api = administrator()
    made = api.post("/api/v1/manage/content/posts", {"fields": {}}).json()
    path = f"/api/v1/manage/content/posts/{made['_id']}"
    assert [e["pointer"] for e in api.post(f"{path}/publish").json()["errors"]] == ["/title", "/kind"]
    api.patch(path, {"fields": {"title": "T", "kind": "video"}}, **{"If-Match": '"1"'})
    assert [e["pointer"] for e in api.post(f"{path}/publish").json()["errors"]] == ["/video"]
    api.patch(path, {"fields": {"kind": "text", "video": "https://example.com/v"}}, **{"If-Match": '"2"'})
    assert api.post(f"{path}/publish").status_code == 200
    allow("public", collection="posts")
    assert anonymous().get(f"/api/v1/content/posts/{made['_id']}").json()["video"] is None


def test_locales_are_published_apart(posts):
    make_locale("de", fallback=("en",))
    allow("public", collection="posts")
    api = administrator()
    entry = make_entry("posts", title="English")
    path = path_of(entry)
    assert api.patch(path, {"locale": "de", "fields": {"title": "Deutsch"}}, **{"If-Match": '"1"'}).json()[
        "_status"
    ] == {"de": "draft", "en": "published"}
    read = f"/api/v1/content/posts/{entry.pk}?locale=de"
    assert anonymous().get(read).json()["title"] == "English"
    assert api.post(f"{path}/publish", {"locales": ["de"]}).json()["_status"] == {
        "de": "published",
        "en": "published",
    }
    assert anonymous().get(read).json()["title"] == "Deutsch"
    api.post(f"{path}/unpublish", {"locales": ["de"]})
    assert anonymous().get(read).json()["title"] == "English"
    assert api.post(f"{path}/publish", {"locales": ["fr"]}).status_code == 400


def test_slugs_are_made_and_stay_apart(posts):
    first, second = make_entry("posts", title="Same title"), make_entry("posts", title="Same title")
    api = administrator()
    assert api.get(path_of(first)).json()["slug"] == "same-title"
    assert api.get(path_of(second)).json()["slug"] == "same-title-2"
    taken = api.patch(path_of(second), {"fields": {"slug": "same-title"}}, **{"If-Match": '"1"'})
    assert [(e["pointer"], e["code"]) for e in taken.json()["errors"]] == [("/slug", "not-unique")]
    assert Version.objects.filter(entry=second).count() == 1


def test_two_writers_at_once_get_one_slug(posts):
    results = []

    def write():
        try:
            editing.create({"slug": "wanted"}, writing=writing("posts", ROOT))
            results.append("made")
        except InvalidInputError:
            results.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["made", "refused", "refused", "refused"]


def test_a_single_has_one_entry():
    make_collection("settings", [{"key": "name", "type": "text"}], kind="single")
    allow("public", collection="settings")
    api = administrator()
    made = api.post("/api/v1/manage/content/settings", {"fields": {"name": "Site"}})
    assert made.status_code == 201, made.content
    assert api.post("/api/v1/manage/content/settings", {"fields": {"name": "Two"}}).status_code == 409
    assert anonymous().get("/api/v1/content/settings").status_code == 404
    api.post(f"/api/v1/manage/content/settings/{made.json()['_id']}/publish")
    assert anonymous().get("/api/v1/content/settings").json()["name"] == "Site"


def test_who_refers_is_named_in_the_default_locale():
    make_locale("de")
    fields = [
        {"key": "title", "type": "text", "localized": True},
        {"key": "next", "type": "reference", "options": {"collections": ["posts"]}},
    ]
    make_collection("posts", fields, localized=True)
    target = make_entry("posts", title="Target")
    source = make_entry("posts", title="Quelle", locale="de", published=False, next=str(target.pk))
    editing.save(source.pk, {"title": "Source"}, writing=writing("posts"), base=1, locale="en")
    refused = administrator().delete(path_of(target))
    assert [item["title"] for item in refused.json()["referrers"]] == ["Source"]


def test_the_history_names_the_key_that_wrote_not_the_made_up_address_of_its_account(posts):
    made = administrator().post("/api/v1/manage/content/posts", {"fields": {"title": "x"}})
    author = Version.objects.get(entry=made.json()["_id"]).author_label
    assert author.endswith("(API key)")
    assert "@" not in author
