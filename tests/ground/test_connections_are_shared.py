"""The pool of the web process: who waits in vain for a connection waits for all, and not for long."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections
from django.db.backends.postgresql import base
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from cms_project import bodies, problems
from cms_project.pooled import base as pooled


def test_a_refusal_comes_within_two_seconds_and_working_requests_find_a_connection() -> None:
    assert pooled.POOL["timeout"] < 2
    assert pooled.POOL["max_size"] >= 2 * bodies.MOST_WORKING
    assert problems.RETRY_SECONDS > pooled.REFUSED_SECONDS


@pytest.mark.parametrize("alias", ["default", "delivery", "owner"])
def test_a_server_that_is_gone_without_a_word_is_noticed(alias: str) -> None:
    given = connections[alias].get_connection_params()
    assert given["connect_timeout"] <= 5
    assert given["keepalives_idle"] + given["keepalives_count"] * given["keepalives_interval"] <= 11
    assert given["tcp_user_timeout"] <= 10_000  # milliseconds


def test_after_one_has_waited_in_vain_the_others_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []

    def waits(self: Any, _: Any) -> Any:
        waited.append(self.alias)
        raise PoolTimeout

    monkeypatch.setattr(base.DatabaseWrapper, "get_new_connection", waits)
    clock: Any = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(pooled, "time", clock)
    one, other = (pooled.DatabaseWrapper({}, alias=alias) for alias in ("one", "other"))
    for _ in range(5):
        with pytest.raises(OperationalError):
            one.get_new_connection({})
    assert waited == ["one"]
    with pytest.raises(PoolTimeout):
        other.get_new_connection({})  # what one role can't have, the other may
    clock.now = pooled.REFUSED_SECONDS
    monkeypatch.setattr(base.DatabaseWrapper, "get_new_connection", lambda *_: "a connection")
    assert one.get_new_connection({}) == "a connection"
