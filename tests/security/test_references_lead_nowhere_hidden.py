"""References, nested routes and second ways to an object: each object that is touched is asked for (threats, B)."""

from uuid import uuid4

import pytest

from content import editing, publishing
from content.models import Entry
from tests.builders import (
    allow,
    anonymous,
    make_collection,
    make_entry,
    make_key,
    make_locale,
    make_role,
    writing,
)
from tests.security.world import (
    DRAFT_WORD,
    Unchanged,
    assert_problem,
    leaked,
    make_world,
    masked,
)

pytestmark = pytest.mark.django_db

NOTE = [
    {"key": "name", "type": "text", "filterable": True},
    {"key": "to", "type": "reference", "filterable": True, "options": {"collections": ["people"]}},
    {"key": "all", "type": "references", "filterable": True, "options": {"collections": ["people"]}},
]
NOTES = "/api/v1/content/notes"
MANAGED = "/api/v1/manage/content/notes"


def names(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return sorted(item["name"] for item in answer.json()["data"])


@pytest.fixture
def notes() -> dict[str, Entry]:
    """Notes to people: `open` to one whom everybody sees, `draft` to a draft, `secret` to one of hidden rows, `none`."""
    make_collection(
        "people", [{"key": "name", "type": "text", "filterable": True}, {"key": "level", "type": "integer"}]
    )
    make_collection("notes", NOTE)
    people = {
        "open": make_entry("people", name="open", level=1),
        "draft": make_entry("people", name=f"{DRAFT_WORD} person", level=1, published=False),
        "secret": make_entry("people", name="secret", level=9),
    }
    for key, person in people.items():
        make_entry("notes", name=key, to=str(person.pk), all=[str(person.pk)])
    make_entry("notes", name="none")
    rows = {"level": {"lt": 5}}
    allow("public", collection="notes")
    allow("public", collection="people", filter=rows)
    make_role("reader", {"collection": "notes"}, {"collection": "people", "filter": rows})
    make_role(
        "drafter",
        {"collection": "notes", "actions": ("read_draft", "update", "create")},
        {"collection": "people", "actions": ("read_draft",), "filter": rows},
    )
    return people


def test_no_filter_tells_of_a_reference_that_is_not_shown(notes: dict[str, Entry]) -> None:
    for api in (anonymous(), make_key(role="reader")):
        shown = {item["name"]: item["to"] for item in api.get(NOTES).json()["data"]}
        assert shown["open"] is not None
        assert shown["draft"] is shown["secret"] is shown["none"] is None
        for field in ("to", "all"):
            assert names(api.get(f"{NOTES}?filter[{field}][exists]=true")) == ["open"]
            assert names(api.get(f"{NOTES}?filter[{field}][exists]=false")) == ["draft", "none", "secret"]
            for key, expected in (("open", ["open"]), ("draft", []), ("secret", [])):
                pk = notes[key].pk
                assert names(api.get(f"{NOTES}?filter[{field}][eq]={pk}")) == expected
                assert names(api.get(f"{NOTES}?filter[{field}][in]={pk},{uuid4()}")) == expected
                others = sorted({"open", "draft", "secret", "none"} - set(expected))
                assert names(api.get(f"{NOTES}?filter[{field}][ne]={pk}")) == others
                assert names(api.get(f"{NOTES}?filter[{field}][nin]={pk},{uuid4()}")) == others
            assert names(api.get(f"{NOTES}?filter[{field}.name][starts_with]=")) == ["open"]
            assert names(api.get(f"{NOTES}?filter[{field}.name][ne]=x")) == ["open"]
    root = make_key(role="administrator")
    assert names(root.get(f"{NOTES}?filter[to][exists]=true")) == ["open", "secret"]
    assert names(root.get(f"{MANAGED}?filter[to][exists]=true")) == ["draft", "open", "secret"]
    drafter = make_key(role="drafter")
    assert names(drafter.get(f"{MANAGED}?filter[to][exists]=true")) == ["draft", "open"]
    assert names(drafter.get(f"{MANAGED}?filter[all][eq]={notes['secret'].pk}")) == []


def test_lists_inside_of_objects_hold_what_the_caller_may_read(notes: dict[str, Entry]) -> None:
    everybody = [str(notes[key].pk) for key in ("open", "draft", "secret")]
    make_entry("notes", name="many", to=everybody[2], all=everybody)
    for api in (anonymous(), make_key(role="reader")):
        for tail in ("", "&expand=to,all", "&fields=name,to.name,all.name,all,to"):
            answer = api.get(f"{NOTES}?filter[name][eq]=many{tail}")
            many = answer.json()["data"][0]
            assert [item["_id"] for item in many["all"]] == [everybody[0]]
            assert many["to"] is None
            assert DRAFT_WORD.encode() not in answer.content
            assert everybody[1] not in answer["Cache-Tag"] + answer.content.decode()
            assert everybody[2] not in answer["Cache-Tag"] + answer.content.decode()
    assert (
        len(make_key(role="administrator").get(f"{MANAGED}?filter[name][eq]=many").json()["data"][0]["all"])
        == 3
    )


def test_an_entry_that_can_not_be_read_can_not_be_referred_to(notes: dict[str, Entry]) -> None:
    drafter = make_key(role="drafter")
    with Unchanged("referring to a hidden entry"):
        hidden = drafter.post(MANAGED, {"fields": {"name": "x", "to": str(notes["secret"].pk)}})
        missing = drafter.post(MANAGED, {"fields": {"name": "x", "to": str(uuid4())}})
        assert masked(hidden) == masked(missing)
        assert_problem(hidden, 400)
    assert drafter.post(MANAGED, {"fields": {"name": "x", "to": str(notes["open"].pk)}}).status_code == 201


@pytest.mark.parametrize(
    "parameter",
    [
        "depth=1",
        "depth=10",
        "populate=*",
        "include=to",
        "with=to",
        "expand=to.to.to",
        "expand=_created_by",
        "expand=*",
    ],
)
def test_nothing_expands_but_declared_references(notes: dict[str, Entry], parameter: str) -> None:
    for path in (NOTES, f"{NOTES}/{Entry.objects.filter(collection__key='notes').first().pk}"):
        assert_problem(anonymous().get(f"{path}?{parameter}"), 400)


def test_the_trail_of_one_entry_can_not_be_followed_from_another(notes: dict[str, Entry]) -> None:
    """Every nested route with the id of another parent, or of another collection (CVE-2026-44199)."""
    root = make_key(role="administrator")
    entry = Entry.objects.filter(collection__key="notes").first()
    editing.save(entry.pk, {"name": "again"}, writing=writing("notes"), base=1)
    person = notes["open"]
    assert root.get(f"{MANAGED}/{entry.pk}/versions/2").status_code == 200
    assert_problem(root.get(f"/api/v1/manage/content/people/{person.pk}/versions/2"), 404)
    with Unchanged("foreign parents"):
        for tail in ("", "/versions", "/versions/1", "/diff?from=1&to=1"):
            assert_problem(root.get(f"{MANAGED}/{person.pk}{tail}"), 404)
        for tail in ("/publish", "/unpublish", "/restore", "/versions/1/restore"):
            assert_problem(root.post(f"{MANAGED}/{person.pk}{tail}"), 404)
        assert_problem(
            root.patch(f"{MANAGED}/{person.pk}", {"fields": {"name": "x"}}, **{"If-Match": '"1"'}), 404
        )
        assert_problem(root.delete(f"{MANAGED}/{person.pk}"), 404)
        assert_problem(root.delete(f"{MANAGED}/{person.pk}?purge=true"), 404)
        assert_problem(root.post(f"/api/v1/manage/content/people/{person.pk}/versions/2/restore"), 404)
    assert_problem(root.get(f"/api/v1/content/people/{entry.pk}"), 404)


def test_who_may_only_add_gets_nothing_back() -> None:
    world = make_world()
    adder, path = world.apis["adder"], "/api/v1/manage/content/articles"
    made = adder.post(path, {"fields": {"title": "Mine", "parent": None}})
    assert made.status_code == 201
    assert set(made.json()) == {"_id", "_collection"}
    mine = made.json()["_id"]
    answers = [adder.get(path)]
    for entry in (mine, world.published.pk, world.shown.pk, world.draft.pk, world.hidden_target.pk):
        with Unchanged(entry):
            answers += [
                *(adder.get(f"{path}/{entry}{tail}") for tail in ("", "/versions", "/versions/1", "/diff?from=1&to=1")),
                *(adder.post(f"{path}/{entry}{tail}") for tail in ("/publish", "/unpublish", "/restore", "/versions/1/restore")),
                adder.patch(f"{path}/{entry}", {"fields": {"title": "x"}}, **{"If-Match": '"1"'}),
                adder.delete(f"{path}/{entry}"),
            ]  # fmt: skip
    for answer in answers:
        assert_problem(answer, 403, 404)
        assert not leaked(answer)
    for unread in (world.published, world.hidden_target):
        taken = adder.post(path, {"fields": {"title": "Copy", "parent": str(unread.pk)}})
        assert not leaked(taken)


def test_an_act_that_was_done_is_never_answered_as_refused() -> None:
    """Who may publish without reading drafts must not get a 404 for what was committed."""
    make_collection()
    make_role(
        "presser",
        {"collection": "articles", "actions": ("publish", "unpublish", "update", "delete", "restore")},
    )
    presser, path = make_key(role="presser"), "/api/v1/manage/content/articles"
    make_role("also_sees", {"collection": "articles", "actions": ("create",)})
    entry = make_entry(published=False)
    allow("presser", collection="articles", actions=("create",))
    done = [
        presser.post(f"{path}/{entry.pk}/publish"),
        presser.patch(f"{path}/{entry.pk}", {"fields": {"title": "New"}}, **{"If-Match": '"1"'}),
        presser.post(f"{path}/{entry.pk}/versions/1/restore"),
        presser.post(f"{path}/{entry.pk}/unpublish"),
    ]
    assert [answer.status_code for answer in done] == [200] * 4
    assert all(answer.json() == {"_id": str(entry.pk), "_collection": "articles"} for answer in done)
    stale = presser.patch(f"{path}/{entry.pk}", {"fields": {"title": "New"}}, **{"If-Match": '"1"'})
    assert assert_problem(stale, 412)["current"] == {"_id": str(entry.pk), "_collection": "articles"}


def test_who_made_an_entry_can_not_be_written() -> None:
    """`_created_by` decides about rows, so no write may set it (CVE-2024-6534)."""
    world = make_world()
    editor, path = world.apis["editor"], "/api/v1/manage/content/articles"
    victim = str(world.users["writer"].pk)
    with Unchanged("forged authors"):
        for name in (
            "_created_by",
            "created_by",
            "created_by_id",
            "author",
            "author_id",
            "owner",
            "_id",
            "id",
            "entry_id",
        ):
            for body in ({"fields": {"title": "x", name: victim}}, {"fields": {"title": "x"}, name: victim}):
                assert_problem(editor.post(path, body), 400)
                assert_problem(editor.patch(f"{path}/{world.shown.pk}", body, **{"If-Match": '"1"'}), 400)
    made = editor.post(path, {"fields": {"title": "Mine", "rating": 3}}).json()
    assert Entry.objects.get(pk=made["_id"]).created_by_id == world.users["editor"].pk
    assert victim not in editor.get(f"{path}/{made['_id']}/versions").content.decode()


def test_me_and_sessions_take_no_user_from_the_body_or_query() -> None:
    world = make_world()
    editor, other = world.apis["editor"], world.users["nobody"]
    assert editor.get("/api/v1/auth/me").json()["email"] == "editor@example.com"
    for query in (f"?user={other.pk}", f"?id={other.pk}", f"?email={other.email}"):
        assert_problem(editor.get(f"/api/v1/auth/me{query}"), 400)
        assert_problem(editor.get(f"/api/v1/auth/sessions{query}"), 400)
    theirs = world.apis["nobody"].get("/api/v1/auth/sessions").json()["data"][0]["id"]
    with Unchanged("a foreign session"):
        hidden = editor.delete(f"/api/v1/auth/sessions/{theirs}")
        assert masked(hidden) == masked(editor.delete(f"/api/v1/auth/sessions/{uuid4()}"))
        assert_problem(hidden, 404)
        assert_problem(editor.get(f"/api/v1/auth/sessions/{theirs}"), 404)
    assert world.apis["nobody"].get("/api/v1/auth/me").status_code == 200


def test_who_refers_is_told_as_far_as_it_may_be_known() -> None:
    """Neither the number nor the titles of hidden referrers, and titles by the very row's clause."""
    make_collection("people", [{"key": "name", "type": "text"}])
    make_collection("posts", [{"key": "title", "type": "text"}, {"key": "rank", "type": "integer"},
                              {"key": "writer", "type": "reference", "options": {"collections": ["people"]}}])  # fmt: skip
    person = make_entry("people", name="Ann")
    one = make_entry("posts", title="Named", rank=1, writer=str(person.pk))
    two = make_entry("posts", title=f"{DRAFT_WORD} untitled", rank=2, writer=str(person.pk))
    make_entry("posts", title=f"{DRAFT_WORD} hidden", rank=3, writer=str(person.pk))
    make_role(
        "cleaner",
        {"collection": "people", "actions": ("read_draft", "delete")},
        {
            "collection": "posts",
            "actions": ("read_draft",),
            "filter": {"rank": {"eq": 1}},
            "fields": ("title", "writer"),
        },
        {
            "collection": "posts",
            "actions": ("read_draft",),
            "filter": {"rank": {"eq": 2}},
            "fields": ("rank", "writer"),
        },
    )
    cleaner = make_key(role="cleaner")
    with Unchanged("referrers"):
        answer = cleaner.delete(f"/api/v1/manage/content/people/{person.pk}")
    problem = assert_problem(answer, 409)
    assert problem["referrers"] == [
        {"_id": str(one.pk), "_collection": "posts", "title": "Named"},
        {"_id": str(two.pk), "_collection": "posts", "title": ""},
    ]
    assert "3" not in problem["detail"]
    assert not leaked(answer)


def test_what_is_shared_between_locales_is_written_with_rights_in_all() -> None:
    make_locale("de")
    fields = [{"key": "title", "type": "text", "localized": True}, {"key": "price", "type": "integer"}]
    make_collection("goods", fields, localized=True)
    entry = make_entry("goods", title="Chair", price=10)
    editing.save(entry.pk, {"title": "Stuhl"}, writing=writing("goods"), base=1, locale="de")
    publishing.publish(entry.pk, writing=writing("goods"))
    make_role(
        "german",
        {"collection": "goods", "actions": ("read_draft", "update"), "filter": {"_locale": {"eq": "de"}}},
    )
    api, path = make_key(role="german"), f"/api/v1/manage/content/goods/{entry.pk}"
    with Unchanged("a price for every locale"):
        answer = api.patch(path, {"locale": "de", "fields": {"price": 1}}, **{"If-Match": '"2"'})
        assert_problem(answer, 403)
        assert_problem(api.patch(path, {"fields": {"title": "Stool"}}, **{"If-Match": '"2"'}), 403, 404)
    assert (
        api.patch(path, {"locale": "de", "fields": {"title": "Sessel"}}, **{"If-Match": '"2"'}).status_code
        == 200
    )


def test_a_referrer_is_told_by_a_field_that_may_be_read_alone() -> None:
    """Or deleting an entry would say whose personal field leads to it."""
    make_collection("clinics", [{"key": "name", "type": "text"}])
    to = {"type": "reference", "options": {"collections": ["clinics"]}}
    make_collection(
        "people",
        [
            {"key": "name", "type": "text"},
            {"key": "works_at", **to},
            {"key": "is_treated_at", "data_class": "personal", **to},
        ],
    )
    make_role("tidier", {"collection": "*", "actions": ("read_draft", "delete")})
    make_role(
        "doctor",
        {"collection": "*", "actions": ("read_draft", "delete")},
        {"collection": "people", "actions": ("read_draft",), "fields": ("is_treated_at",)},
    )
    clinic = make_entry("clinics", name="North")
    make_entry("people", name="Nurse", works_at=str(clinic.pk))
    make_entry("people", name="Patient", is_treated_at=str(clinic.pk))
    told = {}
    for role in ("tidier", "doctor"):
        answer = make_key(role=role).delete(f"/api/v1/manage/content/clinics/{clinic.pk}")
        told[role] = [item["title"] for item in assert_problem(answer, 409)["referrers"]]
    assert told == {"tidier": ["Nurse"], "doctor": ["Nurse", "Patient"]}
