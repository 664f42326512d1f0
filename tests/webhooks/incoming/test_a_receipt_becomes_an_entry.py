"""What is done with a message: entries by a mapping, as an account with its own rights, once, whatever is killed."""

import os
import signal
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import people
from accounts.access import Area
from accounts.errors import (
    ConflictError,
    InvalidInputError,
    LockedDownError,
    NotAllowedError,
    StaleVersionError,
    TooManyRequestsError,
    UnavailableError,
)
from accounts.models import Event, Policy, User
from accounts.rights import granting
from content import editing, modeling, publishing
from content.models import DraftDocument, Entry, PublishedDocument
from content.schema import current
from tests import forked
from tests.builders import ROOT, make_collection, make_entry, make_role, make_user, principal, writing
from tests.processes import CeleryWorker
from tests.webhooks.incoming.world import FIELDS, SAVE, World, make_source, send, the_receipt, told
from webhooks.incoming import acting as acting_on
from webhooks.incoming import processing, sources, tasks
from webhooks.models import Receipt, Source

pytestmark = pytest.mark.django_db


def receive(payload: Any, **options: Any) -> Receipt:
    """Send a payload to the shop, act on it here and now, and return the receipt."""
    answer = send("shop", "standard", payload, **options)
    assert answer.status_code == 202, answer.content
    receipt = Receipt.objects.get(pk=answer.json()["id"])
    processing.carry_out(receipt.pk)
    receipt.refresh_from_db()
    return receipt


def values(entry_id: Any) -> dict[str, Any]:
    """Return the fields of a draft, by key."""
    draft = DraftDocument.objects.get(entry=entry_id)
    keys = {str(field.id): field.key for field in current().by_key["articles"].fields}
    return {keys[key]: value for key, value in draft.data.items()}


def acting(world: World, **changes: Any) -> Source:
    """Set up the shop with an action; None takes a member of it away."""
    action = {key: value for key, value in {**SAVE, **changes}.items() if value is not None}
    return make_source("shop", action=action, account=str(world.account.pk))


def test_what_the_action_is_not_about_is_recorded_and_nothing_else(world: World) -> None:
    acting(world, when={"pointer": "/data/kind", "in": ["chair", 7]})
    ping = receive({"zen": "Keep it simple.", "data": {}}, message_id="ping")
    assert (ping.state, ping.reason, ping.entry_id) == ("done", "not-meant", None)
    others: list[Any] = ["7", True, None, ["chair"]]
    for number, kind in enumerate(others):
        other = receive({"data": {"sku": "A-1", "title": "No", "kind": kind}}, message_id=f"no-{number}")
        assert other.reason == "not-meant", kind
    assert not Entry.objects.exists()
    those: list[Any] = ["chair", 7]
    for number, kind in enumerate(those):
        meant = receive(
            {"data": {"sku": f"A-{number}", "title": "Chair", "kind": kind}}, message_id=f"yes-{number}"
        )
        assert (meant.state, meant.reason) == ("done", "")
    assert Entry.objects.count() == 2


@pytest.mark.parametrize(
    ("when", "pointer"),
    [
        ("chair", "/action/when"),
        ({"pointer": "/kind"}, "/action/when"),
        ({"pointer": "kind", "in": ["x"]}, "/action/when/pointer"),
        ({"pointer": "/kind", "in": []}, "/action/when/in"),
        ({"pointer": "/kind", "in": [1.5]}, "/action/when/in"),
        ({"pointer": "/kind", "in": [{}]}, "/action/when/in"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_in_its_place(
    world: World, when: Any, pointer: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        acting(world, when=when)
    assert pointer in [item.pointer for item in caught.value.errors]


# --- Entries ----------------------------------------------------------------------------------------------------------


def test_a_message_becomes_an_entry_and_the_next_one_changes_it(world: World) -> None:
    acting(world)
    made = receive({"data": {"sku": "A-1", "title": "Chair", "price": 10}})
    assert (made.state, made.reason, made.entry_id) == ("done", "", made.pk)
    assert values(made.entry_id) == {
        "title": "Chair",
        "slug": "chair",
        "sku": "A-1",
        "price": 10,
        "kind": "imported",
    }
    assert PublishedDocument.objects.filter(entry=made.entry_id).exists()
    changed = receive({"data": {"sku": "A-1", "price": 12}}, message_id="m2")
    assert (changed.state, changed.entry_id) == ("done", made.pk)
    # What the payload lacks stays as it is.
    assert values(made.entry_id) == {
        "title": "Chair",
        "slug": "chair",
        "sku": "A-1",
        "price": 12,
        "kind": "imported",
    }
    assert Entry.objects.count() == 1
    event = Event.objects.get(type="entry.created")
    assert (event.actor_kind, event.actor_id, event.actor_label) == (
        "service",
        world.account.pk,
        "webhook source shop",
    )


def test_only_recording_does_nothing_else(world: World) -> None:
    make_source("shop")
    receipt = receive({"data": {"sku": "A-1", "title": "Chair"}})
    assert (receipt.state, receipt.attempts, receipt.entry_id) == ("done", 0, None)
    assert not Entry.objects.exists()


def test_entries_are_shown_and_taken_back_by_what_they_are_found_by(world: World) -> None:
    entry = make_entry("articles", title="Chair", sku="A-1", published=False)
    match = {"field": "slug", "pointer": "/slug"}
    source = make_source(
        "shop",
        action={"do": "publish", "collection": "articles", "match": match},
        account=str(world.account.pk),
    )
    assert receive({"slug": "chair"}).entry_id == entry.pk
    assert PublishedDocument.objects.filter(entry=entry).exists()
    sources.change(source, {"action": {"do": "unpublish", "collection": "articles", "match": match}}, by=ROOT)
    assert receive({"slug": "chair"}, message_id="m2").state == "done"
    assert not PublishedDocument.objects.filter(entry=entry).exists()
    lost = receive({"slug": "table"}, message_id="m3")
    assert (lost.state, lost.reason) == ("failed", "no-match")


def test_a_null_empties_and_each_form_of_pointer_finds_its_value(world: World) -> None:
    acting(world, mapping={"title": "/a~1b/0/~0c", "price": "/none", "kind": "/list/1"})
    payload = {"data": {"sku": "A"}, "a/b": [{"~c": "Chair"}], "list": ["x", "y"], "none": 3}
    receipt = receive(payload)
    assert values(receipt.entry_id)["kind"] == "y"
    receive({**payload, "none": None}, message_id="m2")
    assert "price" not in values(receipt.entry_id)


@pytest.mark.parametrize("do", ["create", "update"])
def test_creating_creates_and_updating_updates(world: World, do: str) -> None:
    acting(world, do=do, match=None if do == "create" else SAVE["match"])
    receipt = receive({"data": {"sku": "A-1", "title": "Chair"}})
    assert (receipt.state, Entry.objects.count()) == (("done", 1) if do == "create" else ("failed", 0))
    assert receipt.reason == ("" if do == "create" else "no-match")


def test_a_renamed_field_keeps_its_place_and_one_that_is_gone_is_said(world: World) -> None:
    acting(world)
    spec = current().by_key["articles"]

    def reshape(*, without: str = "") -> None:
        fields = [
            {"id": str(field.id), **raw, "key": "sort" if raw["key"] == "kind" else raw["key"]}
            for field, raw in zip(spec.fields, FIELDS, strict=True)
            if raw["key"] != without
        ]
        modeling.change_collection(spec.id, {"fields": fields}, confirm=True, by=ROOT)

    reshape()
    receipt = receive({"data": {"sku": "A-1", "title": "Chair"}})
    assert (receipt.state, values(receipt.entry_id)["sort"]) == ("done", "imported")
    reshape(without="kind")
    gone = receive({"data": {"sku": "A-1", "title": "Chair"}}, message_id="m2")
    assert (gone.state, gone.reason) == ("failed", "field-gone")
    modeling.delete_collection(spec.id, confirm=True, by=ROOT)
    gone = receive({"data": {"sku": "A-1", "title": "Chair"}}, message_id="m3")
    assert (gone.state, gone.reason) == ("failed", "collection-gone")


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "reason", "problems"),
    [
        (
            {"data": {"sku": "A", "title": "x", "price": "CANARY"}},
            "invalid-input",
            [("/price", "invalid-type")],
        ),
        ({"data": {"sku": "A", "title": ["CANARY"]}}, "invalid-input", [("/title", "invalid-type")]),
        ({"data": {"sku": "A"}}, "entry-incomplete", [("/title", "required")]),
        ({"data": {"title": "x"}}, "no-value", [("/sku", "required")]),
        ({"data": {"title": "x", "sku": {"a": "CANARY"}}}, "invalid-input", [("/sku", "invalid-type")]),
        ({"data": "CANARY"}, "no-value", [("/sku", "required")]),
    ],
)
def test_a_refusal_tells_the_place_and_never_the_value(
    world: World, payload: Any, reason: str, problems: Any
) -> None:
    acting(world)
    receipt = receive(payload)
    assert (receipt.state, receipt.reason, receipt.attempts) == ("failed", reason, 1)
    assert [(item["pointer"], item["code"]) for item in receipt.problems] == problems
    assert "CANARY" not in receipt.said + str(receipt.problems)
    assert told("source.action-failed") == [{"key": "shop", "receipt": str(receipt.pk), "reason": reason}]
    assert not Entry.objects.exists()


def test_the_rights_are_those_of_the_account_and_of_now(world: World) -> None:
    acting(world)
    policy = Policy.objects.get(role__key="importer")
    receive({"data": {"sku": "A-1", "title": "Chair"}})
    granting.remove_policy(policy, by=ROOT)
    receipt = receive({"data": {"sku": "A-2", "title": "Table"}}, message_id="m2")
    assert (receipt.state, Entry.objects.count()) == ("failed", 1)
    assert receipt.reason == "not-found"  # what it may not see is not there


@pytest.mark.parametrize("change", ["off", "administrator"])
def test_an_account_that_is_off_or_too_powerful_does_nothing(world: World, change: str) -> None:
    acting(world)
    make_user(roles=("administrator",))  # somebody has to be left
    account = User.objects.get(pk=world.account.pk)
    if change == "off":
        people.change_user(account, is_active=False, by=ROOT)
    else:
        people.change_user(account, roles=["administrator"], by=ROOT)
    receipt = receive({"data": {"sku": "A-1", "title": "Chair"}})
    assert (receipt.state, receipt.reason) == ("failed", "account-off" if change == "off" else "too-powerful")
    assert not Entry.objects.exists()


def test_an_entry_that_others_write_is_not_touched_without_the_right(world: World) -> None:
    make_role(
        "narrow",
        {
            "collection": "articles",
            "actions": ("create", "update", "read_draft"),
            "filter": {"kind": {"eq": "imported"}},
        },
    )
    narrow = people.add_service("Narrow", roles=["narrow"], by=ROOT)
    by_hand = make_entry("articles", title="By hand", sku="A-1", kind="handmade", published=False)
    make_source("shop", action={**SAVE, "publish": False}, account=str(narrow.pk))
    receipt = receive({"data": {"sku": "A-1", "title": "Taken over"}})
    assert (receipt.state, receipt.reason) == ("failed", "not-found")
    assert values(by_hand.pk)["title"] == "By hand"


def test_what_a_person_saved_meanwhile_is_kept(world: World) -> None:
    acting(world)
    made = receive({"data": {"sku": "A-1", "title": "Chair", "price": 1}})
    editing.save(made.entry_id, {"title": "A better name"}, writing=writing("articles"), base=1)
    receive({"data": {"sku": "A-1", "price": 2}}, message_id="m2")
    assert values(made.entry_id)["title"] == "A better name"
    assert values(made.entry_id)["price"] == 2


JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**60), 10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=6,
)
PLAIN = ("text", "long_text", "rich_text", "markdown", "slug", "integer", "decimal", "boolean", "date", "datetime", "email", "url", "tags", "json",
         "color", "geo_point", "reference", "references")  # fmt: skip


def test_no_payload_is_an_error_of_ours(world: World, unlimited: None) -> None:
    """Whatever stands where a value is taken from: an entry, or a refusal that names fields. Never a try that breaks."""
    options = {"reference": {"collections": ["things"]}, "references": {"collections": ["things"]}}
    make_collection(
        "things", [{"key": kind, "type": kind, "options": options.get(kind, {})} for kind in PLAIN]
    )
    make_role("maker", {"collection": "things", "actions": ("create", "update", "publish", "read_draft")})
    maker = people.add_service("Maker", roles=["maker"], by=ROOT)
    action = {
        "do": "create_or_update",
        "collection": "things",
        "match": {"field": "slug", "pointer": "/slug"},
        "publish": True,
    }
    mapping = {kind: f"/{kind}" for kind in PLAIN if kind != "slug"}
    schema = {"type": "object", "properties": {"integer": {"type": ["integer", "string", "null"]}}}
    make_source("shop", action={**action, "mapping": mapping}, schema=schema, account=str(maker.pk))
    numbers = iter(range(100_000))

    @settings(max_examples=80, suppress_health_check=list(HealthCheck), database=None)
    @given(st.dictionaries(st.sampled_from(PLAIN), JSON, max_size=4), JSON | st.just("a-slug"))
    def any_payload(payload: dict[str, Any], slug: Any) -> None:
        answer = send("shop", "standard", {**payload, "slug": slug}, message_id=f"m{next(numbers)}")
        assert answer.status_code in (202, 400), answer.content
        if answer.status_code == 202:
            receipt = Receipt.objects.get(pk=answer.json()["id"])
            processing.carry_out(receipt.pk)
            receipt.refresh_from_db()
            assert receipt.state in ("done", "failed"), receipt.reason
            assert receipt.reason == "" or receipt.reason.islower(), receipt.reason

    any_payload()


# --- Once, and in the end ------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(world: World) -> None:
    acting(world)
    receipt = receive({"data": {"sku": "A-1", "title": "Chair"}})
    for _ in range(3):
        processing.carry_out(receipt.pk)
    receipt.refresh_from_db()
    assert (receipt.attempts, Event.objects.filter(type="entry.created").count()) == (1, 1)


def test_what_passes_is_tried_again_with_growing_pauses_and_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    acting(world)

    def gone(*_: Any, **__: Any) -> Any:
        raise OperationalError("yranac".upper()[::-1])

    monkeypatch.setattr("webhooks.incoming.acting.act", gone)
    receipt = receive({"data": {"sku": "A-1", "title": "Chair"}})
    now, pauses = timezone.now(), []
    while receipt.state == "waiting":
        assert receipt.reason == "OperationalError"
        pauses.append(round((receipt.next_at - now).total_seconds()))
        assert processing.due() == [] or pauses
        now = receipt.next_at + timedelta(seconds=1)
        with time_machine.travel(now, tick=False):
            assert processing.due() == [receipt.pk]
            processing.carry_out(receipt.pk)
        receipt.refresh_from_db()
    assert pauses == [10, 60, 600, 3600]
    assert (receipt.state, receipt.reason, receipt.attempts) == ("failed", "gave-up", 5)
    assert "CANARY" not in receipt.said + caplog.text
    assert "OperationalError" in caplog.text
    monkeypatch.undo()
    processing.retry(receipt, by=ROOT)
    processing.carry_out(receipt.pk)
    receipt.refresh_from_db()
    assert (receipt.state, receipt.attempts, receipt.problems) == ("done", 6, [])
    assert told("receipt.retried") == [{"key": "shop"}]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (LockedDownError(), True),
        (StaleVersionError(), True),
        (TooManyRequestsError(retry_after=1), True),
        (UnavailableError(retry_after=1), True),
        (ConflictError(code="schema-changed"), True),
        (ConflictError(), False),
    ],
)
def test_only_what_passes_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, *, passes: bool
) -> None:
    acting(world)

    def refuse(*_: Any) -> Any:
        raise error

    monkeypatch.setattr("webhooks.incoming.acting.act", refuse)
    assert receive({"data": {"sku": "A-1", "title": "Chair"}}).state == ("waiting" if passes else "failed")


def test_an_entry_is_found_by_its_value_in_the_language_of_the_action(world: World) -> None:
    fields = [{"key": "code", "type": "text", "unique": True, "localized": True}]
    make_collection("signs", fields, localized=True)
    make_role("signer", {"collection": "signs", "actions": ("create", "update", "read_draft", "read")})
    signer = people.add_service("Signer", roles=["signer"], by=ROOT)
    in_english = make_entry("signs", code="A", published=False)
    action = {"do": "create_or_update", "collection": "signs", "match": {"field": "code", "pointer": "/code"}, "mapping": {"code": "/code"}}  # fmt: skip
    make_source("shop", action={**action, "locale": "de"}, account=str(signer.pk))
    made = receive({"code": "A"})
    assert (made.state, made.reason) == ("done", "")
    assert made.entry_id != in_english.pk
    assert receive({"code": "A"}, message_id="m2").entry_id == made.entry_id


def test_only_what_failed_and_is_still_there_can_be_tried_again(world: World) -> None:
    acting(world)
    done = receive({"data": {"sku": "A-1", "title": "Chair"}})
    with pytest.raises(ConflictError, match="Only what failed"):
        processing.retry(done, by=ROOT)
    failed = receive({"data": {}}, message_id="m2")
    with time_machine.travel(timezone.now() + processing.BODY_KEPT * 1.1):
        processing.forget_old()
        with pytest.raises(ConflictError, match="erased"):
            processing.retry(failed, by=ROOT)


def test_after_a_try_by_hand_the_pauses_begin_anew(world: World) -> None:
    acting(world)
    failed = receive({"data": {}})
    Receipt.objects.update(attempts=5)
    processing.retry(failed, by=ROOT)
    tried = processing._begin(failed.pk)
    assert tried is not None
    assert tried.next_at - timezone.now() < timedelta(seconds=11)


def test_nobody_tries_again_what_they_could_not_do(world: World) -> None:
    acting(world)
    failed = receive({"data": {}})
    granting.add_role("hooks", "Hooks", areas=[Area.WEBHOOKS], by=ROOT)
    with pytest.raises(NotAllowedError):
        processing.retry(failed, by=principal("hooks"))
    with pytest.raises(NotAllowedError):
        processing.retry(failed, by=principal("importer"))
    processing.retry(failed, by=principal("hooks", "importer"))


def test_what_a_source_sent_waits_while_it_is_switched_off(world: World) -> None:
    source = acting(world)
    answer = send("shop", "standard", {"data": {"sku": "A-1", "title": "Chair"}})
    sources.switch(source, is_on=False, by=ROOT)
    processing.carry_out(answer.json()["id"])
    assert processing.due() == []
    assert (the_receipt().state, Entry.objects.count()) == ("waiting", 0)
    sources.switch(source, is_on=True, by=ROOT)
    tasks.carry_out_due()
    assert (the_receipt().state, Entry.objects.count()) == ("done", 1)


def test_without_a_broker_what_came_is_kept_and_found(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from kombu.exceptions import OperationalError as BrokerError

    acting(world)

    def gone(*_: Any, **__: Any) -> Any:
        raise BrokerError("gone")

    monkeypatch.setattr(tasks.carry_out, "apply_async", gone)
    assert send("shop", "standard", {"data": {"sku": "A-1", "title": "Chair"}}).status_code == 202
    tasks.carry_out_due()
    assert the_receipt().state == "done"


def test_a_real_worker_acts_on_it(celery_worker: CeleryWorker, world: World) -> None:
    acting(world)
    answer = send("shop", "standard", {"data": {"sku": "A-1", "title": "Chair", "password": "CANARYSECRET"}})
    assert answer.status_code == 202
    celery_worker.wait_for(lambda: the_receipt().state == "done")
    assert values(the_receipt().entry_id)["title"] == "Chair"
    assert "CANARYSECRET" not in celery_worker.log()


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


KILLS = {  # in the place of what the process ends
    "before the act": (acting_on, "act"),
    "between entry and publishing": (publishing, "publish"),
    "before it is written down": (processing, "_end"),
}


@pytest.mark.parametrize("when", KILLS)
def test_a_killed_worker_leaves_nothing_half_done(world: World, when: str) -> None:
    acting(world)
    identifier = send("shop", "standard", {"data": {"sku": "A-1", "title": "Chair"}}).json()["id"]

    def act() -> None:
        setattr(*KILLS[when], die)
        processing.carry_out(UUID(identifier))

    done = forked.run(act, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    receipt = the_receipt()
    assert (receipt.state, receipt.attempts, Entry.objects.count()) == ("waiting", 1, 0)
    assert processing.due() == []  # its lease
    with time_machine.travel(receipt.next_at + timedelta(seconds=1), tick=False):
        for _ in range(200):  # PostgreSQL lets go of the row once it has noticed that the process is gone
            tasks.carry_out_due()
            receipt.refresh_from_db()
            if receipt.state != "waiting":
                break
            time.sleep(0.05)
    assert (receipt.state, receipt.attempts, Entry.objects.count()) == ("done", 2, 1)
    assert Event.objects.filter(type="entry.created").count() == 1


def test_a_try_that_was_overtaken_does_nothing(world: World) -> None:
    """A worker that stood still for longer than its lease finds that another one has begun."""
    acting(world)
    send("shop", "standard", {"data": {"sku": "A-1", "title": "Chair"}})
    slow = processing._begin(the_receipt().pk)
    assert slow is not None
    with time_machine.travel(slow.next_at + timedelta(seconds=1)):
        assert processing._begin(slow.pk) is not None
        processing._finish(slow)
        processing._fail(slow, ConflictError())
        processing._put_off(slow, "late")
    assert (the_receipt().state, the_receipt().reason, Entry.objects.count()) == ("waiting", "", 0)


def test_what_has_ended_is_not_ended_again(world: World) -> None:
    acting(world)
    send("shop", "standard", {"data": {"sku": "A-1", "title": "Chair"}})
    tried = processing._begin(the_receipt().pk)
    assert tried is not None
    processing._finish(tried)
    processing._finish(tried)
    processing._fail(tried, ConflictError())
    processing._put_off(tried, "late")
    assert (the_receipt().state, the_receipt().reason, Entry.objects.count()) == ("done", "", 1)
    assert Event.objects.filter(type__in=("entry.created", "entry.updated")).count() == 1


def test_a_last_try_that_was_cut_off_is_given_up(world: World) -> None:
    acting(world)
    send("shop", "standard", {"data": {"sku": "A-1", "title": "Chair"}})
    Receipt.objects.update(attempts=5)
    tasks.carry_out_due()
    assert (the_receipt().state, the_receipt().reason) == ("failed", "gave-up")


def test_a_body_can_not_be_moved_to_another_receipt(world: World) -> None:
    make_source("shop")
    send("shop", "standard", {"a": 1})
    send("shop", "standard", {"a": 2}, message_id="m2")
    first, second = Receipt.objects.order_by("pk")
    assert '"a"' not in first.body
    Receipt.objects.filter(pk=second.pk).update(body=first.body)
    from webhooks.incoming.showing import shown_body

    assert shown_body(Receipt.objects.get(pk=first.pk), by=ROOT) == '{\n "a": 1\n}'
    assert shown_body(Receipt.objects.get(pk=second.pk), by=ROOT) is None


def test_a_source_that_sends_much_holds_up_no_other(world: World) -> None:
    acting(world)
    other = make_source("other", action=SAVE, account=str(world.account.pk))
    for number in range(processing._MOST_AT_ONCE + 5):
        send("shop", "standard", {"data": {"sku": f"A-{number}"}}, message_id=f"flood-{number}")
    send("other", "standard", {"data": {"sku": "B-1"}}, message_id="one")
    found = processing.due()
    assert len(found) == processing._MOST_AT_ONCE
    assert Receipt.objects.get(source=other).pk in found[:2]
