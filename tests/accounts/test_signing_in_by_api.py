"""Signing in by API: password, second factor, refresh, sessions, and what is refused."""

from typing import Any

import pytest

from accounts.models import Authenticator, Event, Session, User
from tests.accounts.cast import PASSWORD, Api, Person, make_key, make_person, make_role, totp_code


def without_instance(answer: Any) -> tuple[int, dict[str, Any]]:
    return answer.status_code, {k: v for k, v in answer.json().items() if k != "instance"}


def test_a_person_signs_in_and_is_known(rita: Person, anonymous: Api) -> None:
    answer = anonymous.post("auth/login", {"email": " RITA@example.com ", "password": PASSWORD})
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh", "expires_in"}
    assert answer.json()["expires_in"] == 300
    assert answer.headers["Cache-Control"] == "no-store"
    me = Api(anonymous.client, answer.json()["access"]).get("auth/me")
    assert me.json()["email"] == "rita@example.com"
    assert Event.objects.filter(type="session.started", actor_id=rita.user.pk).count() == 1


def test_who_has_an_authenticator_must_use_it(ada: Person, anonymous: Api) -> None:
    body = {"email": ada.email, "password": PASSWORD}
    without = anonymous.post("auth/login", body)
    assert (without.status_code, without.json()["code"]) == (401, "second-factor-required")
    assert "WWW-Authenticate" in without.headers
    assert anonymous.post("auth/login", body | {"otp": "000000"}).status_code == 401
    assert not Session.objects.exists()
    assert anonymous.post("auth/login", body | {"otp": ada.code()}).status_code == 200


def test_a_code_works_once(ada: Person, anonymous: Api) -> None:
    assert ada.device is not None
    body = {"email": ada.email, "password": PASSWORD, "otp": ada.code()}
    assert anonymous.post("auth/login", body).status_code == 200
    assert anonymous.post("auth/login", body).status_code == 401


def test_a_role_that_asks_for_a_second_factor_refuses_those_without(anonymous: Api) -> None:
    make_role("editor", require_second_factor=True)
    edith = make_person("edith@example.com", roles=["editor"])
    answer = anonymous.post("auth/login", {"email": edith.email, "password": PASSWORD})
    assert (answer.status_code, answer.json()["code"]) == (401, "second-factor-enrolment-required")
    assert not Session.objects.exists()


@pytest.mark.parametrize(
    "who",
    ["nobody@example.com", "inactive@example.com", "rıta@example.com", "ｒita@example.com", "no address"],
)
def test_unknown_and_known_accounts_get_the_same_answer(rita: Person, anonymous: Api, who: str) -> None:
    make_person("inactive@example.com", is_active=False)
    password = PASSWORD if who != "nobody@example.com" else "something else"
    wrong = anonymous.post("auth/login", {"email": rita.email, "password": "something else"})
    unknown = anonymous.post("auth/login", {"email": who, "password": password})
    assert without_instance(wrong) == without_instance(unknown)
    assert wrong.status_code == 401


def test_the_same_work_is_done_for_an_unknown_account(
    rita: Person, anonymous: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes: list[str] = []
    encode = User.set_password

    def noted(user: User, raw: str | None) -> None:
        hashes.append("dummy")
        encode(user, raw)

    monkeypatch.setattr(User, "set_password", noted)
    anonymous.post("auth/login", {"email": "nobody@example.com", "password": "x"})
    assert hashes == ["dummy"]


def test_codes_are_slowed_down_after_a_failure(ada: Person, anonymous: Api) -> None:
    assert ada.device is not None
    body = {"email": ada.email, "password": PASSWORD}
    assert anonymous.post("auth/login", body | {"otp": "000000"}).status_code == 401
    assert anonymous.post("auth/login", body | {"otp": totp_code(ada.device)}).status_code == 401
    Authenticator.objects.update(throttling_failure_count=0)
    assert anonymous.post("auth/login", body | {"otp": totp_code(ada.device)}).status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "a@b.example"}, "/password"),
        ({"email": ["a@b.example"], "password": "x"}, "/email"),
        ({"email": "a@b.example", "password": 1}, "/password"),
        ({"email": "a@b.example", "password": "x", "url": "https://evil.example"}, "/url"),
        ({"email": "a@b.example", "password": "x" * 4097}, "/password"),
        ({"email": "a@b.example", "password": "é" * 2100}, "/password"),
    ],
)
def test_a_login_with_anything_else_is_a_400_at_its_place(
    anonymous: Api, body: object, pointer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(User, "set_password", lambda *_: pytest.fail("nothing may be hashed"))
    answer = anonymous.post("auth/login", body)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_a_service_account_can_not_sign_in(anonymous: Api) -> None:
    User.objects.create(email="service@example.com", is_service=True, password="!")
    assert anonymous.post("auth/login", {"email": "service@example.com", "password": "!"}).status_code == 401


def test_refreshing_gives_a_new_pair(as_rita: Api) -> None:
    answer = as_rita.send("POST", "auth/refresh", {"refresh": as_rita.refresh}, Authorization="")
    assert answer.status_code == 200
    assert answer.json()["refresh"] != as_rita.refresh
    assert Api(as_rita.client, answer.json()["access"]).get("auth/me").status_code == 200


def test_a_refresh_token_used_twice_ends_the_session(as_rita: Api) -> None:
    fresh = as_rita.post("auth/refresh", {"refresh": as_rita.refresh}).json()
    assert as_rita.post("auth/refresh", {"refresh": as_rita.refresh}).status_code == 401
    assert as_rita.post("auth/refresh", {"refresh": fresh["refresh"]}).status_code == 401
    assert Api(as_rita.client, fresh["access"]).get("auth/me").status_code == 401
    assert Event.objects.filter(type="session.refresh-reused").count() == 1


def test_after_logout_nothing_works(as_rita: Api) -> None:
    assert as_rita.post("auth/logout").status_code == 204
    assert as_rita.get("auth/me").status_code == 401
    assert as_rita.post("auth/refresh", {"refresh": as_rita.refresh}).status_code == 401


def test_sessions_are_seen_and_ended_by_their_owner_alone(rita: Person, as_rita: Api, as_ada: Api) -> None:
    second = rita.sign_in()
    listed = as_rita.get("auth/sessions").json()["data"]
    assert [session["current"] for session in listed] == [False, True]
    other = listed[0]["id"]
    assert as_ada.get(f"auth/sessions/{other}").status_code == 404
    assert as_ada.delete(f"auth/sessions/{other}").status_code == 404
    assert second.get("auth/me").status_code == 200
    assert as_rita.delete(f"auth/sessions/{other}").status_code == 204
    assert second.get("auth/me").status_code == 401
    assert as_rita.get("auth/me").status_code == 200


def test_a_key_neither_sees_nor_ends_the_sessions_of_its_owner(rita: Person, as_rita: Api) -> None:
    """A key lies in websites and scripts; whoever finds it learns nothing of where its owner signs in."""
    key = Api(as_rita.client, make_key(rita.user)[1])
    (session,) = as_rita.get("auth/sessions").json()["data"]
    for answer in (
        key.get("auth/sessions"),
        key.get(f"auth/sessions/{session['id']}"),
        key.delete(f"auth/sessions/{session['id']}"),
    ):
        assert answer.status_code == 409
        assert session["id"] not in answer.content.decode()
    assert as_rita.get(f"auth/sessions/{session['id']}").json()["current"] is True


@pytest.mark.parametrize("change", ["switched off", "password", "token version", "session expired"])
def test_the_state_of_the_user_is_looked_at_on_every_use(rita: Person, as_rita: Api, change: str) -> None:
    assert as_rita.get("auth/me").status_code == 200
    if change == "switched off":
        User.objects.filter(pk=rita.user.pk).update(is_active=False)
    elif change == "password":
        from accounts.people import set_password

        set_password(rita.user, "another long password", by=rita.principal)
    elif change == "token version":
        User.objects.filter(pk=rita.user.pk).update(token_version=7)
    else:
        Session.objects.update(expires_at=Session.objects.get().created_at)
    assert as_rita.get("auth/me").status_code == 401
    assert as_rita.post("auth/refresh", {"refresh": as_rita.refresh}).status_code == 401


def test_nothing_that_was_typed_is_in_the_log(anonymous: Api) -> None:
    anonymous.post("auth/login", {"email": "hunter2-canary@example.com", "password": "password-canary"})
    for event in Event.objects.all():
        assert "canary" not in str(vars(event))
