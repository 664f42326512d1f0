"""A short part of `make faults`: workers killed, the broker stopped and wiped, PostgreSQL restarted, and nothing lost.

Real processes on servers of their own, so that the servers of other tests are left alone.
"""

from collections.abc import Iterator

import pytest

from bench import faults
from bench.fault_rows.base import ROWS, Row, Size
from bench.house import House, Scene

SHORT = Size(
    events=12, endpoints=2, kills=2, outage=1.0, restarts=2, publishes=8, pause=0.3, skips_leases=True
)
BY_CODE = {row.code: row for row in ROWS}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House() as house:
        yield house


@pytest.mark.parametrize(
    "row", [BY_CODE[code] for code in ("W2", "W3", "BR1", "DB1")], ids=lambda row: row.code
)
def test_nothing_is_lost(row: Row, house: House) -> None:
    assert row.act is not None
    with Scene(house, row.code) as scene:
        counts = row.act(scene, SHORT)
        logs = {name: scene.log_of(name)[-2000:] for name in scene.processes}
    assert counts.problems == [], (counts, logs)
    assert counts.sent == counts.received > 0
    assert counts.lost == 0


def test_every_row_says_what_it_does_or_why_it_is_not_there() -> None:
    assert faults.SECTIONS  # they fill the table
    assert len(BY_CODE) == len(ROWS)
    assert all((row.act is None) == bool(row.why_not) for row in ROWS)
