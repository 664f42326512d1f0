"""The doors of the admin: two steps, enrolment, signing out, and that there is no way around them."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session as DjangoSession
from django.test import Client
from django.utils import timezone

from accounts import people
from accounts.models import Authenticator, Event, Session, User
from accounts.pages.frame import next_url
from accounts.rights import granting
from tests.accounts.cast import BUILDER, PASSWORD, Person, make_person, make_role, totp_code

LOGIN, CODE, ENROLMENT = "/admin/login/", "/admin/login/code/", "/admin/login/enrolment/"


def first_step(browser: Client, person: Person, **more: str) -> Any:
    return browser.post(LOGIN, {"email": person.email, "password": PASSWORD, **more})


def test_two_steps_lead_in(ada: Person, browser: Client) -> None:
    answer = first_step(browser, ada, next="/admin/accounts/role/")
    assert (answer.status_code, answer["Location"]) == (303, CODE)
    answer = browser.post(CODE, {"code": ada.code()})
    assert (answer.status_code, answer["Location"]) == (303, "/admin/accounts/role/")
    assert browser.get("/admin/accounts/role/").status_code == 200
    session = Session.objects.get()
    assert session.kind == "admin"
    assert session.verified_at is not None


def test_the_session_stays_verified_by_its_device(ada: Person, browser: Client) -> None:
    first_step(browser, ada)
    browser.post(CODE, {"code": ada.code()})

    def is_verified() -> bool:
        user: Any = browser.get("/admin/accounts/role/").wsgi_request.user
        return bool(user.is_verified())

    assert is_verified()
    assert is_verified()
    Authenticator.objects.update(confirmed=False)
    assert not is_verified()


@pytest.mark.parametrize("how", ["a role that asks for it", "their role asks for it now"])
def test_who_needs_a_second_factor_from_now_on_has_to_give_it(browser: Client, how: str) -> None:
    """A session of the password alone must not become one of an administrator (threats, G16)."""
    role = make_role("editor")
    edith = make_person("edith@example.com", roles=["editor"])
    first_step(browser, edith)
    assert browser.get("/admin/").status_code == 200
    if how == "a role that asks for it":
        people.change_user(edith.user, roles=["editor", "administrator"], by=BUILDER)
    else:
        granting.change_role(role, require_second_factor=True, by=BUILDER)
    for path in ("/admin/", "/admin/accounts/user/"):
        answer = browser.get(path)
        assert (answer.status_code, answer["Location"][: len(LOGIN)]) == (302, LOGIN)
    assert first_step(browser, edith)["Location"] == ENROLMENT
    browser.get(ENROLMENT)
    code = totp_code(Authenticator.objects.get())
    assert browser.post(ENROLMENT, {"code": code}).status_code == 200
    assert browser.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/accounts/user/", "/admin/password_change/", "/admin/jsi18n/"]
)
def test_after_the_password_alone_nothing_is_open(ada: Person, browser: Client, path: str) -> None:
    assert first_step(browser, ada).status_code == 303
    answer = browser.get(path)
    assert answer.status_code == 302
    assert answer["Location"].startswith(LOGIN)
    assert browser.get(ENROLMENT)["Location"] == LOGIN
    assert "_auth_user_id" not in browser.session


def test_no_password_waits_between_the_steps(ada: Person, browser: Client) -> None:
    first_step(browser, ada)
    stored = DjangoSession.objects.get().get_decoded()
    assert PASSWORD not in str(stored)
    assert User.objects.get(pk=ada.user.pk).password not in str(stored)
    assert PASSWORD not in browser.get(CODE).content.decode()


def test_a_wrong_code_does_not_lead_in(ada: Person, browser: Client) -> None:
    first_step(browser, ada)
    answer = browser.post(CODE, {"code": "000000"})
    assert answer.status_code == 400
    assert browser.get("/admin/").status_code == 302
    assert browser.post(CODE, {"code": ada.code()}).status_code == 303


def test_the_second_step_waits_five_minutes(ada: Person, browser: Client) -> None:
    first_step(browser, ada)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert browser.get(CODE)["Location"] == LOGIN


def test_a_changed_password_ends_the_wait(ada: Person, browser: Client) -> None:
    first_step(browser, ada)
    people.set_password(ada.user, "another long password", by=ada.principal)
    assert browser.get(CODE)["Location"] == LOGIN


def test_the_session_key_changes_at_each_step(ada: Person, browser: Client) -> None:
    browser.get(LOGIN)
    planted = browser.session
    planted["x"] = 1
    planted.save()
    browser.cookies["session-development"] = planted.session_key or ""
    first_step(browser, ada)
    middle = browser.session.session_key
    browser.post(CODE, {"code": ada.code()})
    assert len({planted.session_key, middle, browser.session.session_key}) == 3
    assert not DjangoSession.objects.filter(session_key__in=[planted.session_key, middle]).exists()


def test_the_second_step_without_the_first_is_no_door(browser: Client) -> None:
    for path in (CODE, ENROLMENT):
        assert browser.get(path)["Location"] == LOGIN
        assert browser.post(path, {"code": "000000"})["Location"] == LOGIN


def test_who_must_have_a_second_factor_sets_it_up_first(browser: Client) -> None:
    make_role("editor", require_second_factor=True)
    edith = make_person("edith@example.com", roles=["editor"])
    assert first_step(browser, edith)["Location"] == ENROLMENT
    assert browser.get("/admin/").status_code == 302
    page = browser.get(ENROLMENT).content.decode()
    device = Authenticator.objects.get(user=edith.user)
    assert device.secret_base32[:4] in page
    assert "<svg" in page
    assert "style=" not in page
    assert "<script>" not in page
    assert not device.confirmed
    assert browser.post(ENROLMENT, {"code": "000000"}).status_code == 400
    Authenticator.objects.update(throttling_failure_count=0)
    assert "recovery codes" in browser.post(ENROLMENT, {"code": totp_code(device)}).content.decode()
    assert browser.get("/admin/").status_code == 200
    assert Event.objects.filter(type="device.enrolled").count() == 1


def test_whoever_looked_at_a_new_key_first_has_nothing_of_it(browser: Client) -> None:
    """Somebody who knows the password looks, goes away silently, and waits for the person to enrol."""
    make_role("editor", require_second_factor=True)
    edith = make_person("edith@example.com", roles=["editor"])
    thief, own = Client(), browser
    for each in (thief, own):
        assert first_step(each, edith)["Location"] == ENROLMENT
    thief.get(ENROLMENT)
    seen = Authenticator.objects.get()
    own.get(ENROLMENT)
    device = Authenticator.objects.get()
    assert device.secret_base32 != seen.secret_base32
    assert own.post(ENROLMENT, {"code": totp_code(seen)}).status_code == 400
    Authenticator.objects.update(throttling_failure_count=0)
    assert own.post(ENROLMENT, {"code": totp_code(device)}).status_code == 200
    assert Authenticator.objects.get().secret_base32 == device.secret_base32


def test_the_secret_of_an_authenticator_is_not_readable_in_the_database(ada: Person) -> None:
    assert ada.device is not None
    row = Authenticator.objects.values().get(pk=ada.device.pk)
    assert ada.device.raw_secret.hex() not in str(row)
    assert ada.device.secret_base32 not in str(row)


def test_who_has_no_role_is_not_let_into_the_admin(rita: Person, browser: Client) -> None:
    assert first_step(browser, rita).status_code == 303
    assert browser.get("/admin/").status_code == 302


def test_signing_out_ends_the_session(ada: Person, browser: Client) -> None:
    first_step(browser, ada)
    browser.post(CODE, {"code": ada.code()})
    assert browser.get("/admin/logout/").status_code == 405
    assert browser.post("/admin/logout/").status_code == 303
    assert Session.objects.get().ended_at is not None
    assert browser.get("/admin/").status_code == 302


def test_a_session_that_was_ended_elsewhere_is_over(ada: Person, browser: Client) -> None:
    first_step(browser, ada)
    browser.post(CODE, {"code": ada.code()})
    assert browser.get("/admin/").status_code == 200
    Session.objects.update(ended_at=timezone.now())
    assert browser.get("/admin/").status_code == 302


def test_django_s_own_door_does_not_lead_in(ada: Person, browser: Client) -> None:
    """A session made by `django.contrib.auth.login` alone has no row of ours, and so is none."""
    browser.force_login(User.objects.get(pk=ada.user.pk), backend="accounts.sign_in.backends.PasswordBackend")
    assert browser.get("/admin/").status_code == 302


def test_forms_want_a_csrf_token(ada: Person) -> None:
    browser = Client(enforce_csrf_checks=True)
    assert first_step(browser, ada).status_code == 403


def test_a_wrong_code_is_called_one(ada: Person, browser: Client) -> None:
    """Who gets so far has given the right password, and shall not doubt it."""
    assert first_step(browser, ada).status_code == 303
    page = browser.post("/admin/login/code/", {"code": "000000"})
    assert page.status_code == 400
    text = page.content.decode()
    assert "The code is wrong or was used before" in text
    assert "the password or the code" not in text


@pytest.mark.parametrize("email", ["nobody@example.com", "ada@example.com"])
def test_pages_do_not_tell_who_exists(ada: Person, browser: Client, email: str) -> None:
    page = browser.post(LOGIN, {"email": email, "password": "wrong"})
    assert page.status_code == 400
    text = re.sub(r'value="[^"]*"', "", page.content.decode())
    assert "The e-mail address, the password or the code is wrong" in text
    assert email not in text


@pytest.mark.parametrize(
    "text",
    [
     "//e", "/\\e", "https:e", "https:///e", "\t//e", "@e", "%2f%2fe", "/admin//e", "/admin/..//e", "/admin/../x",
     "javascript:1", "data:x", "/admin/\r\nX: y", "https://testserver/admin/", "/adminx", "", "/admin/<script>",
    ],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(text: str) -> None:
    assert next_url(text) == "/admin/"


def test_django_s_form_for_passwords_is_closed(ada: Person, browser: Client) -> None:
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    browser.post(CODE, {"code": ada.code()})
    assert browser.get("/admin/").status_code == 200
    for path in ("/admin/password_change/", "/admin/password_change/done/"):
        assert browser.get(path).status_code == 404
        sent = {
            "old_password": PASSWORD,
            "new_password1": "another long one",
            "new_password2": "another long one",
        }
        assert browser.post(path, sent).status_code == 404
    assert User.objects.get(pk=ada.user.pk).check_password(PASSWORD)
