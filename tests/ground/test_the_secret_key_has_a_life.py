"""Django's SECRET_KEY is rotated with nobody signed out, and what still needs the former one is counted."""

import json
import secrets
from io import StringIO

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.keys.secret_key_kind import fingerprint, live_sessions
from tests.accounts.cast import PASSWORD, Person, make_person

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def keys(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def signed_in() -> Client:
    person: Person = make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    browser = Client()
    browser.post("/admin/login/", {"email": person.email, "password": PASSWORD})
    assert browser.post("/admin/login/code/", {"code": person.code()}).status_code == 303
    assert browser.get("/admin/").status_code == 200
    return browser


def put(settings: LazySettings, key: str, *fallbacks: str) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = key, list(fallbacks)


def test_a_session_outlives_a_rotation_and_moves_to_the_new_key(settings: LazySettings) -> None:
    browser, old, new = signed_in(), settings.SECRET_KEY, secrets.token_urlsafe(64)
    assert live_sessions() == {fingerprint(old): 1}
    put(settings, new, old)
    assert live_sessions() == {fingerprint(new): 0, fingerprint(old): 1}
    with pytest.raises(CommandError, match="Not yet: 1 live session of the admin would be signed out"):
        keys("retire", f"secret-key:{fingerprint(old)}")
    assert browser.get("/admin/").status_code == 200
    assert live_sessions() == {fingerprint(new): 1, fingerprint(old): 0}
    assert "take it out of SECRET_KEY_FALLBACKS" in keys("retire", f"secret-key:{fingerprint(old)}")[0]
    put(settings, new)
    assert browser.get("/admin/").status_code == 200


def test_without_the_former_key_its_sessions_are_over(settings: LazySettings) -> None:
    browser = signed_in()
    put(settings, secrets.token_urlsafe(64))
    assert browser.get("/admin/").status_code == 302


def test_a_new_key_is_printed_alone_and_nothing_changes(settings: LazySettings) -> None:
    old = settings.SECRET_KEY
    out, err = keys("rotate", "secret-key")
    assert len(out.strip()) >= 64
    assert out.strip() not in err
    assert "Put the present key first into SECRET_KEY_FALLBACKS, this one into SECRET_KEY, and restart" in err
    assert old == settings.SECRET_KEY
    assert old not in out + err


def test_keys_are_shown_by_fingerprint(settings: LazySettings) -> None:
    put(settings, secrets.token_urlsafe(64), settings.SECRET_KEY)
    out, _ = keys("list", "--kind", "secret-key")
    told = json.loads(keys("list", "--kind", "secret-key", "--json")[0])
    assert [(row["name"], row["state"], len(row["id"])) for row in told["keys"]] == [
        ("SECRET_KEY", "active", 8),
        ("fallback 1", "retiring", 8),
    ]
    for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        assert key not in out


@pytest.mark.parametrize("name", ["secret-key:00000000", "secret-key"])
def test_what_is_no_key_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match="There is no such key"):
        keys("retire", name)


def test_the_present_key_is_not_retired(settings: LazySettings) -> None:
    with pytest.raises(CommandError, match="This is the present key"):
        keys("retire", f"secret-key:{fingerprint(settings.SECRET_KEY)}")
