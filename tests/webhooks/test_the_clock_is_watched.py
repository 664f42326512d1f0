"""A sender whose clock is wrong signs what receivers refuse; that is told, and not all the time."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import Alert
from tests.webhooks.world import told, work
from webhooks.clock import SKEWED, Watch, skew, watch

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_has_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_looked_at", float("-inf"))


def test_a_right_clock_is_nothing_to_tell() -> None:
    work()
    assert told(SKEWED) == []
    assert abs(skew()) < timedelta(seconds=5)


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_that_is_ten_minutes_off_is_told_when_something_is_sent(minutes: int) -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=True):
        work()
    (detail,) = told(SKEWED)
    assert abs(int(detail["seconds"]) - minutes * 60) <= 5


def test_it_is_told_once_an_hour_whoever_looks() -> None:
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=True):
        Watch().look()
        Watch().look()
    assert len(told(SKEWED)) == 1
    with time_machine.travel(timezone.now() + timedelta(minutes=75), tick=True):
        Watch().look()
    assert len(told(SKEWED)) == 2


def test_a_process_looks_once_a_minute(django_assert_num_queries: object) -> None:
    mine = Watch()
    mine.look()
    with django_assert_num_queries(0):  # type: ignore[operator]
        mine.look()


def test_the_house_is_alerted() -> None:
    from accounts.alerting import reading
    from accounts.log import seal_pending

    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=True):
        Watch().look()
        seal_pending()
        reading.raise_due()
    assert [alert.rule for alert in Alert.objects.all()] == ["clock-skewed"]
