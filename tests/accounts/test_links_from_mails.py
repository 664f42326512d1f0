"""Invitations and forgotten passwords: mails over real SMTP, links that work once, and answers that tell nothing."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from accounts import people
from accounts.errors import NotFoundError
from accounts.log import seal_pending
from accounts.models import Event, User
from accounts.sign_in import devices, links, lockout, mails
from accounts.sign_in.links import Purpose
from tests.accounts.cast import BUILDER, PASSWORD, Api, Person, make_person
from tests.accounts.smtp import MailServer

FORGOTTEN, LINK, NEW, LOGIN = "/admin/forgotten/", "/admin/link/", "/admin/new-password/", "/admin/login/"
OTHER = "a wholly other phrase"


@pytest.fixture
def server(_django_db_helper: None, settings: LazySettings) -> Iterator[MailServer]:
    with MailServer() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        yield server


def send() -> int:
    seal_pending()
    return mails.send_due()


def link_in(mail: Any) -> str:
    (address,) = re.findall(r"http://testserver/admin/link/#(\S+)", mail.get_payload(decode=True).decode())
    return str(address)


def choose(browser: Client, token: str, password: str = OTHER) -> Any:
    opened = browser.post(LINK, {"token": token})
    if opened.status_code != 303:
        return opened
    return browser.post(NEW, {"password": password, "repeated": password})


def test_an_invited_person_chooses_a_password_once(server: MailServer) -> None:
    edith = people.add_person("edith@example.com", name="Edith", by=BUILDER)
    assert mails.send_due() == 0  # not sealed yet
    assert send() == 1
    assert send() == 0
    (mail,) = server.mails
    assert (mail["To"], mail["From"]) == ("edith@example.com", "Quillkeep <noreply@testserver>")
    token = link_in(mail)
    browser = Client()
    assert browser.get(LINK).status_code == 200
    assert browser.post(LINK, {"token": token})["Location"] == NEW
    assert "Welcome, Edith" in browser.get(NEW).content.decode()
    assert browser.post(NEW, {"password": "short", "repeated": "short"}).status_code == 400
    assert browser.post(NEW, {"password": OTHER, "repeated": OTHER + "x"}).status_code == 400
    assert not User.objects.get(pk=edith.pk).has_usable_password()
    assert "is kept" not in browser.get(LOGIN).content.decode()
    assert browser.post(NEW, {"password": OTHER, "repeated": OTHER})["Location"] == LOGIN
    assert "Your password is kept. Sign in with it." in browser.get(LOGIN).content.decode()
    assert User.objects.get(pk=edith.pk).check_password(OTHER)
    assert choose(Client(), token).status_code == 404
    assert browser.get("/admin/").status_code == 302  # a link lets nobody in


def test_a_forgotten_password_is_replaced_and_everything_else_ends(rita: Person, server: MailServer) -> None:
    api = rita.sign_in()
    for _ in range(10):
        api.post("auth/login", {"email": rita.email, "password": "wrong"})
    assert Api(Client()).post("auth/login", rita.login_body()).status_code == 401
    assert Client().post(FORGOTTEN, {"email": rita.email.upper()}).status_code == 303
    send()
    (mail,) = server.mails
    assert mail["To"] == rita.email  # the kept spelling, not the typed one
    assert choose(Client(), link_in(mail)).status_code == 303
    assert api.get("auth/me").status_code == 401
    answer = Api(Client()).post("auth/login", {"email": rita.email, "password": OTHER})
    assert answer.status_code == 200  # the lock is lifted too
    assert Event.objects.filter(type=lockout.LIFTED).exists()
    send()
    assert "password of your account was changed" in server.mails[-1].get_payload(decode=True).decode()  # type: ignore[union-attr]


def test_another_address_is_told_to_the_former_one_too(ada: Person, rita: Person, server: MailServer) -> None:
    """Whoever takes an account over changes the address first, and would get every notice from then on."""
    for email in ("new@example.com", "newer@example.com"):  # the second one before anything was sent
        people.change_user(User.objects.get(pk=rita.user.pk), email=email, by=BUILDER)
    people.change_user(User.objects.get(pk=rita.user.pk), name="Rita R.", by=BUILDER)
    assert send() == 3
    assert [mail["To"] for mail in server.mails] == ["newer@example.com", rita.email, "newer@example.com"]
    for mail in server.mails:
        text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
        assert "e-mail address of your account was changed" in text
        assert "newer@" not in text  # the former mailbox may be somebody else's by now
    assert User.objects.get(pk=rita.user.pk).former_email == ""
    assert send() == 0


def test_the_mail_alone_does_not_let_in_who_has_a_second_factor(ada: Person, server: MailServer) -> None:
    Client().post(FORGOTTEN, {"email": ada.email})
    send()
    browser = Client()
    assert choose(browser, link_in(server.mails[-1])).status_code == 303
    answer = browser.post(LOGIN, {"email": ada.email, "password": OTHER})
    assert answer["Location"] == "/admin/login/code/"
    assert devices.has_factor(ada.user)


def test_asking_tells_nothing_of_who_has_an_account(rita: Person, server: MailServer) -> None:
    off = make_person("off@example.com", is_active=False)
    service = people.add_service("Robot", by=BUILDER)
    answers = []
    own = {"X-Request-ID", "Expires"}  # of each request, and of the second that it came in
    for email in (rita.email, off.email, service.email, "nobody@example.com", "ríta@example.com", "x", "ß@ß"):
        before = Event.objects.count()
        answer = Client().post(FORGOTTEN, {"email": email})
        headers = {name: value for name, value in answer.headers.items() if name not in own}
        answers.append((answer.status_code, answer.content, headers, Event.objects.count() - before))
    for told in answers:
        assert told == answers[0]
    send()
    assert [mail["To"] for mail in server.mails] == [rita.email]


@pytest.mark.parametrize("name", ["url", "redirect", "next", "host"])
def test_nothing_that_is_sent_along_gets_into_the_mail(rita: Person, server: MailServer, name: str) -> None:
    Client().post(
        f"{FORGOTTEN}", {"email": rita.email, name: "https://evil.example"}, headers={"Host": "testserver"}
    )
    send()
    text = server.mails[0].get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert "evil" not in text
    assert len(re.findall(r"https?://", text)) == 1


def test_a_link_is_bound_to_its_person_its_purpose_and_their_state(rita: Person, ada: Person) -> None:
    token = links.make_token(rita.user, Purpose.RESET)
    assert links.read(token) == (rita.user, Purpose.RESET)
    parts = token.split(".")
    for number, other in (
        (0, "invitation"),
        (1, "nowhere"),
        (2, ada.user.pk.hex),
        (3, str(int(parts[3]) + 1)),
        (4, "k2"),
        (5, "A" * 43),
    ):
        forged = ".".join([*parts[:number], other, *parts[number + 1 :]])
        with pytest.raises(NotFoundError):
            links.read(forged)
    for text in ("", "x", token + "x", token[:-1], token.upper(), "." * 4, "\x00", token.replace(".", " ")):
        with pytest.raises(NotFoundError):
            links.read(text)
    people.change_user(rita.user, email="rita2@example.com", by=BUILDER)
    with pytest.raises(NotFoundError):
        links.read(token)


def test_a_link_grows_old(rita: Person) -> None:
    reset = links.make_token(rita.user, Purpose.RESET)
    invitation = links.make_token(rita.user, Purpose.INVITATION)
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert choose(Client(), reset).status_code == 404
        assert links.read(invitation)
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        assert choose(Client(), invitation).status_code == 404


def test_a_new_link_does_not_open_while_somebody_is_switched_off(ada: Person, rita: Person) -> None:
    token = links.make_token(rita.user, Purpose.RESET)
    people.change_user(rita.user, is_active=False, by=BUILDER)
    assert choose(Client(), token).status_code == 404


def test_a_whole_address_can_be_pasted(rita: Person) -> None:
    address = links.make_address(rita.user, Purpose.RESET)
    assert "?" not in address
    assert choose(Client(), f"  {address} ").status_code == 303


def test_the_secret_is_in_no_url_and_no_log(rita: Person, caplog: pytest.LogCaptureFixture) -> None:
    token = links.make_token(rita.user, Purpose.RESET)
    with caplog.at_level("DEBUG"):
        browser = Client()
        opened = browser.post(LINK, {"token": token})
        assert token not in opened["Location"]
        page = browser.get(NEW)
        assert token not in page.content.decode()
        browser.post(NEW, {"password": OTHER, "repeated": OTHER})
    assert token.rpartition(".")[2] not in caplog.text
    assert token.rpartition(".")[2] not in str(list(Event.objects.values()))


def test_nobody_fills_somebody_else_s_mailbox(rita: Person, server: MailServer) -> None:
    for number in range(6):
        Client(REMOTE_ADDR=f"192.0.2.{number}").post(FORGOTTEN, {"email": rita.email})
    send()
    assert len(server.mails) == 3


def test_a_mail_server_that_is_down_delays_mails_and_loses_none(rita: Person, settings: LazySettings) -> None:
    with MailServer() as gone:
        port = gone.port
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
    Client().post(FORGOTTEN, {"email": rita.email})
    with pytest.raises(OSError):
        send()
    with MailServer() as server:
        settings.EMAIL_PORT = server.port
        assert send() == 1
        assert server.mails[0]["To"] == rita.email


def test_a_mail_that_is_refused_does_not_hold_up_the_others(
    rita: Person, ada: Person, server: MailServer
) -> None:
    send()
    server.mails.clear()
    server.refused.add(rita.email)
    for person in (rita, ada):
        Client().post(FORGOTTEN, {"email": person.email})
    assert send() == 1
    assert [mail["To"] for mail in server.mails] == [ada.email]
    assert Event.objects.get(type=mails.REFUSED).subject_id == str(rita.user.pk)


def test_people_hear_of_every_change_of_how_they_sign_in(ada: Person, server: MailServer) -> None:
    boss = make_person("boss@example.com", roles=["administrator"], with_authenticator=True)
    devices.make_recovery_codes(ada.user, by=ada.principal)
    people.set_password(ada.user, OTHER, by=ada.principal)
    devices.remove_all(ada.user, by=boss.principal)
    send()
    told = [m.get_payload(decode=True).decode() for m in server.mails if m["To"] == ada.email]  # type: ignore[union-attr]
    for words in ("recovery codes were made", "password of your account was changed", "Every second factor was removed"):  # fmt: skip
        assert any(words in text for text in told), words
    assert not any("http" in text for text in told)  # a notice asks nobody to click


def test_mails_can_not_be_forged_by_names(server: MailServer) -> None:
    people.add_person(
        "edith@example.com", name="Edith\r\nBcc: all@example.com https://evil.example", by=BUILDER
    )
    send()
    (mail,) = server.mails
    assert mail["Bcc"] is None
    assert mail["To"] == "edith@example.com"


def test_an_open_session_is_not_taken_over_by_a_link(ada: Person, rita: Person) -> None:
    """A link for one account in the browser of another (CVE-2026-35407): the other one's session is over first."""
    browser = Client()
    browser.post(LOGIN, {"email": ada.email, "password": PASSWORD})
    browser.post("/admin/login/code/", {"code": ada.code()})
    assert choose(browser, links.make_token(rita.user, Purpose.RESET)).status_code == 303
    assert browser.get("/admin/").status_code == 302
    assert User.objects.get(pk=ada.user.pk).check_password(PASSWORD)
    assert User.objects.get(pk=rita.user.pk).check_password(OTHER)


def test_only_who_chooses_a_password_is_told_how_good_it_is(rita: Person) -> None:
    browser = Client()
    assert browser.post("/admin/password-strength/", {"password": "x"}).status_code == 400
    browser.post(LINK, {"token": links.make_token(rita.user, Purpose.RESET)})
    told = browser.post("/admin/password-strength/", {"password": "rita@example.com"}).json()
    assert (told["score"], told["length"], told["least"]) == (0, 16, 15)
    assert (
        browser.post("/admin/password-strength/", {"password": "wandering teapots glow"}).json()["score"] >= 3
    )
    assert browser.get("/admin/password-strength/").status_code == 405


def test_without_a_link_there_is_nothing_to_choose(browser: Client) -> None:
    assert browser.get(NEW)["Location"] == LOGIN
    assert browser.post(NEW, {"password": OTHER, "repeated": OTHER})["Location"] == LOGIN
    assert browser.post(LINK, {"token": ""}).status_code == 404
