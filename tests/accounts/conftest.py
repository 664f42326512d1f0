"""The cast of these tests, and clients that speak for them."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import LazySettings
from django.test import Client

from accounts.log import head_path
from tests.accounts.cast import Api, Person, make_person
from tests.arranged import arranged
from tests.plugin import NetworkBlockedError
from tests.plugin import _getaddrinfo as real_getaddrinfo

Somebody = Callable[..., Person]


@pytest.fixture(autouse=True)
def _own_data_dir(settings: LazySettings, tmp_path: Path) -> Iterator[None]:
    """Keep the head of the log of one test from the next one."""
    settings.DATA_DIR = tmp_path
    settings.RESOURCE_DIRECTORY = "tests.accounts.cast.FakeDirectory"
    yield
    assert head_path().parent == tmp_path


@pytest.fixture
def ada(_django_db_helper: None) -> Person:
    """Ada administers, with an authenticator."""
    return arranged(
        "ada", lambda: make_person("ada@example.com", roles=["administrator"], with_authenticator=True)
    )


@pytest.fixture
def rita(_django_db_helper: None) -> Person:
    """Rita is a person without any role."""
    return arranged("rita", lambda: make_person("rita@example.com"))


@pytest.fixture
def as_ada(ada: Person) -> Api:
    """The API, signed in as Ada."""
    return arranged("as_ada", ada.sign_in, on="ada")


@pytest.fixture
def as_rita(rita: Person) -> Api:
    """The API, signed in as Rita."""
    return arranged("as_rita", rita.sign_in, on="rita")


@pytest.fixture
def anonymous(_django_db_helper: None) -> Api:
    """The API without a credential."""
    return Api(Client())


@pytest.fixture
def no_valkey() -> Iterator[None]:
    """Make every command to Valkey fail, and let the reset after the test find it again."""

    def fail(*_: object, **__: object) -> None:
        raise redis.ConnectionError("gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis.Redis, "execute_command", fail)
        yield


@pytest.fixture
def browser(_django_db_helper: None) -> Client:
    """A browser that checks CSRF tokens."""
    return Client(enforce_csrf_checks=False)


@pytest.fixture
def production(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing of the development machine be an exception, and let numbers be resolved as the system does."""
    settings.ENVIRONMENT = replace(settings.ENVIRONMENT, name="production")
    monkeypatch.setattr(socket, "getaddrinfo", real_getaddrinfo)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Where sockets were asked to connect to; none is let."""
    asked: list[Any] = []

    def connect(self: socket.socket, address: Any) -> None:
        asked.append(address)
        raise NetworkBlockedError("A connection was made.")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return asked
