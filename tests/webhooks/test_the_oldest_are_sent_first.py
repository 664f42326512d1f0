"""Of many endpoints with queues the oldest deliveries go first, each endpoint within the room that it has."""

import random
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.builders import make_user
from tests.webhooks.world import deliveries, make_delivery, make_endpoint
from webhooks.leasing import Room, lease
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("most", [1, 2, 5, 64])
@pytest.mark.parametrize("seed", range(3))
def test_the_oldest_of_all_endpoints_go_first(seed: int, most: int) -> None:
    """Against a plain model, with more endpoints than are looked at for so few."""
    dice, now = random.Random(seed), timezone.now()
    owner = make_user(roles=("administrator",))
    rooms = {}
    for number in range(12):
        endpoint = make_endpoint("https://example.com/hook", name=f"Site {number}", owner=owner).endpoint
        rooms[endpoint.pk] = Room(dice.randint(0, 3), is_slow=False)
        for _ in range(dice.randint(0, 4)):
            at = now - timedelta(seconds=dice.uniform(-5, 60))
            make_delivery(endpoint, state="waiting", next_attempt_at=at, type="entry.published")
    wanted: list[Delivery] = []
    for delivery in sorted(deliveries(), key=lambda delivery: delivery.next_attempt_at or now):
        is_due = delivery.next_attempt_at is not None and delivery.next_attempt_at <= now
        mine = sum(other.endpoint_id == delivery.endpoint_id for other in wanted)
        if is_due and mine < rooms[delivery.endpoint_id].size:
            wanted.append(delivery)
    found = lease(most, now=now, rooms=rooms, other=1, slow=False)
    assert [delivery.pk for delivery in found] == [delivery.pk for delivery in wanted[:most]]
