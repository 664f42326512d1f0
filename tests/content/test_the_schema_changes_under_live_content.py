"""Changing a collection that has entries: told beforehand, lossless where possible, asked for where it loses."""

import pytest

from accounts.errors import ConflictError
from accounts.ids import uuid7
from accounts.models import Event, Policy
from content import editing, modeling, rebuilding
from content.designing import NewIds
from content.models import Collection, Entry, Field, Version
from content.schema import current
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
    {"key": "title", "type": "text", "filterable": True},
    {"key": "year", "type": "text"},
    {"key": "note", "type": "long_text"},
]
URL = "/api/v1/manage/collections/books"


def fields_of(api):
    keys = (
        "id",
        "key",
        "type",
        "label",
        "required",
        "localized",
        "unique",
        "filterable",
        "options",
        "default",
        "data_class",
    )
    return [{key: field[key] for key in keys} for field in api.get(URL).json()["fields"]]


@pytest.fixture
def books():
    make_collection("books", FIELDS)
    allow("public", collection="books")
    return make_entry("books", title="One", year="1984", note="n"), make_entry(
        "books", title="Two", year="soon"
    )


def test_a_renamed_field_keeps_its_values_and_its_policies(books):
    api = administrator()
    make_role("half", {"collection": "books", "fields": ("year",)})
    fields = fields_of(api)
    fields[1]["key"] = "published_in"
    changed = api.patch(URL, {"fields": fields})
    assert changed.status_code == 200, changed.content
    read = anonymous().get(f"/api/v1/content/books/{books[0].pk}").json()
    assert read["published_in"] == "1984"
    assert "year" not in read
    assert make_key(role="half").get(f"/api/v1/content/books/{books[0].pk}").json()["published_in"] == "1984"


def test_a_conversion_says_what_it_loses_and_asks(books):
    api = administrator()
    fields = fields_of(api)
    fields[1] |= {"type": "integer", "options": {}}
    refused = api.patch(URL, {"fields": fields})
    assert refused.status_code == 409
    assert refused.json()["code"] == "confirmation-required"
    assert [(e["field"], e["change"], e["affected"], e["lost"]) for e in refused.json()["effects"]] == [
        ("year", "converted", 2, 1)
    ]
    assert api.patch(URL, {"fields": fields, "dry_run": True}).json()["effects"] == refused.json()["effects"]
    before = {(v.entry_id, v.number): v.data for v in Version.objects.all()}
    assert api.patch(URL, {"fields": fields, "confirm": True}).status_code == 200
    assert anonymous().get(f"/api/v1/content/books/{books[0].pk}").json()["year"] == 1984
    assert anonymous().get(f"/api/v1/content/books/{books[1].pk}").json()["year"] is None
    assert {(v.entry_id, v.number): v.data for v in Version.objects.filter(number=1)} == before


def test_a_conversion_keeps_a_draft_apart_from_what_is_public(books):
    api = administrator()
    path = f"/api/v1/manage/content/books/{books[0].pk}"
    api.patch(path, {"fields": {"year": "2001"}}, **{"If-Match": '"1"'})
    fields = fields_of(api)
    fields[1] |= {"type": "integer", "options": {}}
    assert api.patch(URL, {"fields": fields, "confirm": True}).status_code == 200
    assert anonymous().get(f"/api/v1/content/books/{books[0].pk}").json()["year"] == 1984
    draft = api.get(path).json()
    assert draft["year"] == 2001
    assert draft["_status"] == {"en": "changed"}


def test_a_removed_field_asks_and_a_new_one_of_its_name_inherits_nothing(books):
    api = administrator()
    Policy.objects.all().delete()
    make_role("half", {"collection": "books", "fields": ("note", "title")})
    reader = make_key(role="half")
    assert reader.get(f"/api/v1/content/books/{books[0].pk}").json()["note"] == "n"
    fields = fields_of(api)
    assert api.patch(URL, {"fields": fields[:2]}).status_code == 409
    assert api.patch(URL, {"fields": fields[:2], "confirm": True}).status_code == 200
    assert "note" not in reader.get(f"/api/v1/content/books/{books[0].pk}").json()
    assert api.patch(URL, {"fields": [*fields[:2], {"key": "note", "type": "long_text"}]}).status_code == 200
    assert "note" not in reader.get(f"/api/v1/content/books/{books[0].pk}").json()
    assert Field.objects.filter(collection__key="books", key="note").count() == 2


def test_tightening_tells_how_many_and_publishing_asks_for_it(books):
    api = administrator()
    fields = fields_of(api)
    fields[2]["required"] = True
    told = api.patch(URL, {"fields": fields, "dry_run": True}).json()["effects"]
    assert [(e["field"], e["change"], e["affected"], e["lost"]) for e in told] == [("note", "required", 1, 0)]
    assert api.patch(URL, {"fields": fields}).status_code == 200
    assert anonymous().get(f"/api/v1/content/books/{books[1].pk}").status_code == 200
    refused = api.post(f"/api/v1/manage/content/books/{books[1].pk}/publish")
    assert refused.status_code == 400
    assert [(e["pointer"], e["code"]) for e in refused.json()["errors"]] == [("/note", "required")]


def test_a_default_reaches_what_is_public(books):
    api = administrator()
    fields = [*fields_of(api), {"key": "kind", "type": "text", "default": "paper"}]
    assert api.patch(URL, {"fields": fields}).status_code == 200
    assert rebuilding.work_through() == 2
    assert anonymous().get(f"/api/v1/content/books/{books[0].pk}").json()["kind"] == "paper"


def test_becoming_unique_is_refused_while_values_repeat(books):
    make_entry("books", title="One")
    api = administrator()
    fields = fields_of(api)
    fields[0]["unique"] = True
    assert api.patch(URL, {"fields": fields}).status_code == 409
    fields[0]["unique"] = False
    fields[1]["unique"] = True
    assert api.patch(URL, {"fields": fields}).status_code == 200
    taken = api.post("/api/v1/manage/content/books", {"fields": {"year": "1984"}})
    assert taken.status_code == 400
    assert taken.json()["errors"][0]["code"] == "not-unique"


def test_a_field_becomes_localized_and_shared_again(books):
    make_locale("de", fallback=("en",))
    api = administrator()
    fields = fields_of(api)
    fields[0]["localized"] = True
    localized = api.patch(URL, {"localized": True, "fields": fields})
    assert localized.status_code == 200, localized.content
    path = f"/api/v1/manage/content/books/{books[0].pk}"
    version = api.get(path).json()["_version"]
    assert api.get(path).json()["title"] == "One"
    german = api.patch(path, {"locale": "de", "fields": {"title": "Eins"}}, **{"If-Match": f'"{version}"'})
    assert german.json()["title"] == "Eins", german.content
    api.post(f"{path}/publish")
    assert anonymous().get(f"/api/v1/content/books/{books[0].pk}?locale=de").json()["title"] == "Eins"
    fields[0]["localized"] = False
    assert api.patch(URL, {"localized": False, "fields": fields}).status_code == 409
    assert api.patch(URL, {"localized": False, "fields": fields, "confirm": True}).status_code == 200
    assert api.get(path).json()["title"] == "One"


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        (
            {"fields": [{"key": "a", "type": "text"}, {"key": "a", "type": "text"}]},
            "/fields/1/key",
            "not-unique",
        ),
        ({"fields": [{"key": "_a", "type": "text"}]}, "/fields/0/key", "invalid-key"),
        ({"fields": [{"key": "a", "type": "image"}]}, "/fields/0/type", "invalid-choice"),
        (
            {"fields": [{"key": "a", "type": "text", "options": {"regex": "(a+)+$"}}]},
            "/fields/0/options/regex",
            "unknown-option",
        ),
        ({"fields": [{"key": "a", "type": "text", "colour": 1}]}, "/fields/0/colour", "unknown-key"),
        ({"fields": [{"key": "a", "type": "integer", "options": {"min": 5, "max": 1}}]}, None, None),
        ({"fields": [{"key": "a", "type": "integer", "default": "x"}]}, "/fields/0/default", "invalid-type"),
        (
            {"fields": [{"key": "a", "type": "long_text", "filterable": True}]},
            "/fields/0/filterable",
            "not-possible",
        ),
        (
            {"fields": [{"key": "a", "type": "text", "localized": True}], "localized": False},
            "/fields/0/localized",
            "not-localized",
        ),
        ({"key": "Bad Key"}, "/key", "invalid-key"),
        ({"kind": "single"}, "/kind", "immutable"),
        ({"surprise": 1}, "/surprise", "unknown-key"),
    ],
)
def test_nonsense_is_refused_where_it_stands(books, change, pointer, code):
    before = list(Field.objects.values()), list(Collection.objects.values()), Event.objects.count()
    api = administrator()
    before = list(Field.objects.values()), list(Collection.objects.values()), Event.objects.count()
    refused = api.patch(URL, change | {"confirm": True})
    assert refused.status_code == 400, refused.content
    if pointer is not None:
        assert (pointer, code) in [(e["pointer"], e["code"]) for e in refused.json()["errors"]]
    assert (list(Field.objects.values()), list(Collection.objects.values()), Event.objects.count()) == before


def test_deleting_a_collection_asks_and_leaves_no_grant(books):
    api = administrator()
    entries = Entry.objects.count()
    assert entries > 0
    assert api.delete(URL).status_code == 409
    assert api.delete(f"{URL}?confirm=true").status_code == 204
    # So many entries are erased by it, and an alert counts them.
    deleted = Event.objects.get(type="collection.changed", detail__change="deleted")
    assert deleted.detail["entries"] == entries
    assert anonymous().get("/api/v1/content/books").status_code == 404
    assert not Policy.objects.filter(collection_id=books[0].collection_id).exists()
    make_collection("books", FIELDS)
    make_entry("books", title="New")
    assert anonymous().get("/api/v1/content/books").status_code == 404


def test_a_save_that_started_before_the_schema_changed_writes_nothing(books):
    started = writing("books")
    api = administrator()
    fields = fields_of(api)
    fields[1] |= {"type": "long_text", "options": {}}
    assert api.patch(URL, {"fields": fields}).status_code == 200
    with pytest.raises(ConflictError):
        editing.save(books[0].pk, {"year": "1985"}, writing=started, base=2)
    assert editing.save(books[0].pk, {"year": "1985"}, writing=writing("books"), base=2).latest_number == 3


def test_an_old_version_is_restored_into_the_places_of_today(books):
    make_locale("de")
    api = administrator()
    fields = fields_of(api)
    fields[0]["localized"] = True
    assert (
        api.patch(URL, {"localized": True, "fields": [fields[0], fields[2]], "confirm": True}).status_code
        == 200
    )
    path = f"/api/v1/manage/content/books/{books[0].pk}"
    saved = api.patch(path, {"fields": {"title": "Changed"}}, **{"If-Match": '"2"'})
    assert saved.status_code == 200, saved.content
    assert api.post(f"{path}/versions/1/restore").json()["title"] == "One"
    after = api.patch(path, {"fields": {"title": None}}, **{"If-Match": '"4"'}).json()
    assert after["title"] is None  # nothing of the old place shines through


def test_two_fields_change_their_keys_with_each_other(books):
    fields = fields_of(administrator())
    fields[0]["key"], fields[1]["key"] = fields[1]["key"], fields[0]["key"]
    changed = administrator().patch(URL, {"fields": fields})
    assert changed.status_code == 200, changed.content
    read = anonymous().get(f"/api/v1/content/books/{books[0].pk}").json()
    assert (read["title"], read["year"]) == ("1984", "One")


def test_what_is_new_may_bring_its_id_but_none_that_is_taken(books):
    spec = current().by_key["books"]
    with pytest.raises(ConflictError):
        modeling.create_collection({"key": "other", "name": "Other"}, by=ROOT, ids=NewIds(spec.id))
    with pytest.raises(ConflictError):
        modeling.create_collection(
            {"key": "other", "name": "Other", "fields": [{"key": "a", "type": "text"}]},
            by=ROOT,
            ids=NewIds(None, {"a": spec.by_key["title"].id}),
        )
    new = uuid7()
    made = modeling.create_collection(
        {"key": "other", "name": "Other", "fields": [{"key": "a", "type": "text"}]}, by=ROOT, ids=NewIds(new)
    )
    assert made.id == new


def test_a_client_of_the_api_chooses_no_ids(books):
    body = {"key": "other", "name": "Other", "fields": [{"id": str(uuid7()), "key": "a", "type": "text"}]}
    refused = administrator().post("/api/v1/manage/collections", body)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["pointer"] == "/fields/0/id"
