"""The roles that a new installation starts with: what each may, and that one which is there already is left alone."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection

from accounts.access import Action, Area, Principal, Resource
from accounts.models import Generation, Policy, Role
from tests.accounts.cast import ARTICLES, make_person, make_policy, make_role

pytestmark = pytest.mark.usefixtures("_django_db_helper")
READY = ["administrator", "auditor", "author", "content_manager", "editor", "public", "reviewer", "website"]
HERE = Resource(ARTICLES)


def install() -> None:
    """Do what the migration does on a database without these roles."""
    migration: Any = import_module("accounts.migrations.0007_ready_roles")
    migration.add(apps, SimpleNamespace(connection=connection))
    Generation.objects.bump("access")


def somebody(role: str) -> Principal:
    return make_person(f"{role}@example.com", roles=[role]).principal


def may(principal: Principal) -> set[str]:
    return {action.value for action in Action if principal.grant(action, on=HERE)}


def test_all_eight_are_there() -> None:
    install()
    assert sorted(Role.objects.values_list("key", flat=True)) == READY
    assert not Policy.objects.filter(role__key="public").exists()


@pytest.mark.parametrize(
    ("role", "actions"),
    [
        ("editor", {"read", "read_draft", "create", "update", "delete", "publish", "unpublish", "restore", "preview"}),
        ("author", {"read", "create", "read_draft", "update", "delete", "restore", "preview"}),
        ("reviewer", {"read", "read_draft", "preview"}),
        ("website", {"read"}),
        ("auditor", set()),
        ("content_manager", {action.value for action in Action} - {"manage_schema"}),
    ],
)  # fmt: skip
def test_each_may_what_its_name_says(role: str, actions: set[str]) -> None:
    install()
    assert may(somebody(role)) == actions


def test_an_author_works_on_entries_of_their_own_only() -> None:
    install()
    walter = somebody("author")
    for action in (Action.READ_DRAFT, Action.UPDATE, Action.DELETE, Action.RESTORE, Action.PREVIEW):
        (clause,) = walter.grant(action, on=HERE).clauses
        assert [(row.name, row.value) for row in clause.rows] == [("_created_by", str(walter.user_id))]
    assert not walter.grant(Action.CREATE, on=HERE).clauses[0].rows


def test_the_auditor_administers_the_log_and_nothing_else() -> None:
    install()
    audrey = somebody("auditor")
    assert [area for area in Area if audrey.administers(area)] == [Area.AUDIT]
    assert not audrey.is_administrator


def test_only_the_content_manager_administers_the_locales() -> None:
    install()
    for role in READY:
        if role not in ("administrator", "public"):
            areas = {"content_manager": {Area.LOCALES}, "auditor": {Area.AUDIT}}.get(role, set())
            holder = somebody(role)
            assert {area for area in Area if holder.administers(area)} == areas, role


def test_a_role_that_is_there_already_stays_as_it_is() -> None:
    editor = make_role("editor", "Our editors")
    make_policy(editor, Action.READ)
    make_role("journalists", "Author")
    install()
    install()
    kept = Role.objects.get(key="editor")
    assert (kept.name, kept.require_second_factor) == ("Our editors", False)
    assert [policy.actions for policy in kept.policies.all()] == [["read"]]
    assert Role.objects.get(key="author").name == "Author (author)"
    assert Role.objects.get(key="author").policies.count() == 2
    assert Group.objects.filter(name="Author").count() == 1
