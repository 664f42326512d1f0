"""The npm library of Standard Webhooks believes what we send, and nothing that was changed on the way."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import make_collection, make_entry
from tests.previews import node
from tests.previews.little_site import Asked
from tests.webhooks.world import FIELDS, ROOT, Receiver, make_endpoint, work
from webhooks import endpoints

pytestmark = pytest.mark.django_db

FOLDER = Path(__file__).parent / "verifier"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def verified(asked: Asked, secret: str, *, body: bytes | None = None) -> Any:
    """Return what the library makes of a request."""
    given = {
        "secret": secret,
        "body": base64.b64encode(asked.body if body is None else body).decode(),
        "headers": {name: value for name, value in asked.headers.items() if name.startswith("webhook-")},
    }
    return json.loads(node.run(FOLDER, "node", "verify.js", json.dumps(given)))


def test_it_verifies_what_is_sent_and_refuses_what_was_changed(receiver: Receiver) -> None:
    node.installed(FOLDER)
    make_collection("articles", FIELDS)
    made = make_endpoint(receiver.url, types=["entry.published"])
    make_entry("articles", title="Käse für Zoë")
    work()
    (asked,) = receiver.asked
    assert verified(asked, made.secret)["told"] == json.loads(asked.body)
    assert "refused" in verified(asked, made.secret, body=asked.body.replace(b"published", b"trashed"))


def test_during_a_rotation_it_verifies_by_either_secret(receiver: Receiver) -> None:
    node.installed(FOLDER)
    make_collection("articles", FIELDS)
    old = make_endpoint(receiver.url, types=["entry.published"])
    new = endpoints.rotate_secret(old.endpoint, by=ROOT)
    make_entry("articles")
    work()
    (asked,) = receiver.asked
    assert "told" in verified(asked, old.secret)
    assert "told" in verified(asked, new.secret)
    endpoints.retire_secret(old.endpoint, by=ROOT)
    make_entry("articles")
    work()
    after = receiver.asked[-1]
    assert "refused" in verified(after, old.secret)
    assert "told" in verified(after, new.secret)
