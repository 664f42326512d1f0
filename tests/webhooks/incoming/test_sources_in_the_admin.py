"""Sources and receipts in the admin: who may, the form with its faults, the secret that is shown once, another try."""

import re
import subprocess
from typing import Any

import pytest
from django.test import Client

from accounts.access import Area
from accounts.rights import granting
from tests.accounts.cast import make_person
from tests.builders import ROOT
from tests.content.admin.conftest import sign_in
from tests.processes import LiveServer
from tests.security.world import text_of
from tests.webhooks.incoming import senders
from tests.webhooks.incoming.senders import Sender
from tests.webhooks.incoming.world import (
    SAVE,
    SECRET,
    STANDARD_SECRET,
    World,
    make_failed_receipt,
    make_source,
    send,
)
from webhooks.incoming import actions, examples, processing, sources
from webhooks.incoming.admin.mapping import lines_of, mapping_of
from webhooks.models import Receipt, Source, SourceSecret

pytestmark = pytest.mark.django_db
SOURCES = "/admin/webhooks/source/"
RECEIPTS = "/admin/webhooks/receipt/"
SHOWN_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{44}")


@pytest.fixture
def ada(world: World) -> Client:
    return sign_in(make_person("ada@example.com", roles=["administrator"], with_authenticator=True))


def words(answer: Any) -> str:
    return text_of(answer)


def form(world: World, **changes: str) -> dict[str, str]:
    return {
        "key": "shop",
        "scheme": "standard",
        "do": "create_or_update",
        "account": str(world.account.pk),
        "collection": "articles",
        "match_field": "sku",
        "match_pointer": "/data/sku",
        "mapping": 'title = /data/title\r\n\r\nprice=/data/price\r\nkind = "imported"',
        "publish": "on",
        **changes,
    }


# Each as it must come back: texts that look like something else, and what they look like.
WHEN: dict[str, Any] = {"pointer": "/kind", "in": ["chair", "7", 7, True, "true", ' "quoted" ', ""]}


def faults(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200
    found: dict[str, list[str]] = answer.context["adminform"].form.errors
    return found


def test_a_source_is_set_up_and_its_secret_shown_this_once(ada: Client, world: World) -> None:
    assert "No source yet" in words(ada.get(SOURCES))
    page = ada.post(f"{SOURCES}add/", form(world))
    secret = SHOWN_SECRET.search(page.content.decode())
    assert secret is not None, faults(page)
    assert "no-store" in page.headers["Cache-Control"]
    source = Source.objects.get()
    assert actions.shown(source.action) == SAVE
    body = b'{"data": {"sku": "A-1", "title": "Chair", "price": 3}}'
    assert Sender("shop").post(body, senders.standard(body, secret[0])).status_code == 202
    for path in (SOURCES, f"{SOURCES}{source.pk}/change/"):
        assert secret[0] not in ada.get(path).content.decode()
    shown = words(ada.get(f"{SOURCES}{source.pk}/change/"))
    assert "/hooks/in/shop" in shown
    assert "1 waiting" in shown


def test_the_form_gives_back_what_is_kept_and_saves_it_unchanged(ada: Client, world: World) -> None:
    options = {**senders.GENERIC, "tolerance_seconds": 60}
    schema = {"type": "object", "required": ["data"]}
    source = make_source(
        "shop",
        "hmac",
        options=options,
        schema=schema,
        action={**SAVE, "locale": "en", "when": WHEN},
        account=str(world.account.pk),
    )
    page = ada.get(f"{SOURCES}{source.pk}/change/")
    shown = page.context["adminform"].form
    sent = {name: shown[name].value() for name in shown.fields}
    answer = ada.post(
        f"{SOURCES}{source.pk}/change/",
        {
            name: "on" if value is True else value
            for name, value in sent.items()
            if value not in (None, False)
        },
    )
    assert answer.status_code == 302, faults(answer)
    before = (source.options, source.schema, source.action, source.account_id, source.changed_at)
    source.refresh_from_db()
    assert (source.options, source.schema, source.action, source.account_id, source.changed_at) == before


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ({"key": "No Key"}, "key", "Small letters"),
        ({"key": ""}, "key", "Small letters"),
        ({"scheme": "stripe"}, "secret", "Stripe makes the secret"),
        ({"secret": "short"}, "secret", "base64"),
        ({"schema": "{"}, "schema", "Line 1"),
        ({"schema": '{"type": "nothing"}'}, "schema", "Not a valid schema"),
        ({"schema": '{"properties": {"a": {"$id": "x"}}}'}, "schema", "At /properties/a/$id"),
        ({"mapping": "title /x"}, "mapping", "Line 1"),
        ({"mapping": "title = /x\ntitle = /y"}, "mapping", "Line 2: The field title stands here twice."),
        ({"mapping": "title = imported"}, "mapping", "Line 1"),
        ({"mapping": "nothing = /x"}, "mapping", "nothing: There is no such field"),
        ({"mapping": 'price = "x"'}, "mapping", "price:"),
        ({"mapping": ""}, "mapping", "An object of"),
        ({"match_field": "kind"}, "match_field", "A slug, or a field"),
        ({"match_pointer": "x"}, "match_pointer", "A JSON pointer"),
        ({"account": ""}, "account", "service account"),
        ({"collection": ""}, "collection", "no such collection"),
        ({"do": "record"}, "collection", "no such key where the action is record"),
        ({"tolerance_seconds": "5"}, "tolerance_seconds", "From 30"),
        ({"header": "X-Sign"}, "header", "no such option"),
        ({"scheme": "hmac", "text_before": "sig"}, "header", "Say in which header"),
        ({"scheme": "hmac", "header": "X", "text_before": "x" * 41}, "text_before", "at most 40"),
    ],
)
def test_each_fault_stands_at_its_input_and_nothing_typed_is_lost(
    ada: Client, world: World, change: dict[str, str], place: str, words: str
) -> None:
    sent = form(world, **change)
    page = ada.post(f"{SOURCES}add/", sent)
    assert words in " ".join(faults(page)[place]), faults(page)
    again = page.context["adminform"].form
    assert {name: again[name].value() for name in sent if name != "publish"} == {
        name: value for name, value in sent.items() if name != "publish"
    }
    assert not Source.objects.exists()


def test_a_secret_is_rotated_switched_off_on_and_removed(ada: Client, world: World) -> None:
    source = make_source("shop")
    at = f"{SOURCES}{source.pk}/do/"
    page = ada.post(f"{at}rotate-secret/", {"overlap_hours": "2", "secret": ""})
    assert SHOWN_SECRET.search(page.content.decode())
    assert "is taken until" in words(page)
    assert SourceSecret.objects.filter(source=source).count() == 2
    wrong = ada.post(f"{at}rotate-secret/", {"overlap_hours": "2", "secret": "short"})
    assert "base64" in words(wrong)
    given = ada.post(f"{at}rotate-secret/", {"overlap_hours": "0", "secret": STANDARD_SECRET})
    assert STANDARD_SECRET not in given.content.decode()
    assert send("shop", "standard", {}).status_code == 202
    for act, state in (("disable", "disabled"), ("enable", "active")):
        assert ada.get(f"{at}{act}/").status_code == 200
        assert ada.post(f"{at}{act}/").status_code == 302
        source.refresh_from_db()
        assert source.state == state
    assert "can’t be done" in words(ada.get(f"{at}enable/"))
    assert ada.get(f"{at}explode/").status_code == 404
    assert ada.post(f"{at}remove/").status_code == 302
    assert not Source.objects.exists()
    assert ada.get(f"{at}remove/").status_code == 404


def test_without_the_area_there_is_no_page(world: World) -> None:
    source = make_source("shop")
    receipt = make_failed_receipt(source)
    granting.add_role("keeper", "Keeper", areas=[Area.PREVIEWS], by=ROOT)
    eve = sign_in(make_person("eve@example.com", roles=["keeper"], with_authenticator=True))
    for path in (SOURCES, f"{SOURCES}add/", f"{SOURCES}{source.pk}/change/", f"{SOURCES}{source.pk}/do/remove/", RECEIPTS,
                 f"{RECEIPTS}{receipt.pk}/change/", f"{RECEIPTS}{receipt.pk}/retry/"):  # fmt: skip
        assert eve.get(path).status_code == 403, path
        assert eve.post(path, form(world)).status_code == 403, path
    assert Source.objects.count() == 1


def test_only_accounts_that_are_no_more_than_oneself_are_offered(world: World) -> None:
    granting.add_role("hooks", "Hooks", areas=[Area.WEBHOOKS], by=ROOT)
    eve = sign_in(make_person("eve@example.com", roles=["hooks"], with_authenticator=True))
    page = eve.get(f"{SOURCES}add/").content.decode()
    assert str(world.account.pk) not in page
    assert "articles" not in page
    refused = eve.post(f"{SOURCES}add/", form(world))
    assert set(faults(refused)) >= {"account", "collection"}
    # What is set up already may be looked at, and not be given another secret or aim.
    source = make_source("shop", action=SAVE, account=str(world.account.pk))
    kept = eve.post(f"{SOURCES}{source.pk}/change/", form(world, tolerance_seconds="60"))
    assert "right" in words(kept) or faults(kept)
    eve.post(f"{SOURCES}{source.pk}/do/rotate-secret/", {"overlap_hours": "1"})
    assert SourceSecret.objects.filter(source=source).count() == 1
    source.refresh_from_db()
    assert source.options == {}
    assert eve.post(f"{SOURCES}{source.pk}/do/disable/").status_code == 302
    eve.post(f"{SOURCES}{source.pk}/do/enable/")
    source.refresh_from_db()
    assert source.state == "disabled"  # taking away gives nothing, and giving back would
    # Nor is what came for it theirs to read.
    shown = eve.get(f"{RECEIPTS}{make_failed_receipt(source).pk}/change/")
    assert shown.status_code == 200
    assert "Chair" not in shown.content.decode()


def test_receipts_are_found_read_and_tried_again(ada: Client, world: World) -> None:
    assert "Nothing was received yet" in words(ada.get(RECEIPTS))
    make_source("shop", action=SAVE, account=str(world.account.pk))
    make_source("store")
    send("store", "standard", {"a": 1}, message_id="of_the_store")
    send("shop", "standard", {"data": {"sku": "A-1"}, "token": "CANARY"}, message_id="of_the_shop")
    receipt = Receipt.objects.get(message_id="of_the_shop")
    processing.carry_out(receipt.pk)
    assert ("of_the_shop" in words(ada.get(RECEIPTS)), "of_the_store" in words(ada.get(RECEIPTS))) == (
        True,
        True,
    )
    for query in ("?state=failed", "?source=shop", "?q=of_the_shop", f"?q={receipt.pk}"):
        found = words(ada.get(RECEIPTS + query))
        assert ("of_the_shop" in found, "of_the_store" in found) == (True, False), query
    page = ada.get(f"{RECEIPTS}{receipt.pk}/change/")
    assert "/title" in words(page)
    assert "not complete enough" in words(page)
    assert "CANARY" not in page.content.decode()
    assert ada.get(f"{RECEIPTS}{receipt.pk}/retry/").status_code == 405
    assert ada.post(f"{RECEIPTS}{receipt.pk}/retry/").status_code == 302
    receipt.refresh_from_db()
    assert receipt.state == "waiting"
    assert "Only what failed" in ada.post(f"{RECEIPTS}{receipt.pk}/retry/", follow=True).content.decode()
    assert ada.post(f"{RECEIPTS}{receipt.pk}/change/", {"state": "done"}).status_code == 403
    assert ada.get(f"{RECEIPTS}nonsense/change/").status_code == 404


def test_the_log_leads_to_the_pages(ada: Client, world: World) -> None:
    source = make_source("shop")
    assert f"{SOURCES}{source.pk}/change/" in ada.get("/admin/accounts/event/").content.decode()


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"a": "/b"},
        {"a": ""},
        {"a": {"value": "x = y"}, "b": {"value": None}, "c": {"value": [1, {"d": "é"}]}},
    ],
)
def test_lines_of_a_mapping_are_read_as_they_are_written(mapping: Any) -> None:
    assert mapping_of(lines_of(mapping)) == (mapping, [])


@pytest.mark.parametrize("scheme", ["standard", "github", "stripe", "slack", "hmac", "plain"])
def test_the_example_is_one_that_works(web_server: LiveServer, world: World, scheme: str) -> None:
    """Run as it is shown, by a shell with openssl and curl."""
    if scheme == "plain":
        options = {
            "header": "X-Sign",
            "prefix": 'a $b`c"d\\e ',
            "timestamp_header": "X-Time",
            "signed": '{timestamp}at$x"`\\{body}',
        }
        source = sources.add("shop", "hmac", {"options": options}, secret=SECRET, by=ROOT).source
    else:
        source = make_source("shop", scheme)
    secret = STANDARD_SECRET if scheme == "standard" else SECRET
    first, *rest = examples.lines_for(source)
    assert first.startswith("secret='…'")
    lines = [f"secret='{secret}'", *rest]
    script = "\n".join(lines).replace("http://testserver", web_server.url)
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True)
    assert Receipt.objects.count() == 1, (script, done.stdout, done.stderr)


def test_the_example_has_what_the_action_looks_for(web_server: LiveServer, world: World) -> None:
    """Run as it is shown it becomes an entry, also where words have an apostrophe."""
    when = {"pointer": "/kind", "in": ["editor's pick"]}
    source = make_source("shop", action={**SAVE, "when": when}, account=str(world.account.pk))
    _, *rest = examples.lines_for(source)
    script = "\n".join([f"secret='{STANDARD_SECRET}'", *rest]).replace("http://testserver", web_server.url)
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True)
    receipt = Receipt.objects.get()
    processing.carry_out(receipt.pk)
    receipt.refresh_from_db()
    assert (receipt.state, receipt.reason) == ("done", ""), (script, done.stdout, receipt.problems)
    assert receipt.entry_id is not None
