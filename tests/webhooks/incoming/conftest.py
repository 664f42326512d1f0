"""The world of these tests, made once a worker."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.arranged import arranged
from tests.webhooks.incoming.world import World, make_world
from webhooks.api import edge
from webhooks.incoming import quotas, receiving


@pytest.fixture
def world(_django_db_helper: None) -> Iterator[World]:
    """Articles, and the account that writes them."""
    quotas.forget()
    yield arranged("incoming", make_world)
    quotas.forget()


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test send hundreds of requests, each refusal written down; the quotas have tests of their own."""
    for name in ("ARRIVALS", "FAILURES", "OF_SOURCE"):
        monkeypatch.setattr(quotas, name, replace(getattr(quotas, name), quota=1_000_000, burst=None))
    monkeypatch.setattr(edge.ArrivalThrottle, "policy", quotas.ARRIVALS)
    for name in ("_STRANGERS", "_PROVEN"):
        monkeypatch.setattr(receiving, name, replace(getattr(receiving, name), quota=1_000_000, overall=None))
