"""Who looks after webhooks in the admin, and what there is to look after."""

import pytest
from django.test import Client

from tests.accounts.cast import Person, make_person
from tests.content.admin.conftest import sign_in
from tests.webhooks.world import make_endpoint
from webhooks.models import Endpoint


@pytest.fixture
def person(_django_db_helper: None) -> Person:
    return make_person("ada@example.com", roles=["administrator"], with_authenticator=True)


@pytest.fixture
def ada(person: Person) -> Client:
    return sign_in(person)


@pytest.fixture
def endpoint(person: Person) -> Endpoint:
    return make_endpoint("https://www.example.com/hook", owner=person.user).endpoint
