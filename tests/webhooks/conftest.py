"""A receiver for each test that wants one."""

from collections.abc import Iterator

import pytest

from tests.webhooks.world import Receiver
from webhooks import sending


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(autouse=True)
def nothing_seen_yet() -> None:
    """Forget which endpoints were slow in the test before."""
    sending.forget()
