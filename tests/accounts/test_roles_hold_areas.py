"""Areas of administration that a role holds: what they open, what keys cut, and that nobody climbs by them (E27)."""

from typing import Any

import pytest
from django.db import IntegrityError, connections
from django.test import Client

from accounts import people
from accounts.access import POWERFUL_AREAS, Action, Area, Principal
from accounts.errors import NotAllowedError
from accounts.keys import api_keys
from accounts.keys.scopes import parse_scopes
from accounts.log import seal_pending
from accounts.models import Event, Generation, Policy, Role, User
from accounts.principals import load_areas
from accounts.rights import granting
from accounts.sign_in import devices
from tests.accounts.cast import (
    ARTICLES,
    BUILDER,
    PASSWORD,
    TITLE,
    Api,
    Person,
    make_key,
    make_person,
    make_policy,
    make_role,
)
from tests.accounts.test_administering_by_api import everything

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def role_with(*areas: Area, key: str = "keeper") -> Role:
    return granting.add_role(key, key.title(), areas=areas, by=BUILDER)


def keeper(*areas: Area, roles: tuple[str, ...] = ()) -> Person:
    return make_person("keeper@example.com", roles=[role_with(*areas).key, *roles])


def refused(act: Any, *arguments: Any, **named: Any) -> None:
    """Assert that it is refused and that nothing changes."""
    before = everything()
    with pytest.raises(NotAllowedError):
        act(*arguments, **named)
    assert everything() == before


def test_an_area_opens_its_pages_and_endpoints_and_no_other() -> None:
    person = keeper(Area.AUDIT)
    api = person.sign_in()
    assert api.get("manage/audit").status_code == 200
    for path in ("manage/roles", "manage/policies", "manage/users", "manage/api-keys"):
        assert api.get(path).status_code == 403, path
    assert api.get("auth/me").json()["areas"] == ["audit"]
    assert api.get("auth/me").json()["is_administrator"] is False
    seal_pending()
    browser = Client()
    browser.post("/admin/login/", {"email": person.email, "password": PASSWORD})
    home = browser.get("/admin/").content.decode()
    assert "/admin/accounts/event/" in home
    assert "/admin/accounts/user/" not in home
    assert browser.get("/admin/accounts/event/").status_code == 200
    event = Event.objects.filter(seal__isnull=False).latest("at")
    assert browser.get(f"/admin/accounts/event/{event.pk}/change/").status_code == 200
    for model in ("user", "role", "policy", "apikey", "session"):
        assert browser.get(f"/admin/accounts/{model}/").status_code == 403, model


def test_a_key_has_of_its_owners_areas_those_that_it_names() -> None:
    owner = keeper(Area.AUDIT, Area.LOCALES).user
    _, with_audit = make_key(owner, areas=[Area.AUDIT])
    _, without = make_key(owner)
    _, with_more = make_key(owner, areas=[Area.USERS])
    assert Api(Client(), with_audit).get("manage/audit").status_code == 200
    assert Api(Client(), without).get("manage/audit").status_code == 403
    assert Api(Client(), with_more).get("manage/users").status_code == 403


def test_taking_an_area_away_works_at_once(as_ada: Api) -> None:
    api = keeper(Area.AUDIT).sign_in()
    assert api.get("manage/audit").status_code == 200
    assert as_ada.patch("manage/roles/keeper", {"areas": []}).json()["areas"] == []
    assert api.get("manage/audit").status_code == 403


def test_somebody_who_is_switched_off_administers_nothing() -> None:
    person = keeper(Area.AUDIT)
    User.objects.filter(pk=person.user.pk).update(is_active=False)
    assert not person.principal.administers(Area.AUDIT)


def test_areas_cost_no_query_of_their_own(django_assert_max_num_queries: Any) -> None:
    api = keeper(Area.AUDIT).sign_in()
    api.get("auth/me")
    with django_assert_max_num_queries(3):  # the bearer, the grants on single entries, the user
        assert api.get("auth/me").status_code == 200


def test_areas_are_given_by_api_and_noted(as_ada: Api) -> None:
    made = as_ada.post("manage/roles", {"key": "auditor", "name": "Auditor", "areas": ["audit"]})
    assert (made.status_code, made.json()["areas"]) == (201, ["audit"])
    assert Event.objects.get(type="role.created").detail["areas"] == ["audit"]
    for wrong in (["everything"], "audit", [1], ["audit"] * 20):
        answer = as_ada.patch("manage/roles/auditor", {"areas": wrong})
        assert answer.status_code == 400, wrong
        assert answer.json()["errors"][0]["pointer"].startswith("/areas")
    assert Role.objects.get(key="auditor").areas == ["audit"]


@pytest.mark.parametrize("key", ["administrator", "public"])
def test_a_built_in_role_names_no_area(as_ada: Api, key: str) -> None:
    assert as_ada.patch(f"manage/roles/{key}", {"areas": ["audit"]}).status_code in (400, 403)
    with pytest.raises(IntegrityError, match="built-in roles name no areas"):
        Role.objects.filter(key=key).update(areas=["audit"])
    with pytest.raises(IntegrityError, match="areas that are known"):
        Role.objects.filter(pk=make_role().pk).update(areas=["everything"])


def test_what_public_is_given_by_sql_counts_for_nothing() -> None:
    """Without its constraint, as an older version or another hand may leave it: it administers nothing all the same."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            'ALTER TABLE accounts_role DROP CONSTRAINT "built-in roles name no areas: all, and none"'
        )
    try:
        Role.objects.filter(key="public").update(areas=["audit"])
        Generation.objects.bump("access")
        assert "public" not in load_areas()
        assert not make_person("rita@example.com").principal.administers(Area.AUDIT)
    finally:
        Role.objects.filter(key="public").update(areas=[])
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                'ALTER TABLE accounts_role ADD CONSTRAINT "built-in roles name no areas: all, and none"'
                " CHECK (key NOT IN ('administrator', 'public') OR cardinality(areas) = 0)"
            )


@pytest.mark.parametrize("area", sorted(POWERFUL_AREAS))
def test_a_powerful_area_is_handed_out_by_administrators_alone(ada: Person, area: Area) -> None:
    keepers = keeper(Area.ROLES, Area.USERS, Area.POLICIES, Area.KEYS, Area.OPERATIONS).principal
    other, friend = role_with(area, key="other"), make_person("friend@example.com")
    refused(granting.add_role, "fresh", "Fresh", areas=[area], by=keepers)
    refused(granting.change_role, make_role("plain"), areas=[area], by=keepers)
    refused(granting.change_role, other, name="Renamed", by=keepers)
    refused(granting.remove_role, other, by=keepers)
    refused(people.change_user, friend.user, roles=["other"], by=keepers)
    refused(people.add_person, "new@example.com", roles=["other"], by=keepers)
    refused(people.add_service, "new", roles=["other"], by=keepers)
    people.change_user(friend.user, roles=["other"], by=ada.principal)
    assert friend.principal.administers(area)


def test_an_area_is_handed_out_by_those_who_hold_it(ada: Person) -> None:
    keepers = keeper(Area.ROLES, Area.USERS, Area.AUDIT).principal
    granting.add_role("auditor", "Auditor", areas=[Area.AUDIT], by=keepers)
    refused(granting.add_role, "translator", "Translator", areas=[Area.LOCALES], by=keepers)
    friend = make_person("friend@example.com")
    people.change_user(friend.user, roles=["auditor"], by=keepers)
    assert friend.principal.administers(Area.AUDIT)


def test_who_looks_after_users_gives_what_they_hold_themselves(ada: Person) -> None:
    reader, writer = make_role("reader"), make_role("writer")
    make_policy(reader, Action.READ, Action.READ_DRAFT, collection=ARTICLES)
    make_policy(writer, Action.UPDATE, collection=ARTICLES)
    narrow = make_role("narrow")
    make_policy(narrow, Action.READ, collection=ARTICLES, rows=[("_locale", "eq", "en")], fields=[TITLE], every_field=False)  # fmt: skip
    by = keeper(Area.USERS, roles=("reader",)).principal
    friend = make_person("friend@example.com").user
    people.change_user(friend, roles=["reader"], by=by)
    refused(people.change_user, friend, roles=["reader", "writer"], by=by)
    refused(people.change_user, friend, roles=["reader", "narrow"], by=by)  # it names a field
    refused(people.change_user, friend, roles=["administrator"], by=by)


def test_your_own_entries_are_not_those_of_somebody_else() -> None:
    author = make_role("author")
    make_policy(author, Action.UPDATE, rows=[("_created_by", "eq", "$user")])
    by = keeper(Area.USERS, roles=("author",)).principal
    refused(people.change_user, make_person("friend@example.com").user, roles=["author"], by=by)


def test_nobody_takes_over_an_account_that_is_more_than_they_are(ada: Person) -> None:
    by = keeper(Area.USERS).principal
    refused(people.change_user, ada.user, email="mine@example.com", by=by)
    refused(people.change_user, ada.user, is_active=False, by=by)
    refused(people.set_password, ada.user, "another long password", by=by)
    refused(devices.remove_all, ada.user, by=by)
    refused(granting.change_role, Role.objects.get(key="administrator"), require_second_factor=False, by=by)


def test_nobody_mints_a_key_for_an_owner_who_is_more(ada: Person) -> None:
    by = keeper(Area.KEYS).principal
    auditor = make_person("audrey@example.com", roles=[role_with(Area.AUDIT, key="auditor").key]).user
    for owner in (ada.user, auditor):
        refused(make_key_of, owner, by)


def make_key_of(owner: User, by: Principal) -> None:
    scopes = parse_scopes(["*:read"])
    api_keys.mint(owner, name="taken", scopes=scopes, by=by)


def test_nobody_changes_the_policies_of_their_own_role() -> None:
    role = role_with(Area.POLICIES)
    policy = make_policy(role, Action.READ, rows=[("_locale", "eq", "en")])
    by = make_person("keeper@example.com", roles=["keeper"]).principal
    terms = granting.PolicyTerms(None, frozenset({Action.READ}), every_field=True)
    with pytest.raises(NotAllowedError, match="role of their own"):
        granting.add_policy(role, terms, by=by)
    with pytest.raises(NotAllowedError, match="role of their own"):
        granting.change_policy(policy, terms, by=by)
    with pytest.raises(NotAllowedError, match="role of their own"):
        granting.remove_policy(policy, by=by)
    assert Policy.objects.get(pk=policy.pk).rows == [["_locale", "eq", "en"]]
    assert Generation.objects.filter(name="access").exists()


def test_nobody_takes_away_or_weakens_what_is_more_than_they_have(ada: Person) -> None:
    editor = granting.add_role("editor", "Editor", require_second_factor=True, by=BUILDER)
    policy = make_policy(editor, Action.UPDATE, collection=ARTICLES)
    by = keeper(Area.ROLES, Area.POLICIES).principal
    refused(granting.remove_policy, policy, by=by)
    refused(granting.change_role, editor, require_second_factor=False, by=by)
    refused(granting.remove_role, editor, by=by)
    granting.change_role(make_role("plain"), name="Plainer", by=by)
    granting.remove_policy(policy, by=ada.principal)
    granting.remove_role(editor, by=ada.principal)


def test_the_page_before_removing_tells_nothing_to_those_who_may_not() -> None:
    policy = make_policy(make_role("editor"), Action.READ_DRAFT, collection=ARTICLES)
    person = keeper(Area.POLICIES)
    browser = Client()
    browser.post("/admin/login/", {"email": person.email, "password": PASSWORD})
    answer = browser.get(f"/admin/accounts/policy/{policy.pk}/delete/")
    assert answer.status_code == 403  # who they are is asked first, and nothing of what would change is shown
    assert "_confirmation" not in answer.content.decode()
    assert Policy.objects.filter(pk=policy.pk).exists()
