"""Passkeys: made, shown, and refused for each single thing that WebAuthn says a server has to check (2.11)."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.contrib.sessions.models import Session as DjangoSession
from django.test import Client
from django.utils import timezone

from accounts.models import Authenticator, Event, Passkey, RecoveryCodes, Session, User
from accounts.rights import granting
from accounts.sign_in import devices
from accounts.sign_in.session_store import hashed
from tests.accounts.authenticator import BE, BS, UP, UV, SoftAuthenticator, raw, text
from tests.accounts.cast import BUILDER, PASSWORD, Api, Person, make_person, make_role

LOGIN, CODE, ENROLMENT, OPTIONS = (
    "/admin/login/",
    "/admin/login/code/",
    "/admin/login/enrolment/",
    "/admin/passkey/",
)
NEW = "/admin/account/passkeys/new/"


def options(browser: Client, purpose: str) -> Any:
    answer = browser.post(OPTIONS, {"for": purpose})
    assert answer.status_code == 200, answer.content
    return answer.json()


def enrol(browser: Client, key: SoftAuthenticator) -> Any:
    """Add a passkey to the account of who is signed in."""
    return browser.post(NEW, {"name": "Laptop", "credential": key.create(options(browser, "enrolment"))})


@pytest.fixture
def signed_in(rita: Person, browser: Client) -> Client:
    """Rita's browser, signed in by password alone: she has a role, and none that asks for more."""
    rita.user.groups.add(make_role("reader"))
    assert browser.post(LOGIN, {"email": rita.email, "password": PASSWORD}).status_code == 303
    return browser


@pytest.fixture
def key(signed_in: Client) -> SoftAuthenticator:
    """Rita's passkey, enrolled."""
    made = SoftAuthenticator()
    answer = enrol(signed_in, made)
    assert answer.status_code == 200
    assert "recovery codes" in answer.content.decode()
    return made


def sign_in(browser: Client, key: SoftAuthenticator, purpose: str = "sign-in") -> Any:
    return browser.post(LOGIN, {"credential": key.get(options(browser, purpose)), "next": "/admin/"})


def everything() -> list[object]:
    """What no refused ceremony may change."""
    return [
        list(Passkey.objects.order_by("pk").values_list("pk", "sign_count", "last_used_at")),
        list(Session.objects.order_by("pk").values_list("pk", "strength", "ended_at")),
        list(RecoveryCodes.objects.values_list("pk", "macs")),
        list(User.objects.order_by("pk").values_list("pk", "token_version")),
    ]


def test_a_passkey_signs_in_without_a_password(key: SoftAuthenticator, rita: Person) -> None:
    browser = Client()
    asked = options(browser, "sign-in")
    assert asked["allowCredentials"] == []  # it names nobody
    assert asked["userVerification"] == "required"
    assert len(raw(asked["challenge"])) >= 16
    answer = browser.post(LOGIN, {"credential": key.get(asked), "next": "/admin/account/"})
    assert (answer.status_code, answer["Location"]) == (303, "/admin/account/")
    assert browser.get("/admin/account/").status_code == 200
    session = Session.objects.latest("created_at")
    assert (session.user_id, session.strength) == (rita.user.pk, 2)


def test_a_passkey_is_a_second_factor_too(key: SoftAuthenticator, rita: Person) -> None:
    browser = Client()
    answer = browser.post(LOGIN, {"email": rita.email, "password": PASSWORD})
    assert answer["Location"] == CODE
    assert browser.get("/admin/account/").status_code == 302
    asked = options(browser, "second-factor")
    assert [item["id"] for item in asked["allowCredentials"]] == [text(key.credential_id)]
    assert browser.post(CODE, {"credential": key.get(asked)}).status_code == 303
    assert browser.get("/admin/account/").status_code == 200


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), -7),
        (ed25519.Ed25519PrivateKey.generate, -8),
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048), -257),
    ],
)
def test_the_offered_algorithms_work(signed_in: Client, make: Callable[[], Any], algorithm: int) -> None:
    key = SoftAuthenticator(key=make(), algorithm=algorithm)
    assert enrol(signed_in, key).status_code == 200
    assert sign_in(Client(), key).status_code == 303


def test_a_synced_passkey_is_known_as_one(signed_in: Client) -> None:
    assert enrol(signed_in, SoftAuthenticator(flags=UP | UV | BE | BS)).status_code == 200
    assert Passkey.objects.get().is_synced
    assert Passkey.objects.get().transports == ["internal"]  # what nobody knows is not kept


WRONG: dict[str, dict[str, Any]] = {
    "another type": {"type_create": "webauthn.get", "type_get": "webauthn.create"},
    "another challenge": {"challenge": text(bytes(32))},
    "another origin": {"origin": "https://testserver"},
    "an origin that begins alike": {"origin": "http://testserver.evil.example"},
    "another domain": {"rp_id": "evil.example"},
    "nobody there": {"flags": UV},
    "nobody verified": {"flags": UP},
    "backed up but not able to": {"flags": UP | UV | BS},
    "in a frame of another site": {"client": {"crossOrigin": True}},
    "under the page of another site": {"client": {"topOrigin": "https://evil.example"}},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_registration_with_one_thing_wrong_is_refused(signed_in: Client, wrong: str) -> None:
    before = everything()
    assert enrol(signed_in, SoftAuthenticator(**WRONG[wrong])).status_code == 400
    assert everything() == before
    assert enrol(signed_in, SoftAuthenticator()).status_code == 200


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_with_one_thing_wrong_is_refused(key: SoftAuthenticator, wrong: str) -> None:
    before = everything()
    for name, value in WRONG[wrong].items():
        setattr(key, name, value)
    browser = Client()
    assert sign_in(browser, key).status_code == 400
    assert browser.get("/admin/account/").status_code == 302
    assert everything() == before
    assert Event.objects.filter(type="sign-in.failed").count() == 1
    right = SoftAuthenticator(key=key.key, credential_id=key.credential_id, user_handle=key.user_handle)
    assert sign_in(browser, right).status_code == 303


def test_an_algorithm_that_was_not_offered_is_refused(signed_in: Client) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert enrol(signed_in, SoftAuthenticator(key=key, algorithm=-37)).status_code == 400
    assert not Passkey.objects.exists()


@pytest.mark.parametrize("length", [0, 1024, 5000])
def test_an_id_of_a_strange_length_is_refused(signed_in: Client, length: int) -> None:
    assert enrol(signed_in, SoftAuthenticator(credential_id=bytes(length))).status_code == 400
    assert not Passkey.objects.exists()


def test_a_passkey_belongs_to_one_account(key: SoftAuthenticator, ada: Person) -> None:
    browser = Client()
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    browser.post(CODE, {"code": ada.code()})
    again = SoftAuthenticator(key=key.key, credential_id=key.credential_id)
    assert enrol(browser, again).status_code == 400
    assert Passkey.objects.count() == 1


def test_a_passkey_of_somebody_else_is_no_second_factor(key: SoftAuthenticator, ada: Person) -> None:
    """The password of one and the passkey of another lead nowhere."""
    browser = Client()
    assert browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})["Location"] == CODE
    asked = options(browser, "second-factor")
    assert browser.post(CODE, {"credential": key.get(asked)}).status_code == 400
    assert browser.get("/admin/").status_code == 302


@pytest.mark.parametrize("handle", [None, b"", bytes(16)])
def test_the_handle_must_be_the_owner_s(key: SoftAuthenticator, handle: bytes | None) -> None:
    key.user_handle = handle
    assert sign_in(Client(), key).status_code == 400


def test_a_wrong_signature_is_refused(key: SoftAuthenticator) -> None:
    key.key = ec.generate_private_key(ec.SECP256R1())
    assert sign_in(Client(), key).status_code == 400


def test_a_copy_that_counts_behind_is_refused(signed_in: Client) -> None:
    key = SoftAuthenticator(counts=True)
    enrol(signed_in, key)
    for _ in range(3):
        assert sign_in(Client(), key).status_code == 303
    copy = SoftAuthenticator(
        counts=True, key=key.key, credential_id=key.credential_id, user_handle=key.user_handle, sign_count=1
    )
    assert sign_in(Client(), copy).status_code == 400
    key.counts, key.sign_count = False, 0
    assert sign_in(Client(), key).status_code == 400


def test_a_challenge_works_once(key: SoftAuthenticator) -> None:
    browser = Client()
    sent = {"credential": key.get(options(browser, "sign-in")), "next": "/admin/"}
    assert browser.post(LOGIN, sent).status_code == 303
    assert Client().post(LOGIN, sent).status_code == 400  # no session holds it
    browser.post("/admin/logout/")
    assert browser.post(LOGIN, sent).status_code == 400
    refused = {"credential": key.get(options(browser, "sign-in")).replace('"public-key"', '"other"')}
    assert browser.post(LOGIN, refused).status_code == 400
    assert browser.post(LOGIN, {"credential": refused["credential"].replace('"other"', '"public-key"')}).status_code == 400  # fmt: skip


def test_a_challenge_is_for_one_ceremony(key: SoftAuthenticator, rita: Person) -> None:
    browser = Client()
    browser.post(LOGIN, {"email": rita.email, "password": PASSWORD})
    for_second_factor = key.get(options(browser, "second-factor"))
    assert browser.post(LOGIN, {"credential": for_second_factor}).status_code == 400
    for_sign_in = key.get(options(browser, "sign-in"))
    assert browser.post(CODE, {"credential": for_sign_in}).status_code == 400
    assert browser.get("/admin/account/").status_code == 302


def test_a_challenge_waits_five_minutes(key: SoftAuthenticator) -> None:
    browser = Client()
    asked = options(browser, "sign-in")
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        assert browser.post(LOGIN, {"credential": key.get(asked)}).status_code == 400


def test_a_challenge_of_another_session_is_refused(key: SoftAuthenticator) -> None:
    asked = options(Client(), "sign-in")
    browser = Client()
    options(browser, "sign-in")
    assert browser.post(LOGIN, {"credential": key.get(asked)}).status_code == 400


@pytest.mark.parametrize(
    "sent",
    [
        "", " ", "x", "{}", "[]", "null", "1", '"x"', "{" * 9000, "[" * 20_000, "é" * 100, '{"response":{}}',
        '{"response":[],"rawId":"AA"}', '{"response":{"clientDataJSON":1},"rawId":2}', '{"rawId":null}',
        '{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["registration", "sign-in"])
def test_whatever_else_comes_is_a_400(signed_in: Client, sent: str, where: str) -> None:
    if where == "registration":
        options(signed_in, "enrolment")
        assert signed_in.post(NEW, {"name": "x", "credential": sent}).status_code == 400
        assert not Passkey.objects.exists()
    else:
        browser = Client()
        options(browser, "sign-in")
        assert browser.post(LOGIN, {"credential": sent, "email": "", "password": ""}).status_code == 400


def test_bytes_cut_anywhere_are_a_400(key: SoftAuthenticator) -> None:
    browser = Client()
    for name in ("authenticatorData", "clientDataJSON", "signature"):
        for cut in (0, 1, 10, 30):
            whole = json.loads(key.get(options(browser, "sign-in")))
            whole["response"][name] = whole["response"][name][:cut]
            assert browser.post(LOGIN, {"credential": json.dumps(whole)}).status_code == 400


def test_a_passkey_of_who_is_switched_off_lets_nobody_in(key: SoftAuthenticator, rita: Person) -> None:
    User.objects.filter(pk=rita.user.pk).update(is_active=False)
    assert sign_in(Client(), key).status_code == 400


def test_options_for_what_one_is_not_at_are_refused(browser: Client, rita: Person) -> None:
    for purpose in ("second-factor", "enrolment", "step-up", "", "other"):
        assert browser.post(OPTIONS, {"for": purpose}).status_code == 400
    browser.post(LOGIN, {"email": rita.email, "password": "wrong"})
    assert browser.post(OPTIONS, {"for": "second-factor"}).status_code == 400


# --- A role that asks for one -----------------------------------------------------------------------------------


def test_who_must_have_a_passkey_reaches_only_its_enrolment(browser: Client) -> None:
    make_role("operator", require_phishing_resistant=True)
    olga = make_person("olga@example.com", roles=["operator"], with_authenticator=True)
    assert browser.post(LOGIN, {"email": olga.email, "password": PASSWORD})["Location"] == CODE
    assert browser.post(CODE, {"code": olga.code()})["Location"] == ENROLMENT
    for path in ("/admin/", "/admin/account/", "/admin/account/passkeys/new/"):
        assert browser.get(path)["Location"].startswith(LOGIN)
    page = browser.get(ENROLMENT).content.decode()
    assert "otpauth" not in page
    assert "qr-code" not in page
    assert browser.post(ENROLMENT, {"code": olga.code()}).status_code == 400
    key = SoftAuthenticator()
    answer = browser.post(ENROLMENT, {"credential": key.create(options(browser, "enrolment"))})
    assert answer.status_code == 303  # recovery codes come with the first factor only
    assert browser.get("/admin/account/").status_code == 200
    assert Session.objects.latest("created_at").strength == 2
    # From now on the app alone leads nowhere, to no passkey of somebody else's either, and the API has no way in.
    other = Client()
    other.post(LOGIN, {"email": olga.email, "password": PASSWORD})
    shown = other.post(CODE, {"code": olga.code()})
    assert shown.status_code == 400
    assert "asks for your passkey" in shown.content.decode()
    assert other.get(ENROLMENT)["Location"] == LOGIN
    assert other.post(OPTIONS, {"for": "enrolment"}).status_code == 400
    refused = Api(Client()).post("auth/login", olga.login_body())
    assert (refused.status_code, refused.json()["code"]) == (401, "phishing-resistant-factor-required")


def test_who_lost_the_passkey_that_they_must_have_recovers_with_a_code(browser: Client) -> None:
    make_role("operator", require_phishing_resistant=True)
    olga = make_person("olga@example.com", roles=["operator"], with_authenticator=True)
    codes = devices.make_recovery_codes(olga.user, by=olga.principal)
    browser.post(LOGIN, {"email": olga.email, "password": PASSWORD})
    browser.post(CODE, {"code": olga.code()})
    browser.post(ENROLMENT, {"credential": SoftAuthenticator().create(options(browser, "enrolment"))})
    other = Client()
    other.post(LOGIN, {"email": olga.email, "password": PASSWORD})
    assert other.post(CODE, {"code": codes[0]})["Location"] == ENROLMENT
    key = SoftAuthenticator()
    assert other.post(ENROLMENT, {"credential": key.create(options(other, "enrolment"))}).status_code == 303
    assert other.get("/admin/account/").status_code == 200


def test_who_must_have_a_passkey_steps_up_with_it_alone(browser: Client) -> None:
    make_role("operator", require_phishing_resistant=True)
    olga = make_person("olga@example.com", roles=["operator"], with_authenticator=True)
    codes = devices.make_recovery_codes(olga.user, by=olga.principal)
    browser.post(LOGIN, {"email": olga.email, "password": PASSWORD})
    browser.post(CODE, {"code": olga.code()})
    key = SoftAuthenticator()
    browser.post(ENROLMENT, {"credential": key.create(options(browser, "enrolment"))})
    path = "/admin/account/authenticator/"
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        page = browser.get(path)
        assert page.status_code == 403
        assert "step-up-code" not in page.content.decode()
        for code in (codes[0], olga.code()):
            sent = {"step-up-code": code, "step-up-reason": "x", "step-up-then": "get"}
            assert browser.post(path, sent).status_code == 400
        assert browser.get(path).status_code == 403
        answer = key.get(options(browser, "step-up"))
        sent = {"step-up-credential": answer, "step-up-reason": "x", "step-up-then": "get"}
        assert browser.post(path, sent).status_code == 303
        assert browser.get(path).status_code == 200


def test_between_the_steps_no_passkey_can_be_added_without_the_factor(ada: Person, browser: Client) -> None:
    """Who knows the password alone must not enrol a factor of their own beside those that there are."""
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    assert browser.post(OPTIONS, {"for": "enrolment"}).status_code == 400
    assert browser.get(ENROLMENT)["Location"] == LOGIN


def test_a_role_that_asks_for_a_passkey_from_now_on_ends_weaker_sessions(
    ada: Person, browser: Client
) -> None:
    role = make_role("operator")
    olga = make_person("olga@example.com", roles=["operator"], with_authenticator=True)
    browser.post(LOGIN, {"email": olga.email, "password": PASSWORD})
    browser.post(CODE, {"code": olga.code()})
    api = olga.sign_in()
    assert browser.get("/admin/account/").status_code == 200
    assert api.get("auth/me").status_code == 200
    granting.change_role(role, require_phishing_resistant=True, by=BUILDER)
    assert browser.get("/admin/account/").status_code == 302
    assert api.get("auth/me").status_code == 401
    assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401


def test_nothing_of_a_ceremony_is_left_in_the_session(key: SoftAuthenticator) -> None:
    browser = Client()
    sign_in(browser, key)
    stored = DjangoSession.objects.get(session_key=hashed(browser.session.session_key or "")).get_decoded()
    assert "accounts_passkey" not in stored
    assert Authenticator.objects.count() == 0
