"""From a change in the CMS to a receiver that believes it: once for each event and endpoint, signed, ids only."""

from collections.abc import Iterator

import pytest

from tests.builders import make_collection, make_entry
from tests.webhooks.world import FIELDS, Receiver, deliveries, make_endpoint, states, work

pytestmark = pytest.mark.django_db


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_a_published_entry_arrives_signed_and_without_content(receiver: Receiver) -> None:
    make_collection("articles", FIELDS)
    receiver.secret = make_endpoint(receiver.url).secret
    work()
    entry = make_entry("articles", title="CANARY")
    assert work() == 2
    created, published = sorted(receiver.verified(), key=lambda body: int(body["data"]["sequence"]))
    assert created["type"] == "entry.created"
    assert published["type"] == "entry.published"
    assert published["data"] == {
        "id": str(entry.pk),
        "collection": "articles",
        "locale": "en",
        "slug": "canary",
        "version": 1,
        "sequence": deliveries()[1].position,
        "environment": "development",
        "url": f"http://testserver/api/v1/content/articles/{entry.pk}?locale=en",
    }
    assert not any(b"CANARY" in asked.body for asked in receiver.asked)
    assert states() == ["delivered", "delivered"]
    assert work() == 0
