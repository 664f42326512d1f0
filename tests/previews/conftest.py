"""The world of these tests, made once a worker."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from accounts import limits
from previews import refusals
from previews.api import edge
from previews.signing.table import tables
from tests.arranged import arranged
from tests.previews.world import World, make_world


@pytest.fixture
def world(_django_db_helper: None) -> Iterator[World]:
    """Articles, a site, and Edith, who is signed in."""
    tables.forget()
    yield arranged("previews", make_world)
    tables.forget()


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test send hundreds of bad tokens, each of them written down; the quotas have tests of their own."""
    endless = replace(limits.FAILURES, quota=1_000_000)
    for name in ("READS", "WRITES", "FAILURES"):
        monkeypatch.setattr(limits, name, replace(endless, name=name.lower()))
    monkeypatch.setattr(
        edge.ExchangeThrottle, "policy", replace(edge.EXCHANGES, quota=1_000_000, overall=None)
    )
    monkeypatch.setattr(refusals, "_WRITTEN", replace(endless, name="written"))
