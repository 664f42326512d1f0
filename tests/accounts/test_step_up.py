"""Dangerous acts ask once more who one is: everywhere, and nothing that was typed is lost."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal

import pytest
import time_machine
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts import people
from accounts.access import Action, Area, Principal, Scopes
from accounts.errors import StepUpRequiredError
from accounts.keys import api_keys
from accounts.models import ApiKey, Authenticator, Event, Policy, Role, Session, User
from accounts.principals import of_user
from accounts.rights import granting
from accounts.rights.granting import PolicyTerms
from accounts.sign_in import devices
from tests.accounts.cast import PASSWORD, Api, Person, make_key, make_person, make_policy, make_role

LOGIN, CODE = "/admin/login/", "/admin/login/code/"
LATER = timedelta(minutes=10, seconds=1)
SCOPES = Scopes(frozenset({(None, Action.READ)}), frozenset())
TERMS = PolicyTerms(None, frozenset({Action.READ}), every_field=True)

# Every verb that is one: what it does to the world that `world` makes.
VERBS: dict[str, Callable[[Any, Principal], object]] = {
    "add a role": lambda w, by: granting.add_role("x", "X", by=by),
    "change a role": lambda w, by: granting.change_role(w.role, name="X", by=by),
    "remove a role": lambda w, by: granting.remove_role(w.role, by=by),
    "add a policy": lambda w, by: granting.add_policy(w.role, TERMS, by=by),
    "change a policy": lambda w, by: granting.change_policy(w.policy, TERMS, by=by),
    "remove a policy": lambda w, by: granting.remove_policy(w.policy, by=by),
    "add a person": lambda w, by: people.add_person("x@example.com", by=by),
    "invite": lambda w, by: people.invite(w.rita.user, by=by),
    "add a service account": lambda w, by: people.add_service("x", by=by),
    "change a person": lambda w, by: people.change_user(w.rita.user, name="X", by=by),
    "set somebody's password": lambda w, by: people.set_password(w.rita.user, PASSWORD + "x", by=by),
    "make a key": lambda w, by: api_keys.mint(w.rita.user, name="x", scopes=SCOPES, by=by),
    "make a key for a role": lambda w, by: api_keys.mint_for_role("reader", name="x", scopes=SCOPES, by=by),
    "rotate a key": lambda w, by: api_keys.rotate(w.key, by=by),
    "revoke a key": lambda w, by: api_keys.revoke(w.key, by=by),
    "enrol for somebody": lambda w, by: devices.enrol(w.rita.user, by=by),
    "remove somebody's factors": lambda w, by: devices.remove_all(w.walter.user, by=by),
}


class World:
    def __init__(self, rita: Person) -> None:
        self.rita = rita
        self.walter = make_person("walter@example.com", with_authenticator=True)
        self.role = make_role()
        self.policy = make_policy(make_role("writer"), Action.READ)
        self.key, _ = make_key(rita.user)


@pytest.fixture
def world(ada: Person, rita: Person) -> World:
    return World(rita)


def everything() -> list[object]:
    models: tuple[type[Model], ...] = (User, Role, Policy, ApiKey, Authenticator, Session)
    return [list(model._default_manager.order_by("pk").values()) for model in models]


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_is_open_without_it(world: World, ada: Person, verb: str) -> None:
    by = of_user(User.objects.get(pk=ada.user.pk))
    before, events = everything(), Event.objects.count()
    weak: tuple[Literal["", "password"], ...] = ("", "password")
    for confirmed in weak:
        with pytest.raises(StepUpRequiredError):
            VERBS[verb](world, by.having_confirmed(confirmed))
    assert (everything(), Event.objects.count()) == (before, events)
    VERBS[verb](world, by.having_confirmed("factor", reason="as asked in the meeting"))
    assert Event.objects.filter(detail__reason="as asked in the meeting").exists()


def test_a_login_with_a_code_counts_for_ten_minutes_by_api(ada: Person) -> None:
    api = ada.sign_in()
    assert api.post("manage/roles", {"key": "one", "name": "One"}).status_code == 201
    with time_machine.travel(timezone.now() + LATER):
        api.credential = Api(Client()).post("auth/refresh", {"refresh": api.refresh}).json()["access"]
        refused = api.post("manage/roles", {"key": "two", "name": "Two"})
        assert (refused.status_code, refused.json()["code"]) == (403, "step-up-required")
        assert not Role.objects.filter(key="two").exists()
        assert api.get("manage/roles").status_code == 200  # looking is free
        body = {"otp": ada.code(), "reason": "  the second   editor "}
        assert api.post("auth/step-up", body).status_code == 204
        assert api.post("manage/roles", {"key": "two", "name": "Two"}).status_code == 201
    told = Event.objects.get(type="role.created", subject_id="two")
    assert told.detail["reason"] == "the second editor"
    assert Event.objects.get(type="session.stepped-up").detail["reason"] == "the second editor"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"otp": "000000", "reason": "x"}, 401),
        ({"reason": "x"}, 400),
        ({"otp": "000000"}, 400),
        ({"otp": "000000", "reason": ""}, 400),
        ({"otp": "000000", "reason": "x" * 201}, 400),
        ({"otp": 1, "reason": "x"}, 400),
        ({"otp": "000000", "reason": "x", "more": 1}, 400),
    ],
)
def test_a_step_up_by_api_needs_a_right_code_and_a_reason(ada: Person, body: Any, status: int) -> None:
    api = ada.sign_in()
    with time_machine.travel(timezone.now() + LATER):
        api.credential = Api(Client()).post("auth/refresh", {"refresh": api.refresh}).json()["access"]
        assert api.post("auth/step-up", body).status_code == status
        assert api.post("manage/roles", {"key": "two", "name": "Two"}).status_code == 403


def test_a_code_of_somebody_else_is_none_and_the_log_says_whose_session_it_was(ada: Person) -> None:
    walter = make_person("walter@example.com", with_authenticator=True)
    api = ada.sign_in()
    assert api.post("auth/step-up", {"otp": walter.code(), "reason": "x"}).status_code == 401
    event = Event.objects.get(type="step-up.failed")
    assert (event.actor_id, event.subject_id) == (ada.user.pk, str(ada.user.pk))
    assert event.credential.startswith("jwt:")
    assert not Event.objects.filter(type="sign-in.failed").exists()


def test_a_key_s_scope_was_given_under_one(ada: Person) -> None:
    _, text = make_key(ada.user, areas=[Area.ROLES])
    api = Api(Client(), text)
    assert api.post("manage/roles", {"key": "one", "name": "One"}).status_code == 201
    assert api.post("auth/step-up", {"otp": ada.code(), "reason": "x"}).status_code == 409


# --- The admin --------------------------------------------------------------------------------------------------


@pytest.fixture
def stale(ada: Person, browser: Client) -> Any:
    """Ada's browser, eleven minutes after she signed in."""
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    browser.post(CODE, {"code": ada.code()})
    with time_machine.travel(timezone.now() + LATER):
        yield browser


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


def test_a_form_is_kept_and_goes_on(stale: Client, ada: Person) -> None:
    sent = {"key": "editor", "name": "<b>Editors</b>"}
    refused = stale.post("/admin/accounts/role/add/", sent)
    page = refused.content.decode()
    assert refused.status_code == 403
    assert "Confirm that it" in page
    assert not Role.objects.filter(key="editor").exists()
    assert "&lt;b&gt;Editors&lt;/b&gt;" in page
    kept = {name: sent.get(name, value) for name, value in hidden(page).items()}
    assert kept.items() >= sent.items()
    wrong = stale.post(
        "/admin/accounts/role/add/", {**kept, "step-up-code": "000000", "step-up-reason": "New editors"}
    )
    assert wrong.status_code == 400
    assert Event.objects.get(type="step-up.failed").actor_id == ada.user.pk
    assert 'value="New editors"' in wrong.content.decode()
    assert not Role.objects.filter(key="editor").exists()
    again = {name: sent.get(name, value) for name, value in hidden(wrong.content.decode()).items()}
    Authenticator.objects.update(throttling_failure_count=0)
    done = stale.post(
        "/admin/accounts/role/add/", {**again, "step-up-code": ada.code(), "step-up-reason": "New editors"}
    )
    assert done.status_code == 302, done.content
    assert Role.objects.get(key="editor").name == "<b>Editors</b>"
    assert Event.objects.get(type="role.created", subject_id="editor").detail["reason"] == "New editors"
    assert stale.post("/admin/accounts/role/add/", {"key": "next", "name": "Next"}).status_code == 302


def test_a_reason_is_asked_for(stale: Client, ada: Person) -> None:
    sent = {"key": "editor", "name": "Editors", "step-up-code": ada.code(), "step-up-reason": " "}
    assert stale.post("/admin/accounts/role/add/", sent).status_code == 400
    assert not Role.objects.filter(key="editor").exists()


def test_an_action_of_a_list_asks_and_goes_on(stale: Client, ada: Person, rita: Person) -> None:
    key, _ = make_key(rita.user)
    sent = {"action": "revoke", "_selected_action": str(key.pk)}
    refused = stale.post("/admin/accounts/apikey/", sent)
    assert refused.status_code == 403
    kept = hidden(refused.content.decode())
    assert kept.items() >= sent.items()
    done = stale.post(
        "/admin/accounts/apikey/", {**kept, "step-up-code": ada.code(), "step-up-reason": "Leaked"}
    )
    assert done.status_code == 302
    assert ApiKey.objects.get().state == "revoked"


def test_passwords_are_not_carried_to_and_fro(stale: Client, ada: Person) -> None:
    sent = {"password": "a wholly other phrase", "repeated": "a wholly other phrase"}
    refused = stale.post("/admin/account/password/", sent)
    page = refused.content.decode()
    assert refused.status_code == 403
    assert "a wholly other phrase" not in page
    assert hidden(page)["step-up-then"] == "get"
    done = stale.post("/admin/account/password/", {**hidden(page), "step-up-code": ada.code()})
    assert (done.status_code, done["Location"]) == (303, "/admin/account/password/")
    assert stale.post("/admin/account/password/", sent)["Location"] == "/admin/account/"
    assert User.objects.get(pk=ada.user.pk).check_password("a wholly other phrase")
    assert stale.get("/admin/account/").status_code == 200


def test_the_session_goes_on_under_a_new_key(stale: Client, ada: Person) -> None:
    before = stale.session.session_key
    sent = {"key": "editor", "name": "Editors", "step-up-code": ada.code(), "step-up-reason": "New editors"}
    assert stale.post("/admin/accounts/role/add/", sent).status_code == 302
    assert stale.session.session_key != before


def test_who_has_no_factor_is_told_to_get_one(ada: Person, browser: Client) -> None:
    """A role without any demand can be an administrator's by mistake; dangerous acts stay closed all the same."""
    Role.objects.filter(key="administrator").update(require_second_factor=False)
    boss = make_person("boss@example.com", roles=["administrator"])
    browser.post(LOGIN, {"email": boss.email, "password": PASSWORD})
    refused = browser.post("/admin/accounts/role/add/", {"key": "editor", "name": "Editors"})
    assert refused.status_code == 403
    assert "You have none yet" in refused.content.decode()
    sent = {"key": "editor", "name": "x", "step-up-password": PASSWORD, "step-up-reason": "x"}
    assert browser.post("/admin/accounts/role/add/", sent).status_code == 403
    assert not Role.objects.filter(key="editor").exists()


def test_a_script_is_refused_without_a_page(stale: Client) -> None:
    answer = stale.post(
        "/admin/accounts/role/add/", {"key": "x", "name": "X"}, headers={"X-Requested-With": "quillkeep"}
    )
    assert answer.status_code == 403
