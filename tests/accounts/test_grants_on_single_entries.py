"""Grants on single entries: by django-guardian, asked through `accounts.access`, on management only."""

import pytest
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.access import UNNAMED_FIELDS, Action, Operator, Principal, Resource
from accounts.authentication import BearerAuthentication, DeliveryAuthentication, ManagementAuthentication
from accounts.errors import InvalidInputError, NotAllowedError
from accounts.models import Event, Role, User
from accounts.rights import granting
from content.models import Collection, Entry
from tests.accounts.cast import BUILDER, Api, Person, make_person, make_policy, make_role

pytestmark = pytest.mark.usefixtures("_django_db_helper")


@pytest.fixture
def entries() -> tuple[Entry, Entry]:
    """Two entries of one collection."""
    collection = Collection.objects.create(key="articles", name="Articles", kind="many")
    return Entry.objects.create(collection=collection), Entry.objects.create(collection=collection)


def principal_of(api: Api, of: type[BearerAuthentication]) -> Principal:
    request = Request(APIRequestFactory().get("/", headers={"Authorization": f"Bearer {api.credential}"}))
    authenticated = of().authenticate(request)
    assert authenticated is not None
    return authenticated[1]


def granted_ids(principal: Principal, action: Action, entry: Entry) -> list[str]:
    grant = principal.grant(action, on=Resource(entry.collection_id))
    ids: list[str] = []
    for clause in grant.clauses:
        (row,) = clause.rows
        assert (row.name, row.operator, clause.fields) == ("_id", Operator.IN, UNNAMED_FIELDS)
        assert isinstance(row.value, tuple)
        ids += [str(value) for value in row.value]
    return ids


def test_a_guest_author_gets_one_entry_and_no_other(rita: Person, entries: tuple[Entry, Entry]) -> None:
    first, _ = entries
    api = rita.sign_in()
    assert granted_ids(principal_of(api, ManagementAuthentication), Action.UPDATE, first) == []
    granting.grant_entry(rita.user, [Action.UPDATE, Action.READ_DRAFT], first, by=BUILDER)
    principal = principal_of(api, ManagementAuthentication)
    assert granted_ids(principal, Action.UPDATE, first) == [str(first.pk)]
    assert granted_ids(principal, Action.PUBLISH, first) == []
    user = User.objects.get(pk=rita.user.pk)
    assert user.has_perm("content.update_entry", first)
    assert not user.has_perm("content.update_entry", entries[1])
    assert not user.has_perm("content.update_entry")
    granting.withdraw_entry(rita.user, [Action.UPDATE], first, by=BUILDER)
    principal = principal_of(api, ManagementAuthentication)
    assert granted_ids(principal, Action.UPDATE, first) == []
    assert granted_ids(principal, Action.READ_DRAFT, first) == [str(first.pk)]
    kinds = Event.objects.filter(subject_id=str(first.pk)).order_by("at").values_list("type", flat=True)
    assert list(kinds) == ["entry-grant.given", "entry-grant.withdrawn"]


def test_a_role_can_be_given_one_too(entries: tuple[Entry, Entry]) -> None:
    role = make_role("guests")
    granting.grant_entry(role, [Action.UPDATE], entries[0], by=BUILDER)
    edith = make_person("edith@example.com", roles=["guests"])
    assert granted_ids(edith.principal, Action.UPDATE, entries[0]) == [str(entries[0].pk)]


def test_delivery_knows_nothing_of_them(rita: Person, entries: tuple[Entry, Entry]) -> None:
    granting.grant_entry(rita.user, [Action.UPDATE], entries[0], by=BUILDER)
    api = rita.sign_in()
    assert granted_ids(principal_of(api, ManagementAuthentication), Action.UPDATE, entries[0])
    assert not granted_ids(principal_of(api, DeliveryAuthentication), Action.UPDATE, entries[0])


def test_nobody_gives_what_they_have_not(ada: Person, rita: Person, entries: tuple[Entry, Entry]) -> None:
    make_policy(make_role("editor"), Action.UPDATE, rows=[("_locale", "eq", "en")])
    edith = make_person("edith@example.com", roles=["editor"])
    for by in (edith.principal, rita.principal):
        with pytest.raises(NotAllowedError):
            granting.grant_entry(rita.user, [Action.UPDATE], entries[0], by=by)
    with pytest.raises(NotAllowedError):
        granting.grant_entry(ada.user, [Action.UPDATE], entries[0], by=ada.principal)
    with pytest.raises(NotAllowedError):
        granting.grant_entry(Role.objects.get(key="public"), [Action.UPDATE], entries[0], by=ada.principal)
    with pytest.raises(InvalidInputError):
        granting.grant_entry(rita.user, [Action.MANAGE_SCHEMA], entries[0], by=ada.principal)
    assert granted_ids(rita.principal, Action.UPDATE, entries[0]) == []
    granting.grant_entry(rita.user, [Action.UPDATE], entries[0], by=ada.principal)
    assert granted_ids(rita.principal, Action.UPDATE, entries[0]) == [str(entries[0].pk)]
