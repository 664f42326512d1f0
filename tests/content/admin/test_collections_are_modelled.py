"""Modelling in the admin: collections, their fields, the effects of changes, and locales."""

from typing import Any

from django.test import Client

from content.models import Collection, Entry, Field, Locale
from content.schema import current
from tests.builders import administrator, make_collection, make_entry

ADD = "/admin/modeling/collections/add/"


def typed(**members: str) -> dict[str, str]:
    return {"name": "Recipes", "key": "recipes", "kind": "many", "description": "", "_save": "1", **members}


def row(number: int, **members: str) -> dict[str, str]:
    whole = {
        "key": f"field{number}",
        "type": "text",
        "data_class": "public",
        "order": str(number + 1),
        **members,
    }
    return {f"field-{number}-{name}": value for name, value in whole.items()}


def stored(page: Any) -> dict[str, str]:
    """Return what the form of a collection would send back unchanged."""
    form = page.context["form"]
    data = {"_save": "1", "field-count": str(form.count)}
    bounds = [*form.members, *(bound for item in form.rows for bound in item.form)]
    for bound in bounds:
        value = bound.value()
        if value not in (None, False, ""):
            data[bound.html_name] = "on" if value is True else str(value)
    return data


def test_a_collection_is_made_with_its_fields_in_order(ada: Client) -> None:
    sent = {
        **typed(localized="on"),
        "field-count": "3",
        **row(0, key="slug", type="slug", options='{"from": "title"}', order="2"),
        **row(
            1, key="title", localized="on", required="on", filterable="on", order="1", help="What people seek"
        ),
        **row(
            2,
            key="level",
            type="choice",
            options='{"choices": ["easy", "hard"]}',
            default='"easy"',
            order="3",
        ),
        "field-2-condition": '{"field": "title", "operator": "exists", "value": true}',
    }
    answer = ada.post(ADD, sent)
    assert answer.status_code == 302, list(answer.context["summary"])
    spec = current().by_key["recipes"]
    assert [item.key for item in spec.fields] == ["title", "slug", "level"]
    assert spec.by_key["title"].localized
    assert spec.by_key["level"].default == "easy"
    assert spec.by_key["level"].condition is not None
    page = ada.get("/admin/modeling/collections/recipes/")
    assert b"Indexes of filterable fields" in page.content
    assert b"waiting" in page.content
    unchanged = ada.post("/admin/modeling/collections/recipes/", stored(page))
    assert unchanged.status_code == 302
    assert current().by_key["recipes"] == spec


def test_a_row_is_added_by_a_button_and_nothing_typed_is_lost(ada: Client) -> None:
    sent = typed() | {"field-count": "1"} | row(0, key="title", options="{not json")
    del sent["_save"]
    page = ada.post(ADD, {**sent, "_add_row": "1", "new_type": "integer"})
    text = page.content.decode()
    assert page.status_code == 200
    assert "{not json" in text
    assert 'name="field-1-key"' in text
    assert page.context["form"].rows[1].form["type"].value() == "integer"
    assert not Collection.objects.exists()


def test_every_fault_stands_where_it_was_typed(ada: Client) -> None:
    sent = {
        **typed(key="Bad Key"),
        "field-count": "4",
        **row(0, key="title", order="9", options='{"max_length": "many"}'),
        **row(1, key="title", order="1", type="integer"),
        **row(2, key="data", type="json", options='{"a": 1, "a": 2}'),
        **row(3, key="part", type="decimal", default='"x"', unique="on"),
    }
    page = ada.post(ADD, sent)
    assert page.status_code == 400
    form = page.context["form"]
    assert "options" in form.rows[2].problems
    assert "is there twice" in page.content.decode()
    del sent["field-2-options"]
    page = ada.post(ADD, sent)
    form = page.context["form"]
    assert "key" in form.member_problems
    assert "key" in form.rows[0].problems  # the second in order: the key is taken by then
    assert page.context["summary"][0][0] == "id_key"
    sent |= row(0, key="name", order="9", options='{"max_length": "many"}') | {"key": "good"}
    page = ada.post(ADD, sent)
    form = page.context["form"]
    assert form.rows[0].problems["options"][0].startswith("max_length: ")
    assert "default" in form.rows[3].problems
    assert not Collection.objects.exists()


def test_the_effects_of_a_change_are_shown_before_anything_is_saved(ada: Client) -> None:
    make_collection("things", [{"key": "title", "type": "text"}, {"key": "amount", "type": "text"}])
    make_entry("things", title="One", amount="12", published=False)
    make_entry("things", title="Two", amount="many", published=False)
    path = "/admin/modeling/collections/things/"
    sent = stored(ada.get(path)) | {"field-0-remove": "on", "field-1-type": "integer"}
    sent.pop("field-1-options", None)
    asked = ada.post(path, sent)
    text = asked.content.decode()
    assert asked.status_code == 200
    assert "This change loses content" in text
    assert "2 entries lose their value" in text
    assert "1 entry keeps its value, 1 loses it" in text
    assert set(Field.objects.filter(removed_at=None).values_list("key", flat=True)) == {"title", "amount"}
    again = dict(asked.context["typed"])
    back = ada.post(path, again | {"_edit": "1"})
    assert back.status_code == 200
    assert back.context["form"].rows[0].form["remove"].value() is True
    assert ada.post(path, again | {"_confirm": "1"}).status_code == 302
    assert [(item.key, item.type) for item in current().by_key["things"].fields] == [("amount", "integer")]
    assert Entry.objects.count() == 2


def test_a_rename_keeps_the_field_and_its_content(ada: Client) -> None:
    spec = make_collection("things", [{"key": "title", "type": "text"}])
    entry = make_entry("things", title="Kept", published=False)
    path = "/admin/modeling/collections/things/"
    answer = ada.post(
        path, stored(ada.get(path)) | {"field-0-key": "headline", "key": "items", "name": "Items"}
    )
    assert answer.headers["Location"] == "/admin/modeling/collections/items/"
    assert current().by_key["items"].fields[0].id == spec.fields[0].id
    assert b'value="Kept"' in ada.get(f"/admin/content/items/{entry.pk}/change/").content


def test_a_collection_that_others_use_is_not_deleted_and_one_needs_its_key_typed(ada: Client) -> None:
    make_collection("authors", [{"key": "name", "type": "text"}])
    make_collection("books", [{"key": "by", "type": "reference", "options": {"collections": ["authors"]}}])
    path = "/admin/modeling/collections/{}/delete/"
    assert b"Used by Books" in ada.post(path.format("authors"), {"key": "authors"}).content
    assert ada.post(path.format("books"), {"key": "book"}).status_code == 400
    assert ada.post(path.format("books"), {"key": "books"}).status_code == 302
    assert list(Collection.objects.values_list("key", flat=True)) == ["authors"]


def test_locales_are_added_changed_and_deleted(ada: Client) -> None:
    path = "/admin/modeling/locales/"
    assert (
        ada.post(
            f"{path}add/", {"code": "de", "name": "Deutsch", "fallback": "en", "direction": "ltr"}
        ).status_code
        == 302
    )
    wrong = ada.post(f"{path}add/", {"code": "de", "name": "", "fallback": "xx", "direction": "ltr"})
    assert wrong.status_code == 400
    wrong = ada.post(f"{path}add/", {"code": "de", "name": "Again", "fallback": "xx", "direction": "ltr"})
    assert "There is such a locale already" in wrong.content.decode()
    assert "There is no such locale" in wrong.content.decode()
    assert ada.post(f"{path}de/", {"name": "German", "fallback": "", "direction": "ltr"}).status_code == 302
    assert Locale.objects.get(pk="de").name == "German"
    assert ada.post(f"{path}en/delete/").status_code == 400
    assert ada.post(f"{path}de/delete/").status_code == 302
    assert not Locale.objects.filter(pk="de").exists()
    assert ada.get(f"{path}xx/").status_code == 404


def test_who_models_one_collection_sees_no_other(as_somebody: Any) -> None:
    make_collection("things", [{"key": "title", "type": "text"}])
    make_collection("secrets", [{"key": "title", "type": "text"}], name="CANARY")
    edith = as_somebody("edith", {"collection": "things", "actions": ("manage_schema", "read_draft")})
    page = edith.get("/admin/modeling/collections/")
    assert b"Things" in page.content
    assert b"CANARY" not in page.content
    assert edith.get("/admin/modeling/collections/things/").status_code == 200
    assert edith.get("/admin/modeling/collections/secrets/").status_code == 404
    assert edith.get(ADD).status_code == 403
    assert edith.post("/admin/modeling/collections/secrets/delete/", {"key": "secrets"}).status_code == 404


def test_fields_of_one_group_stand_together_in_the_form(ada: Client) -> None:
    fields = [{"key": "title", "type": "text"}, {"key": "robots", "type": "text", "group": "Search"}]
    made = administrator().post(
        "/api/v1/manage/collections", {"key": "notes", "name": "Notes", "fields": fields}
    )
    assert made.status_code == 201, made.content
    shown = administrator().get("/api/v1/manage/collections/notes").json()["fields"]
    assert [field.get("group") for field in shown] == [None, "Search"]
    page = ada.get("/admin/content/notes/add/").content.decode()
    assert page.index("<h2>Notes</h2>") < page.index('name="f-title"') < page.index("<h2>Search</h2>")
    refused = administrator().patch(
        "/api/v1/manage/collections/notes", {"fields": [{"key": "title", "type": "text", "group": "x" * 81}]}
    )
    assert refused.json()["errors"][0]["pointer"] == "/fields/0/group"
    kept = [{"key": "title", "type": "text"}, {"key": "robots", "type": "text"}]
    administrator().patch("/api/v1/manage/collections/notes", {"fields": kept})
    assert "<h2>Search</h2>" in ada.get("/admin/content/notes/add/").content.decode()
