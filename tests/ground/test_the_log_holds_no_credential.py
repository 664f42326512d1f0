"""The scrubber, and that one event is one line."""

import io
import json
import logging
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.masking import scrub
from cms_project import logs

SECRETS = [
    "qk_live_abc123DEF_s3cr3tCanaryValue0123456789",
    "whsec_Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5",
    "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlY2FuYXJ5",
    "whsk_Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5",
    "$argon2id$v=19$m=102400,t=2,p=8$Y2FuYXJ5$Y2FuYXJ5",
]
PHRASES = [
    "password=canary-pass",
    "password: 'canary pass word'",
    '{"password": "canary pass \\" word", "x": 1}',
    "{'client_secret': 'canary'}",
    "Authorization: Bearer canary.token.value",
    "authorization=Basic Y2FuYXJ5canary",
    "Cookie: session=canary; csrftoken=canary",
    "Set-Cookie: __Host-session=canary; Path=/",
    "postgresql://user:canary@/name",
    "redis://:canary@localhost/0",
    "otp=canary",
    "access_token=canary&x=1",
    "DJANGO_SECRET_KEY=canary",
    "new_password2=canary",
    "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
]
SIGNATURES = [
    "webhook-signature: v1,{0} v1a,{0}",
    "<td>webhook-signature</td><td>v1,{0}</td>",
    "webhook-signature=v1%2C{0}",
    "['webhook-signature', 'v1,{0}']",
]
REPEATED = [
    "_",
    "-",
    "a_",
    "a.",
    "a+",
    "eyJ",
    "secret_",
    "password",
    "://",
    "v1,",
    "whsec_",
    "cookie ",
    "basic ",
]


def record_of(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    record = logging.makeLogRecord({"msg": message, "args": arguments, "levelname": "INFO", "name": "test"})
    record.__dict__.update(extra)
    return record


@pytest.fixture(params=[logs.JSONFormatter, logs.ReadableFormatter])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    made: logging.Formatter = request.param()
    return made


@pytest.mark.parametrize("secret", SECRETS)
def test_a_credential_is_hidden_wherever_it_stands(formatter: logging.Formatter, secret: str) -> None:
    lines = [
        formatter.format(record_of(f"before {secret} after")),
        formatter.format(record_of("value %s", secret)),
        formatter.format(record_of("x", detail={"deep": [secret, {secret: secret}]})),
        formatter.format(record_of("x", detail=(secret,))),
    ]
    assert all(secret not in line and secret[-12:] not in line for line in lines)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_value_behind_a_secret_name_is_hidden(formatter: logging.Formatter, phrase: str) -> None:
    line = formatter.format(record_of("%s", phrase))
    assert "canary" not in line.lower()
    assert "Y2FuYXJ5" not in line


def test_an_extra_value_with_a_secret_name_is_hidden(formatter: logging.Formatter) -> None:
    line = formatter.format(record_of("x", password="canary", body={"refresh": "canary", "user_otp": 123456}))
    assert "canary" not in line
    assert "123456" not in line


def test_a_traceback_is_scrubbed(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"bad key {SECRETS[0]}")
    except ValueError:
        record = record_of("failed")
        record.exc_info = sys.exc_info()
    line = formatter.format(record)
    assert "ValueError" in line
    assert "s3cr3tCanary" not in line


@pytest.mark.parametrize("phrase", SIGNATURES)
def test_a_signature_that_a_receiver_repeats_is_hidden(phrase: str) -> None:
    for signature in ("Q2FuYXJ5/" * 4 + "cGo5bzk=", "Q2FuYXJ5\\/" * 4 + "cGo5bzk="):
        assert "Q2FuYXJ5" not in scrub(phrase.format(signature))


@pytest.mark.parametrize("part", REPEATED)
def test_no_text_keeps_the_scrubber_busy(part: str) -> None:
    """A path that a stranger chose is logged, and the answers of receivers are kept."""
    started = time.process_time()
    scrub(part * (32_000 // len(part)))
    assert time.process_time() - started < 1


def test_ordinary_words_stay_readable() -> None:
    text = "The entry 0190-... was published in 12 ms by Edith; access granted to 3 collections"
    assert scrub(text) == text


@given(st.text())
def test_an_event_is_one_line_whatever_it_says(text: str) -> None:
    for made in (logs.JSONFormatter(), logs.ReadableFormatter()):
        line = made.format(record_of("%s", text, extra_text=text))
        assert line.splitlines() in ([line], [])
        assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)


@given(st.text(), st.text(alphabet=st.characters(categories=["L", "N"]), min_size=24), st.text())
def test_an_api_key_is_hidden_among_any_text(before: str, secret: str, after: str) -> None:
    ascii_secret = "".join(character for character in secret if character.isascii()) + "Zz0123456789"
    shown = scrub(f"{before} qk_live_k1_{ascii_secret} {after}")
    assert f"k1_{ascii_secret}" not in shown


def test_the_production_form_is_json_with_the_request_id() -> None:
    token = logs.request_id.set("0190-request")
    try:
        event = json.loads(logs.JSONFormatter().format(record_of("done in %d ms", 3, entry="7")))
    finally:
        logs.request_id.reset(token)
    assert event["event"] == "done in 3 ms"
    assert event["entry"] == "7"
    assert event["request_id"] == "0190-request"
    assert event["at"].endswith("Z")


def test_a_wrong_format_string_loses_no_event() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JSONFormatter())
    handler.handle(record_of("%s %s", "only one"))
    assert json.loads(stream.getvalue())["event"] == "%s %s"
