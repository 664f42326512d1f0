"""Each message once: ids that are signed, fifty at the same moment, other bodies, and limits before anything is parsed."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from accounts import log
from accounts.alerting import reading
from accounts.models import Alert, Event, Severity
from tests.builders import ROOT
from tests.processes import LiveServer
from tests.security.world import assert_problem
from tests.webhooks.incoming import senders
from tests.webhooks.incoming.senders import Sender, encoded
from tests.webhooks.incoming.world import (
    SAVE,
    STANDARD_SECRET,
    World,
    make_source,
    refusals,
    send,
    sign,
    the_receipt,
    told,
)
from webhooks.incoming import processing, quotas, receiving, sources
from webhooks.models import Receipt

pytestmark = pytest.mark.django_db


def raise_alerts() -> dict[str, Alert]:
    log.seal_pending()
    reading.raise_due()
    return {alert.rule: alert for alert in Alert.objects.filter(rule__startswith="source-")}


# --- Once -----------------------------------------------------------------------------------------------------------


def test_a_message_that_comes_again_is_answered_with_the_same_id(world: World) -> None:
    make_source("shop")
    first = send("shop", "standard", {"a": 1})
    again = send("shop", "standard", {"a": 1}, at=time.time() + 5)  # signed anew, as each attempt is
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert Receipt.objects.count() == 1
    assert send("shop", "standard", {"a": 1}, message_id="msg_2").json() != first.json()


def test_an_id_counts_for_its_source_alone(world: World) -> None:
    make_source("shop")
    make_source("store")
    assert send("shop", "standard", {"a": 1}).json() != send("store", "standard", {"a": 1}).json()


def test_another_body_under_the_same_id_is_a_conflict_and_an_alarm(world: World) -> None:
    make_source("shop")
    first = send("shop", "standard", {"a": 1})
    other = send("shop", "standard", {"a": 2})
    problem = assert_problem(other, 409)
    assert problem["code"] == "different-body"
    assert told("source.refused") == [
        {"reason": "same-id-other-body", "key": "shop", "receipt": first.json()["id"]}
    ]
    assert receiving.body_of(the_receipt()) == b'{"a": 1}'
    alert = raise_alerts()["source-same-id"]
    assert "shop" in alert.sentence
    assert alert.severity == Severity.CRITICAL


def test_strangers_can_not_crowd_that_alarm_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make_source("shop")
    send("shop", "standard", {"a": 1})
    for number in range(40):
        for address in (f"192.0.2.{number}", f"198.51.100.{number}", *[f"203.0.113.{number}"] * 8):
            Sender("shop", address).post(b"{}", {"webhook-id": "x"})
    assert refusals().count("header-missing") == 300  # of all strangers, in a minute
    assert send("shop", "standard", {"a": 2}).status_code == 409
    assert refusals()[-1] == "same-id-other-body"


def test_what_github_does_not_sign_makes_no_new_message(world: World) -> None:
    make_source("code", "github")
    first = send("code", "github", {"ref": "main"}, delivery="one")
    again = send("code", "github", {"ref": "main"}, delivery="another")
    assert first.json() == again.json()
    assert Receipt.objects.count() == 1
    with time_machine.travel(timezone.now() + processing.ROW_KEPT * 20):
        processing.forget_old()  # no time is signed: it is remembered for good, and only the body goes
        assert send("code", "github", {"ref": "main"}, delivery="third").json() == first.json()
    assert the_receipt().body == ""


def test_what_is_dated_is_forgotten_long_after_it_could_be_replayed(world: World) -> None:
    make_source("shop")
    send("shop", "standard", {"a": 1})
    with time_machine.travel(timezone.now() + processing.BODY_KEPT * 1.1):
        assert processing.forget_old() == (1, 0)
    with time_machine.travel(timezone.now() + processing.ROW_KEPT * 1.1):
        assert processing.forget_old() == (0, 1)


def test_stripe_and_slack_have_their_ids_in_what_is_signed(world: World) -> None:
    make_source("pay", "stripe")
    make_source("chat", "slack")
    event = {"id": "evt_1", "type": "charge.succeeded", "pending_webhooks": 2}
    first = send("pay", "stripe", event)
    assert send("pay", "stripe", {**event, "pending_webhooks": 1}, at=time.time() + 3).json() == first.json()
    assert send("pay", "stripe", {**event, "type": "charge.failed"}).status_code == 409
    assert send("chat", "slack", {"event_id": "Ev1"}).status_code == 202
    assert sorted(Receipt.objects.values_list("message_id", flat=True)) == ["Ev1", "evt_1"]
    for nothing in ({}, {"id": 7.5}, {"id": ""}, {"id": None}, {"id": "x" * 201}, {"id": ["x"]}):
        assert assert_problem(send("pay", "stripe", nothing), 400)["errors"][0]["pointer"] == "/id"


def test_slack_is_told_its_challenge_once_it_is_proven(world: World) -> None:
    make_source("chat", "slack")
    asked = {"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}
    answer = send("chat", "slack", asked)
    assert (answer.status_code, answer.json()) == (200, {"challenge": asked["challenge"]})
    body = encoded(asked)
    wrong = {**sign("slack", body), "X-Slack-Signature": "v0=00"}
    assert_problem(Sender("chat").post(body, wrong), 401)
    for odd in (None, 7, "", "x" * 201, "é", ["x"]):
        assert_problem(send("chat", "slack", {**asked, "challenge": odd}), 400)
    assert not Receipt.objects.exists()


def test_an_id_of_one_s_own_scheme_may_stand_in_the_body(world: World) -> None:
    options = {"header": "X-Sign", "id_pointer": "/event/id"}
    sources.add("own", "hmac", {"options": options}, secret="a-secret-of-our-own", by=ROOT)
    import hashlib
    import hmac

    def post(payload: Any) -> Any:
        body = encoded(payload)
        return Sender("own").post(
            body, {"X-Sign": hmac.new(b"a-secret-of-our-own", body, hashlib.sha256).hexdigest()}
        )

    first = post({"event": {"id": 17}})
    assert first.status_code == 202
    assert post({"event": {"id": 17}}).json() == first.json()
    assert post({"event": {"id": 17}, "more": 1}).status_code == 409
    assert assert_problem(post({"event": {}}), 400)["errors"][0]["pointer"] == "/event/id"


# --- At the same moment (W9) ----------------------------------------------------------------------------------------


def posted(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json", **headers})  # noqa: S310 (our own server)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_fifty_at_once_are_one(web_server: LiveServer, world: World) -> None:
    """In threads against the real server; a different body among them is the only one that is refused."""
    make_source("shop", action=SAVE, account=str(world.account.pk))
    body = encoded({"data": {"sku": "A-1", "title": "Once"}})
    headers = sign("standard", body)
    answers: list[tuple[int, Any]] = []
    together = threading.Barrier(50)

    def send_one() -> None:
        together.wait()
        answers.append(posted(f"{web_server.url}/hooks/in/shop", body, headers))

    threads = [threading.Thread(target=send_one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [202] * 50
    assert len({told["id"] for _, told in answers}) == 1
    receipt = the_receipt()
    other = encoded({"data": {"sku": "A-1", "title": "Twice"}})
    status, problem = posted(f"{web_server.url}/hooks/in/shop", other, sign("standard", other))
    assert (status, problem["code"]) == (409, "different-body")
    for _ in range(3):
        processing.carry_out(receipt.pk)
    assert Event.objects.filter(type="entry.created").count() == 1


# --- Before anything is parsed --------------------------------------------------------------------------------------


def test_size_and_type_are_looked_at_before_anything_else(world: World) -> None:
    make_source("shop")
    body = b'{"a": "' + b"x" * (256 * 1024) + b'"}'
    assert_problem(Sender("shop").post(body, sign("standard", body)), 413)
    assert_problem(Sender("nowhere").post(body, {}), 413)
    for content_type in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/jsonp",
        "",
    ):
        answer = Sender("shop").post(b"{}", sign("standard", b"{}"), content_type=content_type)
        assert_problem(answer, 415)
    assert not refusals()
    just = b'{"a": "' + b"x" * (256 * 1024 - 9) + b'"}'
    assert len(just) == 256 * 1024
    headers = senders.raw_standard(just, STANDARD_SECRET)
    answer = Sender("shop").post(just, headers, content_type="application/json; charset=UTF-8")
    assert answer.status_code == 202, answer.content


def test_ten_megabytes_are_not_even_read(web_server: LiveServer, world: World) -> None:
    make_source("shop")
    with socket.create_connection(("127.0.0.1", web_server.port), timeout=10) as line:
        head = "POST /hooks/in/shop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        line.sendall(f"{head}Content-Length: 10000000\r\n\r\n".encode() + b"x" * 1000)
        answer = b""
        while b"body-too-large" not in answer and (more := line.recv(65536)):  # it may come in pieces
            answer += more
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"body-too-large" in answer


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xff\xfe{}", "not-utf-8"),
        (b'{"a": "\xc3\x28"}', "not-utf-8"),
        (b'{"a": 1, "a": 2}', "repeated-key"),
        (b"[" * 10_000 + b"]" * 10_000, "too-deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too-deep"),
        (b"[{}" + b",{}" * 30_000 + b"]", "too-many-values"),
        (b'{"a": 1e999}', "number-too-large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number-too-large"),
        (b'{"a": NaN}', "not-a-number"),
        (b'{"a": "\\u0000"}', "bad-character"),
        (b'{"a": "\\ud800"}', "bad-character"),
        (b"{", "not-json"),
        (b"[]", "not-an-object"),
        (b"null", "not-an-object"),
    ],
)
def test_what_can_not_be_read_is_refused_and_said_to_who_proved_it(
    world: World, body: bytes, code: str
) -> None:
    make_source("shop")
    answer = Sender("shop").post(body, senders.raw_standard(body, STANDARD_SECRET))
    assert assert_problem(answer, 400)["errors"][0]["code"] == code
    assert told("source.refused") == [{"reason": "malformed-body", "key": "shop", "code": code}]
    assert not Receipt.objects.exists()
    assert_problem(Sender("shop").post(body, {}), 401)  # who proved nothing is told nothing


def test_a_schema_inspects_what_comes(world: World) -> None:
    schema = {
        "type": "object",
        "required": ["data"],
        "properties": {
            "data": {"type": "object", "properties": {"price": {"type": "integer", "maximum": 10}}}
        },
    }
    make_source("shop", schema=schema)
    assert send("shop", "standard", {"data": {"price": 3}}).status_code == 202
    problem = assert_problem(send("shop", "standard", {"data": {"price": 11}}, message_id="m2"), 400)
    assert problem["errors"][0]["pointer"] == "/data/price"
    assert assert_problem(send("shop", "standard", {}, message_id="m3"), 400)["errors"][0]["code"] == "schema"
    assert told("source.refused")[0] == {"reason": "not-as-expected", "key": "shop", "faults": 1}
    assert Receipt.objects.count() == 1
    # What was refused is not remembered: corrected at the source, it may come under the same id.
    assert send("shop", "standard", {"data": {}}, message_id="m2").status_code == 202


def test_other_methods_and_parameters_do_nothing(world: World) -> None:
    make_source("shop")
    client: Any = Client(raise_request_exception=False)
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        assert client.generic(method, "/hooks/in/shop").status_code == 405
    body = encoded({})
    answer = client.generic(
        "POST",
        "/hooks/in/shop?source=other",
        body,
        content_type="application/json",
        headers=sign("standard", body),
    )
    assert_problem(answer, 400)
    assert_problem(client.generic("POST", "/hooks/in/", b"{}", content_type="application/json"), 404)


def test_a_bearer_and_a_cookie_are_worth_nothing_here(world: World) -> None:
    make_source("shop")
    body = encoded({})
    for headers in ({"Authorization": "Bearer x"}, {"Cookie": "sessionid=x"}):
        assert_problem(Sender("shop").post(body, headers), 401)
        assert Sender("shop").post(body, {**headers, **sign("standard", body)}).status_code == 202


def test_a_database_that_is_gone_is_said_and_not_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_source("shop")

    def gone(*_: Any, **__: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr("webhooks.incoming.receiving._remembered", gone)
    answer = send("shop", "standard", {"a": 1})
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"]


# --- Quotas and alerts ------------------------------------------------------------------------------------------------


def test_a_stranger_uses_up_nothing_but_their_own(world: World) -> None:
    make_source("shop")
    statuses = [Sender("shop", "203.0.113.9").post(b"{}", {}).status_code for _ in range(70)]
    assert statuses == [401] * 60 + [429] * 10 or statuses.count(429) >= 9
    assert send("shop", "standard", {"a": 1}).status_code == 202  # from its own address
    # From the address of the stranger too, where the source has just been heard from.
    quotas.forget()
    assert send("shop", "standard", {"a": 1}, address="203.0.113.9").status_code == 202
    for _ in range(3):
        Sender("shop", "203.0.113.9").post(b"{}", {})
    assert send("shop", "standard", {"a": 1}, address="203.0.113.9").status_code == 202
    assert Sender("other", "203.0.113.9").post(b"{}", {}).status_code == 429


def test_a_source_has_a_quota_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    make_source("shop")
    make_source("store")
    monkeypatch.setattr(quotas, "OF_SOURCE", replace(quotas.OF_SOURCE, quota=3, burst=None))
    statuses = [send("shop", "standard", {}, message_id=f"m{n}").status_code for n in range(4)]
    assert statuses == [202, 202, 202, 429]
    assert send("store", "standard", {}).status_code == 202


def test_without_valkey_what_is_proven_is_taken(world: World, broken_valkey: None) -> None:
    make_source("shop")
    assert send("shop", "standard", {"a": 1}).status_code == 202
    assert Sender("shop").post(b"{}", {}).status_code == 401


def test_many_refusals_of_a_source_are_an_alert(world: World, unlimited: None) -> None:
    make_source("shop")
    for number in range(20):
        Sender("shop", f"192.0.2.{number}").post(b"{}", {})
    Sender("nowhere").post(b"{}", {})
    alerts = raise_alerts()
    assert set(alerts) == {"source-refused"}
    assert "20 webhooks" in alerts["source-refused"].sentence
    assert "shop" in alerts["source-refused"].sentence


def test_times_that_are_refused_are_an_alert_that_names_the_clock(world: World, unlimited: None) -> None:
    """As if our clock were ten minutes ahead (W10)."""
    make_source("shop")
    for number in range(5):
        assert send("shop", "standard", {}, message_id=f"m{number}", at=time.time() - 600).status_code == 401
    alerts = raise_alerts()
    assert set(alerts) == {"source-clock"}
    assert "clock" in alerts["source-clock"].sentence


def test_nobody_is_let_in_during_a_lockdown(world: World) -> None:
    from cms_project import lockdown

    make_source("shop")
    lockdown.begin(reason="a drill", by=ROOT)
    assert_problem(send("shop", "standard", {"a": 1}), 423)
    assert not Receipt.objects.exists()


def test_the_body_limit_is_the_one_that_is_promised() -> None:
    assert receiving.MAX_BODY_BYTES == 256 * 1024 < settings.DATA_UPLOAD_MAX_MEMORY_SIZE
