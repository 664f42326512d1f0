"""A key of the ring is rotated, what it encrypts moves to the new one, and then it is retired: nothing is ever lost."""

import base64
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction

from accounts import encrypted, ring
from accounts.access import system
from accounts.audit import verifying
from accounts.keyring import key_ring
from accounts.log import seal_pending
from accounts.models import Authenticator, Event, RingKey
from accounts.sign_in import links, tokens
from accounts.sign_in.links import Purpose
from accounts.tasks import move_to_active_key
from cms_project import lockdown, standing
from previews.models import SigningKey
from previews.signing import halves
from tests.accounts.cast import BUILDER, Person, make_person
from tests.builders import make_collection, make_entry
from tests.content.forms.world import GOOD, make_form, send
from tests.database import ROOT
from tests.previews.world import make_site
from tests.webhooks.world import make_endpoint
from webhooks import signing
from webhooks.models import EndpointSecret, Receipt, Source
from webhooks.models.source import Scheme, SourceSecret

pytestmark = pytest.mark.usefixtures("_django_db_helper")

NEW = base64.b64encode(hashlib.sha256(b"a new key of a test").digest())


@pytest.fixture
def rotate(settings: LazySettings):
    """Return what puts another ring into this process, by names of keys; `k1` is the one of the run."""
    first = dict(settings.KEY_RING)
    keys = {name: hashlib.sha256(name.encode()).digest() for name in ("k2", "k3")} | first

    def put(*names: str, **other: bytes) -> None:
        settings.KEY_RING = tuple((name, {**keys, **other}[name]) for name in names)
        key_ring.cache_clear()
        ring.note_active(by=system("start"))

    put("k1")
    yield put
    key_ring.cache_clear()


def fill() -> Person:
    """Write a value into every encrypted column."""
    rita = make_person("rita@example.com", roles=[], with_authenticator=True)
    make_site(urls={})
    endpoint = make_endpoint("https://receiver.example/hook").endpoint
    assert endpoint.secrets.count() == 1
    source = Source.objects.create(key="shop", scheme=Scheme.STANDARD, action={"do": "record"})
    secret = SourceSecret(source=source, state=SourceSecret.State.ACTIVE)
    secret.secret = key_ring().encrypt(b"whsec_" + b"A" * 40, context=secret.context)
    secret.save()
    for number in range(60):
        receipt = Receipt(source=source, message_id=str(number), sha256="0" * 64, size=9, is_dated=True)
        receipt.body = key_ring().encrypt(b"body %d" % number, context=receipt.context)
        receipt.save()
    make_collection("people", [{"key": "mail", "type": "email", "data_class": "personal"}])
    make_entry("people", published=False, mail="rita@example.com")
    make_form()
    assert send(GOOD).status_code == 201
    return rita


def keys(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def rows() -> dict[str, dict[str, Any]]:
    answer = json.loads(keys("list", "--kind", "ring", "--json")[0].splitlines()[-1])
    return {row["id"]: row for row in answer["keys"]}


def test_every_encrypted_column_is_registered(rotate) -> None:
    fill()
    registered = {(column.label.lower(), column.column) for column in encrypted.columns()}
    found = set()
    for model in apps.get_models():
        if not model._meta.managed:
            continue
        for field in model._meta.concrete_fields:
            if isinstance(field, models.TextField | models.CharField) and not field.primary_key:
                rows = model._default_manager.filter(
                    **{f"{field.name}__regex": r"^v1\.[a-z0-9][a-z0-9_-]{0,31}\."}
                )
                if rows.exists():
                    found.add((model._meta.label_lower, field.name))
    assert found == registered, "register it in the app's ready(): accounts.encrypted.register(…)"
    assert set(encrypted.counts()) == {"k1"}
    assert len(encrypted.counts()["k1"]) == len(registered)


def test_every_table_that_names_the_key_of_a_mac_is_counted() -> None:
    named = {
        model._meta.label
        for model in apps.get_models()
        if model._meta.managed and "key_id" in {field.name for field in model._meta.concrete_fields}
    }
    assert named <= {column.label for column in encrypted.SIGNED}


def test_a_rotation_moves_every_value_and_opens_all_of_them_afterwards(rotate) -> None:
    rita = fill()
    assert rita.device is not None
    before = rita.device.raw_secret
    whole = sum(encrypted.counts()["k1"].values())
    rotate("k2", "k1")
    assert rows()["k1"]["state"] == "retiring"
    assert rows()["k2"]["moved"] == "0 %"
    with pytest.raises(
        CommandError,
        match=rf"Not yet: {whole} values are encrypted with k1 \(accounts_auth.* 1, .*receipt.body 60",
    ):
        keys("retire", "ring:k1")
    move_to_active_key()
    assert rows()["k1"]["encrypts"] == 0
    assert rows()["k2"]["encrypts"] == whole
    assert rows()["k2"]["moved"] == "100 %"
    assert "Retired: nothing is encrypted with it any more" in keys("retire", "ring:k1")[0]
    rotate("k2")  # it is gone from the ring, and everything opens
    assert Authenticator.objects.get(pk=rita.device.pk).raw_secret == before
    for receipt in Receipt.objects.all():
        assert (
            key_ring().decrypt(receipt.body, context=receipt.context)
            == b"body " + receipt.message_id.encode()
        )
    for key in SigningKey.objects.exclude(private=""):
        halves.signer(key)
    for secret in EndpointSecret.objects.all():
        signing.opened(secret)
    assert rows()["k1"]["state"] == "retired, gone"
    assert standing.faults() == []


def test_waiting_moves_here_and_now(rotate) -> None:
    fill()
    rotate("k2", "k1")
    out, err = keys("retire", "ring:k1", "--wait")
    assert "values are encrypted with the active key now." in err
    assert out.startswith("Retired: ")
    assert rows()["k1"]["state"] == "retired"


def test_the_events_name_ids_alone(rotate) -> None:
    fill()
    rotate("k2", "k1")
    keys("retire", "ring:k1", "--wait")
    rotated, retired = Event.objects.get(type="key.rotated"), Event.objects.get(type="key.retired")
    assert rotated.detail == {"kind": "ring", "active": "k2", "retiring": ["k1"]}
    assert retired.detail == {"kind": "ring", "key": "k1", "left": 0}


def test_the_value_to_put_in_place_has_the_new_key_first_and_is_printed_once(rotate, settings) -> None:
    out, err = keys("rotate", "ring")
    entries = out.strip().split(",")
    assert [entry.partition(":")[0] for entry in entries] == ["k2", "k1"]
    assert base64.b64decode(entries[1].partition(":")[2]) == dict(settings.KEY_RING)["k1"]
    assert entries[0] not in err
    assert "Put this into QUILLKEEP_KEY_RING and restart" in err
    assert not Event.objects.filter(type="key.rotated").exists()
    assert RingKey.objects.count() == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("rotate", "ring:k1"),
        ("retire", "ring:k1"),
        ("retire", "ring:k9"),
        ("rotate", "ring", "--to", "/nonexistent/x"),
    ],
)
def test_what_makes_no_sense_is_refused(rotate, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        keys(*arguments)
    assert rows()["k1"]["state"] == "active"


def test_a_key_that_is_missing_is_named_and_no_process_starts(rotate) -> None:
    fill()
    rotate("k2")
    assert rows()["k1"]["state"] == "missing"
    (fault,) = standing.faults()
    assert fault[0] == "QUILLKEEP_KEY_RING"
    assert fault[1].startswith("k1 is missing, and 6")
    with pytest.raises(CommandError, match="It is not in the ring: they are lost without it"):
        keys("retire", "ring:k1")
    with pytest.raises(CommandError, match="is not in the ring"):
        keys("retire", "ring:k1", "--wait")
    keys("retire", "ring:k1", "--force")  # it is lost: the house goes on, and the log knows what was given up
    assert Event.objects.get(type="key.retired").detail["left"] > 60
    assert standing.faults() == []


def test_another_key_of_the_same_name_is_noticed(rotate) -> None:
    fill()
    rotate("k1", k1=hashlib.sha256(b"another").digest())
    assert rows()["k1"]["state"] == "changed"
    assert standing.faults() == [
        ("QUILLKEEP_KEY_RING", "k1 is another key than the one that values were encrypted with")
    ]


def test_values_from_before_anybody_kept_account_are_known(rotate) -> None:
    fill()
    RingKey.objects.using("owner").all().delete()
    rotate("k2", "k1")
    assert {key.pk: key.state for key in RingKey.objects.all()} == {"k1": "retiring", "k2": "active"}
    move_to_active_key()
    assert rows()["k1"]["encrypts"] == 0


def test_a_key_that_was_not_there_when_it_was_noted_is_told_from_another_later(rotate) -> None:
    fill()
    RingKey.objects.using("owner").all().delete()
    rotate("k2")
    assert RingKey.objects.get(pk="k1").fingerprint == ""
    rotate("k1", "k2")
    assert RingKey.objects.get(pk="k1").fingerprint == ring.fingerprint("k1")


def test_a_value_that_was_altered_is_counted_and_left_as_it_is(rotate) -> None:
    fill()
    broken = Receipt.objects.order_by("pk")[5]
    Receipt.objects.filter(pk=broken.pk).update(body=broken.body[:-8] + "AAAAAAA=")
    altered = Receipt.objects.get(pk=broken.pk).body
    rotate("k2", "k1")
    with pytest.raises(CommandError, match=r"Not yet: 1 values"):
        keys("retire", "ring:k1", "--wait")
    assert Receipt.objects.get(pk=broken.pk).body == altered
    assert rows()["k1"]["tables"] == {"webhooks_receipt.body": 1}


def test_a_row_that_somebody_holds_is_left_for_the_next_run(rotate) -> None:
    fill()
    rotate("k2", "k1")
    held = Receipt.objects.order_by("pk")[3]
    done = encrypted.move("k1", goes_on=lambda: True)
    assert done.moved > 60
    other = connection.copy()
    try:
        rotate("k3", "k2", "k1")
        with other.cursor() as cursor, transaction.atomic(using="default"):
            cursor.execute("BEGIN")
            cursor.execute("SELECT pk.id FROM webhooks_receipt pk WHERE id = %s FOR UPDATE", [held.pk])
            started = time.monotonic()
            encrypted.move("k2", goes_on=lambda: True)
            assert time.monotonic() - started < 5
            cursor.execute("ROLLBACK")
    finally:
        other.close()
    assert encrypted.counts()["k2"] == {"webhooks_receipt.body": 1}
    move_to_active_key()
    assert set(encrypted.counts()) == {"k3"}


def test_what_was_begun_goes_on_after_the_process_was_killed(rotate, settings) -> None:
    fill()
    for number in range(60, 1500):
        receipt = Receipt(
            source=Source.objects.get(), message_id=str(number), sha256="0" * 64, size=9, is_dated=True
        )
        receipt.body = key_ring().encrypt(b"body %d" % number, context=receipt.context)
        receipt.save()
    rotate("k2", "k1")
    value = ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in settings.KEY_RING)
    whole = sum(encrypted.counts()["k1"].values())
    process = subprocess.Popen(
        [sys.executable, "manage.py", "keys", "retire", "ring:k1", "--wait"],
        cwd=ROOT,
        env={**os.environ, "QUILLKEEP_KEY_RING": value, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while encrypted.counts().get("k2", {}).get("webhooks_receipt.body", 0) < 100:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = {name: sum(tables.values()) for name, tables in encrypted.counts().items()}
    assert sum(found.values()) == whole
    assert found["k1"]
    assert "Retired" in keys("retire", "ring:k1", "--wait")[0]
    for receipt in Receipt.objects.all():
        assert (
            key_ring().decrypt(receipt.body, context=receipt.context)
            == b"body " + receipt.message_id.encode()
        )


def test_a_lockdown_lets_a_new_key_be_noted_and_moves_nothing(rotate) -> None:
    fill()
    lockdown.begin(reason="A test", by=BUILDER)
    rotate("k2", "k1")
    assert rows()["k2"]["state"] == "active"
    assert rows()["k1"]["encrypts"] > 60


def test_tokens_and_links_of_the_former_key_go_on_and_the_log_is_whole(rotate) -> None:
    rita = fill()
    access = rita.sign_in()
    link = links.make_token(rita.user, Purpose.RESET)
    ada = make_person("ada@example.com", roles=["administrator"], with_authenticator=True).sign_in()
    cursor = ada.get("manage/users?limit=1").json()["meta"]["next_cursor"]
    rita.user.refresh_from_db()
    link = links.make_token(rita.user, Purpose.RESET)
    seal_pending()
    rotate("k2", "k1")
    assert access.get("auth/me").status_code == 200
    assert links.read(link)[0] == rita.user
    assert ada.get(f"manage/users?limit=1&cursor={cursor}").status_code == 200
    tokens.AccessToken.read(access.credential)
    keys("retire", "ring:k1", "--wait")
    seal_pending()
    assert verifying.verify().is_intact
    signed = rows()["k1"]
    assert signed["verifies"] > 0
    assert {"accounts_seal.key_id", "accounts_event.tag"} <= set(signed["signed"])


def test_all_kinds_are_shown_at_a_glance(rotate) -> None:
    fill()
    out, _ = keys("list", "--kind", "all")
    assert {line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")} == {
        "api", "previews", "ring", "secret-key", "sources", "webhooks",
    }  # fmt: skip
    shown = json.loads(keys("list", "--kind", "all", "--json")[0])
    assert shown["kinds"]["ring"][0]["id"] == "k1"
    for text in (out, json.dumps(shown)):
        assert NEW.decode() not in text
        assert base64.b64encode(dict(key_ring()._keys)["k1"]).decode() not in text
