"""Users, roles, policies, keys and the log by API: who may, what is refused, and that a refusal changes nothing."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from accounts.access import Action, Area, Resource
from accounts.api import urls
from accounts.errors import NotAllowedError
from accounts.models import Event, Generation, Policy, Role, User
from accounts.principals import of_user
from accounts.rights import granting
from tests.accounts.cast import ARTICLES, Api, Person, make_key, make_person, make_policy, make_role
from tests.rows import row_versions

pytestmark = pytest.mark.usefixtures("_django_db_helper")
NOBODY = UUID(int=1)

ENDPOINTS = [
    ("GET", "manage/roles"),
    ("POST", "manage/roles"),
    ("GET", "manage/roles/public"),
    ("PATCH", "manage/roles/public"),
    ("DELETE", "manage/roles/public"),
    ("GET", "manage/policies"),
    ("POST", "manage/policies"),
    ("GET", f"manage/policies/{NOBODY}"),
    ("PATCH", f"manage/policies/{NOBODY}"),
    ("DELETE", f"manage/policies/{NOBODY}"),
    ("GET", "manage/users"),
    ("POST", "manage/users"),
    ("GET", f"manage/users/{NOBODY}"),
    ("PATCH", f"manage/users/{NOBODY}"),
    ("GET", "manage/api-keys"),
    ("POST", "manage/api-keys"),
    ("GET", f"manage/api-keys/{NOBODY}"),
    ("DELETE", f"manage/api-keys/{NOBODY}"),
    ("POST", f"manage/api-keys/{NOBODY}/rotate"),
    ("GET", "manage/audit"),
]
OWN = [
    ("GET", "auth/me"),
    ("POST", "auth/logout"),
    ("GET", "auth/sessions"),
    ("GET", f"auth/sessions/{NOBODY}"),
]


def everything() -> dict[str, str]:
    """Return what tells of every write, but to the tables that count attempts."""
    return {name: version for name, version in row_versions().items() if not name.startswith("axes_")}


def answers(api: Api, endpoints: list[tuple[str, str]]) -> dict[str, tuple[int, str, bool]]:
    """Ask each endpoint; return by its name the status and code of its answer, and whether all rows stayed as they were."""
    found = {}
    for method, path in endpoints:
        before = everything()
        answer = api.send(method, path, None if method in ("GET", "DELETE") else {})
        found[f"{method} {path}"] = (answer.status_code, answer.json()["code"], everything() == before)
    return found


def test_nobody_gets_in_without_a_credential(anonymous: Api) -> None:
    found = answers(anonymous, [*ENDPOINTS, *OWN])
    assert found == dict.fromkeys(found, (401, "not-authenticated", True))


def test_who_does_not_administer_is_refused_and_nothing_changes() -> None:
    editor = make_role("editor")
    make_policy(editor, *Action)
    api = make_person("edith@example.com", roles=["editor"]).sign_in()
    found = answers(api, ENDPOINTS)
    assert found == dict.fromkeys(found, (403, "not-allowed", True))


def test_every_endpoint_says_what_it_needs() -> None:
    for pattern in urls.urlpatterns:
        view = pattern.callback.cls  # type: ignore[attr-defined]  # DRF puts it there
        assert view.needs, pattern
        if str(pattern.pattern).startswith("manage/"):
            assert view.needs.who == "area", pattern


def test_roles_are_made_changed_and_removed(as_ada: Api) -> None:
    made = as_ada.post("manage/roles", {"key": "editor", "name": "Editors", "require_second_factor": True})
    assert made.status_code == 201
    assert made.json() == {
        "key": "editor",
        "name": "Editors",
        "require_second_factor": True,
        "require_phishing_resistant": False,
        "session_hours": None,
        "idle_minutes": None,
        "requests_per_minute": None,
        "areas": [],
        "built_in": False,
    }
    assert as_ada.patch("manage/roles/editor", {"name": "Writers"}).json()["name"] == "Writers"
    listed = as_ada.get("manage/roles?limit=2").json()
    assert [role["key"] for role in listed["data"]] == ["administrator", "editor"]
    rest = as_ada.get(f"manage/roles?limit=2&cursor={listed['meta']['next_cursor']}").json()
    assert [role["key"] for role in rest["data"]] == ["public"]
    assert rest["meta"] == {"limit": 2, "next_cursor": None}
    assert as_ada.delete("manage/roles/editor").status_code == 204
    assert as_ada.get("manage/roles/editor").status_code == 404
    kinds = list(Event.objects.filter(subject_type="role").order_by("pk").values_list("type", flat=True))
    assert sorted(kinds) == ["role.created", "role.deleted", "role.updated"]


@pytest.mark.parametrize("key", ["administrator", "public"])
def test_built_in_roles_stay(as_ada: Api, key: str) -> None:
    assert as_ada.delete(f"manage/roles/{key}").status_code == 409
    assert Role.objects.filter(key=key).exists()


def test_a_role_that_somebody_has_stays(as_ada: Api) -> None:
    make_role("editor")
    make_person("edith@example.com", roles=["editor"])
    assert as_ada.delete("manage/roles/editor").status_code == 409


@pytest.mark.parametrize(
    ("path", "body", "pointers"),
    [
        ("manage/roles", {"key": "A b", "name": "x"}, ["/key"]),
        ("manage/roles", {"key": "a", "name": 1, "is_superuser": True}, ["/name", "/is_superuser"]),
        (
            "manage/roles",
            {"key": "a", "name": "x", "require_second_factor": "yes"},
            ["/require_second_factor"],
        ),
        ("manage/roles", {"key": "public", "name": "x"}, ["/key"]),
        ("manage/users", {"email": "no address", "name": "x"}, ["/email"]),
        ("manage/users", {"email": "a@example.com", "roles": ["nobody"]}, ["/roles/0"]),
        ("manage/users", {"email": "a@example.com", "roles": ["public"]}, ["/roles/0"]),
        ("manage/users", {"email": "a@example.com", "roles": "administrator"}, ["/roles"]),
        (
            "manage/users",
            {"email": "a@example.com", "is_staff": True, "is_superuser": True},
            ["/is_staff", "/is_superuser"],
        ),
        ("manage/users", {"name": "x"}, ["/email"]),
        (
            "manage/api-keys",
            {"name": "x", "scopes": ["articles:fly", "nothing:read", "read"]},
            ["/scopes/0", "/scopes/1", "/scopes/2"],
        ),
        ("manage/api-keys", {"name": "x", "scopes": []}, ["/scopes"]),
        (
            "manage/api-keys",
            {"name": "x", "role": "reader", "scopes": ["*:read"], "expires_at": "2100-01-01"},
            ["/expires_at"],
        ),
        (
            "manage/api-keys",
            {"name": "x", "role": "reader", "scopes": ["*:read"], "expires_at": "2100-01-01T00:00:00Z"},
            ["/expires_at"],
        ),
        (
            "manage/api-keys",
            {"name": "x", "role": "reader", "scopes": ["*:read"], "allowed_networks": ["here"]},
            ["/allowed_networks/0"],
        ),
        ("manage/api-keys", {"name": "x", "owner": "me", "scopes": ["*:read"]}, ["/owner"]),
        ("manage/api-keys", {"name": "x", "owner": str(NOBODY), "scopes": ["*:read"]}, ["/owner"]),
    ],
)
def test_bad_input_is_refused_at_its_place_and_nothing_is_stored(
    as_ada: Api, path: str, body: object, pointers: list[str]
) -> None:
    make_role("reader")
    before = everything()
    answer = as_ada.post(path, body)
    assert answer.status_code in (400, 409), answer.content
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == sorted(pointers)
    assert everything() == before


def policy_body(**changes: Any) -> dict[str, Any]:
    return {"role": "editor", "collection": "articles", "actions": ["read"]} | changes


def test_a_policy_speaks_in_keys_and_keeps_ids(as_ada: Api) -> None:
    make_role("editor")
    body = policy_body(actions=["read", "update"], filter={"author": {"eq": "$user"}}, fields=["*", "phone"])
    made = as_ada.post("manage/policies", body)
    assert made.status_code == 201, made.content
    assert {name: made.json()[name] for name in body} == body | {"actions": ["read", "update"]}
    edith = make_person("edith@example.com", roles=["editor"])
    (clause,) = edith.principal.grant(Action.UPDATE, on=Resource(ARTICLES)).clauses
    assert [(row.operator.value, row.value) for row in clause.rows] == [("eq", str(edith.user.pk))]
    changed = as_ada.patch(f"manage/policies/{made.json()['id']}", {"actions": ["read"]})
    assert (changed.json()["actions"], changed.json()["filter"]) == (["read"], body["filter"])
    assert not edith.principal.grant(Action.UPDATE, on=Resource(ARTICLES))
    assert as_ada.delete(f"manage/policies/{made.json()['id']}").status_code == 204
    assert not edith.principal.grant(Action.READ, on=Resource(ARTICLES))


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"role": "nobody"}, "/role"),
        ({"role": "administrator"}, "/role"),
        ({"collection": "nothing"}, "/collection"),
        ({"actions": []}, "/actions"),
        ({"actions": ["fly"]}, "/actions/0"),
        ({"actions": "read"}, "/actions"),
        ({"role": "public", "actions": ["read", "read_draft"]}, "/actions"),
        ({"filter": []}, "/filter"),
        ({"filter": {"author": {}}}, "/filter/author"),
        ({"filter": {"author": "x"}}, "/filter/author"),
        ({"filter": {"author": {"in": []}}}, "/filter/author/in"),
        ({"filter": {"author": {"eq": None}}}, "/filter/author/eq"),
        ({"filter": {"author": {"in": [None]}}}, "/filter/author/in"),
        ({"filter": {"author": {"like": "x"}}}, "/filter/author/like"),
        ({"filter": {"author": {"eq": "$admin"}}}, "/filter/author/eq"),
        ({"filter": {"author": {"eq": 7}}}, "/filter/author/eq"),
        ({"filter": {"nothing": {"eq": "x"}}}, "/filter/nothing"),
        ({"filter": {"_version": {"eq": 1}}}, "/filter/_version"),
        ({"filter": {"_locale": {"gt": "a"}}}, "/filter/_locale/gt"),
        ({"filter": {"_id": {"eq": 1}}}, "/filter/_id/eq"),
        ({"fields": []}, "/fields"),
        ({"fields": ["nothing"]}, "/fields/0"),
        ({"fields": [1]}, "/fields"),
        ({"collection": "*", "fields": ["title"]}, "/fields/0"),
        ({"collection": "*", "filter": {"title": {"eq": "x"}}}, "/filter/title"),
        ({"presets": {"title": "x"}}, "/presets"),
        ({"is_superuser": True}, "/is_superuser"),
    ],
)
def test_a_policy_without_sense_is_refused(as_ada: Api, changes: dict[str, Any], pointer: str) -> None:
    make_role("editor")
    before = everything()
    answer = as_ada.post("manage/policies", policy_body(**changes))
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert everything() == before
    assert as_ada.post("manage/policies", policy_body()).status_code == 201


def test_users_are_invited_and_changed(as_ada: Api) -> None:
    make_role("editor")
    made = as_ada.post("manage/users", {"email": "Edith@Example.com", "name": "Edith", "roles": ["editor"]})
    assert made.status_code == 201, made.content
    assert (made.json()["email"], made.json()["roles"]) == ("edith@example.com", ["editor"])
    assert Event.objects.filter(type="user.invited", subject_id=made.json()["id"]).exists()
    path = f"manage/users/{made.json()['id']}"
    assert as_ada.post("manage/users", {"email": "EDITH@example.com"}).status_code == 409
    assert as_ada.patch(path, {"roles": []}).json()["roles"] == []
    assert as_ada.patch(path, {"is_active": False}).json()["is_active"] is False
    assert len(as_ada.get("manage/users").json()["data"]) == 2


def test_nobody_changes_roles_of_their_own(ada: Person, as_ada: Api) -> None:
    make_role("editor")
    before = everything()
    bodies: list[dict[str, object]] = [
        {"roles": ["administrator", "editor"]},
        {"roles": []},
        {"is_active": False},
    ]
    for body in bodies:
        assert as_ada.patch(f"manage/users/{ada.user.pk}", body).status_code == 403
    assert as_ada.patch("manage/roles/administrator", {"require_second_factor": False}).status_code == 403
    assert everything() == before


def test_the_last_administrator_stays(ada: Person, as_ada: Api) -> None:
    other = make_person("other@example.com", roles=["administrator"], with_authenticator=True)
    assert other.sign_in().patch(f"manage/users/{ada.user.pk}", {"roles": []}).status_code == 200
    assert as_ada.patch(f"manage/users/{other.user.pk}", {"roles": []}).status_code == 401  # and signed out
    assert ada.sign_in().patch(f"manage/users/{other.user.pk}", {"roles": []}).status_code == 403
    _, text = make_key(other.user, areas=[Area.USERS])
    by_key = Api(as_ada.client, text)
    assert by_key.patch(f"manage/users/{other.user.pk}", {"is_active": False}).status_code == 403


def test_a_key_can_not_make_administrators(ada: Person, as_ada: Api) -> None:
    rita = make_person("rita@example.com")
    _, text = make_key(ada.user, areas=[Area.USERS, Area.POLICIES, Area.ROLES])
    by_key = Api(as_ada.client, text)
    before = User.objects.count()
    assert by_key.patch(f"manage/users/{rita.user.pk}", {"roles": ["administrator"]}).status_code == 403
    assert (
        by_key.post("manage/users", {"email": "x@example.com", "roles": ["administrator"]}).status_code == 403
    )
    assert User.objects.count() == before
    make_role("editor")
    assert by_key.post("manage/policies", policy_body(actions=["update"])).status_code == 403
    assert not Policy.objects.exists()
    assert by_key.post("manage/policies", policy_body(actions=["read"])).status_code == 201
    assert as_ada.post("manage/policies", policy_body(actions=["update"])).status_code == 201


def test_a_key_shows_its_secret_once(as_ada: Api) -> None:
    make_role("reader")
    made = as_ada.post(
        "manage/api-keys", {"name": "Website", "role": "reader", "scopes": ["articles:read", "*:read"]}
    )
    assert made.status_code == 201, made.content
    assert made.headers["Cache-Control"] == "no-store"
    text = made.json()["key"]
    assert made.json()["scopes"] == ["*:read", "articles:read"]
    shown = as_ada.get(f"manage/api-keys/{made.json()['id']}").json()
    assert "key" not in shown
    assert text[-20:] not in as_ada.get("manage/api-keys").content.decode()
    assert User.objects.get(pk=shown["owner"]).is_service
    assert Api(as_ada.client, text).get("auth/me").json()["kind"] == "service"


def test_changes_move_the_generations(as_ada: Api) -> None:
    before = Generation.objects.current()
    assert as_ada.post("manage/roles", {"key": "editor", "name": "Editors"}).status_code == 201
    middle = Generation.objects.current()
    assert (middle["access"] > before["access"], middle["keys"] == before["keys"]) == (True, True)
    as_ada.post("manage/api-keys", {"name": "x", "role": "editor", "scopes": ["*:read"]})
    assert Generation.objects.current()["keys"] > middle["keys"]


def test_rights_change_at_once_for_those_who_are_signed_in(as_ada: Api) -> None:
    edith = make_person("edith@example.com")
    api = edith.sign_in()
    assert api.get("manage/roles").status_code == 403
    make_role("auditor")
    assert as_ada.patch(f"manage/users/{edith.user.pk}", {"roles": ["auditor"]}).status_code == 200
    # A role more or less ends what was signed with the ones before.
    assert api.get("manage/roles").status_code == 401
    assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401
    assert edith.sign_in().get("auth/me").json()["roles"] == ["auditor"]


def test_the_log_is_fresh_and_can_be_filtered(ada: Person, as_ada: Api) -> None:
    as_ada.post("manage/roles", {"key": "editor", "name": "Editors"})
    listed = as_ada.get("manage/audit?type=role.*").json()["data"]
    assert [event["type"] for event in listed] == ["role.created"]
    event = listed[0]
    assert {"position", "type", "at", "actor", "subject", "address", "detail"} <= set(event)
    assert (event["actor"]["id"], event["subject"]["id"]) == (str(ada.user.pk), "editor")
    assert event["address"] == "127.0.0.1"
    assert event["request_id"]
    pages, path = [], "manage/audit?limit=2"
    cursor = ""
    while True:
        page = as_ada.get(path + cursor).json()
        pages += [row["position"] for row in page["data"]]
        if page["meta"]["next_cursor"] is None:
            break
        cursor = f"&cursor={page['meta']['next_cursor']}"
    assert pages == sorted(pages, reverse=True)
    assert len(pages) == Event.objects.sealed().count()
    assert (
        as_ada.get(f"manage/audit?actor={ada.user.pk}&subject=editor&since=2020-01-01T00:00:00Z").json()[
            "data"
        ]
        == listed
    )


@pytest.mark.parametrize(
    "query",
    [
        "type=Role",
        "until=x",
        "address=999",
        "address=10.0.0.0%2F99",
        "actor=%0A",
        "since=yesterday",
        "since=2020-01-01T00:00:00",
        "limit=0",
        "limit=1e9",
        "limit=101",
        "limit=-1",
        "x=1",
        "limit=1&limit=2",
        "cursor=x",
        "cursor=%00",
        "cursor=AAAA",
        "type=a&type=b",
    ],
)
def test_odd_queries_are_a_400(as_ada: Api, query: str) -> None:
    answer = as_ada.get(f"manage/audit?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["parameter"] == query.split("=", maxsplit=1)[0]


def test_a_cursor_is_good_for_its_own_list_only(as_ada: Api) -> None:
    cursor = as_ada.get("manage/roles?limit=1").json()["meta"]["next_cursor"]
    assert as_ada.get(f"manage/roles?cursor={cursor}").status_code == 200
    assert as_ada.get(f"manage/users?cursor={cursor}").status_code == 400


@pytest.mark.parametrize("give", [granting.grant_entry, granting.withdraw_entry])
def test_entry_grants_are_given_by_those_who_have_the_right(rita: Person, give: Callable[..., None]) -> None:
    entry: Any = type("Entry", (), {"pk": uuid4(), "collection_id": ARTICLES})()
    for by in (rita.principal, of_user(make_person("edith@example.com").user)):
        with pytest.raises(NotAllowedError):
            give(rita.user, [Action.UPDATE], entry, by=by)
