"""From where an API key is used is learned for a week; after that a new country or network is an event."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.alerting.reading import raise_due
from accounts.keys import whereabouts
from accounts.keys.whereabouts import LEARNING, MOST_NETWORKS, NEW_PLACE, network_of
from accounts.log import seal_pending
from accounts.models import Alert, ApiKey, Event, KeyPlace
from accounts.valkey import valkey
from tests.accounts.cast import Api, Person, make_key

pytestmark = pytest.mark.django_db(transaction=True)

GERMANY, NEXT_DOOR, ELSEWHERE, JAPAN = "185.220.101.1", "185.220.101.77", "81.169.145.1", "133.11.0.1"


@pytest.fixture
def key(ada: Person) -> tuple[ApiKey, str]:
    whereabouts._noted.clear()
    return make_key(ada.user)


def use(key: tuple[ApiKey, str], *addresses: str) -> list[Event]:
    for address in addresses:
        assert Api(Client(REMOTE_ADDR=address), key[1]).get("auth/me").status_code == 200
    whereabouts.flush()
    return list(Event.objects.filter(type=NEW_PLACE).order_by("at"))


def test_what_a_key_does_in_its_first_week_is_learned(key: tuple[ApiKey, str]) -> None:
    assert use(key, GERMANY, JAPAN, "10.0.0.1", "192.168.7.7") == []
    places = KeyPlace.objects.order_by("network").values_list("network", "country")
    assert list(places) == [("133.11.0.0/24", "JP"), ("185.220.101.0/24", "DE"), ("private", "")]


def test_after_it_a_new_country_is_a_warning_and_a_new_network_a_notice(key: tuple[ApiKey, str]) -> None:
    use(key, GERMANY)
    with time_machine.travel(timezone.now() + LEARNING + timedelta(hours=1), tick=True):
        whereabouts._noted.clear()
        assert use(key, GERMANY, NEXT_DOOR) == []
        (event,) = use(key, ELSEWHERE)
        assert (event.detail["network"], event.detail["new_country"]) == ("81.169.145.0/24", False)
        _, event = use(key, JAPAN)
        assert (event.detail["country"], event.detail["new_country"]) == ("JP", True)
        assert (event.subject_id, event.address) == (str(key[0].pk), JAPAN)
        assert key[1] not in str(event.detail)
        whereabouts._noted.clear()
        assert len(use(key, JAPAN)) == 2  # it is known now
        seal_pending()
        raise_due()
        (alert,) = Alert.objects.filter(rule="key-elsewhere")
        assert (alert.count, alert.severity) == (2, 2)
        assert "A key was used from 133.11.0.0/24 (JP)" in alert.sentence


def test_of_a_key_that_moves_about_only_countries_are_told(key: tuple[ApiKey, str]) -> None:
    now = timezone.now() - LEARNING - timedelta(days=1)
    for number in range(MOST_NETWORKS):
        KeyPlace.objects.create(
            key=key[0], network=f"185.{number}.0.0/24", country="DE", first_at=now, last_at=now
        )
    assert use(key, GERMANY) == []
    assert len(use(key, JAPAN)) == 1


def test_notes_that_a_killed_worker_held_are_written_by_the_next(key: tuple[ApiKey, str]) -> None:
    Api(Client(REMOTE_ADDR=GERMANY), key[1]).get("auth/me")
    valkey().rename(whereabouts._NOTES, whereabouts._WORKING)
    whereabouts.flush()
    assert KeyPlace.objects.count() == 1
    assert not valkey().exists(whereabouts._WORKING)
    assert whereabouts.flush() == 0


def test_a_busy_key_costs_one_note_and_nothing_without_valkey(key: tuple[ApiKey, str]) -> None:
    for _ in range(3):
        whereabouts.note(key[0].public_id, GERMANY)
    assert valkey().hlen(whereabouts._NOTES) == 1
    whereabouts.note(key[0].public_id, "nonsense")
    whereabouts.note("gone", JAPAN)
    assert whereabouts.flush() == 2
    assert KeyPlace.objects.count() == 1


def test_valkey_that_is_gone_breaks_nothing(key: tuple[ApiKey, str], no_valkey: None) -> None:
    whereabouts.note(key[0].public_id, GERMANY)
    assert (key[0].public_id, "185.220.101.0/24") not in whereabouts._noted


def test_networks_are_what_one_owner_holds() -> None:
    assert network_of("2a00:1450:4001:81b::1") == "2a00:1450:4001::/48"
    assert network_of("::1") == network_of("10.1.2.3") == "private"
    assert network_of("x") == ""
