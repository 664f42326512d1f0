"""Signatures of five schemes: by other hands than ours, and every way to be wrong is the same refusal (threats R, W10)."""

import base64
import hmac
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import ROOT
from tests.security.world import assert_problem, masked
from tests.webhooks.incoming import senders
from tests.webhooks.incoming.senders import Sender, encoded
from tests.webhooks.incoming.world import (
    SECRET,
    STANDARD_SECRET,
    World,
    make_source,
    refusals,
    sign,
    told,
)
from webhooks.incoming import sources
from webhooks.models import Receipt, SourceSecret

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("unlimited")]
SCHEMES = ("standard", "github", "stripe", "slack", "hmac")
DATED = tuple(scheme for scheme in SCHEMES if scheme != "github")
SIGNATURE = {
    "standard": "webhook-signature",
    "github": "X-Hub-Signature-256",
    "stripe": "Stripe-Signature",
    "slack": "X-Slack-Signature",
    "hmac": "X-Sign",
}
BODY = encoded({"id": "evt_1", "event_id": "Ev1", "text": "grüße"})


def refused(answer: Any) -> str:
    """Check that a request was refused as all others are, stored nothing, and return the reason of the log."""
    assert_problem(answer, 401)
    assert answer.json()["code"] == "not-proven"
    assert not Receipt.objects.exists()
    return refusals()[-1]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_each_scheme_signs_is_believed(world: World, scheme: str) -> None:
    source = make_source("shop", scheme)
    answer = Sender("shop").post(BODY, sign(scheme, BODY))
    assert answer.status_code == 202, answer.content
    receipt = Receipt.objects.get()
    assert answer.json() == {"id": str(receipt.pk)}
    assert (receipt.source, receipt.state, receipt.size) == (source, "done", len(BODY))
    source.refresh_from_db()
    assert source.last_used_at is not None
    assert not refusals()


def test_the_published_vector_is_believed(world: World) -> None:
    make_source("shop")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    with time_machine.travel(1614265330, tick=False):
        answer = Sender("shop").post(b'{"test": 2432232314}', headers)
    assert answer.status_code == 202, answer.content
    assert Receipt.objects.get().message_id == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_a_public_key_verifies_what_its_private_half_signed(world: World) -> None:
    private = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    make_source("shop", secret=public)
    assert Sender("shop").post(BODY, senders.asymmetric(BODY, private)).status_code == 202
    Receipt.objects.all().delete()
    other = senders.asymmetric(BODY, Ed25519PrivateKey.generate())
    assert refused(Sender("shop").post(BODY, other)) == "wrong-signature"
    # Whoever knows the public key must not be able to use it as a shared secret (RFC 8725, section 2.1).
    confused = senders.raw_standard(BODY, public.removeprefix("whpk_"))
    assert refused(Sender("shop").post(BODY, confused)) == "wrong-signature"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1],
        lambda text: text[:-8],
        lambda text: text + "0",
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: text.upper(),
        lambda text: text.swapcase(),
        lambda text: text.replace("+", "-").replace("/", "_") + "-",
        lambda text: text.partition(",")[0] + ",",
        lambda text: text.partition("=")[0] + "=",
        lambda text: (
            text.replace("v1", "v2").replace("v0", "v9").replace("sha256=", "sha1=").replace("sig ", "")
        ),
        lambda text: "",
        lambda text: " ",
        lambda text: "v1",
        lambda text: "v1,",
        lambda text: "=",
        lambda text: ",",
        lambda text: "t=,v1=",
        lambda text: "t=1,t=2,v1=00",
        lambda text: "\u00e9" + text,
        lambda text: "v1," + "A" * 5000,
        lambda text: " ".join(["v1,x"] * 50),
    ],
)
def test_a_signature_that_is_another_text_is_refused(world: World, scheme: str, change: Any) -> None:
    make_source("shop", scheme)
    headers = sign(scheme, BODY)
    name = SIGNATURE[scheme]
    changed = change(headers[name])
    if changed == headers[name]:
        pytest.skip("the same text")
    refused(Sender("shop").post(BODY, {**headers, name: changed}))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_header_is_needed_and_each_byte_counts(world: World, scheme: str) -> None:
    make_source("shop", scheme)
    headers = sign(scheme, BODY)
    for name in headers:
        if name.startswith("X-GitHub"):
            continue  # not signed, so not looked at
        without = {key: value for key, value in headers.items() if key != name}
        assert refused(Sender("shop").post(BODY, without)) == "header-missing"
    assert refused(Sender("shop").post(BODY + b" ", headers)) == "wrong-signature"
    assert refused(Sender("shop").post(BODY[:-1], headers)) == "wrong-signature"
    assert Sender("shop").post(BODY, headers).status_code == 202


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_scheme_takes_the_signature_of_another(world: World, scheme: str) -> None:
    make_source("shop", scheme, secret=None if scheme == "standard" else SECRET)
    for other in set(SCHEMES) - {scheme}:
        refused(Sender("shop").post(BODY, sign(other, BODY)))


@pytest.mark.parametrize(
    "text", ["", "x", "1e9", "1700000000.9", "+{}", " {}", "0{}", "{}.0", "-1", "٣" * 10, "9" * 13, "0"]
)
def test_a_timestamp_has_one_form(world: World, text: str) -> None:
    make_source("shop")
    now = int(time.time())
    given = text.format(now)
    headers = senders.standard(BODY, STANDARD_SECRET)
    key = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
    mac = hmac.digest(key, f"msg_1.{given}.".encode() + BODY, "sha256")
    headers |= {"webhook-timestamp": given, "webhook-signature": "v1," + base64.b64encode(mac).decode()}
    assert refused(Sender("shop").post(BODY, headers)) in (
        "malformed-timestamp",
        "header-missing",
        "malformed-header",
    )


@pytest.mark.parametrize("message_id", ["a.b", "", "x" * 201, "a b", "a\tb", "é"])
def test_an_id_holds_no_separator_and_nothing_odd(world: World, message_id: str) -> None:
    make_source("shop")
    headers = senders.standard(BODY, STANDARD_SECRET, message_id=message_id)
    assert refused(Sender("shop").post(BODY, headers)) in (
        "malformed-id",
        "header-missing",
        "malformed-header",
    )


def test_one_right_signature_among_others_is_enough(world: World) -> None:
    make_source("shop")
    headers = sign("standard", BODY)
    right = headers["webhook-signature"]
    wrong = "v1," + base64.b64encode(b"x" * 32).decode()
    headers["webhook-signature"] = f"v2,abc {wrong} v1, nonsense {right} v1a,x"
    assert Sender("shop").post(BODY, headers).status_code == 202


def test_a_right_signature_in_a_header_that_is_no_header_of_the_scheme_is_refused(world: World) -> None:
    make_source("shop")
    make_source("pay", "stripe")
    standard, stripe = sign("standard", BODY), sign("stripe", BODY)
    right, both = standard["webhook-signature"], stripe["Stripe-Signature"]
    time_of = both.partition(",")[0]
    for text, reason in (
        (" ".join([*["v1,x"] * 20, right]), "too-many-signatures"),
        (f"{right} v1,{'x' * 5000}", "malformed-header"),
        (f"{right} \u00e9", "malformed-header"),
        (f"{right}\tv1,x", "malformed-header"),
        (right.replace("v1,", "v1a,"), "wrong-signature"),
    ):
        assert refused(Sender("shop").post(BODY, {**standard, "webhook-signature": text})) == reason, text
    for text in (f"{both},{time_of}", f"{both},t=1", both + ",v1=x" * 20):
        answer = Sender("pay").post(BODY, {"Stripe-Signature": text})
        assert refused(answer) == "malformed-signature", text
    just = {**standard, "webhook-signature": " ".join([*["v1,x"] * 19, right])}
    assert Sender("shop").post(BODY, just).status_code == 202
    assert Sender("pay").post(BODY, {"Stripe-Signature": both + ",v1=x" * 19}).status_code == 202


def test_a_signature_by_a_private_key_has_one_form(world: World) -> None:
    private = Ed25519PrivateKey.generate()
    make_source("shop", secret="whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode())
    headers = senders.asymmetric(BODY, private)
    right = headers["webhook-signature"]
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".index(right[-3])
    other = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[last + 1]
    same_bytes = right[:-3] + other + "=="  # as most readers of base64 take it
    assert base64.b64decode(same_bytes[4:]) == base64.b64decode(right[4:])
    for text in (
        same_bytes,
        right.replace("v1a,", "v1,"),
        right.replace("v1a,", "v1b,"),
        right + "=",
        right[:-4],
    ):
        assert refused(Sender("shop").post(BODY, {**headers, "webhook-signature": text})) == "wrong-signature"
    assert Sender("shop").post(BODY, headers).status_code == 202


def test_an_id_of_one_s_own_scheme_can_not_take_in_what_stands_beside_it(world: World) -> None:
    """Of `{timestamp}|{id}|{body}`, a part of the body must not become a part of the id, under the same signature."""
    options = {**senders.GENERIC, "signed": "{timestamp}|{id}|{body}"}
    make_source("shop", "hmac", options=options)
    body = encoded({"a": "|{}"})
    now = int(time.time())
    content = f"{now}|m1|".encode() + body
    mac = base64.b64encode(hmac.digest(SECRET.encode(), content, "sha512")).decode()
    headers = {"X-Id": "m1", "X-Time": str(now), "X-Sign": f"sig {mac}"}
    moved = {**headers, "X-Id": 'm1|{"a":'}  # the blank ends here what might be an id
    assert refused(Sender("shop").post(b'"|{}"}', moved)) == "malformed-id"
    moved = {**headers, "X-Id": "m1|"}
    assert refused(Sender("shop").post(body, moved)) == "malformed-id"
    assert Sender("shop").post(body, headers).status_code == 202


# --- The clock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", DATED)
@pytest.mark.parametrize("off", [-299, 299, -301, 301])
def test_five_minutes_are_tolerated_both_ways(world: World, scheme: str, off: int) -> None:
    make_source("shop", scheme)
    with time_machine.travel(1_790_000_000, tick=False):
        answer = Sender("shop").post(BODY, sign(scheme, BODY, at=time.time() + off))
    if abs(off) < 300:
        assert answer.status_code == 202, answer.content
    else:
        assert refused(answer) == ("timestamp-too-old" if off < 0 else "timestamp-in-future")


def test_the_tolerance_is_the_source_s_own(world: World) -> None:
    make_source("shop", options={"tolerance_seconds": 30})
    assert refused(Sender("shop").post(BODY, sign("standard", BODY, at=time.time() - 40)))
    assert Sender("shop").post(BODY, sign("standard", BODY, at=time.time() - 20)).status_code == 202


def test_a_stranger_with_a_wrong_time_is_told_apart_from_a_clock_that_is_off(world: World) -> None:
    make_source("shop")
    headers = sign("standard", BODY, at=time.time() - 1000)
    assert refused(Sender("shop").post(BODY, headers)) == "timestamp-too-old"
    assert refused(Sender("shop").post(BODY + b" ", headers)) == "wrong-signature"


# --- Who ------------------------------------------------------------------------------------------------------------


def test_every_refusal_looks_the_same(world: World) -> None:
    make_source("shop")
    off = make_source("off")
    sources.switch(off, is_on=False, by=ROOT)
    good = sign("standard", BODY)
    answers = [
        Sender("shop").post(BODY, {**good, "webhook-signature": "v1,x"}),
        Sender("shop").post(BODY, {}),
        Sender("shop").post(BODY, sign("standard", BODY, at=time.time() - 999)),
        Sender("off").post(BODY, good),
        Sender("nowhere").post(BODY, good),
        Sender("No-Key%20at%20all").post(BODY, good),
        Sender("x" * 500).post(BODY, good),
    ]
    looks = [masked(answer) for answer in answers]
    assert all(look == looks[0] for look in looks)
    assert looks[0][0] == 401
    assert refusals() == [
        "wrong-signature", "header-missing", "timestamp-too-old", "switched-off", "unknown-source", "unknown-source",
        "unknown-source",
    ]  # fmt: skip
    assert Sender("shop").post(BODY, good).status_code == 202


def test_what_is_refused_is_written_down_without_what_was_sent(world: World) -> None:
    make_source("shop")
    Sender("shop").post(
        encoded({"canary": "CANARYBODY"}),
        {"webhook-id": "CANARYID", "webhook-timestamp": "1", "webhook-signature": "v1,CANARYSIG"},
    )
    assert told("source.refused") == [{"reason": "wrong-signature", "key": "shop"}]


def test_two_secrets_count_while_one_takes_the_place_of_the_other(world: World) -> None:
    source = make_source("shop")
    made = sources.rotate_secret(source, overlap=timedelta(hours=24), by=ROOT)
    assert made.secret.startswith("whsec_")

    def status(secret: str, number: int) -> int:
        headers = senders.standard(BODY, secret, message_id=f"m{number}")
        return int(Sender("shop").post(BODY, headers).status_code)

    assert (status(STANDARD_SECRET, 1), status(made.secret, 2)) == (202, 202)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert (status(STANDARD_SECRET, 3), status(made.secret, 4)) == (401, 202)
    third = sources.rotate_secret(source, by=ROOT)
    assert (status(STANDARD_SECRET, 5), status(made.secret, 6), status(third.secret, 7)) == (401, 202, 202)
    fourth = sources.rotate_secret(source, overlap=timedelta(0), by=ROOT)
    assert (status(third.secret, 8), status(fourth.secret, 9)) == (401, 202)
    kept = SourceSecret.objects.filter(source=source).exclude(secret="")
    assert [row.state for row in kept] == ["active"]


def test_secrets_are_kept_encrypted_and_bound_to_their_row(world: World) -> None:
    make_source("one", "github")
    make_source("two", "github", secret="another-secret-of-theirs")
    first, second = SourceSecret.objects.order_by("pk")
    assert SECRET not in first.secret
    SourceSecret.objects.filter(pk=second.pk).update(secret=first.secret)  # somebody with SQL moves it
    answer = Sender("two").post(BODY, sign("github", BODY))
    assert_problem(answer, 503)
    assert not Receipt.objects.exists()


# --- Whatever comes ---------------------------------------------------------------------------------------------------

HEADER = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=80)
SHAPED = st.one_of(
    HEADER,
    st.lists(
        st.sampled_from(["v1", "v1a", "t", "v0", "=", ",", " ", "sha256=", "AAAA", "1700000000", "é"]),
        max_size=12,
    ).map("".join),
)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_headers_of_every_shape_are_a_refusal_and_never_an_error(world: World, scheme: str) -> None:
    make_source("shop", scheme)
    names = list(sign(scheme, BODY))

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None)
    @given(st.lists(SHAPED, min_size=len(names), max_size=len(names)), st.binary(min_size=1, max_size=40))
    def any_shape(values: list[str], body: bytes) -> None:
        headers = dict(zip(names, values, strict=True))
        assert Sender("shop").post(body, headers).status_code == 401

    any_shape()
    assert not Receipt.objects.exists()
