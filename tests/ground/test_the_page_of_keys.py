"""The page *Keys and secrets*: the life of keys by ids and counts, for who administers operations, and never a key."""

import base64
from dataclasses import replace

import pytest
from django.conf import LazySettings
from django.core import mail
from django.db import transaction
from django.test import Client

from accounts.access import Area, system
from accounts.keys.secret_key_kind import fingerprint
from accounts.log import Subject
from accounts.models import RingKey
from accounts.ring import note_active
from accounts.sign_in import mails
from accounts.sign_in.mails import Mail
from cms_project.environment import Name
from tests.accounts.cast import PASSWORD, make_person, make_role

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def signed_in(*roles: str) -> Client:
    person = make_person(f"{'-'.join(roles)}@example.com", roles=roles, with_authenticator=True)
    browser = Client()
    browser.post("/admin/login/", {"email": person.email, "password": PASSWORD})
    assert browser.post("/admin/login/code/", {"code": person.code()}).status_code == 303
    return browser


def test_it_shows_lives_and_counts_and_no_key(settings: LazySettings) -> None:
    note_active(by=system("start"))
    browser = signed_in("administrator")
    page = browser.get("/admin/keys/")
    assert page.status_code == 200
    text = page.content.decode()
    assert "<code>k1</code>" in text
    assert "1 value encrypted with it" in text
    assert "accounts_authenticator.secret" in text
    assert fingerprint(settings.SECRET_KEY) in text
    assert "no-store" in page.headers["Cache-Control"]
    for secret in (settings.SECRET_KEY, base64.b64encode(dict(settings.KEY_RING)["k1"]).decode()):
        assert secret not in text
    assert "/admin/keys/" in browser.get("/admin/").content.decode()


def test_a_key_that_is_missing_is_said_aloud(settings: LazySettings) -> None:
    note_active(by=system("start"))
    browser = signed_in("administrator")
    RingKey.objects.create(pk="k0", state="retiring")
    text = browser.get("/admin/keys/").content.decode()
    assert 'role="alert"' in text
    assert "Missing" in text


def test_nobody_else_sees_it() -> None:
    make_role("auditor", areas=[Area.AUDIT])
    auditor = signed_in("auditor")
    assert auditor.get("/admin/").status_code == 200
    assert auditor.get("/admin/keys/").status_code == 403
    assert "/admin/keys/" not in auditor.get("/admin/").content.decode()
    assert Client().get("/admin/keys/").status_code == 302


def test_the_subject_of_a_mail_names_the_environment(settings: LazySettings) -> None:
    rita = make_person("rita@example.com").user
    names: tuple[tuple[Name, str], ...] = (
        ("staging", "[staging] Hello"),
        ("production", "Hello"),
        ("development", "[development] Hello"),
    )
    for name, subject in names:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name=name)
        mail.outbox = []
        sent = Mail("Hello", "accounts/mails/reset.txt", {"url": "x"})
        with transaction.atomic():
            mails.deliver(sent, rita.email, "Rita", about="test", subject=Subject("user", str(rita.pk)))
        assert mail.outbox[0].subject == subject
