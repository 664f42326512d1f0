"""The admin's pages of keys and service accounts: what they explain, what can be done there, and what is refused."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import outages, people
from accounts.access import Action, Area, Scopes
from accounts.errors import ConflictError, InvalidInputError
from accounts.keys import api_keys
from accounts.log import seal_pending
from accounts.models import ApiKey, Event, Role, ScopeUse, Session, User
from accounts.sign_in import links
from accounts.sign_in.links import Purpose
from tests.accounts.cast import (
    ARTICLES,
    BUILDER,
    PASSWORD,
    PHONE,
    TITLE,
    Api,
    Person,
    make_key,
    make_person,
    make_policy,
    make_role,
)
from tests.content.admin.conftest import sign_in

pytestmark = pytest.mark.usefixtures("_django_db_helper")
KEYS = "/admin/accounts/apikey/"
SECRET = re.compile(r"qk_development_\w{12}_\w{49}")


@pytest.fixture
def browser(ada: Person) -> Client:
    return sign_in(ada)


@pytest.fixture
def reader() -> Person:
    make_policy(make_role("reader"), Action.READ, collection=ARTICLES)
    return make_person("rea@example.com", roles=["reader"])


def page(browser: Client, key: ApiKey) -> str:
    answer = browser.get(f"{KEYS}{key.pk}/change/")
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode().split('id="content-main"')[1]).split())


def act(browser: Client, key: ApiKey, name: str, **data: Any) -> Any:
    path = f"{KEYS}{key.pk}/do/{name}/"
    shown = browser.get(path)
    assert shown.status_code == 200
    return browser.post(path, data)


# What it explains


def test_the_page_says_what_the_scopes_come_to(browser: Client, reader: Person) -> None:
    key, _ = make_key(
        reader.user,
        (ARTICLES, Action.READ),
        (ARTICLES, Action.UPDATE),
        (None, Action.READ),
        areas=[Area.KEYS],
    )
    text = page(browser, key)
    assert "Administer keys admin:keys ✕ Cut off Nothing: its owner may not." in text
    assert "Change entries of Articles articles:update ✕ Cut off Nothing: its owner may not." in text
    assert (
        "Read what is published in every collection *:read ◐ In part Its owner’s rights leave: Articles."
        in text
    )
    assert "Read what is published in Articles articles:read ◐ In part Not every field" in text
    User.objects.filter(pk=reader.user.pk).update(is_active=False)
    assert "Nothing: its owner is switched off." in page(browser, key)
    assert "⚠ Owner switched off" in page(browser, key)


def test_rows_that_are_cut_off_are_told(browser: Client) -> None:
    rows = [(str(TITLE), "eq", "x")]
    make_policy(make_role("some"), Action.READ, collection=ARTICLES, rows=rows)
    key, _ = make_key(make_person("sam@example.com", roles=["some"]).user, (ARTICLES, Action.READ))
    assert "◐ In part Only some entries, as its owner’s policies say." in page(browser, key)


def test_a_key_that_may_all_that_there_is_has_it_in_full(browser: Client, reader: Person) -> None:
    """ "Every field but personal and secret ones" leaves nothing out where there are none, or where they are named."""
    key, _ = make_key(reader.user, (ARTICLES, Action.READ))
    assert "articles:read ◐ In part Not every field" in page(browser, key)
    make_policy(
        Role.objects.get(key="reader"), Action.READ, collection=ARTICLES, every_field=False, fields=[PHONE]
    )
    assert "articles:read ● In full Every field that there is now." in page(browser, key)


def test_an_administrators_key_has_it_in_full(browser: Client, ada: Person) -> None:
    key, _ = make_key(ada.user, (ARTICLES, Action.READ), areas=[Area.KEYS])
    text = page(browser, key)
    assert text.count("● In full") == 2
    assert "Cut off" not in text


def test_the_page_tells_of_use_owner_maker_and_limits(browser: Client, ada: Person, reader: Person) -> None:
    minted = api_keys.mint(
        reader.user,
        name="Website",
        scopes=Scopes(frozenset({(None, Action.READ)}), frozenset()),
        by=ada.principal,
        expires_at=timezone.now() + timedelta(days=10, hours=1),
        allowed_networks=["192.0.2.0/24"],
        rate_limit=60,
    )
    ApiKey.objects.filter(pk=minted.key.pk).update(
        use_count=7, last_used_at=timezone.now() - timedelta(hours=3), last_address="192.0.2.9"
    )
    text = page(browser, minted.key)
    for words in (
        "⚠ Expires in 10 days", "rea@example.com", "by ada@example.com", "3 hours ago from 192.0.2.9; 7 calls in all",
        "192.0.2.0/24 only, not from web pages", "60 requests a minute", "api-key.created", "Used 0 of 1 scope in 1 day.",
    ):  # fmt: skip
        assert words in text, words
    assert minted.text not in text
    assert minted.key.secret_hash not in text


def test_the_list_marks_states_in_words(browser: Client, rita: Person) -> None:
    names = ("active", "retiring", "disabled", "revoked", "expired", "idle")
    keys = {name: make_key(rita.user, name=name)[0] for name in names}
    api_keys.rotate(keys["retiring"], by=BUILDER)
    api_keys.disable(keys["disabled"], by=BUILDER)
    api_keys.revoke(keys["revoked"], by=BUILDER)
    past = timezone.now() - timedelta(days=40)
    ApiKey.objects.filter(name="idle").update(created_at=past)
    ApiKey.objects.filter(name="expired").update(created_at=past, expires_at=timezone.now())
    text = browser.get(KEYS).content.decode()
    shown = re.sub(r"<[^>]+>", "", text)
    for words in ("● Active", "◐ Two secrets work", "‖ Off", "✕ Revoked", "⌛ Expired", "⚠ Idle for 40 days"):
        assert words in shown, words


# What can be done


def test_every_act_is_confirmed_first_and_then_done(browser: Client, rita: Person) -> None:
    key, old = make_key(rita.user)
    api = Api(Client(), old)
    shown = act(browser, key, "rotate", overlap_hours="2")
    new = SECRET.search(shown.content.decode())
    assert new is not None
    assert "no-store" in shown.headers["Cache-Control"]
    assert "qk_" not in str(shown.cookies)
    assert "Two secrets work" in page(browser, key)
    assert "Not known: calls were not written down lately" in page(browser, key)
    for name, state, status in (
        ("retire", "active", 401), ("disable", "disabled", 401), ("enable", "active", 401), ("revoke", "revoked", 401),
    ):  # fmt: skip
        assert act(browser, key, name).status_code == 302
        assert ApiKey.objects.get().state == state
        assert api.get("auth/me").status_code == status
    assert not re.search(r"/do/", browser.get(f"{KEYS}{key.pk}/change/").content.decode())


def test_a_look_at_the_confirmation_does_nothing(browser: Client, rita: Person) -> None:
    key, text = make_key(rita.user)
    before = Event.objects.count()
    for name in ("rotate", "retire", "disable", "enable", "revoke"):
        assert browser.get(f"{KEYS}{key.pk}/do/{name}/").status_code == 200
    assert Event.objects.count() == before
    assert Api(Client(), text).get("auth/me").status_code == 200
    assert browser.get(f"{KEYS}{key.pk}/do/destroy/").status_code == 404
    assert browser.get(f"{KEYS}0190aaaa-0000-7000-8000-000000000000/do/revoke/").status_code == 404


def test_hours_that_make_no_sense_are_kept_and_marked(browser: Client, rita: Person) -> None:
    key, _ = make_key(rita.user)
    for wrong in ("721", "-1", "soon", ""):
        answer = act(browser, key, "rotate", overlap_hours=wrong)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert "errorlist" in text
        assert f'value="{wrong}"' in text or wrong == ""
    assert ApiKey.objects.get().rotated_at is None


def test_what_the_state_does_not_allow_is_said(browser: Client, rita: Person) -> None:
    key, _ = make_key(rita.user)
    assert (
        "can’t be done with a key in this state" in browser.get(f"{KEYS}{key.pk}/do/enable/").content.decode()
    )
    answer = browser.post(f"{KEYS}{key.pk}/do/enable/", follow=True)
    assert "This key is not switched off." in answer.content.decode()
    assert ApiKey.objects.get().state == "active"


def test_nobody_else_does_anything_with_keys(rita: Person) -> None:
    make_role("editor")
    edith = sign_in(make_person("edith@example.com", roles=["editor"]))
    key, _ = make_key(rita.user)
    for name in ("rotate", "retire", "disable", "enable", "revoke"):
        assert edith.get(f"{KEYS}{key.pk}/do/{name}/").status_code == 403
        assert edith.post(f"{KEYS}{key.pk}/do/{name}/", {"overlap_hours": "1"}).status_code == 403
    assert edith.get(f"{KEYS}{key.pk}/change/").status_code == 403
    assert ApiKey.objects.get().state == "active"


# A new one


def test_the_boxes_are_what_the_maker_may_hand_out(browser: Client) -> None:
    text = browser.get(f"{KEYS}add/").content.decode()
    for value in ("*:read", "articles:read", "articles:manage_schema", "admin:webhooks"):
        assert f'name="scopes" value="{value}"' in text
    assert "<textarea" in text
    assert "scope_lines" not in text


def test_an_error_loses_nothing_that_was_chosen(browser: Client) -> None:
    role = make_role("reader")
    body = {
        "name": "Website", "role": role.pk, "scopes": ["articles:read", "admin:keys"], "rate_limit": "9",
        "network_lines": "192.0.2.0/24\nhere", "browser": "on", "expires_at": "2020-01-01T10:00",
    }  # fmt: skip
    answer = browser.post(f"{KEYS}add/", body)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Line 2: A network such as 192.0.2.0/24." in text
    assert "can&#x27;t administer" in text
    assert "In the future" in text
    assert 'value="articles:read" checked' in text
    assert 'value="admin:keys" checked' in text
    assert text.count(" checked") == 3
    assert "192.0.2.0/24\nhere</textarea>" in text
    assert 'value="9"' in text
    assert not ApiKey.objects.exists()
    assert not User.objects.filter(is_service=True).exists()


def test_a_narrower_key_is_made_from_what_was_used(browser: Client, ada: Person) -> None:
    key, _ = make_key(
        ada.user, (None, Action.READ), (ARTICLES, Action.UPDATE), areas=[Area.KEYS], name="Wide"
    )
    assert "Make a narrower key" not in page(browser, key)
    ScopeUse.objects.create(key=key, scope=f"{ARTICLES}:read", last_used_at=timezone.now())
    assert "Make a narrower key" in page(browser, key)
    text = browser.get(f"{KEYS}add/?narrower={key.pk}").content.decode()
    assert re.findall(r'name="scopes" value="([^"]+)" checked', text) == ["articles:read"]
    assert 'value="Wide, narrower"' in text
    for strange in ("narrower=nothing", "narrower=", "name=x&scopes=admin:keys", f"narrower={ada.user.pk}"):
        text = browser.get(f"{KEYS}add/?{strange}").content.decode()
        assert not re.findall(r'name="scopes" value="([^"]+)" checked', text), strange
        assert 'value="x"' not in text


# Service accounts


@pytest.fixture
def service() -> User:
    make_policy(make_role("reader"), Action.READ)
    return people.add_service("Website", roles=["reader"], by=BUILDER)


def test_service_accounts_are_listed_apart_with_their_keys(
    browser: Client, service: User, rita: Person
) -> None:
    make_key(service, name="Live")
    revoked, _ = make_key(service, name="Dead")
    api_keys.revoke(revoked, by=BUILDER)
    text = browser.get("/admin/accounts/serviceaccount/").content.decode()
    assert "Website" in text
    assert "rita@example.com" not in text
    assert re.search(r'class="field-keys">1<', text)
    one = browser.get(f"/admin/accounts/serviceaccount/{service.pk}/change/").content.decode()
    assert "Live" in one
    assert "Dead" in one
    assert f"add/?owner={service.pk}" in one
    assert "password" not in one.lower()
    assert browser.get(f"/admin/accounts/serviceaccount/{rita.user.pk}/change/").status_code == 302


def test_whatever_shows_a_service_account_leads_to_its_page(browser: Client, service: User) -> None:
    page = f"/admin/accounts/serviceaccount/{service.pk}/change/"
    role = Role.objects.get(key="reader")
    assert f'href="{page}"' in browser.get(f"/admin/accounts/role/{role.pk}/change/").content.decode()
    seal_pending()
    assert f'href="{page}"' in browser.get("/admin/accounts/event/").content.decode()
    assert "Website" not in browser.get("/admin/accounts/user/").content.decode()
    assert browser.get(f"/admin/accounts/user/{service.pk}/change/").status_code == 302
    person = {"name": "Robot", "roles": ["reader"], "is_service": "on"}
    assert "required" in browser.post("/admin/accounts/user/add/", person).content.decode()


def test_a_service_account_is_made_changed_and_switched_off(browser: Client) -> None:
    make_role("reader")
    at = "/admin/accounts/serviceaccount/"
    added = browser.post(f"{at}add/", {"name": "Robot", "roles": ["reader"]}, follow=True)
    assert "The service account" in added.content.decode()
    account = User.objects.get(name="Robot")
    assert account.is_service
    _, text = make_key(account)
    body = {"name": "Robot 2", "roles": [], "is_active": "on"}
    assert browser.post(f"{at}{account.pk}/change/", body).status_code == 302
    assert Api(Client(), text).get("auth/me").json()["roles"] == []
    assert browser.post(f"{at}{account.pk}/change/", {"name": "Robot 2"}).status_code == 302
    assert Api(Client(), text).get("auth/me").status_code == 401  # at the next request
    assert browser.post(f"{at}add/", {"name": ""}).status_code == 200
    assert browser.post(f"{at}add/", {"name": "x", "roles": ["administrator?"]}).status_code == 200
    assert User.objects.filter(is_service=True).count() == 1


@pytest.mark.parametrize("password", ["", "!", PASSWORD])
def test_no_door_opens_to_a_service_account(service: User, anonymous: Api, password: str) -> None:
    assert not service.has_usable_password()
    assert not service.is_staff
    answer = anonymous.post("auth/login", {"email": service.email, "password": password or "x"})
    assert answer.status_code == 401
    door = Client()
    assert door.post("/admin/login/", {"email": service.email, "password": password}).status_code == 400
    assert door.get("/admin/").status_code == 302
    assert not Session.objects.exists()


def test_a_service_account_gets_no_invitation_password_or_authenticator(
    service: User, browser: Client, outbox: list[Any]
) -> None:
    chosen = {"action": "invite_again", "_selected_action": str(service.pk)}
    browser.post("/admin/accounts/user/", chosen, follow=True)
    with pytest.raises(ConflictError, match="Only active people"):
        people.invite(service, by=BUILDER)

    for purpose in Purpose:
        token = links.make_token(service, purpose)
        assert Client().post("/admin/link/", {"token": token}).status_code == 404
    with pytest.raises(InvalidInputError):
        people.set_password(service, "a long enough password", by=BUILDER)
    service.refresh_from_db()
    assert not service.has_usable_password()
    assert not outbox
    client = Client()
    client.force_login(service, backend="accounts.sign_in.backends.PasswordBackend")  # even with a session
    assert client.get("/admin/").status_code == 302


# Where people look first


def test_the_home_page_names_what_needs_a_look(browser: Client, rita: Person) -> None:
    key, _ = make_key(rita.user, name="Nightly")
    assert "retired secret" not in browser.get("/admin/").content.decode()
    ApiKey.objects.filter(pk=key.pk).update(old_refused_at=timezone.now() - timedelta(hours=1))
    text = browser.get("/admin/").content.decode()
    assert "Somebody still sends the retired secret of the API key “Nightly”." in text
    assert f"{KEYS}{key.pk}/change/" in text
    outages.Outage().note(ConnectionError())
    assert "Limits can’t be counted" in browser.get("/admin/").content.decode()
    outages._tell(outages.BACK)
    assert "Limits can’t be counted" not in browser.get("/admin/").content.decode()
