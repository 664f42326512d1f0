"""A wake-up that is too old is let be; but not by a worker whose own clock is wrong, or it would do nothing at all."""

from datetime import timedelta
from uuid import uuid4

import pytest
import time_machine
from celery.utils.imports import symbol_by_name
from django.db import OperationalError
from django.utils import timezone
from kombu import Message
from kombu.serialization import dumps

from cms_project.celery import app
from cms_project.wakeups import Request
from tests.webhooks.world import told
from webhooks import tasks
from webhooks.clock import SKEWED, watch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_looked_at", float("-inf"))


def wake_up() -> Message:
    """Return a wake-up of who sends, as the broker hands it over."""
    made = app.amqp.create_task_message(str(uuid4()), tasks.drain.name, expires=tasks.drain.expires)
    content_type, encoding, body = dumps(made.body, serializer="json")
    return Message(
        body=body,
        headers=made.headers,
        properties=made.properties,
        content_type=content_type,
        content_encoding=encoding,
        delivery_tag="1",
    )


def is_let_be(message: Message) -> bool:
    """Tell what a worker decides, by the class that it takes for tasks of ours."""
    kind = symbol_by_name(tasks.drain.Request)
    assert kind is Request
    return bool(kind(message, app=app, task=tasks.drain, on_ack=lambda *_: None).revoked())


def test_what_is_fresh_is_done_and_what_is_old_is_let_be() -> None:
    assert not is_let_be(wake_up())
    with time_machine.travel(timezone.now() - timedelta(minutes=10)):
        old = wake_up()
    assert is_let_be(old)
    assert told(SKEWED) == []


def test_a_worker_whose_clock_is_ahead_goes_on_and_tells() -> None:
    message = wake_up()
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=True):
        assert not is_let_be(message)
    assert len(told(SKEWED)) == 1


def test_without_a_database_the_clock_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> timedelta:
        raise OperationalError

    monkeypatch.setattr("webhooks.clock.skew", away)
    with time_machine.travel(timezone.now() - timedelta(minutes=10)):
        old = wake_up()
    assert is_let_be(old)
