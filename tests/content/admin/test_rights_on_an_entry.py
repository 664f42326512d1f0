"""Rights on one entry in the admin: an administrator sees, gives and withdraws them; nobody else comes near."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.access import Action
from accounts.models import Event
from accounts.rights.granting import entry_grants, grant_entry
from content.models import Entry
from tests.accounts.cast import make_person
from tests.builders import ROOT, make_collection, make_entry, make_role, make_user
from tests.content.admin.conftest import SignIn, sign_in

SEE_AND_CHANGE = [Action.READ_DRAFT, Action.UPDATE]


@pytest.fixture
def entry(_django_db_helper: None) -> Entry:
    make_collection()
    return make_entry(title="Soup")


def url(entry: Entry, act: str = "rights") -> str:
    return f"/admin/content/articles/{entry.pk}/{act}/"


def held(entry: Entry) -> dict[str, set[str]]:
    return {str(grant.to): {action.value for action in grant.actions} for grant in entry_grants(entry)}


def test_a_guest_is_given_one_entry_works_on_it_and_loses_it(ada: Client, entry: Entry) -> None:
    make_role("guest")
    rita = make_person("rita@example.com", roles=["guest"])
    other = make_entry(title="Bread")
    guest = sign_in(rita)
    assert guest.get(url(entry, "change")).status_code == 404
    given = {"to": f"user:{rita.user.pk}", "actions": ["read_draft", "update"]}
    answer = ada.post(url(entry), given, follow=True)
    text = answer.content.decode()
    assert "Given to rita@example.com: see, change." in text
    assert held(entry) == {"rita@example.com": {"read_draft", "update"}}
    assert guest.post(url(entry, "change"), {"base": "1", "f-title": "Better soup"}).status_code == 302
    assert guest.get(url(entry, "publish")).status_code == 403
    assert guest.get(url(other, "change")).status_code == 404
    ada.post(url(entry), {"withdraw": f"user:{rita.user.pk} update"})
    assert held(entry) == {"rita@example.com": {"read_draft"}}
    assert guest.post(url(entry, "change"), {"base": "2", "f-title": "Mine"}).status_code == 403
    text = ada.post(url(entry), {"withdraw": f"user:{rita.user.pk} everything"}, follow=True).content.decode()
    assert "Withdrawn from rita@example.com: see." in text
    assert "Nobody has rights of their own on this entry." in text
    assert guest.get(url(entry, "change")).status_code == 404
    kinds = (
        Event.objects.filter(type__startswith="entry-grant.").order_by("at").values_list("type", flat=True)
    )
    assert list(kinds) == ["entry-grant.given", "entry-grant.withdrawn", "entry-grant.withdrawn"]


def test_a_role_is_given_one_entry_and_the_page_says_so(ada: Client, entry: Entry) -> None:
    make_role("guests")
    ada.post(url(entry), {"to": "role:guests", "actions": ["read_draft", "publish"]})
    assert held(entry) == {"Guests": {"read_draft", "publish"}}
    text = ada.get(url(entry)).content.decode()
    assert "everybody with this role" in text
    assert "Withdraw “publish” from Guests" in text


def test_only_who_administers_policies_opens_the_page_or_sees_the_link(
    ada: Client, as_somebody: SignIn, entry: Entry
) -> None:
    rita = make_user("rita@example.com")
    grant_entry(rita, SEE_AND_CHANGE, entry, by=ROOT)
    edith = as_somebody("edith", {"collection": "articles", "actions": ("read_draft", "update", "publish")})
    mallory = as_somebody("mallory")
    give = {"to": f"user:{rita.pk}", "actions": ["publish"]}
    take = {"withdraw": f"user:{rita.pk} everything"}
    for browser, status in ((edith, 403), (mallory, 404), (Client(), 302)):
        for answer in (
            browser.get(url(entry)),
            browser.post(url(entry), give),
            browser.post(url(entry), take),
        ):
            assert answer.status_code == status
            assert b"rita@example.com" not in answer.content
    assert held(entry) == {"Rita": {"read_draft", "update"}}
    link = f'href="{url(entry)}"'.encode()
    assert link in ada.get(url(entry, "change")).content
    assert link not in edith.get(url(entry, "change")).content
    assert ada.post(url(entry), give).status_code == 302
    assert held(entry) == {"Rita": {"read_draft", "update", "publish"}}


def test_what_makes_no_sense_is_refused_and_nothing_is_given(entry: Entry) -> None:
    boss = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    ada = sign_in(boss)
    rita = make_user("rita@example.com")
    refused = [
        ({}, "Choose who gets the rights."),
        ({"to": f"user:{rita.pk}"}, "Tick what they may do."),
        ({"to": f"user:{rita.pk}", "actions": ["manage_schema", "purge", "x"]}, "Tick what they may do."),
        ({"to": "user:nobody", "actions": ["update"]}, "Choose who gets the rights."),
        ({"to": "role:nothing", "actions": ["update"]}, "Choose who gets the rights."),
        ({"to": "role:public", "actions": ["update"]}, "The public role can only read"),
        ({"to": f"user:{boss.user.pk}", "actions": ["update"]}, "Nobody changes rights of their own."),
    ]
    for sent, why in refused:
        answer = ada.post(url(entry), sent)
        assert answer.status_code == 400
        assert why in answer.content.decode()
    assert ada.post(url(entry), {"withdraw": "user:nobody everything"}).status_code == 302
    assert held(entry) == {}
    assert not Event.objects.filter(type__startswith="entry-grant.").exists()
    assert ada.post(url(entry), {"to": f"user:{rita.pk}", "actions": ["update"]}).status_code == 302
    assert held(entry) == {"Rita": {"update"}}


def test_the_page_takes_few_queries_however_many_have_rights(ada: Client, entry: Entry) -> None:
    for number in range(8):
        grant_entry(make_user(f"guest{number}@example.com"), SEE_AND_CHANGE, entry, by=ROOT)
    ada.get(url(entry))
    with CaptureQueriesContext(connection) as caught:
        assert ada.get(url(entry)).content.count(b"Withdraw all") == 8
    assert len(caught) <= 20
