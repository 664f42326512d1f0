"""Ten codes on paper, each good once, for the day when every other factor is lost."""

import re
from typing import Any

import pytest
from django.test import Client

from accounts.errors import ConflictError, NotFoundError
from accounts.models import Event, RecoveryCodes, Session
from accounts.sign_in import devices
from tests.accounts.cast import PASSWORD, Api, Person

LOGIN, CODE = "/admin/login/", "/admin/login/code/"


@pytest.fixture
def codes(ada: Person) -> list[str]:
    return list(devices.make_recovery_codes(ada.user, by=ada.principal))


def with_code(browser: Client, person: Person, code: str) -> Any:
    browser.post(LOGIN, {"email": person.email, "password": PASSWORD})
    return browser.post(CODE, {"code": code})


def test_each_works_once_in_the_admin_and_by_api(ada: Person, codes: list[str]) -> None:
    assert len(set(codes)) == 10
    assert with_code(Client(), ada, codes[0]).status_code == 303
    assert with_code(Client(), ada, codes[0]).status_code == 400
    RecoveryCodes.objects.update(throttling_failure_count=0)
    api = Api(Client())
    body = {"email": ada.email, "password": PASSWORD, "otp": codes[1]}
    assert api.post("auth/login", body).status_code == 200
    assert api.post("auth/login", body).status_code == 401
    assert Session.objects.latest("created_at").strength == 1
    assert [event.detail["left"] for event in Event.objects.filter(type="recovery-code.used")] == [9, 8]


@pytest.mark.parametrize("typed", [str.upper, lambda code: code.replace("-", ""), lambda code: code.replace("-", " "), lambda code: code.replace("0", "o").replace("1", "l")])  # fmt: skip
def test_a_code_is_read_as_people_write_it(ada: Person, codes: list[str], typed: Any) -> None:
    assert with_code(Client(), ada, typed(codes[3])).status_code == 303


def test_only_keyed_hashes_are_kept(codes: list[str]) -> None:
    kept = str(RecoveryCodes.objects.values().get())
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)


def test_a_hash_that_is_copied_to_another_row_opens_nothing(
    ada: Person, codes: list[str], anonymous: Api
) -> None:
    from tests.accounts.cast import make_person

    walter = make_person("walter@example.com", with_authenticator=True)
    own = devices.make_recovery_codes(walter.user, by=walter.principal)
    stolen = RecoveryCodes.objects.get(user=walter.user).macs
    RecoveryCodes.objects.filter(user=ada.user).update(macs=stolen)
    body = {"email": ada.email, "password": PASSWORD, "otp": own[0]}
    assert anonymous.post("auth/login", body).status_code == 401


def test_new_ones_end_the_old_ones(ada: Person, codes: list[str]) -> None:
    new = devices.make_recovery_codes(ada.user, by=ada.principal)
    assert with_code(Client(), ada, codes[0]).status_code == 400
    RecoveryCodes.objects.update(throttling_failure_count=0)
    assert with_code(Client(), ada, new[0]).status_code == 303


def test_failures_slow_each_other_down(ada: Person, codes: list[str]) -> None:
    assert with_code(Client(), ada, "x" * 16).status_code == 400
    assert with_code(Client(), ada, codes[0]).status_code == 400
    RecoveryCodes.objects.update(throttling_failure_count=0)
    assert with_code(Client(), ada, codes[0]).status_code == 303


def test_they_stand_in_for_a_factor_and_are_none(rita: Person, ada: Person) -> None:
    with pytest.raises(ConflictError):
        devices.make_recovery_codes(rita.user, by=rita.principal)
    with pytest.raises(NotFoundError):
        devices.make_recovery_codes(rita.user, by=ada.principal)
    assert not RecoveryCodes.objects.exists()


def test_the_page_shows_them_once(ada: Person) -> None:
    browser = Client()
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    browser.post(CODE, {"code": ada.code()})
    shown = browser.post("/admin/account/recovery-codes/")
    found = re.findall(r"<code>([0-9a-z]{4}(?:-[0-9a-z]{4}){3})</code>", shown.content.decode())
    assert len(found) == 10
    assert "no-store" in shown.headers["Cache-Control"]
    assert not any(code in browser.get("/admin/account/").content.decode() for code in found)


def test_few_left_are_spoken_of(ada: Person, codes: list[str]) -> None:
    RecoveryCodes.objects.update(macs=RecoveryCodes.objects.get().macs[:3])
    browser = Client()
    with_code(browser, ada, codes[0])
    assert "2 recovery codes are left" in browser.get("/admin/account/").content.decode()
