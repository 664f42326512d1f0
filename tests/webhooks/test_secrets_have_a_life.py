"""Secrets of endpoints: encrypted, rotated while deliveries go on, erased at the end (threats W11, Q1, Q3)."""

import json
import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.access import system
from accounts.errors import ConflictError, InvalidInputError
from tests.builders import ROOT, make_collection, make_entry
from tests.webhooks.world import FIELDS, Receiver, make_endpoint, told, work
from webhooks import asking, endpoints, signing
from webhooks.models import Attempt, EndpointSecret
from webhooks.signing import Signer

pytestmark = pytest.mark.django_db


def keys(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_published_vector_is_signed_as_published() -> None:
    """Of the specification: the secret, the message and its signature (threats, 2.7)."""
    signer = Signer("v1", signing.secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    content = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    assert signer.sign(content) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_secrets_have_the_size_of_the_specification_and_differ(receiver: Receiver) -> None:
    made = [make_endpoint(receiver.url, name=f"Site {number}").secret for number in range(20)]
    assert len(set(made)) == 20
    assert {len(signing.secret_bytes(text)) for text in made} == {32}


def test_a_row_that_is_moved_to_another_endpoint_opens_nothing(receiver: Receiver) -> None:
    first = make_endpoint(receiver.url, name="First").endpoint
    second = make_endpoint(receiver.url, name="Second").endpoint
    stolen = first.secrets.get().private
    second.secrets.update(private=stolen)
    make_collection("articles", FIELDS)
    make_entry("articles", title="Hello", published=False)
    work()
    assert len(receiver.asked) == 1
    assert Attempt.objects.get(endpoint=second).error == "unsigned"


def test_during_the_overlap_the_old_and_the_new_secret_verify(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    new = endpoints.rotate_secret(made.endpoint, overlap=timedelta(hours=1), by=ROOT)
    asking.test(made.endpoint, by=ROOT)
    work()
    asked = receiver.asked[0]
    assert len(asked.headers["webhook-signature"].split()) == 2
    assert receiver.verify(asked, made.secret) == receiver.verify(asked, new.secret)


def test_after_the_overlap_the_old_one_fails_and_is_erased(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    new = endpoints.rotate_secret(made.endpoint, overlap=timedelta(hours=1), by=ROOT)
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        asking.test(made.endpoint, by=ROOT)
        work()
        assert receiver.verify(receiver.asked[0], new.secret)
        with pytest.raises(WebhookVerificationError):
            Webhook(made.secret).verify(receiver.asked[0].body, receiver.asked[0].headers)
        assert endpoints.end_overlaps(by=system("test")) == 1
    old = EndpointSecret.objects.get(state="retired")
    assert old.private == ""
    assert told("endpoint.secret-retired") == [{"name": "Site"}]


def test_an_overlap_that_runs_is_not_ended(receiver: Receiver) -> None:
    endpoint = make_endpoint(receiver.url).endpoint
    endpoints.rotate_secret(endpoint, overlap=timedelta(hours=1), by=ROOT)
    assert endpoints.end_overlaps(by=ROOT) == 0
    assert not endpoint.secrets.filter(private="").exists()


def test_without_an_overlap_the_old_one_is_over_at_once(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    endpoints.rotate_secret(made.endpoint, overlap=timedelta(0), by=ROOT)
    assert sorted(EndpointSecret.objects.values_list("state", flat=True)) == ["active", "retired"]


def test_a_second_rotation_ends_the_first_overlap(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    for _ in range(3):
        endpoints.rotate_secret(made.endpoint, by=ROOT)
    states = sorted(EndpointSecret.objects.values_list("state", flat=True))
    assert states == ["active", "retired", "retired", "retiring"]


@pytest.mark.parametrize("hours", [-1, 721])
def test_an_overlap_out_of_range_is_refused(receiver: Receiver, hours: int) -> None:
    made = make_endpoint(receiver.url)
    with pytest.raises(InvalidInputError) as caught:
        endpoints.rotate_secret(made.endpoint, overlap=timedelta(hours=hours), by=ROOT)
    assert caught.value.errors[0].pointer == "/overlap_hours"


def test_rotating_under_load_fails_no_verification(receiver: Receiver) -> None:
    """Receivers that hold the old or the new secret verify everything that is sent meanwhile (threat W11)."""
    make_collection("articles", FIELDS)
    made = make_endpoint(receiver.url)
    secrets = [made.secret]
    over = threading.Event()

    def write() -> None:
        try:
            for number in range(40):
                make_entry("articles", title=f"Entry {number}", published=False)
        finally:
            over.set()
            connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    while not over.is_set():
        work()
        if len(secrets) < 3:
            secrets.append(endpoints.rotate_secret(made.endpoint, by=ROOT).secret)
    thread.join()
    work()
    assert len(receiver.asked) == 40
    for asked in receiver.asked:
        assert any(_verifies(secret, asked) for secret in secrets[:-1])
    assert _verifies(secrets[-1], receiver.asked[-1])


def _verifies(secret: str, asked: Any) -> bool:
    try:
        Webhook(secret).verify(asked.body, asked.headers)
    except WebhookVerificationError:
        return False
    return True


def test_no_table_holds_a_secret_that_could_be_used(receiver: Receiver) -> None:
    made = make_endpoint(receiver.url)
    new = endpoints.rotate_secret(made.endpoint, by=ROOT)
    asking.test(made.endpoint, by=ROOT)
    work()
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        tables = [row[0] for row in cursor.fetchall()]
        for table in tables:
            cursor.execute(f"SELECT string_agg(t::text, E'\\n') FROM \"{table}\" t")
            dump = cursor.fetchone()[0] or ""
            for secret in (made.secret, new.secret):
                assert secret.removeprefix("whsec_") not in dump, table


def test_keys_lists_rotates_and_retires_them(receiver: Receiver) -> None:
    make_endpoint(receiver.url)
    listed = json.loads(keys("list", "--kind", "webhooks", "--json")[0].splitlines()[-1])
    assert [(row["name"], row["state"]) for row in listed["keys"]] == [("Site", "active")]
    assert "private" not in listed["keys"][0]
    out, err = keys("rotate", "Site", "--kind", "webhooks")
    assert out.strip().startswith("whsec_")
    assert "whsec_" not in err
    with pytest.raises(CommandError, match="--force"):
        keys("retire", "Site", "--kind", "webhooks")
    keys("retire", "Site", "--kind", "webhooks", "--force")
    with pytest.raises(CommandError, match="No former secret"):
        keys("retire", "Site", "--kind", "webhooks")
    with pytest.raises(CommandError, match="no webhook endpoint"):
        keys("rotate", "Nowhere", "--kind", "webhooks")
    with pytest.raises(CommandError, match="Name an endpoint"):
        keys("rotate", "webhooks")


def test_an_overlap_that_is_not_running_can_t_be_ended(receiver: Receiver) -> None:
    with pytest.raises(ConflictError):
        endpoints.retire_secret(make_endpoint(receiver.url).endpoint, by=ROOT)
