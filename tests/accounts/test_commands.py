"""The commands of accounts."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Authenticator, Event, User
from tests.accounts.cast import Api, totp_code

pytestmark = pytest.mark.usefixtures("_django_db_helper")


def test_createadmin_makes_somebody_who_can_sign_in(anonymous: Api) -> None:
    out = StringIO()
    call_command("createadmin", "Root@Example.com", "--generate-password", "--totp", "--json", stdout=out)
    made = json.loads(out.getvalue().splitlines()[-1])
    device = Authenticator.objects.get()
    assert device.secret_base32 == made["totp_secret"]
    body = {"email": made["email"], "password": made["password"], "otp": totp_code(device)}
    answer = anonymous.post("auth/login", body)
    assert answer.status_code == 200
    assert Api(anonymous.client, answer.json()["access"]).get("manage/users").status_code == 200
    assert Event.objects.filter(type="user.created", actor_kind="system").count() == 1
    assert made["password"] not in str(list(Event.objects.values()))


def test_createadmin_says_what_is_wrong() -> None:
    call_command("createadmin", "root@example.com", "--generate-password", stdout=StringIO())
    for email in ("root@example.com", "no address"):
        with pytest.raises(CommandError):
            call_command("createadmin", email, "--generate-password", stdout=StringIO())
    assert User.objects.count() == 1


def test_there_is_no_way_to_make_a_superuser() -> None:
    with pytest.raises((CommandError, AttributeError)):
        call_command("createsuperuser", "--noinput", email="root@example.com")
    call_command("createadmin", "root@example.com", "--generate-password", stdout=StringIO())
    user = User.objects.get()
    assert user.is_superuser is False
    with pytest.raises(AttributeError):
        user.is_superuser = True  # type: ignore[misc]
