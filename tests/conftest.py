"""Fixtures for every test: a database that really commits and is reset afterwards, and live processes."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.db import connections
from hypothesis import settings as hypothesis
from pytest_django.plugin import DjangoDbBlocker
from zxcvbn import zxcvbn

from accounts import limits
from accounts.keys import usage
from accounts.outages import outage
from accounts.sign_in import passwords
from accounts.valkey import circuit
from tests import processes
from tests.database import TestDatabase
from tests.plugin import forget_the_log

# No test is timed: whatever else the machine does would decide.
hypothesis.register_profile("untimed", deadline=None)
hypothesis.load_profile("untimed")


def remembering(estimate: Callable[..., Any]) -> Callable[..., Any]:
    """Return an estimator of passwords that asks once about each: it takes long, and everybody's here is the same."""
    known: dict[tuple[str, tuple[str, ...], int], Any] = {}

    def estimated(password: str, *, user_inputs: list[str], max_length: int) -> Any:
        asked = (password, tuple(user_inputs), max_length)
        if asked not in known:
            known[asked] = estimate(password, user_inputs=user_inputs, max_length=max_length)
        return known[asked]

    return estimated


passwords.zxcvbn = remembering(zxcvbn)  # type: ignore[attr-defined]  # where it is called by this name


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[TestDatabase]:
    """Clone the migrated template for this worker; takes the place of pytest-django's own."""
    name = str(settings.DATABASES["default"]["NAME"])
    database = TestDatabase(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"], name)
    database.create()
    database.reset()
    yield database
    with django_db_blocker.unblock():
        connections.close_all()
    database.close()


@pytest.fixture
def _django_db_helper(
    request: pytest.FixtureRequest,
    django_db_setup: TestDatabase,
    django_db_blocker: DjangoDbBlocker,
    valkey: None,
) -> Iterator[None]:
    """Unblock the database and reset it afterwards; nothing wraps the test, so its commits are commits."""
    with django_db_blocker.unblock():
        yield
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None and (
                connection.in_atomic_block or not connection.get_autocommit()
            ):
                connection.close()
        django_db_setup.reset()
        forget_the_log()  # or its head would speak of events that the next test does not have


@pytest.fixture
def valkey() -> Iterator[None]:
    """Flush this worker's Valkey databases, cache and queues, after the test."""
    yield
    circuit.close()  # what a test broke is whole again
    outage.is_on = False
    limits.forget_failures()
    usage.forget()
    for url in (settings.VALKEY_URL, settings.CELERY_BROKER_URL):
        processes.valkey_client(url).flushdb()
    cache.close()


@pytest.fixture
def outbox() -> list[Any]:
    """Return the mails that were sent."""
    mail.outbox = []
    return mail.outbox


@pytest.fixture(scope="session")
def web_process(django_db_setup: TestDatabase) -> Iterator[processes.LiveServer]:
    """Start the real web server on this worker's database, once for all of its tests."""
    with processes.LiveServer() as server:
        yield server


@pytest.fixture
def web_server(
    _django_db_helper: None, django_db_setup: TestDatabase, web_process: processes.LiveServer
) -> Iterator[processes.LiveServer]:
    """Give the running web server to a test; yields `.url`. The next one starts when it has come to rest."""
    yield web_process
    connections.close_all()
    django_db_setup.wait_until_idle()


@pytest.fixture
def celery_worker(_django_db_helper: None) -> Iterator[processes.CeleryWorker]:
    """Start a real Celery worker on this worker's database and queues; yields it with `.log()`."""
    with processes.CeleryWorker() as worker:
        yield worker


@pytest.fixture
def broken_valkey(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every command of the cache's client fail, as if Valkey were gone."""

    def fail(*_: Any, **__: Any) -> Any:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(redis.Redis, "execute_command", fail)
