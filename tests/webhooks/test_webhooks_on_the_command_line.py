"""`manage.py webhooks`: what ops see and do, and that it exits as it went."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.builders import ROOT, make_collection, make_entry
from tests.webhooks.world import FIELDS, Receiver, make_endpoint, states, work
from webhooks import endpoints
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def articles() -> None:
    make_collection("articles", FIELDS)


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("webhooks", *arguments, stdout=out)
    return out.getvalue()


def told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(command(*arguments, "--json").splitlines()[-1])
    return found


def test_status_tells_how_each_endpoint_stands(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    receiver.statuses = [500]
    make_entry("articles", title="Hello")
    work()
    found = told("status")
    row = found["endpoints"][0]
    assert (row["id"], row["name"], row["state"]) == (str(made.endpoint.pk), "Site", "active")
    assert (row["deliveries"]["delivered"], row["deliveries"]["waiting"]) == (1, 1)
    assert row["next_attempt_at"] is not None
    make_entry("articles", title="Not read yet")
    assert told("status")["unread_events"] >= 0
    assert "events of the log are not fanned out" in command("status")


def test_what_was_given_up_is_sent_once_more(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    make_entry("articles", title="Hello", published=False)
    work()
    Delivery.objects.update(state="exhausted")
    assert told("redeliver", "--endpoint", "Site", "--since", "1h") == {"asked": 1, "queued": 1}
    assert states() == ["waiting"]
    work()
    assert len(receiver.asked) == 2
    assert told("redeliver", str(Delivery.objects.get().pk)) == {"asked": 1, "queued": 1}
    assert "Nothing to send once more" in command("redeliver", "--endpoint", "Site")


def test_a_narrow_status_cuts_no_name(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    make_endpoint(receiver.url, name="Documentation")
    command("status")
    assert "…" not in capsys.readouterr().out


def test_what_can_t_be_sent_once_more_is_said_with_the_exit(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    make_entry("articles", title="Hello", published=False)
    work()
    endpoints.disable(made.endpoint, by=ROOT)
    with pytest.raises(CommandError, match="switched off"):
        command("redeliver", str(Delivery.objects.get().pk))
    for arguments, words in (
        (("redeliver",), "Name deliveries"),
        (("redeliver", "x"), "not the id"),
        (("redeliver", "--endpoint", "Nowhere"), "no webhook endpoint"),
        (("redeliver", "--endpoint", "Site", "--since", "noon"), "neither a time"),
        (("redeliver", "--endpoint", "Site", "--since", "2026-01-01T00:00:00"), "with its zone"),
        (("recover", "Site", "--since", "1h"), "not active"),
        (("recover", "Site", "--since", "40d"), "30 days"),
    ):
        with pytest.raises(CommandError, match=words):
            command(*arguments)


def test_an_endpoint_recovers_what_it_was_never_told(receiver: Receiver) -> None:
    make_entry("articles", title="Before")
    work()
    made = make_endpoint(receiver.url)
    assert told("recover", "Site", "--since", "10m")["endpoint"] == str(made.endpoint.pk)
    work()
    assert sorted(receiver.types) == ["entry.created", "entry.published"]
    assert Endpoint.objects.get().recovers_to is None
