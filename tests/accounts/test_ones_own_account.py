"""The page of one's own account: factors come and go, sessions are seen and ended, and nobody reaches another's."""

import re
from datetime import timedelta
from typing import Any

import pyotp
import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import Authenticator, Event, Passkey, RecoveryCodes, Session, User
from accounts.rights import granting
from accounts.sign_in import devices
from tests.accounts.authenticator import SoftAuthenticator
from tests.accounts.cast import BUILDER, PASSWORD, Person, make_person, make_role
from tests.accounts.test_passkeys import enrol, options

LOGIN, CODE, ACCOUNT = "/admin/login/", "/admin/login/code/", "/admin/account/"
AUTHENTICATOR, NEW_PASSWORD = "/admin/account/authenticator/", "/admin/account/password/"
LATER = timedelta(minutes=10, seconds=1)


@pytest.fixture
def walter(ada: Person) -> Person:
    """Walter writes; nothing asks him for a second factor."""
    make_role("writer")
    return make_person("walter@example.com", roles=["writer"])


@pytest.fixture
def own(walter: Person, browser: Client) -> Client:
    assert browser.post(LOGIN, {"email": walter.email, "password": PASSWORD}).status_code == 303
    return browser


def full_sign_in(person: Person, **extra: Any) -> Client:
    browser = Client(**extra)
    browser.post(LOGIN, {"email": person.email, "password": PASSWORD})
    if person.device is not None:
        browser.post(CODE, {"code": person.code()})
    return browser


def said(browser: Client) -> str:
    return browser.get(ACCOUNT).content.decode()


def test_an_authenticator_is_set_up_by_another_hand_s_codes(walter: Person, own: Client) -> None:
    """pyotp knows nothing of our code: it reads the key as a person's app would."""
    page = own.get(AUTHENTICATOR).content.decode()
    secret = re.search(r"<code>([A-Z2-7 ]+)</code>", page)
    assert secret is not None
    app = pyotp.TOTP(secret[1].replace(" ", ""))
    shown = own.post(AUTHENTICATOR, {"code": app.now()})
    assert "recovery codes" in shown.content.decode()
    session = Session.objects.get()
    assert (session.strength, session.ended_at) == (1, None)
    assert own.get(ACCOUNT).status_code == 200
    other = Client()
    assert other.post(LOGIN, {"email": walter.email, "password": PASSWORD})["Location"] == CODE
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert other.post(CODE, {"code": app.now()}).status_code == 303


def test_the_issuer_names_the_environment(walter: Person) -> None:
    url = devices.new_authenticator(walter.user).config_url
    parsed = pyotp.parse_uri(url)
    assert (parsed.issuer, parsed.name) == ("Quillkeep (development)", walter.email)


def test_a_wrong_code_changes_nothing_and_shows_the_same_key(own: Client) -> None:
    first = re.search(r"<code>([A-Z2-7 ]+)</code>", own.get(AUTHENTICATOR).content.decode())
    answer = own.post(AUTHENTICATOR, {"code": "000000"})
    assert answer.status_code == 400
    again = re.search(r"<code>([A-Z2-7 ]+)</code>", answer.content.decode())
    assert first is not None
    assert again is not None
    assert first[1] == again[1]
    assert not Authenticator.objects.filter(user__email="walter@example.com", confirmed=True).exists()


def test_another_app_takes_the_place_of_the_first(ada: Person) -> None:
    browser = full_sign_in(ada)
    former = Authenticator.objects.get(confirmed=True)
    browser.get(AUTHENTICATOR)
    assert Authenticator.objects.filter(confirmed=True).get() == former
    waiting = Authenticator.objects.get(confirmed=False)
    code = pyotp.TOTP(waiting.secret_base32).now()
    assert browser.post(AUTHENTICATOR, {"code": code})["Location"] == ACCOUNT
    assert Authenticator.objects.get() == waiting


def test_a_new_factor_ends_every_other_session_and_token(walter: Person, own: Client) -> None:
    other, api = full_sign_in(walter), walter.sign_in()
    assert enrol(own, SoftAuthenticator()).status_code == 200
    assert own.get(ACCOUNT).status_code == 200
    assert other.get(ACCOUNT).status_code == 302
    assert api.get("auth/me").status_code == 401
    assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401
    assert Session.objects.live().count() == 1


def test_changing_factors_asks_who_one_is(walter: Person, own: Client) -> None:
    with time_machine.travel(timezone.now() + LATER):
        for path in (AUTHENTICATOR, NEW_PASSWORD, "/admin/account/passkeys/new/"):
            page = own.get(path)
            assert page.status_code == 403
            assert 'name="step-up-password"' in page.content.decode()
            assert "qr-code" not in page.content.decode()
        wrong = {"step-up-password": "wrong", "step-up-reason": "x", "step-up-then": "get"}
        assert own.post(AUTHENTICATOR, wrong).status_code == 400
        failed = Event.objects.get(type="step-up.failed")
        assert (str(failed.actor_id), failed.credential.partition(":")[0]) == (failed.subject_id, "session")
        assert own.get(AUTHENTICATOR).status_code == 403
        right = wrong | {"step-up-password": PASSWORD}
        assert own.post(AUTHENTICATOR, right)["Location"] == AUTHENTICATOR
        assert own.get(AUTHENTICATOR).status_code == 200


def test_with_a_factor_the_password_is_not_enough(ada: Person) -> None:
    browser = full_sign_in(ada)
    with time_machine.travel(timezone.now() + LATER):
        sent = {"step-up-password": PASSWORD, "step-up-reason": "x", "step-up-then": "get"}
        assert browser.post(NEW_PASSWORD, sent).status_code == 400
        assert browser.get(NEW_PASSWORD).status_code == 403


def test_a_passkey_confirms_too(own: Client, walter: Person) -> None:
    key = SoftAuthenticator()
    enrol(own, key)
    with time_machine.travel(timezone.now() + LATER):
        assert own.get(NEW_PASSWORD).status_code == 403
        answer = key.get(options(own, "step-up"))
        sent = {"step-up-credential": answer, "step-up-reason": "x", "step-up-then": "get"}
        assert own.post(NEW_PASSWORD, sent)["Location"] == NEW_PASSWORD
        assert own.get(NEW_PASSWORD).status_code == 200


def test_passkeys_are_renamed_and_removed(own: Client) -> None:
    enrol(own, SoftAuthenticator())
    passkey = Passkey.objects.get()
    own.post(f"/admin/account/devices/{passkey.pk}/rename/", {"name": "  Old   phone "})
    assert Passkey.objects.get().name == "Old phone"
    own.post(f"/admin/account/devices/{passkey.pk}/rename/", {"name": "x" * 65})
    own.post(f"/admin/account/devices/{passkey.pk}/rename/", {"name": "\x1b[31m"})
    assert Passkey.objects.get().name == "Old phone"
    assert own.post(f"/admin/account/devices/{passkey.pk}/remove/").status_code == 303
    assert not Passkey.objects.exists()
    assert not RecoveryCodes.objects.exists()
    assert own.get(ACCOUNT).status_code == 200


def test_the_last_factor_that_a_role_asks_for_stays(ada: Person) -> None:
    browser = full_sign_in(ada)
    device = Authenticator.objects.get()
    browser.post(f"/admin/account/devices/{device.pk}/remove/")
    assert "Add another one before you remove this one" in said(browser)
    assert Authenticator.objects.get() == device
    enrol(browser, SoftAuthenticator())
    browser.post(f"/admin/account/devices/{device.pk}/remove/")
    assert not Authenticator.objects.exists()
    assert Passkey.objects.count() == 1


def test_a_short_password_keeps_the_last_factor(ada: Person) -> None:
    walter = make_person("walter@example.com", roles=[make_role("writer").key], with_authenticator=True)
    browser = full_sign_in(walter)
    browser.post(NEW_PASSWORD, {"password": "kmqzwtvy", "repeated": "kmqzwtvy"})
    assert User.objects.get(pk=walter.user.pk).check_password("kmqzwtvy")
    browser.post(f"/admin/account/devices/{Authenticator.objects.get(user=walter.user).pk}/remove/")
    assert "too short to stand alone" in said(browser)
    assert Authenticator.objects.filter(user=walter.user).exists()


def test_devices_and_sessions_of_others_are_not_there(ada: Person, own: Client) -> None:
    """One may touch one's own only (CVE-2020-5240); those of others look like none at all."""
    theirs = full_sign_in(ada)
    session = Session.objects.get(user=ada.user)
    device = Authenticator.objects.get()
    for path in (
        f"/admin/account/devices/{device.pk}/remove/",
        f"/admin/account/devices/{device.pk}/rename/",
        f"/admin/account/sessions/{session.pk}/end/",
        "/admin/account/sessions/0190aaaa-0000-7000-8000-000000000000/end/",
    ):
        assert own.post(path, {"name": "x"}).status_code == 404, path
    assert theirs.get(ACCOUNT).status_code == 200
    assert str(session.pk) not in said(own)
    assert Authenticator.objects.exists()


def test_a_session_is_ended_from_another_browser(walter: Person, own: Client) -> None:
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"
    other = full_sign_in(walter, headers={"User-Agent": agent}, REMOTE_ADDR="8.8.8.8")
    page = said(own)
    assert "Firefox on Windows" in page
    assert "8.8.8.8 (US)" in page
    session = Session.objects.latest("created_at")
    assert own.post(f"/admin/account/sessions/{session.pk}/end/").status_code == 303
    assert other.get(ACCOUNT).status_code == 302
    assert own.get(ACCOUNT).status_code == 200


def test_all_others_are_ended_at_once(walter: Person, own: Client) -> None:
    others = [full_sign_in(walter) for _ in range(2)]
    api = walter.sign_in()
    assert own.post("/admin/account/sessions/others/end/").status_code == 303
    assert [other.get(ACCOUNT).status_code for other in others] == [302, 302]
    assert api.get("auth/me").status_code == 401
    assert own.get(ACCOUNT).status_code == 200


@pytest.mark.parametrize("path", ["", "password/", "authenticator/", "passkeys/new/"])
def test_without_a_sign_in_there_is_no_account(browser: Client, ada: Person, path: str) -> None:
    assert browser.get(ACCOUNT + path)["Location"].startswith(LOGIN)
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    assert browser.get(ACCOUNT + path)["Location"].startswith(LOGIN)


# --- How long sessions live ---------------------------------------------------------------------------------------


def test_a_session_has_an_absolute_end_and_an_idle_one(walter: Person, own: Client) -> None:
    now = timezone.now()
    with time_machine.travel(now + timedelta(hours=2, minutes=2)):
        assert own.get(ACCOUNT).status_code == 302  # idle
    own = full_sign_in(walter)
    started = timezone.now()
    with time_machine.travel(started) as clock:
        for hours in range(1, 12):
            clock.move_to(started + timedelta(hours=hours))
            assert own.get(ACCOUNT).status_code == 200, hours
        clock.move_to(started + timedelta(hours=12, seconds=1))
        assert own.get(ACCOUNT).status_code == 302


def test_a_role_sets_shorter_limits_and_they_hold_at_the_next_request(walter: Person, own: Client) -> None:
    from accounts.models import Role

    api = walter.sign_in()
    role = Role.objects.get(key="writer")
    granting.change_role(role, session_hours=1, idle_minutes=10, by=BUILDER)
    now = timezone.now()
    with time_machine.travel(now + timedelta(minutes=9)):
        assert own.get(ACCOUNT).status_code == 200
    with time_machine.travel(now + timedelta(minutes=20)):
        assert own.get(ACCOUNT).status_code == 302
        assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401
    granting.change_role(role, idle_minutes=None, by=BUILDER)
    api = walter.sign_in()
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401


def test_refreshing_never_goes_on_for_ever(walter: Person) -> None:
    api = walter.sign_in()
    start = timezone.now()
    with time_machine.travel(start) as clock:
        for day in range(1, 14):
            clock.move_to(start + timedelta(days=day))
            answer = api.post("auth/refresh", {"refresh": api.refresh})
            assert answer.status_code == 200, day
            api.refresh = answer.json()["refresh"]
        clock.move_to(start + timedelta(days=14, seconds=1))
        assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401


def test_nobody_loosens_a_role_of_their_own_and_may_tighten_it(ada: Person, as_ada: Any) -> None:
    path = "manage/roles/administrator"
    assert as_ada.patch(path, {"idle_minutes": 30}).status_code == 200
    assert as_ada.patch(path, {"idle_minutes": 60}).status_code == 403
    assert as_ada.patch(path, {"idle_minutes": None}).status_code == 403
    assert as_ada.patch(path, {"name": "Boss", "idle_minutes": 20}).status_code == 403
    assert as_ada.patch(path, {"require_second_factor": False}).status_code == 403
    for wrong in ({"idle_minutes": 4}, {"session_hours": 0}, {"session_hours": 337}, {"idle_minutes": "5"}):
        assert as_ada.patch(path, wrong).status_code == 400
    assert as_ada.patch("manage/roles/public", {"idle_minutes": 30}).status_code == 400


def test_the_log_tells_of_each_change(own: Client, walter: Person) -> None:
    enrol(own, SoftAuthenticator())
    own.post(f"/admin/account/devices/{Passkey.objects.get().pk}/remove/")
    types = set(Event.objects.filter(actor_id=walter.user.pk).values_list("type", flat=True))
    assert {"device.enrolled", "recovery-codes.made", "session.strengthened", "device.removed"} <= types
