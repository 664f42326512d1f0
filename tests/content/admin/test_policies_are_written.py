"""The form of a policy: no JSON, no script needed, faults at their place, and nothing typed is lost."""

from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts.models import Policy, Role
from content.schema import current
from tests.accounts.cast import confirmed
from tests.builders import allow, make_collection, make_role, make_user

pytestmark = pytest.mark.django_db

FIELDS: list[dict[str, Any]] = [
    {"key": "title", "type": "text", "label": "Title"},
    {"key": "rating", "type": "integer", "label": "Rating"},
    {"key": "day", "type": "date", "label": "Day"},
    {"key": "open", "type": "boolean", "label": "Open"},
    {"key": "kind", "type": "choice", "label": "Kind", "options": {"choices": [{"value": "news", "label": "News"}, {"value": "tip", "label": "Tip"}]}},
    {"key": "marks", "type": "tags", "label": "Marks"},
    {"key": "place", "type": "geo_point", "label": "Place"},
    {"key": "phone", "type": "text", "label": "Phone", "data_class": "personal"},
]  # fmt: skip
ADD = "/admin/accounts/policy/add/"


@pytest.fixture
def role() -> Role:
    make_collection("articles", FIELDS, name="Articles")
    return make_role("guest_author")


def typed(to: Role, *rows: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    """Return what a browser sends: by default reading of articles, every field that needs no naming."""
    body: dict[str, Any] = {
        "role": str(to.pk), "collection": "articles", "actions": ["read"], "all_fields": "on",
        "row-count": str(len(rows)), "_save": "Save",
    }  # fmt: skip
    for number, row in enumerate(rows):
        body |= {
            f"row-{number}-{part}": text
            for part, text in zip(("name", "operator", "value"), row, strict=True)
        }
    return {name: value for name, value in {**body, **more}.items() if value is not None}


def field_id(key: str) -> str:
    return str(current().by_key["articles"].by_key[key].id)


def test_a_policy_is_written_without_json(ada: Client, role: Role) -> None:
    body = typed(
        role,
        ("_created_by", "eq", "$user"),
        ("kind", "in", "News, tip"),
        ("rating", "gte", "3"),
        actions=["update", "read_draft"],
        all_fields=None,
        fields=["title", "phone"],
    )
    answer = confirmed(ada, ADD, body)
    assert answer.status_code == 302
    assert answer["Location"] == f"/admin/accounts/role/{role.pk}/change/"
    policy = Policy.objects.get()
    assert policy.actions == ["read_draft", "update"]
    assert policy.rows == [
        ["_created_by", "eq", "$user"],
        [field_id("kind"), "in", ["news", "tip"]],
        [field_id("rating"), "gte", 3],
    ]
    assert (policy.every_field, set(policy.field_ids)) == (False, {field_id("title"), field_id("phone")})
    page = unescape(ada.get(answer["Location"]).content.decode())
    assert (
        "Guest_Author may read drafts and update in Articles where the author of the entry is themselves"
        in page
    )
    assert "Title and Phone (personal)" in page


def test_what_is_stored_is_what_the_form_shows_and_saves_again(ada: Client, role: Role) -> None:
    somebody = make_user("somebody@example.com")
    allow(
        role,
        collection="articles",
        actions=("create",),
        filter={"_created_by": {"in": [str(somebody.pk), "$user"]}, "title": {"in": ['a, "b"', "c"]},
                "open": {"eq": "true"}, "day": {"exists": False}},
        fields=("title", "kind"),
        presets={"kind": "news", "rating": 3, "marks": ["a", "b"]},
    )  # fmt: skip
    before = Policy.objects.values().get()
    page = ada.get(f"/admin/accounts/policy/{before['id']}/change/")
    shown = page.context["typed"]
    rows = [(row.name, row.operator, row.value) for row in shown.rows]
    assert rows == [
        ("_created_by", "in", "somebody@example.com, $user"),
        ("title", "in", '"a, ""b""",c'),
        ("open", "eq", "true"),
        ("day", "empty", ""),
    ]
    presets = {f"preset-{key}": value for key, value in shown.presets.items()}
    body = typed(role, *rows, actions=["create"], all_fields=None, fields=["title", "kind"], **presets)
    assert (
        ada.post(f"/admin/accounts/policy/{before['id']}/change/", body).status_code == 302
    )  # nothing changes
    assert Policy.objects.values().get() == before


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (("title", "eq", ""), "A value is missing"),
        (("kind", "in", " , "), "A value is missing"),
        (("kind", "eq", "gossip"), "none of the values"),
        (("kind", "gt", "news"), "Kind can’t be compared like this"),
        (("rating", "eq", "many"), "number"),
        (("day", "lt", "yesterday"), "day"),
        (("place", "eq", "1"), "nothing of this name"),
        (("password", "eq", "x"), "nothing of this name"),
        (("", "eq", "x"), "Choose what is compared"),
        (("_created_by", "eq", "nobody@example.com"), "$user"),
        (("_created_by", "contains", "$user"), "can’t be compared like this"),
        (("_locale", "eq", "xx"), "no such language"),
        (("_id", "eq", "1"), "id of an entry"),
        (("title", "resembles", "x"), "Title can’t be compared like this"),
        (("title", "eq", "$nobody"), "The variables are"),
    ],
)
def test_a_fault_stands_at_its_row_and_nothing_is_lost(
    ada: Client, role: Role, row: tuple[str, str, str], problem: str
) -> None:
    body = typed(role, ("title", "starts_with", "A"), row, fields=["phone"], actions=["read", "export"])
    page = ada.post(ADD, body)
    assert page.status_code == 200
    shown = page.context["typed"]
    assert [(item.name, item.operator, item.value) for item in shown.rows][1] == row
    assert problem.lower() in " ".join(shown.rows[1].problems).lower()
    assert not shown.rows[0].problems
    assert (shown.actions, shown.fields) == ({"read", "export"}, {"phone"})
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"role": ""}, "role"),
        ({"role": "999999"}, "role"),
        ({"role": "x"}, "role"),
        ({"collection": ""}, "collection"),
        ({"collection": "nothing"}, "collection"),
        ({"actions": []}, "actions"),
        ({"actions": ["fly"]}, "actions"),
        ({"all_fields": None}, "fields"),
        ({"fields": ["nothing"]}, "fields"),
        ({"collection": "*", "fields": ["title"]}, "fields"),
        ({"preset-rating": "many", "actions": ["create"]}, "preset-rating"),
        ({"preset-kind": "gossip", "actions": ["create"]}, "preset-kind"),
        ({"preset-kind": "news"}, "presets"),
    ],
)
def test_other_faults_stand_at_their_place(
    ada: Client, role: Role, change: dict[str, Any], place: str
) -> None:
    page = ada.post(ADD, typed(role, **change))
    assert page.status_code == 200
    assert place in page.context["typed"].problems, page.context["typed"].problems
    assert not Policy.objects.exists()


def test_without_a_script_the_fields_are_shown_by_a_button(ada: Client, role: Role) -> None:
    page = ada.get(f"{ADD}?role={role.pk}")
    assert page.context["role"] == role
    assert not page.context["fields"]
    body = typed(role, ("title", "eq", "kept"), actions=["read", "update"], _save=None, _show="1")
    page = ada.post(ADD, body)
    assert [item.key for item, _ in page.context["fields"]][:2] == ["title", "rating"]
    assert page.context["typed"].rows[0].value == "kept"
    assert not page.context["typed"].is_faulty
    more = ada.post(ADD, {**body, "_add_row": "1"})
    assert more.context["row_count"] == page.context["row_count"] + 1
    assert not Policy.objects.exists()


def test_the_public_role_is_offered_reading_only(ada: Client, role: Role) -> None:
    public = Role.objects.get(key="public")
    page = ada.get(f"{ADD}?role={public.pk}").content.decode()
    assert 'value="read"' in page
    assert 'value="update"' not in page
    answer = ada.post(ADD, typed(public, actions=["read", "update"]))
    assert "can only read" in str(answer.context["typed"].problems["actions"])
    assert not Policy.objects.exists()


def test_a_collection_that_is_gone_does_not_hide_the_policy(ada: Client, role: Role) -> None:
    allow(role, collection="articles", filter={"title": {"eq": "x"}})
    policy = Policy.objects.get()
    Policy.objects.filter(pk=policy.pk).update(collection_id=policy.pk)
    page = ada.get(f"/admin/accounts/policy/{policy.pk}/change/")
    assert page.status_code == 200
    assert "a collection that is gone" in page.content.decode()


def test_no_number_of_rows_is_too_much(ada: Client, role: Role) -> None:
    for count in ("1000000000", "-1", "x", "²", ""):
        page = ada.post(ADD, typed(role) | {"row-count": count, "row-0-name": "title"})
        assert page.status_code == 200
