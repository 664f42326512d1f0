"""Warnings about rights: each appears when there is cause, goes when there is none, and shows to whom it concerns."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.access import Action, Area
from accounts.models import Policy, Role, User
from accounts.rights import granting
from accounts.rights.warnings import AccessWarning, access_warnings, seen_by
from tests.accounts.cast import (
    ARTICLES,
    BUILDER,
    PASSWORD,
    PHONE,
    Person,
    make_person,
    make_policy,
    make_role,
)

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def found(code: str) -> list[AccessWarning]:
    return [item for item in access_warnings() if item.code == code]


def test_a_house_in_order_has_nothing_to_say(ada: Person) -> None:
    make_policy(make_role("reader"), Action.READ)
    assert access_warnings() == []


def test_six_administrators_are_too_many() -> None:
    for number in range(5):
        make_person(f"admin{number}@example.com", roles=["administrator"])
    for number in range(20):
        make_person(f"person{number}@example.com")
    assert not found("too-many-administrators")
    make_person("admin5@example.com", roles=["administrator"])
    assert found("too-many-administrators")[0].text.startswith("6 people are administrators")
    User.objects.filter(email="admin5@example.com").update(is_active=False)
    assert not found("too-many-administrators")


def test_more_than_a_fifth_of_ten_people_are_too_many(ada: Person) -> None:
    for number in range(2):
        make_person(f"admin{number}@example.com", roles=["administrator"])
    for number in range(6):
        make_person(f"person{number}@example.com")
    assert not found("too-many-administrators")  # three of nine: a small team
    make_person("tenth@example.com")
    assert "3 of 10 people" in found("too-many-administrators")[0].text


def test_an_administrator_whom_nobody_has_seen_for_ninety_days(ada: Person) -> None:
    User.objects.filter(pk=ada.user.pk).update(last_login=timezone.now() - timedelta(days=89))
    assert not found("absent-administrator")
    User.objects.filter(pk=ada.user.pk).update(last_login=timezone.now() - timedelta(days=91))
    assert found("absent-administrator")[0].id == str(ada.user.pk)
    User.objects.filter(pk=ada.user.pk).update(last_login=None)
    assert not found("absent-administrator")
    User.objects.filter(pk=ada.user.pk).update(created_at=timezone.now() - timedelta(days=91))
    assert "never signed in" in found("absent-administrator")[0].text


def test_a_public_role_that_names_writing() -> None:
    policy = make_policy(Role.objects.get(key="public"), Action.READ, collection=ARTICLES)
    assert not found("public-may-write")
    Policy.objects.filter(pk=policy.pk).update(actions=["read", "update", "publish"])
    (warning,) = found("public-may-write")
    assert "update and publish" in warning.text
    assert warning.id == str(policy.pk)


def test_a_public_role_that_reads_what_is_sensitive() -> None:
    public = Role.objects.get(key="public")
    make_policy(public, Action.READ, collection=ARTICLES)
    assert not found("public-reads-sensitive")
    make_policy(public, Action.READ, collection=ARTICLES, fields=[PHONE])
    assert "may read Phone (personal) in Articles" in found("public-reads-sensitive")[0].text


def test_writing_everywhere_is_noted_for_roles_that_somebody_has() -> None:
    editor = make_role("editor")
    make_policy(editor, Action.READ_DRAFT, Action.UPDATE)
    make_policy(make_role("own"), Action.UPDATE, rows=[("_created_by", "eq", "$user")])
    assert not found("writes-everywhere")
    make_person("edith@example.com", roles=["editor", "own"])
    (note,) = found("writes-everywhere")
    assert (note.is_note, note.id) == (True, str(editor.pk))


def test_a_role_by_which_one_can_become_anything() -> None:
    granting.add_role("auditor", "Auditor", areas=[Area.AUDIT], by=BUILDER)
    assert not found("powerful-role")
    granting.add_role("keeper", "Keeper", areas=[Area.AUDIT, Area.ROLES], by=BUILDER)
    assert "Keeper administers roles" in found("powerful-role")[0].text


def test_they_stand_on_the_first_page_and_at_the_roles(ada: Person, browser: Client) -> None:
    browser.post("/admin/login/", {"email": ada.email, "password": PASSWORD})
    browser.post("/admin/login/code/", {"code": ada.code()})
    make_policy(Role.objects.get(key="public"), Action.READ, collection=ARTICLES, fields=[PHONE])
    make_policy(make_role("editor"), Action.UPDATE)
    make_person("edith@example.com", roles=["editor"])
    home = browser.get("/admin/").content.decode()
    assert "Everybody on the internet may read Phone (personal)" in home
    assert "may write in every collection" not in home  # a note
    roles = browser.get("/admin/accounts/role/").content.decode()
    assert "Everybody on the internet may read Phone (personal)" in roles
    assert "Editor may write in every collection" in roles


def test_nobody_is_told_of_what_they_do_not_look_after(ada: Person) -> None:
    make_policy(Role.objects.get(key="public"), Action.READ, collection=ARTICLES, fields=[PHONE])
    User.objects.filter(pk=ada.user.pk).update(
        created_at=timezone.now() - timedelta(days=99), last_login=None
    )
    every = access_warnings()
    assert {item.kind for item in every} == {"policy", "user"}
    granting.add_role("keeper", "Keeper", areas=[Area.USERS], by=BUILDER)
    keeper = make_person("keeper@example.com", roles=["keeper"]).principal
    assert {item.kind for item in seen_by(keeper, every)} == {"user"}
    assert seen_by(make_person("rita@example.com").principal, every) == []
