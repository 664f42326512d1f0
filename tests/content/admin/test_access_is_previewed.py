"""A change of access is shown before it is made: what becomes readable, what stops being so, and for whom."""

from typing import Any

import pytest
from django.core.signing import TimestampSigner
from django.test import Client

from accounts.access import Area
from accounts.admin import confirming
from accounts.models import Event, Generation, Policy, Role, User
from accounts.rights import granting
from tests.accounts.cast import confirmed, make_person
from tests.builders import ROOT, allow, make_collection, make_entry, make_key, make_role, make_user
from tests.content.admin.conftest import sign_in
from tests.content.admin.test_policies_are_written import ADD, typed
from tests.security.world import Unchanged

pytestmark = pytest.mark.django_db


@pytest.fixture
def role() -> Role:
    make_collection(
        "articles",
        [{"key": "title", "type": "text", "label": "Title"},
         {"key": "rating", "type": "integer", "label": "Rating"},
         {"key": "phone", "type": "text", "label": "Phone", "data_class": "personal"}],
        name="Articles",
    )  # fmt: skip
    for number in range(3):
        make_entry("articles", title=f"Public {number}", rating=number)
    make_entry("articles", title="Draft", rating=9, published=False)
    return make_role("desk")


def asked(ada: Client, body: dict[str, Any], path: str = ADD) -> Any:
    page = ada.post(path, body)
    assert page.status_code == 200
    return page.context["asked"]


def test_what_becomes_readable_is_shown_and_nothing_is_saved(ada: Client, role: Role) -> None:
    make_user("edith@example.com", roles=("desk",))
    make_key(role="desk")
    with Unchanged("shown only"):
        question = asked(
            ada, typed(role, ("rating", "lt", "2"), fields=["phone"], actions=["read", "update"])
        )
    (reading,) = question.impact.readings
    assert (reading.plane, reading.entries_gained.number, reading.entries_lost.number) == ("published", 2, 0)
    assert [item.key for item in reading.fields_gained] == ["title", "rating", "phone"]
    assert question.impact.sensitive == ("Phone (personal) of Articles",)
    assert [act.action.value for act in question.impact.writes] == ["update"]
    assert (question.concerned.people, question.concerned.keys) == (1, 1)


def test_a_door_behind_which_nothing_is_to_be_seen_is_told_too(ada: Client, role: Role) -> None:
    """What everybody may read leaves internal fields out: a collection of those alone is opened, and nothing shows."""
    make_collection("notes", [{"key": "title", "type": "text", "data_class": "internal"}], name="Notes")
    public = Role.objects.get(key="public")
    page = ada.post(ADD, typed(public, collection="notes", actions=["read"]))
    assert not page.context["asked"].impact.readings
    text = " ".join(page.content.decode().split())
    assert "nothing is to be seen there yet</h2><ul><li>Read what is published: Notes</li></ul>" in text
    page = ada.post(ADD, typed(role, collection="*", actions=["read"]))
    assert page.context["asked"].impact.readings
    assert "<li>Read what is published: every collection that is made later</li>" in page.content.decode()


def test_the_confirmation_saves_it(ada: Client, role: Role) -> None:
    body = typed(role)
    token = asked(ada, body).token
    assert ada.post(ADD, body | {confirming.CONFIRMATION: token}).status_code == 302
    assert Policy.objects.get().role_id == role.pk
    assert Event.objects.filter(type="policy.created").count() == 1


def test_a_confirmation_is_good_for_this_change_alone(ada: Client, role: Role) -> None:
    body = typed(role)
    token = asked(ada, body).token
    other = make_role("other")
    for change in (
        {"fields": ["phone"]},
        {"actions": ["read", "update"]},
        {"collection": "*"},
        {"role": str(other.pk)},
        {"row-count": "1", "row-0-name": "rating", "row-0-operator": "lt", "row-0-value": "2"},
        {"actions": ["read", "create"], "preset-title": "x"},
        {confirming.CONFIRMATION: token + "x"},
        {confirming.CONFIRMATION: TimestampSigner(salt="other").sign(token.split(":")[0])},
        {confirming.CONFIRMATION: ""},
    ):
        with Unchanged(change):
            sent = body | {confirming.CONFIRMATION: token} | change
            assert ada.post(ADD, sent).status_code == 200, change


def test_a_confirmation_is_good_for_its_asker_for_a_while_and_from_these_rights(
    ada: Client, role: Role, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = typed(role)
    sent = body | {confirming.CONFIRMATION: asked(ada, body).token}
    eve = sign_in(make_person("eve@example.com", roles=["administrator"], with_authenticator=True))
    with Unchanged("somebody else"):
        assert eve.post(ADD, sent).status_code == 200
    with monkeypatch.context() as patch:
        patch.setattr(confirming, "GOOD_FOR", -1)
        with Unchanged("too late"):
            assert ada.post(ADD, sent).status_code == 200
    allow(role, collection="articles", actions=("update",))
    assert ada.post(ADD, sent).status_code == 200  # the role is another one than was shown
    assert Policy.objects.filter(role=role).count() == 1


def test_back_to_the_form_keeps_what_was_typed(ada: Client, role: Role) -> None:
    body = typed(role, ("rating", "lt", "2"), actions=["read", "export"])
    page = ada.post(ADD, body | {confirming.BACK: "1", confirming.CONFIRMATION: asked(ada, body).token})
    assert page.context["typed"].actions == {"read", "export"}
    assert page.context["typed"].rows[0].value == "2"
    assert not Policy.objects.exists()


def test_what_stops_being_readable_is_shown(ada: Client, role: Role) -> None:
    allow(role, collection="articles", actions=("read", "read_draft"))
    policy = Policy.objects.get()
    path = f"/admin/accounts/policy/{policy.pk}/delete/"
    with Unchanged("looked at only"):
        page = ada.get(path)
    readings = {item.plane: item for item in page.context["impact"].readings}
    assert (readings["published"].entries_lost.number, readings["drafts"].entries_lost.number) == (3, 4)
    assert [item.key for item in readings["drafts"].fields_lost] == ["title", "rating"]
    with Unchanged("without the confirmation"):
        assert ada.post(path, {"post": "yes"}).status_code == 200
    assert confirmed(ada, path, {}).status_code == 302
    assert not Policy.objects.exists()


def test_fewer_rows_with_the_same_fields_are_counted(ada: Client, role: Role) -> None:
    allow(role, collection="articles")
    policy = Policy.objects.get()
    question = asked(ada, typed(role, ("rating", "gte", "1")), f"/admin/accounts/policy/{policy.pk}/change/")
    (reading,) = question.impact.readings
    assert (reading.entries_gained.number, reading.entries_lost.number) == (0, 1)
    assert not reading.fields_lost


def test_counting_stops_somewhere(ada: Client, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("content.directory.MOST_COUNTED", 2)
    assert str(asked(ada, typed(role)).impact.readings[0].entries_gained) == "more than 2 entries"


def test_what_everybody_may_read_anyway_is_no_gain(ada: Client, role: Role) -> None:
    allow("public", collection="articles")
    question = asked(ada, typed(role))  # its star covers internal fields too, should there be one
    assert not question.impact.readings
    assert not question.impact.gained
    public = Role.objects.get(key="public")
    question = asked(ada, typed(public, all_fields=None, fields=["phone"]))
    assert question.concerned.is_everybody
    assert question.impact.sensitive == ("Phone (personal) of Articles",)


def test_an_act_on_other_rows_is_a_change_too(ada: Client, role: Role) -> None:
    allow(role, collection="articles", actions=("update",), filter={"rating": {"lt": 2}})
    policy = Policy.objects.get()
    question = asked(ada, typed(role, actions=["update"]), f"/admin/accounts/policy/{policy.pk}/change/")
    assert [act.action.value for act in question.impact.changed] == ["update"]


def test_a_refusal_comes_before_the_question(ada: Client, role: Role) -> None:
    page = ada.post(ADD, typed(role, ("title", "eq", "$nobody")))
    assert "asked" not in page.context


def test_the_areas_of_a_role_are_shown_first(ada: Client, role: Role) -> None:
    path = f"/admin/accounts/role/{role.pk}/change/"
    body = {"name": "Desk", "areas": ["audit", "users"]}
    with Unchanged("shown only"):
        question = asked(ada, body, path)
    assert question.impact.areas_gained == ("people and service accounts", "the record of what happened")
    back = ada.post(path, body | {confirming.BACK: "1"})
    assert back.status_code == 200
    assert 'value="audit"' in back.content.decode()
    assert "errornote" not in back.content.decode()
    assert confirmed(ada, path, body).status_code == 302
    assert Role.objects.get(pk=role.pk).areas == ["audit", "users"]
    assert (
        ada.post(path, {"name": "Desks", "areas": ["audit", "users"]}).status_code == 302
    )  # a name is no access


def test_the_roles_of_a_person_are_shown_first(ada: Client, role: Role) -> None:
    allow(role, collection="articles")
    edith = make_user("edith@example.com")
    path = f"/admin/accounts/user/{edith.pk}/change/"
    body = {"email": edith.email, "name": edith.name, "is_active": "on", "roles": ["desk"]}
    with Unchanged("shown only"):
        question = asked(ada, body, path)
    assert question.impact.readings[0].entries_gained.number == 3
    assert asked(ada, body | {"roles": ["administrator"]}, path).impact.becomes_administrator
    token = question.token
    with Unchanged("another role"):
        asked(ada, body | {"roles": ["administrator"], confirming.CONFIRMATION: token}, path)
    assert ada.post(path, body | {confirming.CONFIRMATION: token}).status_code == 302
    assert User.objects.get(pk=edith.pk).role_keys == ("desk",)


def test_somebody_new_is_shown_first_too(ada: Client, role: Role) -> None:
    allow(role, collection="articles", actions=("update",), filter={"_created_by": {"eq": "$user"}})
    path = "/admin/accounts/user/add/"
    body = {"email": "new@example.com", "name": "New", "roles": ["desk"]}
    with Unchanged("shown only"):
        question = asked(ada, body, path)
    assert [act.action.value for act in question.impact.writes] == ["update"]
    with Unchanged("another role"):
        sent = {**body, "roles": ["administrator"], confirming.CONFIRMATION: question.token}
        assert asked(ada, sent, path).impact.becomes_administrator
    assert ada.post(path, body | {confirming.CONFIRMATION: question.token}).status_code == 302
    assert User.objects.get(email="new@example.com").role_keys == ("desk",)
    assert Event.objects.filter(type="user.invited").count() == 1


def test_what_a_program_may_is_shown_first_as_well(ada: Client, role: Role) -> None:
    allow(role, collection="articles")
    at = "/admin/accounts/serviceaccount/"
    body = {"name": "Robot", "roles": ["desk"]}
    with Unchanged("shown only"):
        question = asked(ada, body, f"{at}add/")
    assert question.impact.readings[0].entries_gained.number == 3
    assert (question.concerned.people, question.concerned.keys) == (0, 0)
    assert ada.post(f"{at}add/", body | {confirming.CONFIRMATION: question.token}).status_code == 302
    robot = User.objects.get(name="Robot")
    assert robot.role_keys == ("desk",)
    for change in ({"roles": [], "is_active": "on"}, {}):  # the role is taken away; it is switched off
        with Unchanged(change):
            question = asked(ada, {**body, **change}, f"{at}{robot.pk}/change/")
        assert question.impact.readings[0].entries_lost.number == 3
    token = question.token
    assert ada.post(f"{at}{robot.pk}/change/", body | {confirming.CONFIRMATION: token}).status_code == 302
    assert not User.objects.get(pk=robot.pk).is_active
    renamed = {"name": "Robot 2", "roles": ["desk"]}
    assert ada.post(f"{at}{robot.pk}/change/", renamed).status_code == 302  # changes nobody's access


def test_what_is_tried_and_taken_back_leaves_no_trace_in_the_cache_of_rules(ada: Client, role: Role) -> None:
    key = make_key(role="desk")
    assert key.get("/api/v1/content/articles").status_code == 404
    before = Generation.objects.current()
    asked(ada, typed(role))
    assert Generation.objects.current() == before
    assert key.get("/api/v1/content/articles").status_code == 404


def test_who_holds_policies_without_being_an_administrator_is_refused_here_too(role: Role) -> None:
    granting.add_role("keeper", "Keeper", areas=[Area.POLICIES], by=ROOT)
    keeper = sign_in(make_person("keeper@example.com", roles=["keeper"], with_authenticator=True))
    with Unchanged("refused"):
        page = keeper.post(ADD, typed(role))
        assert "can't hand out" in str(page.context["typed"].problems[""])


def test_a_dry_run_by_api_tells_the_same_and_saves_nothing(role: Role) -> None:
    root = make_key(role="administrator")
    body = {"role": "desk", "collection": "articles", "actions": ["read", "update"], "fields": ["title", "phone"],
            "filter": {"rating": {"lt": 2}}}  # fmt: skip
    with Unchanged("tried only"):
        answer = root.post("/api/v1/manage/policies", {**body, "dry_run": True})
    assert answer.status_code == 200
    assert answer.json()["effects"] == {
        "readings": [
            {"collection": "articles", "plane": "published", "fields_gained": ["title", "phone"], "fields_lost": [],
             "entries_gained": 2, "entries_lost": 0}
        ],
        "gained": [
            {"action": "read", "collections": ["articles"]},
            {"action": "update", "collections": ["articles"]},
        ],
        "lost": [],
        "changed": [],
    }  # fmt: skip
    made = root.post("/api/v1/manage/policies", {**body, "dry_run": False})
    assert made.status_code == 201
    path = f"/api/v1/manage/policies/{made.json()['id']}"
    with Unchanged("tried only"):
        effects = root.patch(path, {"fields": ["title"], "actions": ["read"], "dry_run": True}).json()[
            "effects"
        ]
    assert effects["readings"][0]["fields_lost"] == ["phone"]
    assert effects["lost"] == [{"action": "update", "collections": ["articles"]}]
    with Unchanged("refused"):
        assert root.patch(path, {"actions": [], "dry_run": True}).status_code == 400
