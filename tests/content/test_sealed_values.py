"""Personal and secret values lie sealed in every table, are found by nothing, and are erased for good."""

import copy
import json
import pickle
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.alerting.reading import raise_due
from accounts.canonical import Json
from accounts.errors import ConflictError, NotFoundError
from accounts.keyring import KeyRingError
from accounts.log import seal_pending
from accounts.models import Alert, Event
from content import editing, fields, publishing, rebuilding, retention, sealing, tasks
from content.documents import hash_of_version
from content.models import (
    DataKey,
    DraftDocument,
    DraftSearch,
    Entry,
    Field,
    PublishedDocument,
    PublishedSearch,
    SavedView,
    UniqueValue,
    Version,
)
from content.schema import current
from content.sealed_values import SEALED, EntryKey, is_sealed
from tests.builders import (
    Api,
    administrator,
    allow,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    make_user,
    writing,
)
from tests.dumps import dump

pytestmark = pytest.mark.django_db
WORD = "canaryxyzzy"
MANAGE = "/api/v1/manage/content/people"
PUBLIC = "/api/v1/content/people"
COLLECTION = "/api/v1/manage/collections/people"
MAIL = {"key": "mail", "type": "email", "data_class": "personal"}
PLAIN: list[dict[str, Any]] = [
    {"key": "name", "type": "text", "filterable": True},
    {"key": "slug", "type": "slug", "options": {"from": "name"}},
]
FIELDS: list[dict[str, Any]] = [*PLAIN, MAIL, {"key": "note", "type": "text"}]
ADDRESS = f"{WORD}@example.com"

# For each type that can hold words of somebody's own: options and a value with the word in it.
EVERY: dict[str, tuple[dict[str, Any], Any]] = {
    "text": ({}, WORD),
    "long_text": ({}, f"One\n{WORD}"),
    "rich_text": ({}, f"<p>{WORD}</p>"),
    "markdown": ({}, f"*{WORD}*"),
    "email": ({}, ADDRESS),
    "url": ({}, f"https://example.com/{WORD}"),
    "choice": ({"choices": [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]}, "b"),
    "choices": ({"choices": [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]}, ["b"]),
    "tags": ({}, [WORD]),
    "json": ({}, {"deep": [WORD]}),
    "color": ({}, "#c0ffee"),
    "geo_point": ({}, {"lat": 12.3456, "lng": 65.4321}),
    "integer": ({}, 731648255),
    "decimal": ({}, "731648.255"),
    "boolean": ({}, True),
    "date": ({}, "1871-03-07"),
    "datetime": ({}, "1871-03-07T11:22:33Z"),
    "component": ({"components": ["part"]}, {"words": WORD}),
    "components": ({"components": ["part"]}, [{"words": WORD}]),
    "blocks": ({"components": ["part"]}, [{"_component": "part", "words": WORD}]),
}
NO_CONTENT = {"slug", "reference", "references", "image", "images", "file", "files"}


def found_in(text: str) -> list[str]:
    return [name for name, rows in dump().items() if text in rows]


def needle(value: Any) -> str:
    """Return what of a value would stand in a table; "" for one that is too short to be told from others."""
    text = json.dumps(value)
    return next((item for item in (WORD, "c0ffee", "12.3456", "731648", "1871-03-07") if item in text), "")


@pytest.fixture
def ada() -> Api:
    return administrator()


@pytest.fixture
def person() -> Entry:
    make_collection("people", FIELDS)
    return make_entry("people", name="Ada", mail=ADDRESS, note="hello")


def fields_of(api: Api, **changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of people as a client sends them back, with changes by key."""
    listed = api.get(COLLECTION).json()["fields"]
    return [{**item, **changes.get(item["key"], {})} for item in listed]


def change(api: Api, **changes: dict[str, Any]) -> Any:
    return api.patch(COLLECTION, {"fields": fields_of(api, **changes), "confirm": True})


# At rest


def test_every_type_that_holds_content_is_tried_here() -> None:
    assert set(EVERY) == set(fields.REGISTRY) - NO_CONTENT


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize("data_class", ["personal", "secret"])
def test_no_table_holds_a_value_in_clear_and_after_erasing_nothing_at_all(
    kind: str, data_class: str, ada: Api
) -> None:
    options, value = EVERY[kind]
    make_collection("part", [{"key": "words", "type": "text"}], kind="component")
    make_collection(
        "people", [*PLAIN, {"key": "it", "type": kind, "options": options, "data_class": data_class}]
    )
    entry = make_entry("people", name="Ada", it=value)
    editing.save(entry.pk, {"name": "Bea"}, writing=writing("people"), base=1)
    shown = ada.get(f"{MANAGE}/{entry.pk}").json()["it"]
    assert needle(shown) == needle(value)
    assert ada.get(f"{PUBLIC}/{entry.pk}").json()["it"] is not None
    field_id = str(current().by_key["people"].by_key["it"].id)
    for row in (*DraftDocument.objects.all(), *PublishedDocument.objects.all()):
        assert is_sealed(row.sealed[field_id])
    assert all(is_sealed(version.sealed["*"][field_id]) for version in Version.objects.all())
    if needle(value):
        assert found_in(needle(value)) == []
    assert ada.delete(f"{MANAGE}/{entry.pk}?purge=true").status_code == 204
    assert found_in(f'"{SEALED}"') == []
    assert not DataKey.objects.exists()
    tables = {name for name in found_in(str(entry.pk)) if not name.startswith(("accounts_", "pg_"))}
    assert tables == set()


def test_what_is_stored_is_what_was_hashed(person: Entry) -> None:
    version = Version.objects.get()
    assert version.sha256 == hash_of_version(person.pk, 1, version.sealed)
    assert version.data["*"] != version.sealed["*"]


def test_a_value_of_another_entry_or_field_does_not_open(person: Entry) -> None:
    other = make_entry("people", name="Eve", mail="eve@example.com", note="x")
    spec = current().by_key["people"].by_key
    mine = Version.objects.get(entry=person).sealed["*"][str(spec["mail"].id)]
    with pytest.raises(KeyRingError):
        other.sealing_key.open(str(spec["mail"].id), mine)
    with pytest.raises(KeyRingError):
        person.sealing_key.open(str(spec["note"].id), mine)
    assert person.sealing_key.open(str(spec["mail"].id), mine) == ADDRESS


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists))
def test_what_was_sealed_opens_as_it_was_and_is_the_same_each_time(value: Any) -> None:
    key, wrapped = EntryKey.made(uuid4())
    sealed = key.seal("f", value)
    assert is_sealed(sealed)
    assert sealed == key.seal("f", value)
    assert key.open("f", sealed) == value
    assert WORD not in wrapped


@given(st.text() | st.binary().map(lambda raw: f"v1.{raw.hex()}"))
def test_what_somebody_made_up_is_refused_and_never_returned(text: str) -> None:
    key, _ = EntryKey.made(uuid4())
    value: Json = {SEALED: text}
    if not is_sealed(value):
        assert key.open("f", value) == value
        return
    with pytest.raises(KeyRingError):
        key.open("f", value)


def test_nobody_writes_what_looks_sealed(ada: Api) -> None:
    make_collection("people", [*PLAIN, {"key": "it", "type": "json"}])
    answer = ada.post(MANAGE, {"fields": {"name": "x", "it": {SEALED: "v1.AAAA"}}})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "reserved")
    assert ada.post(MANAGE, {"fields": {"name": "x", "it": {SEALED: "hello"}}}).status_code == 201


def test_a_row_that_is_pickled_leaves_its_key_behind(person: Entry) -> None:
    version = Version.objects.get()
    for row in (person, version):
        assert version.data
        assert person.sealing_key is not None
        again = copy.deepcopy(row)
        assert not {"sealing_key", "_entry_key"} & again.__dict__.keys()
        assert pickle.dumps(row)
    assert copy.deepcopy(version).data == version.data


def test_an_entry_without_such_values_has_no_key(ada: Api) -> None:
    make_collection("people", FIELDS)
    make_entry("people", name="Ada", note="hello")
    assert not DataKey.objects.exists()
    make_entry("people", name="Ada", mail=ADDRESS)
    assert DataKey.objects.count() == 1


def test_a_part_with_a_personal_field_is_sealed_whole(ada: Api) -> None:
    make_collection("part", [{"key": "phone", "type": "text", "data_class": "personal"}, {"key": "at", "type": "text"}], kind="component")  # fmt: skip
    make_collection(
        "people", [*PLAIN, {"key": "it", "type": "component", "options": {"components": ["part"]}}]
    )
    entry = make_entry("people", name="Ada", it={"phone": WORD, "at": "home"})
    assert found_in(WORD) == []
    assert ada.get(f"{MANAGE}/{entry.pk}").json()["it"] == {"phone": WORD, "at": "home"}


# Reading and writing go on as before


def test_who_may_read_the_field_gets_it_and_others_get_the_rest(person: Entry) -> None:
    make_role("named", {"collection": "people", "fields": ("name", "mail")})
    make_role("rest", {"collection": "people"})
    assert make_key(role="named").get(f"{PUBLIC}/{person.pk}").json()["mail"] == ADDRESS
    assert make_key(role="named").get(f"{PUBLIC}?fields=mail").json()["data"][0]["mail"] == ADDRESS
    other = make_key(role="rest").get(f"{PUBLIC}/{person.pk}")
    assert "mail" not in other.json()
    assert SEALED not in other.content.decode()


def test_an_expanded_target_shows_its_sealed_values(person: Entry, ada: Api) -> None:
    make_collection("books", [{"key": "author", "type": "reference", "options": {"collections": ["people"]}}])
    book = make_entry("books", author=str(person.pk))
    for plane in ("content", "manage/content"):
        found = ada.get(f"/api/v1/{plane}/books/{book.pk}?expand=author").json()
        assert found["author"]["mail"] == ADDRESS


def test_saving_restoring_and_publishing_keep_sealed_values(person: Entry, ada: Api) -> None:
    saved = ada.patch(f"{MANAGE}/{person.pk}", {"fields": {"mail": "new@example.com"}}, **{"If-Match": '"1"'})
    assert saved.json()["mail"] == "new@example.com"
    assert saved.json()["_status"] == {"en": "changed"}
    again = ada.patch(f"{MANAGE}/{person.pk}", {"fields": {"mail": "new@example.com"}}, **{"If-Match": '"2"'})
    assert again.json()["_version"] == 2  # the same value is no change
    restored = ada.post(f"{MANAGE}/{person.pk}/versions/1/restore")
    assert (restored.json()["mail"], restored.json()["_version"]) == (ADDRESS, 3)
    assert restored.json()["_status"] == {"en": "published"}
    assert ada.get(f"{MANAGE}/{person.pk}/versions/2").json()["fields"]["mail"] == "new@example.com"
    publishing.publish(person.pk, writing=writing("people"))
    assert ada.get(f"{PUBLIC}/{person.pk}").json()["mail"] == ADDRESS


def test_a_difference_says_that_a_sensitive_field_changed_and_not_how(person: Entry, ada: Api) -> None:
    editing.save(person.pk, {"mail": "new@example.com", "note": "bye"}, writing=writing("people"), base=1)
    answer = ada.get(f"{MANAGE}/{person.pk}/diff?from=1&to=2")
    changes = {item["field"]: item for item in answer.json()["fields"]}
    assert changes["mail"] == {"field": "mail", "label": "Mail", "change": "changed", "changed": True}
    assert changes["note"]["words"]
    assert not {ADDRESS, "new@example.com"} & set(answer.content.decode().split('"'))


def test_a_localized_value_is_sealed_in_each_locale(ada: Api) -> None:
    make_locale("de", fallback=("en",))
    make_collection("people", [{**PLAIN[0], "localized": True}, {**MAIL, "localized": True}], localized=True)
    entry = make_entry("people", name="Ada", mail=ADDRESS)
    editing.save(
        entry.pk, {"name": "Ada", "mail": f"de.{ADDRESS}"}, writing=writing("people"), base=1, locale="de"
    )
    publishing.publish(entry.pk, writing=writing("people"))
    assert ada.get(f"{PUBLIC}/{entry.pk}?locale=de").json()["mail"] == f"de.{ADDRESS}"
    assert ada.get(f"{PUBLIC}/{entry.pk}").json()["mail"] == ADDRESS
    assert found_in(WORD) == []


# Found by nothing


@pytest.mark.parametrize(
    "query",
    [
        "filter[mail][eq]=x@example.com", "filter[mail][exists]=true", "filter[mail][contains]=x", "sort=mail", "sort=-mail",
    ],
)  # fmt: skip
def test_asking_by_such_a_field_is_the_same_refusal_as_asking_by_none(
    query: str, person: Entry, ada: Api
) -> None:
    for path in (PUBLIC, MANAGE):
        asked, unknown = ada.get(f"{path}?{query}"), ada.get(f"{path}?{query.replace('mail', 'nothing')}")
        assert asked.status_code == unknown.status_code == 400
        told = [answer.json()["errors"][0] for answer in (asked, unknown)]
        assert {item["code"] for item in told} == {told[0]["code"]}
        assert ada.get(f"{path}?filter[name][eq]=Ada").json()["data"]


def test_asking_through_a_reference_is_refused_too(person: Entry, ada: Api) -> None:
    make_collection("books", [{"key": "author", "type": "reference", "options": {"collections": ["people"]}}])
    assert ada.get("/api/v1/content/books?filter[author.name][eq]=Ada").status_code == 200
    assert ada.get("/api/v1/content/books?filter[author.mail][eq]=x").status_code == 400


def test_a_search_finds_nothing_in_them(person: Entry, ada: Api) -> None:
    for path in (PUBLIC, MANAGE):
        assert ada.get(f"{path}?search=hello").json()["data"]
        assert ada.get(f"{path}?search={ADDRESS}").json()["data"] == []
    mail = current().by_key["people"].by_key["mail"].id
    assert not DraftSearch.objects.filter(field_id=mail).exists()
    assert not PublishedSearch.objects.filter(field_id=mail).exists()


@pytest.mark.parametrize("member", ["filterable", "unique"])
def test_such_a_field_can_be_neither_filterable_nor_unique(member: str, ada: Api) -> None:
    body = {"key": "people", "name": "People", "fields": [{**MAIL, member: True}]}
    answer = ada.post("/api/v1/manage/collections", body)
    assert answer.status_code == 400
    assert [item["pointer"] for item in answer.json()["errors"]] == [f"/fields/0/{member}"]
    body["fields"][0][member] = False  # type: ignore[index]
    assert ada.post("/api/v1/manage/collections", body).status_code == 201


def test_a_slug_is_never_sensitive_nor_made_of_what_is(ada: Api) -> None:
    slug: dict[str, Any] = {"key": "slug", "type": "slug"}
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([{**slug, "data_class": "personal"}], "/fields/0/data_class"),
        ([MAIL | {"type": "text"}, {**slug, "options": {"from": "mail"}}], "/fields/1/options/from"),
    ]
    for fields_, pointer in cases:
        answer = ada.post(
            "/api/v1/manage/collections", {"key": "people", "name": "People", "fields": fields_}
        )
        assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]


def test_an_entry_is_never_called_by_a_sensitive_field() -> None:
    make_collection(
        "people", [{"key": "name", "type": "text", "data_class": "personal"}, {"key": "nick", "type": "text"}]
    )
    make_entry("people", name=WORD, nick="ace")
    assert DraftDocument.objects.get().title == "ace"


def test_a_policy_can_not_compare_with_it_and_one_that_does_holds_for_nothing(
    person: Entry, ada: Api
) -> None:
    role = make_role("some")
    body = {"role": "some", "collection": "people", "actions": ["read"], "fields": "*"}
    refused = ada.post("/api/v1/manage/policies", {**body, "filter": {"mail": {"eq": ADDRESS}}})
    assert refused.status_code == 400
    assert ada.post("/api/v1/manage/policies", {**body, "filter": {"name": {"eq": "Ada"}}}).status_code == 201
    assert make_key(role="some").get(f"{PUBLIC}/{person.pk}").status_code == 200
    role.policies.all().delete()
    for operator, value in (("ne", "x"), ("exists", True), ("eq", ADDRESS)):
        with pytest.raises(Exception, match=r"sealed|compared"):
            allow("some", collection="people", filter={"mail": {operator: value}})


# A field changes its class


def test_a_filterable_field_that_becomes_personal_asks_first_and_is_sealed_everywhere(ada: Api) -> None:
    make_collection("people", [*PLAIN, {"key": "mail", "type": "email", "filterable": True, "unique": True}])
    entry = make_entry("people", name="Ada", mail=ADDRESS)
    editing.save(entry.pk, {"name": "Bea"}, writing=writing("people"), base=1)
    before = list(
        Version.objects.order_by("number").values("id", "number", "author_label", "message", "created_at")
    )
    updated = list(DraftDocument.objects.values_list("updated_at", flat=True))
    spec = [{**item, **({"data_class": "personal"} if item["key"] == "mail" else {})} for item in
            ada.get(COLLECTION).json()["fields"]]  # fmt: skip
    assert ada.patch(COLLECTION, {"fields": spec}).status_code == 400  # filterable: true says the contrary
    for item in spec:
        if item["key"] == "mail":
            del item["filterable"], item["unique"]
    asked = ada.patch(COLLECTION, {"fields": spec})
    assert asked.status_code == 409
    assert asked.json()["effects"][0]["change"] == "sealed"
    assert "filtered and sorted by or kept unique" in asked.json()["effects"][0]["detail"]
    assert WORD in dump()["content_version"]
    assert ada.patch(COLLECTION, {"fields": spec, "confirm": True}).status_code == 200
    # At once nobody finds by it, though the worker has not begun.
    assert ada.get(f"{PUBLIC}?filter[mail][eq]={ADDRESS}").status_code == 400
    assert ada.get(f"{PUBLIC}?search={ADDRESS}").json()["data"] == []
    make_role("rest", {"collection": "people", "actions": ("read", "read_draft")})
    assert WORD not in make_key(role="rest").get(f"{MANAGE}/{entry.pk}/versions/1").content.decode()
    tasks.rebuild()
    tasks.index()
    assert found_in(WORD) == []
    assert not UniqueValue.objects.filter(field_id=current().by_key["people"].by_key["mail"].id).exists()
    after = list(
        Version.objects.order_by("number").values("id", "number", "author_label", "message", "created_at")
    )
    assert after == before
    for version in Version.objects.all():
        assert version.sha256 == hash_of_version(entry.pk, version.number, version.sealed)
    assert list(DraftDocument.objects.values_list("updated_at", flat=True)) == updated
    assert ada.get(f"{MANAGE}/{entry.pk}/versions/1").json()["fields"]["mail"] == ADDRESS
    assert ada.get(f"{PUBLIC}/{entry.pk}").json()["mail"] == ADDRESS
    event = Event.objects.get(type="versions.resealed")
    assert (event.detail["entries"], event.detail["versions"]) == (1, 2)
    assert WORD not in json.dumps(event.detail)


@pytest.mark.parametrize(
    "changes",
    [{"data_class": "public"}, {"data_class": "internal"}, {"data_class": "public", "type": "text"}],
)
def test_opening_a_field_asks_first_and_is_an_alert(changes: dict[str, Any], person: Entry, ada: Api) -> None:
    """What was read once can't be taken back, and who models need not be one who may read it."""
    fields = fields_of(ada, mail=changes)
    asked = ada.patch(COLLECTION, {"fields": fields})
    assert (asked.status_code, asked.json()["code"]) == (409, "confirmation-required")
    assert "opened" in [effect["change"] for effect in asked.json()["effects"]]
    assert ada.patch(COLLECTION, {"fields": fields, "confirm": True}).status_code == 200
    assert Event.objects.filter(type="collection.changed").latest("at").detail["opened"] == ["mail"]
    seal_pending()
    raise_due()
    assert "mail of people" in Alert.objects.get(rule="fields-declassified").sentence


def test_opening_a_part_of_a_component_asks_first(ada: Api) -> None:
    make_collection("part", [{"key": "phone", "type": "text", "data_class": "personal"}], kind="component")
    path = "/api/v1/manage/collections/part"
    fields = [{**item, "data_class": "public"} for item in ada.get(path).json()["fields"]]
    assert ada.patch(path, {"fields": fields}).json()["code"] == "confirmation-required"
    assert ada.patch(path, {"fields": fields, "confirm": True}).status_code == 200
    assert Event.objects.filter(type="collection.changed").latest("at").detail["opened"] == ["phone"]


def test_slugs_that_were_made_of_a_field_are_told_of_before_it_is_sealed(ada: Api) -> None:
    make_collection("people", PLAIN)
    make_entry("people", name="Ann Canary")
    changes: dict[str, Any] = {
        "name": {"data_class": "personal", "filterable": False},
        "slug": {"options": {}},
    }
    fields = fields_of(ada, **changes)
    asked = ada.patch(COLLECTION, {"fields": fields})
    assert asked.status_code == 409
    assert "made of it in Slug stays there" in asked.json()["effects"][0]["detail"]


def test_a_field_that_is_personal_no_longer_is_opened_and_then_can_be_found_by(
    person: Entry, ada: Api
) -> None:
    make_role("rest", {"collection": "people"})
    assert change(ada, mail={"data_class": "public"}).status_code == 200
    reader = make_key(role="rest")
    assert reader.get(f"{PUBLIC}/{person.pk}").json()["mail"] == ADDRESS  # sealed still, and open to them now
    early = change(ada, mail={"filterable": True})
    assert early.status_code == 400
    assert "opened" in early.json()["errors"][0]["detail"]
    tasks.rebuild()
    assert not Field.objects.filter(is_sealed=True).exists()
    assert all(ADDRESS in json.dumps(version.sealed) for version in Version.objects.all())
    assert change(ada, mail={"filterable": True}).status_code == 200
    assert reader.get(f"{PUBLIC}?filter[mail][eq]={ADDRESS}").json()["data"]
    assert reader.get(f"{PUBLIC}?search={ADDRESS}").json()["data"]


def test_sealing_goes_on_where_a_worker_was_killed(ada: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    make_collection("people", [*PLAIN, {"key": "mail", "type": "email"}])
    for number in range(5):
        make_entry("people", name=f"P{number}", mail=f"{number}.{ADDRESS}")
    change(ada, mail={"data_class": "secret"})
    monkeypatch.setattr(rebuilding, "BATCH", 2)
    seen: list[Any] = []
    whole = sealing.reseal

    def dies(entry: Entry, *rest: Any) -> int:
        seen.append(entry.pk)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return whole(entry, *rest)

    monkeypatch.setattr(rebuilding, "reseal", dies)
    with pytest.raises(KeyboardInterrupt):
        rebuilding.work_through()
    assert found_in(WORD)
    rebuilding.work_through()
    assert found_in(WORD) == []
    assert Version.objects.count() == 5


def test_an_entry_whose_key_is_lost_keeps_no_other_waiting(
    ada: Api, caplog: pytest.LogCaptureFixture
) -> None:
    make_collection("people", FIELDS)
    lost, other = (make_entry("people", name=name, mail=ADDRESS) for name in ("Lost", "Other"))
    DataKey.objects.filter(entry=lost).delete()
    assert change(ada, mail={"data_class": "public"}).status_code == 200
    tasks.rebuild()
    assert ada.get(f"{PUBLIC}/{other.pk}").json()["mail"] == ADDRESS
    assert str(lost.pk) in caplog.text
    answer = ada.get(f"{PUBLIC}/{lost.pk}")
    assert (answer.status_code, answer.json()["mail"]) == (200, None)


def test_a_component_that_becomes_personal_seals_those_who_hold_it(ada: Api) -> None:
    make_collection(
        "part", [{"key": "phone", "type": "text"}, {"key": "at", "type": "text"}], kind="component"
    )
    make_collection("people", [*PLAIN, {"key": "it", "type": "blocks", "options": {"components": ["part"]}}])
    entry = make_entry("people", name="Ada", it=[{"_component": "part", "phone": WORD, "at": "home"}])
    part = "/api/v1/manage/collections/part"
    listed = ada.get(part).json()["fields"]
    listed[0]["data_class"] = "personal"
    assert ada.patch(part, {"fields": listed, "confirm": True}).status_code == 200
    tasks.rebuild()
    assert found_in(WORD) == []
    assert ada.get(f"{PUBLIC}/{entry.pk}").json()["it"][0]["phone"] == WORD
    # The personal field goes: what it held stays sealed, in old versions alone.
    assert ada.patch(part, {"fields": listed[1:], "confirm": True}).status_code == 200
    tasks.rebuild()
    assert found_in(WORD) == []
    document = PublishedDocument.objects.get()
    assert not any(is_sealed(value) for value in document.sealed.values())
    assert ada.get(f"{PUBLIC}/{entry.pk}").json()["it"][0]["at"] == "home"


def test_a_removed_or_converted_field_leaves_nothing_in_clear(person: Entry, ada: Api) -> None:
    assert change(ada, mail={"type": "text"}).status_code == 200
    assert ada.get(f"{MANAGE}/{person.pk}").json()["mail"] == ADDRESS
    assert found_in(WORD) == []
    listed = [item for item in fields_of(ada) if item["key"] != "mail"]
    assert ada.patch(COLLECTION, {"fields": listed, "confirm": True}).status_code == 200
    editing.save(person.pk, {"name": "Bea"}, writing=writing("people"), base=2)
    tasks.rebuild()
    assert found_in(WORD) == []


def test_a_field_that_policies_compare_with_is_not_sealed_under_them(ada: Api) -> None:
    make_collection("people", [*PLAIN, {"key": "team", "type": "text"}])
    make_role("some", {"collection": "people", "filter": {"team": {"eq": "a"}}})
    answer = change(ada, team={"data_class": "personal"})
    assert answer.status_code == 409
    assert "policy of the role" in answer.json()["detail"]


def test_a_shared_view_keeps_nothing_that_was_compared_with_a_field_that_is_sealed_now(ada: Api) -> None:
    made = make_collection("people", [*PLAIN, {"key": "mail", "type": "email", "filterable": True}])
    kept, gone = [str(made.by_key["name"].id), "eq", "Ada"], [str(made.by_key["mail"].id), "eq", ADDRESS]
    SavedView.objects.create(
        owner=make_user(),
        collection_id=made.id,
        name="Mine",
        query={"filters": [kept, gone], "sort": gone[0]},
    )
    listed = fields_of(ada, mail={"data_class": "personal"})
    for item in listed:
        item.pop("filterable")
    assert ada.patch(COLLECTION, {"fields": listed, "confirm": True}).status_code == 200
    assert SavedView.objects.get().query["filters"] == [kept]
    assert WORD not in dump()["content_savedview"]


def test_nothing_but_the_one_road_touches_what_is_stored() -> None:
    """Writers seal, readers take `.data` or go through the gate; SQL by hand only compares."""
    allowed = {
        "content/editing.py", "content/effects.py", "content/importing/pages.py", "content/importing/references.py", "content/models/entries.py",
        "content/models/sealing.py", "content/publishing.py", "content/query.py", "content/rebuilding.py", "content/rows.py", "content/sealing.py",
        "content/timeline.py", "content/admin/assist.py", "content/admin/choices.py", "webhooks/payload.py",
    }  # fmt: skip
    touching = re.compile(
        r"""\.sealed\b(?!\()|["']sealed["']|sealed__|\bsealed=|data -> |content_version\b.*data"""
    )
    found = {
        str(path)
        for room in ("content", "previews", "webhooks")
        for path in Path(room).rglob("*.py")
        if "migrations" not in path.parts and touching.search(path.read_text())
    }
    assert found - {"content/indexing.py"} == allowed  # which makes indexes of fields that are not sealed


# Cost


def test_collections_without_such_fields_ask_nothing_more_and_others_ask_no_more_a_row(ada: Api) -> None:
    make_collection("plain", PLAIN)
    make_collection("people", FIELDS)
    for number in range(6):
        make_entry("plain", name=f"P{number}")
        make_entry("people", name=f"P{number}", mail=f"{number}@example.com")
    counts = {}
    for path in ("plain", "people", "people?limit=2"):
        address = f"/api/v1/manage/content/{path}"
        ada.get(address)
        with CaptureQueriesContext(connection) as queries:
            assert ada.get(address).status_code == 200
        counts[path] = len(queries)
        asked = [item["sql"] for item in queries.captured_queries if "content_datakey" in item["sql"]]
        assert len(asked) == (0 if path == "plain" else 1)
    assert counts["people"] == counts["people?limit=2"]


def test_a_save_asks_for_the_key_once(person: Entry) -> None:
    with CaptureQueriesContext(connection) as queries:
        editing.save(person.pk, {"mail": "other@example.com"}, writing=writing("people"), base=1)
    assert sum("content_datakey" in item["sql"] for item in queries.captured_queries) == 1


# Kept for so long


def aged(entry: Entry, days: int) -> None:
    when = timezone.now() - timedelta(days=days)
    Entry.objects.filter(pk=entry.pk).update(created_at=when)
    Entry.objects.filter(pk=entry.pk, trashed_at__isnull=False).update(trashed_at=when)
    DraftDocument.objects.filter(entry=entry).update(updated_at=when)


@pytest.mark.parametrize("of", ["created", "updated", "trashed"])
def test_what_was_kept_long_enough_is_erased_with_every_version(of: str, ada: Api) -> None:
    make_collection("people", FIELDS, retention={"after_days": 30, "of": of})
    old, young = (make_entry("people", name=name, mail=ADDRESS) for name in ("Old", "Young"))
    for entry in (old, young):
        editing.trash(entry.pk, writing=writing("people"))
    aged(old, 31)
    aged(young, 29)
    tasks.erase_due()
    assert list(Entry.objects.values_list("pk", flat=True)) == [young.pk]
    assert set(Version.objects.values_list("entry_id", flat=True)) == {young.pk}
    assert DataKey.objects.count() == 1
    event = Event.objects.get(type="entry.deleted")
    assert (event.subject_id, event.actor_label) == (str(old.pk), "system: retention")


def test_an_old_entry_that_was_saved_lately_in_one_locale_stays(ada: Api) -> None:
    make_locale("de")
    make_collection(
        "people",
        [{"key": "name", "type": "text", "localized": True}, MAIL],
        localized=True,
        retention={"after_days": 30, "of": "updated"},
    )
    old, saved = (make_entry("people", name=name, mail=ADDRESS) for name in ("Old", "Saved"))
    for entry in (old, saved):
        aged(entry, 31)
    editing.save(saved.pk, {"name": "Neu"}, writing=writing("people"), base=1, locale="de")
    assert retention.erase_due() == 1
    assert Entry.objects.get().pk == saved.pk


def test_without_a_retention_or_out_of_the_trash_entries_stay(ada: Api) -> None:
    make_collection("people", FIELDS)
    make_collection("others", FIELDS, retention={"after_days": 1, "of": "trashed"})
    trashed = make_entry("people", name="A")
    editing.trash(trashed.pk, writing=writing("people"))
    for entry in (trashed, make_entry("others", name="B")):
        aged(entry, 400)
    tasks.erase_due()
    assert Entry.objects.count() == 2


def test_an_entry_that_is_brought_back_in_that_moment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    make_collection("people", FIELDS, retention={"after_days": 1, "of": "trashed"})
    entry = make_entry("people", name="A")
    editing.trash(entry.pk, writing=writing("people"))
    aged(entry, 3)
    erase = retention._erase

    def too_late(entry_id: Any, *rest: Any) -> int:
        editing.restore(entry_id, writing=writing("people"))
        return erase(entry_id, *rest)

    monkeypatch.setattr(retention, "_erase", too_late)
    assert retention.erase_due() == 0
    assert Entry.objects.get().trashed_at is None


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"after_days": 0, "of": "trashed"}, "/retention/after_days"), ({"after_days": True, "of": "trashed"}, "/retention/after_days"),
        ({"after_days": 5, "of": "read"}, "/retention/of"), ({"after_days": 5}, "/retention"), ("never", "/retention"),
        ({"after_days": 5, "of": "trashed", "x": 1}, "/retention"),
    ],
)  # fmt: skip
def test_a_retention_that_makes_no_sense_is_refused_in_its_place(value: Any, pointer: str, ada: Api) -> None:
    make_collection("people", FIELDS)
    answer = ada.patch(COLLECTION, {"retention": value})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)
    assert ada.patch(COLLECTION, {"retention": {"after_days": 5, "of": "created"}}).status_code == 200
    assert ada.get(COLLECTION).json()["retention"] == {"after_days": 5, "of": "created"}
    assert ada.patch(COLLECTION, {"name": "Folk"}).json()["retention"] == {"after_days": 5, "of": "created"}
    assert ada.patch(COLLECTION, {"retention": None}).json()["retention"] is None


def test_a_retention_that_erases_at_once_asks_first(ada: Api) -> None:
    make_collection("people", FIELDS)
    aged(make_entry("people", name="A"), 10)
    asked = ada.patch(COLLECTION, {"retention": {"after_days": 5, "of": "created"}})
    assert (asked.status_code, asked.json()["effects"][0]["change"]) == (409, "erased")
    assert ada.patch(COLLECTION, {"retention": {"after_days": 50, "of": "created"}}).status_code == 200
    shorter = {"retention": {"after_days": 5, "of": "created"}, "confirm": True}
    assert ada.patch(COLLECTION, shorter).status_code == 200
    assert Event.objects.filter(type="collection.changed").latest("at").detail["erased"] == 1


def test_a_key_that_is_gone_shows_nothing(person: Entry, ada: Api) -> None:
    """What an old backup of the versions alone is worth after the entry was erased."""
    DataKey.objects.all().delete()
    version = Version.objects.get()
    with pytest.raises(KeyRingError):
        _ = version.data
    assert ADDRESS not in ada.get(f"{MANAGE}/{person.pk}").content.decode()
    assert ada.delete(f"{MANAGE}/{person.pk}").status_code == 204
    assert ada.delete(f"{MANAGE}/{person.pk}?purge=true").status_code == 204  # it is erased all the same


@pytest.mark.parametrize("harm", ["no key", "another key", "altered"])
def test_one_entry_whose_values_are_lost_takes_nothing_from_the_others(
    harm: str, person: Entry, ada: Api, caplog: pytest.LogCaptureFixture
) -> None:
    whole = make_entry("people", name="Bea", mail=ADDRESS)
    if harm == "no key":
        DataKey.objects.filter(entry=person).delete()
    elif harm == "another key":
        DataKey.objects.filter(entry=person).update(wrapped=DataKey.objects.get(entry=whole).wrapped)
    else:
        for model in (DraftDocument, PublishedDocument):
            row, other = model.objects.get(entry=person), model.objects.get(entry=whole)
            model.objects.filter(pk=row.pk).update(sealed={**row.sealed, **other.sealed})
    for path in (PUBLIC, MANAGE):
        answer = ada.get(path)
        assert answer.status_code == 200
        mails = {item["_id"]: item["mail"] for item in answer.json()["data"]}
        assert mails == {str(person.pk): None, str(whole.pk): ADDRESS}
    if harm == "altered":
        assert str(person.pk) in caplog.text
        return
    # Whoever needs the values is told what is wrong, and what to do.
    refused = ada.patch(f"{MANAGE}/{person.pk}", {"fields": {"name": "x"}}, **{"If-Match": '"1"'})
    assert (refused.status_code, refused.json()["code"]) == (409, "values-lost")
    assert str(person.pk) in refused.json()["detail"]
    assert change(ada, mail={"type": "text"}).json()["code"] == "values-lost"
    assert ada.delete(f"{MANAGE}/{person.pk}").status_code == 204
    assert ada.delete(f"{MANAGE}/{person.pk}?purge=true").status_code == 204
    assert change(ada, mail={"type": "text"}).status_code == 200


def test_an_entry_that_can_not_be_erased_keeps_no_other(
    monkeypatch: pytest.MonkeyPatch, ada: Api, caplog: pytest.LogCaptureFixture
) -> None:
    make_collection("people", FIELDS, retention={"after_days": 5, "of": "created"})
    stuck, gone, *others = (make_entry("people", name=name, mail=ADDRESS) for name in "ABCDE")
    for entry in (stuck, gone, *others):
        aged(entry, 10)
    purge = editing.purge

    def fails(entry_id: Any, **more: Any) -> None:
        if entry_id == gone.pk:
            Entry.objects.filter(pk=entry_id).delete()
            raise NotFoundError
        if entry_id == stuck.pk:
            raise ConflictError("Not now.")
        purge(entry_id, **more)

    monkeypatch.setattr(editing, "purge", fails)
    monkeypatch.setattr(retention, "BATCH", 2)
    assert retention.erase_due() == len(others)
    assert set(Entry.objects.values_list("pk", flat=True)) == {stuck.pk, gone.pk}
    assert [str(entry.pk) in caplog.text for entry in (stuck, gone)] == [True, False]
    monkeypatch.setattr(editing, "purge", purge)
    assert retention.erase_due() == 2
