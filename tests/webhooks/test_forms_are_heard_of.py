"""A form that was sent is told to endpoints whose owner may read what was sent, by its id alone."""

import json

import pytest
from django.conf import settings

from accounts.models import User
from tests.builders import make_role, make_user
from tests.content.forms.world import GOOD, make_form, send
from tests.webhooks.world import Receiver, make_endpoint, states, work

pytestmark = pytest.mark.django_db


def owner(key: str, **policy: object) -> User:
    make_role(key, {"collection": "contact", "actions": ("read",), **policy})
    return make_user(roles=(key,))


def test_who_may_read_submissions_hears_of_them_and_of_nothing_in_them(receiver: Receiver) -> None:
    make_form()
    make_endpoint(receiver.url, owner=owner("reader", fields=("name",)), types=["form.submitted"])
    sent = send(GOOD).json()["id"]
    send(GOOD | {"homepage": "https://spam.example"})
    work()
    assert receiver.types == ["form.submitted"]
    body = receiver.asked[0].body
    data = json.loads(body)["data"]
    assert (data["id"], data["collection"]) == (sent, "contact")
    assert data["url"].endswith(f"/api/v1/manage/forms/contact/submissions/{sent}")
    assert data["environment"] == settings.ENVIRONMENT.name
    assert b"isitor" not in body


def test_who_may_not_read_them_does_not_hear_of_them(receiver: Receiver) -> None:
    make_form()
    make_role("wide", {"collection": "*", "actions": ("read", "read_draft")})
    for number, user in enumerate((owner("all_fields"), make_user(roles=("wide",)), make_user())):
        make_endpoint(receiver.url, name=f"E{number}", owner=user, types=["form.submitted"])
    send(GOOD)
    assert work() == 0
    assert states() == ["withheld"] * 3
