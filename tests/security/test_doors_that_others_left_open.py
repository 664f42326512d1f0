"""What went wrong at the doors of comparable systems (threats, sections D, F, G, H and Q) and is not tested elsewhere."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core import mail
from django.db import connection
from django.test import Client

from accounts import people
from accounts.access import Area
from accounts.log import seal_pending
from accounts.models import Authenticator, Event, Session
from accounts.sign_in import devices, links, mails
from accounts.sign_in.links import Purpose
from cms_project.logs import JSONFormatter
from tests.accounts.authenticator import SoftAuthenticator
from tests.accounts.cast import BUILDER, PASSWORD, Api, Person, make_key, make_person, make_role
from tests.processes import LiveServer
from tests.security.world import routes

pytestmark = pytest.mark.django_db

LOGIN, CODE = "/admin/login/", "/admin/login/code/"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def ada() -> Person:
    return make_person("ada@example.com", roles=["administrator"], with_authenticator=True)


@pytest.fixture
def edith(ada: Person) -> Person:
    make_role("editor")
    return make_person("edith@example.com", roles=["editor"], with_authenticator=True)


def into_admin(person: Person) -> Client:
    browser = Client()
    browser.post(LOGIN, {"email": person.email, "password": PASSWORD})
    browser.post(CODE, {"code": person.code()})
    return browser


# --- F: tokens are claims, and the state is looked at --------------------------------------------------------------

CHANGES: dict[str, Callable[[Person, Person], object]] = {
    "switched off": lambda p, _: people.change_user(p.user, is_active=False, by=BUILDER),
    "another password": lambda p, _: people.set_password(p.user, "a wholly other phrase", by=p.principal),
    "another role": lambda p, _: people.change_user(p.user, roles=[], by=BUILDER),
    "another address": lambda p, _: people.change_user(p.user, email="other@example.com", by=BUILDER),
    "a new factor": lambda p, _: devices.make_recovery_codes(p.user, by=p.principal) and _enrol(p),
    "factors taken away": lambda p, ada: devices.remove_all(p.user, by=ada.principal),
}


def _enrol(person: Person) -> Authenticator | None:
    device = devices.new_authenticator(person.user)
    from tests.accounts.cast import totp_code

    return devices.confirm_authenticator(person.user, totp_code(device), by=person.principal)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_state_ends_what_was_handed_out_before(ada: Person, edith: Person, change: str) -> None:
    """F1, F2: access and refresh tokens, sessions of the admin, and links, at the next request."""
    api, browser = edith.sign_in(), into_admin(edith)
    link = links.make_token(edith.user, Purpose.RESET)
    assert api.get("auth/me").status_code == 200
    assert browser.get("/admin/account/").status_code == 200
    CHANGES[change](edith, ada)
    assert api.get("auth/me").status_code == 401
    assert api.post("auth/refresh", {"refresh": api.refresh}).status_code == 401
    assert browser.get("/admin/account/").status_code == 302
    assert Client().post("/admin/link/", {"token": link}).status_code == 404
    assert not Session.objects.live().filter(user=edith.user).exists()


def test_keys_follow_the_rights_of_their_owner_at_once(ada: Person, edith: Person) -> None:
    """F2, D1: switched off is a 401, a lost role is a lost right."""
    _, text = make_key(ada.user, areas=[Area.USERS])
    api = Api(Client(), text)
    assert api.get("manage/users").status_code == 200
    other = make_person("boss@example.com", roles=["administrator"], with_authenticator=True)
    people.change_user(ada.user, roles=[], by=other.principal)
    assert api.get("manage/users").status_code == 403
    people.change_user(ada.user, is_active=False, by=other.principal)
    assert api.get("manage/users").status_code == 401


def test_an_endless_credential_costs_nothing(anonymous_api: Api) -> None:
    """F11."""
    for text in ("Bearer " + "x" * 8186, "Bearer " + "x" * 60_000, "Bearer qk_" + "x" * 8000, "x" * 9000):
        started = time.perf_counter()
        answer = anonymous_api.get("auth/me", Authorization=text)
        assert answer.status_code in {401, 431}
        assert time.perf_counter() - started < 0.25


@pytest.fixture
def anonymous_api() -> Api:
    return Api(Client())


# --- G: the sign-in -----------------------------------------------------------------------------------------------


def test_a_mail_server_that_raises_changes_no_answer(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """G3: the mail is sent later, by the worker."""

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no mail today")

    monkeypatch.setattr(mail.EmailMessage, "send", broken)
    answers = [Client().post("/admin/forgotten/", {"email": who}) for who in (ada.email, "x@example.com")]
    assert [(answer.status_code, answer.content) for answer in answers] == [(303, b"")] * 2
    seal_pending()
    with pytest.raises(OSError):
        mails.send_due()


def test_addresses_are_compared_by_bytes() -> None:
    """G6, G7: the column has a collation of its own, whatever the database's is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.collname FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation"
            " WHERE a.attrelid = 'accounts_user'::regclass AND a.attname = 'email'"
        )
        assert cursor.fetchone() == ("C",)
    make_person("strasse@example.com")
    for alike in (
        "straße@example.com",
        "straſſe@example.com",
        "ｓtrasse@example.com",
        "strasse@exampl\u0435.com",
    ):
        answer = Api(Client()).post("auth/login", {"email": alike, "password": PASSWORD})
        assert answer.status_code == 401, alike


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Host": "testserver@evil.example"}, {"Host": "testserver:80:80"}, {"Host": "testserver, evil.example"},
])  # fmt: skip
def test_a_host_that_is_not_ours_is_refused(ada: Person, headers: dict[str, str]) -> None:
    """G10."""
    answer = Client(raise_request_exception=False).post(
        "/admin/forgotten/", {"email": ada.email}, headers=headers
    )
    assert answer.status_code == 400
    assert "evil" not in answer.content.decode()


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Forwarded", "X-Original-Host", "X-Host"])
def test_no_header_moves_the_address_of_a_link(ada: Person, name: str) -> None:
    """G8, G9, G10."""
    Client().post("/admin/forgotten/", {"email": ada.email}, headers={name: "host=evil.example"})
    seal_pending()
    mail.outbox = []
    mails.send_due()
    assert "evil" not in str(mail.outbox[0].body)
    assert "http://testserver/admin/link/#" in str(mail.outbox[0].body)


@pytest.mark.slow
def test_the_real_server_is_not_fooled_by_names_with_underscores(web_server: LiveServer) -> None:
    """G13, G14: nobody in front is trusted, so nothing in a header is an address."""
    import http.client

    for name in (
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded_For",
        "Forwarded",
        "X-Real-IP",
        "REMOTE_ADDR",
    ):
        link = http.client.HTTPConnection("127.0.0.1", web_server.port, timeout=10)
        link.putrequest("POST", "/api/v1/auth/login")
        body = b'{"email": "nobody@example.com", "password": "x"}'
        for header in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), (name, "203.0.113.9"), (name, "203.0.113.10")):  # fmt: skip
            link.putheader(*header)
        link.endheaders(body)
        assert link.getresponse().status == 401, name
        link.close()
    addresses = set(Event.objects.filter(type="sign-in.failed").values_list("address", flat=True))
    assert addresses == {"127.0.0.1"}


def test_between_the_steps_only_the_steps_are_open(ada: Person) -> None:
    """G15, G16: a session of the password alone reaches the second step and nothing else of the admin."""
    open_ones = {
        "admin/login/", "admin/login/code/", "admin/login/enrolment/", "admin/passkey/", "admin/logout/", "admin/forgotten/",
        "admin/forgotten/sent/", "admin/link/", "admin/new-password/", "admin/password-strength/",
    }  # fmt: skip
    seen = 0
    for route in routes("admin/"):
        if route.route in open_ones:
            continue
        browser = Client()
        browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
        path = "/" + re.sub(r"<(\w+):\w+>", lambda found: _value(found[1]), route.route)
        for method in ("get", "post"):
            answer = getattr(browser, method)(path)
            assert (answer.status_code, answer["Location"][: len(LOGIN)]) == (302, LOGIN), (method, path)
        seen += 1
    assert seen > 40


def _value(kind: str) -> str:
    return {"uuid": "0190aaaa-0000-7000-8000-000000000000", "int": "1"}.get(kind, "x")


def test_passwords_are_looked_at_in_one_place() -> None:
    """G20: a second look-up of a password is a way around factors and locks."""
    found = set()
    for room in ("accounts", "content", "previews", "webhooks", "cms_project"):
        for file in (ROOT / room).rglob("*.py"):
            if re.search(r"\.check_password\(|\bcheck_password\(", file.read_text()):
                found.add(str(file.relative_to(ROOT)))
    # The backend asks, the user's model answers; the steps of the sign-in call the backend.
    assert found == {
        "accounts/sign_in/backends.py", "accounts/models/user.py", "accounts/sign_in/steps.py", "accounts/pages/sign_in.py",
        "accounts/pages/step_up.py",
    }  # fmt: skip


# --- H: where one is led -----------------------------------------------------------------------------------------

ELSEWHERE = (
    "//evil.example", "/\\evil.example", "https:evil.example", "https:///evil.example", "\t//evil.example", "@evil.example",
    "%2f%2fevil.example", "https://testserver@evil.example", "https://xn--evl-ipa.example", "/admin/\r\nLocation: x",
    "data:text/html,x", "javascript:alert(1)", "http:evil.example", "///evil.example", "/admin//evil.example", "/admin/../../x",
)  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_step_leads_out_of_the_house(ada: Person, target: str) -> None:
    """H1: asked for at the first step, and followed at the last."""
    browser = Client()
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD, "next": target})
    assert browser.post(CODE, {"code": ada.code()})["Location"] == "/admin/"
    assert browser.get(LOGIN, {"next": target})["Location"] == "/admin/"


@pytest.mark.parametrize("path", ["//evil.example/x", "//evil.example/%2e%2e", "/\\evil.example", "//evil.example"])  # fmt: skip
def test_a_path_that_looks_like_a_host_is_no_redirect(path: str) -> None:
    """H2."""
    answer = Client(raise_request_exception=False).get(path)
    assert "evil" not in answer.headers.get("Location", "")


def test_every_page_keeps_its_opener_out_and_tells_no_referer(ada: Person) -> None:
    """H3, H4."""
    browser = into_admin(ada)
    outside = Client()
    pages = [
        *(outside.get(path) for path in (LOGIN, "/admin/forgotten/", "/admin/link/", "/nothing", "/admin/")),
        *(browser.get(path) for path in ("/admin/", "/admin/account/", "/admin/account/password/")),
    ]
    for page in pages:
        assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["X-Frame-Options"] == "DENY" or "frame-ancestors 'none'" in str(page.headers)


# --- Q: nothing secret is written down -----------------------------------------------------------------------------


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    formatter = JSONFormatter()
    caplog.set_level("DEBUG")
    return lambda: "\n".join(formatter.format(line) for line in caplog.records)


def test_a_day_of_signing_in_leaves_no_secret_behind(ada: Person, told: Callable[[], str]) -> None:
    """Q1, Q3: neither the log nor any table holds what would let somebody in; Celery is sent no arguments at all."""
    secrets: dict[str, str] = {
        "password": PASSWORD,
        "new password": "a wholly other phrase",
        "wrong": "a wrong phrase typed",
    }
    api = ada.sign_in()
    secrets |= {"access": api.credential, "refresh": api.refresh}
    secrets["refreshed"] = api.post("auth/refresh", {"refresh": api.refresh}).json()["refresh"]
    Api(Client()).post("auth/login", {"email": secrets["wrong"], "password": secrets["wrong"]})
    browser = into_admin(ada)
    secrets["session"] = browser.cookies["session-development"].value
    codes = devices.make_recovery_codes(ada.user, by=ada.principal)
    secrets |= {f"code {number}": code for number, code in enumerate(codes)}
    secrets |= {f"plain code {number}": code.replace("-", "") for number, code in enumerate(codes)}
    other = Client()
    other.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    other.post(CODE, {"code": codes[0]})
    key = SoftAuthenticator()
    options = browser.post("/admin/passkey/", {"for": "enrolment"}).json()
    browser.post("/admin/account/passkeys/new/", {"name": "x", "credential": key.create(options)})
    _, secrets["API key"] = make_key(ada.user)
    Api(Client(), secrets["API key"]).get("auth/me")
    assert ada.device is not None
    secrets["seed"] = Authenticator.objects.get().secret_base32
    secrets["link"] = links.make_token(ada.user, Purpose.RESET)
    other.post("/admin/link/", {"token": secrets["link"]})
    other.post(
        "/admin/new-password/", {"password": secrets["new password"], "repeated": secrets["new password"]}
    )
    seal_pending()
    mails.send_due()
    written = told()
    kept = dump()
    for name, secret in secrets.items():
        for text in {secret, secret.rpartition(".")[2], secret.rpartition("_")[2]}:
            if len(text) > 8:
                assert text not in written, f"{name} is in the log"
                assert text not in kept, f"{name} is in the database"


def dump() -> str:
    """Return every row of every table, Django's and the libraries' too."""
    rows: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows)


def test_a_copied_row_of_a_session_is_no_cookie(ada: Person) -> None:
    browser = into_admin(ada)
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_key FROM django_session")
        keys = [row[0] for row in cursor.fetchall()]
    assert browser.cookies["session-development"].value not in keys
    for key in keys:
        thief = Client()
        thief.cookies["session-development"] = key
        assert thief.get("/admin/account/").status_code == 302


@pytest.mark.parametrize("text", ["a\nb@example.com", "a\x1b[31m@example.com", "a\u2028@example.com", "a\x00@example.com", "a\r\n{}"])  # fmt: skip
def test_whatever_is_typed_stays_on_one_line_of_the_log(text: str, told: Callable[[], str]) -> None:
    """Q2."""
    client = Client(raise_request_exception=False)
    client.post(LOGIN, {"email": text, "password": "x"})
    client.post("/api/v1/auth/login", {"email": text, "password": "x"}, content_type="application/json")
    client.get("/admin/%0a%1b[31m/")
    client.get("/api/v1/%e2%80%a8/%00")
    written = told()
    assert "\x1b" not in written
    assert all(line.startswith("{") and line.endswith("}") for line in written.splitlines())
    assert not re.search("[\u2028\u2029\x00\x85]", written)


def test_sign_in_is_closed_while_nothing_can_be_counted(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Valkey nobody guesses for free, on any of the doors."""

    def gone(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(redis.Redis, "execute_command", gone)
    assert Api(Client()).post("auth/login", ada.login_body()).status_code == 503
    assert Api(Client()).post("auth/refresh", {"refresh": "x"}).status_code == 503
    for path, sent in ((LOGIN, {"email": ada.email, "password": PASSWORD}), ("/admin/forgotten/", {"email": ada.email}), ("/admin/link/", {"token": "x"}), ("/admin/passkey/", {"for": "sign-in"})):  # fmt: skip
        assert Client().post(path, sent).status_code == 503, path
