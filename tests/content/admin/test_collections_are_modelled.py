"""Modelling in the admin: collections, their fields, the effects of changes, and locales."""

from typing import Any

from django.test import Client

from content.models import Collection, Entry, Field, Locale
from content.schema import current
from tests.builders import administrator, make_collection, make_entry
from tests.content.admin.conftest import collection_of

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


def test_a_collection_is_made_with_its_fields_in_order(ada: Client) -> None:
    sent = {
        **typed(localized="on"),
        "field-count": "3",
        **row(0, key="slug", type="slug", **{"option-from": "title"}, order="2"),
        **row(
            1, key="title", localized="on", required="on", filterable="on", order="1", help="What people seek"
        ),
        **row(
            2,
            key="level",
            type="choice",
            **{"option-choices": "easy\r\nhard | Really hard"},
            default="easy",
            order="3",
        ),
        "field-2-condition_field": "title",
        "field-2-condition_operator": "filled",
    }
    answer = ada.post(ADD, sent)
    assert answer.status_code == 302, list(answer.context["summary"])
    spec = current().by_key["recipes"]
    assert [item.key for item in spec.fields] == ["title", "slug", "level"]
    assert spec.by_key["title"].localized
    assert spec.by_key["level"].default == "easy"
    assert [(item.value, item.label) for item in spec.by_key["level"].options.choices] == [  # type: ignore[attr-defined]
        ("easy", "easy"),
        ("hard", "Really hard"),
    ]
    assert spec.by_key["level"].condition is not None
    page = ada.get("/admin/modeling/collections/recipes/")
    assert b"Indexes of filterable fields" in page.content
    assert b"waiting" in page.content
    unchanged = ada.post("/admin/modeling/collections/recipes/", collection_of(page))
    assert unchanged.status_code == 302
    assert current().by_key["recipes"] == spec


def test_a_row_is_added_by_a_button_and_nothing_typed_is_lost(ada: Client) -> None:
    sent = typed() | {"field-count": "1"} | row(0, key="data", type="json", default="{not json")
    del sent["_save"]
    page = ada.post(ADD, {**sent, "_add_row": "1", "new_type": "integer"})
    text = page.content.decode()
    assert page.status_code == 200
    assert "{not json" in text
    assert 'name="field-1-key"' in text
    assert page.context["form"].rows[1].form["type"].value() == "integer"
    assert not Collection.objects.exists()


def test_rows_and_previews_show_what_is_typed_and_save_nothing(ada: Client) -> None:
    sent = typed(localized="on") | {"field-count": "2"}
    sent |= row(0, key="kind", type="choice", default="film", **{"option-choices": "film | A film\nbook"})
    sent |= row(1, key="length", type="integer", help="In <minutes>", group="More")
    sent |= {
        "field-1-condition_field": "kind",
        "field-1-condition_operator": "in",
        "field-1-option-max": "many",
    }
    sent |= {"field-1-condition_value": "film, book"}
    del sent["_save"]
    one = ada.post(ADD, {**sent, "_row": "1"}).content.decode()
    assert 'name="field-1-option-max"' in one
    assert 'value="many"' in one
    assert "In &lt;minutes&gt;" in one
    assert 'name="field-0-key"' not in one
    shown = ada.post(ADD, {**sent, "_preview": "1"}).content.decode()
    assert 'name="f-kind"' in shown
    assert "A film" in shown
    assert "checked" in shown
    assert (
        "&quot;operator&quot;: &quot;in&quot;, &quot;value&quot;: [&quot;film&quot;, &quot;book&quot;]"
        in shown
    )
    assert "<h3>More</h3>" in shown
    assert ada.post(ADD, {**sent, "_row": "7"}).status_code == 404
    assert ada.post(ADD, {**sent, "_preview": "1", "field-0-type": "nothing"}).status_code == 200
    assert not Collection.objects.exists()


def test_conditions_are_typed_in_three_inputs_and_shown_again(ada: Client) -> None:
    make_collection("things", [{"key": "is_old", "type": "boolean"}, {"key": "size", "type": "integer"},
                               {"key": "kind", "type": "text"}, {"key": "note", "type": "text"}])  # fmt: skip
    path = "/admin/modeling/collections/things/"
    for key, operator, value, stored_as in (
        ("is_old", "eq", "yes", True),
        ("size", "in", "1, 2", (1, 2)),
        ("kind", "ne", "a, b", "a, b"),
        ("kind", "in", '["a, b", "c"]', ("a, b", "c")),
        ("kind", "empty", "", False),
    ):
        sent = collection_of(ada.get(path))
        sent |= {"field-3-condition_field": key, "field-3-condition_operator": operator}
        sent["field-3-condition_value"] = value
        assert ada.post(path, sent).status_code == 302
        condition = current().by_key["things"].by_key["note"].condition
        assert condition is not None
        assert condition.value == stored_as
        assert ada.post(path, collection_of(ada.get(path))).status_code == 302
        assert current().by_key["things"].by_key["note"].condition == condition


def test_every_fault_stands_where_it_was_typed(ada: Client) -> None:
    sent = {
        **typed(key="Bad Key"),
        "field-count": "4",
        **row(0, key="title", order="9", **{"option-max_length": "many"}),
        **row(1, key="title", order="1", type="integer"),
        **row(2, key="data", type="json", **{"option-schema": '{"a": 1, "a": 2}'}),
        **row(3, key="part", type="decimal", default="x", unique="on"),
    }
    page = ada.post(ADD, sent)
    assert page.status_code == 400
    form = page.context["form"]
    assert "option-max_length" in form.rows[0].problems
    assert "option-schema" in form.rows[2].problems
    assert "is there twice" in page.content.decode()
    del sent["field-2-option-schema"], sent["field-0-option-max_length"], sent["field-3-default"]
    page = ada.post(ADD, sent)
    form = page.context["form"]
    assert "key" in form.member_problems
    assert "key" in form.rows[0].problems  # the second in order: the key is taken by then
    assert page.context["summary"][0][0] == "id_key"
    sent |= row(0, key="name", order="9", **{"option-max_length": "9", "option-min_length": "12"}) | {
        "key": "good"
    }
    sent |= row(3, key="rank", type="choice", default="z", **{"option-choices": "a\nb\na | Again"})
    sent |= {"field-2-condition_field": "nowhere", "field-2-condition_operator": "eq"}
    page = ada.post(ADD, sent)
    form = page.context["form"]
    assert "option-min_length" in form.rows[0].problems
    assert "condition_field" not in form.rows[2].problems  # faults of one field stand before those of several
    assert form.rows[3].problems["option-choices"] == ["Line 3 › value: This value is there twice."]
    sent |= row(0, key="name", order="9", **{"option-min_length": "1"})
    sent |= row(3, key="rank", type="choice", default="z", **{"option-choices": "a\nb"})
    form = ada.post(ADD, sent).context["form"]
    assert form.rows[3].problems["default"] == ["This is not one of the choices."]
    form = ada.post(ADD, sent | {"field-3-default": "a"}).context["form"]
    assert form.rows[2].problems["condition_field"] == ["There is no such field beside this one."]
    assert not Collection.objects.exists()


def test_the_effects_of_a_change_are_shown_before_anything_is_saved(ada: Client) -> None:
    make_collection("things", [{"key": "title", "type": "text"}, {"key": "amount", "type": "text"}])
    make_entry("things", title="One", amount="12", published=False)
    make_entry("things", title="Two", amount="many", published=False)
    path = "/admin/modeling/collections/things/"
    sent = collection_of(ada.get(path)) | {"field-0-remove": "on", "field-1-type": "integer"}
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
        path, collection_of(ada.get(path)) | {"field-0-key": "headline", "key": "items", "name": "Items"}
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
    make_collection(
        "things",
        [
            {"key": "title", "type": "text"},
            {"key": "next", "type": "reference", "options": {"collections": ["things"]}},
        ],
    )
    make_collection("secrets", [{"key": "title", "type": "text"}], name="CANARY")
    make_entry("secrets", title="CANARY")
    edith = as_somebody("edith", {"collection": "things", "actions": ("manage_schema", "read_draft")})
    things = edith.get("/admin/modeling/collections/things/")
    assert b">Things<" in things.content  # may be named in the options of a reference
    assert b"CANARY" not in things.content
    for piece in ("_preview", "_row"):
        sent = {**collection_of(things), piece: "1"}
        shown = edith.post("/admin/modeling/collections/things/", sent)
        assert shown.status_code == 200
        assert b"CANARY" not in shown.content
        assert edith.post("/admin/modeling/collections/secrets/", sent).status_code == 404
        assert edith.post(ADD, sent).status_code == 403
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
