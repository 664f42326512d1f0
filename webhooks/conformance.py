"""Finds out whether a receiver checks what it is sent: good requests it must take, forged and old ones it must refuse.

Every request is a `webhook.test` about nothing. Whether a repeated one was acted on twice only the receiver knows.
"""

import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts import egress
from accounts.access import Area, Principal
from accounts.api.shapes import moment
from accounts.egress import EgressError
from accounts.errors import ConflictError
from accounts.ids import uuid7
from accounts.keyring import KeyRingError
from accounts.log import Subject, record
from webhooks import payload, signing
from webhooks.models import Delivery, Endpoint
from webhooks.sending import DEADLINE, HEADERS
from webhooks.signing import Signer
from webhooks.types import TEST

SKEW: Final = timedelta(minutes=10)  # twice what receivers allow
_MOST_BYTES: Final = 16 * 1024
_TOTAL: Final = 60.0  # seconds for all of it: a receiver that hangs on each must not hold a worker for long


@dataclass(frozen=True, slots=True)
class Case:
    """One request: what it is, whether it must be taken, and what to do where it is not as it must be."""

    name: str
    title: str
    is_taken: bool
    advice: str


@dataclass(frozen=True, slots=True)
class _Request:
    message_id: str
    at: datetime
    body: bytes
    signers: tuple[Signer, ...]

    def headers(self) -> dict[str, str]:
        return {**HEADERS, **signing.headers(self.message_id, self.at, self.body, self.signers)}


CASES: Final = (
    Case(
        "good", "A good request", True, "Answer 2xx once the signature is right, and work on it afterwards."
    ),
    Case(
        "repeated",
        "The same request once more",
        True,
        "Remember each webhook-id, and answer 2xx (or 409) without acting again.",
    ),
    Case(
        "wrong-signature",
        "Signed with another secret",
        False,
        "Compare the signature with your own, in constant time, and answer 401.",
    ),
    Case(
        "altered-body",
        "The body was altered on the way",
        False,
        "Verify the raw bytes as they came, before you parse them.",
    ),
    Case(
        "other-id", "The id was exchanged", False, "Sign over id, timestamp and body, with a dot in between."
    ),
    Case("old", "Ten minutes old", False, "Refuse a webhook-timestamp that is more than five minutes old."),
    Case(
        "early",
        "Ten minutes early",
        False,
        "Refuse a webhook-timestamp that is more than five minutes ahead.",
    ),
    Case("unsigned", "Without a signature", False, "A request without the three headers is a stranger's."),
)


def check(endpoint: Endpoint, *, by: Principal) -> dict[str, Any]:
    """Send all of it to a receiver and keep what came of it on the row. Takes up to a minute, so not in a request."""
    by.require_area(Area.WEBHOOKS)
    by.require_no_lockdown()
    now = timezone.now()
    signers = _signers(endpoint, now)
    ends_at = time.monotonic() + _TOTAL
    checks = [
        _tried(endpoint, case, headers, body, ends_at) for case, headers, body in _requests(signers, now)
    ]
    result = {
        "at": moment(timezone.now()),
        "passed": all(item["passed"] for item in checks),
        "checks": checks,
    }
    with transaction.atomic():
        Endpoint.objects.filter(pk=endpoint.pk).update(conformance=result)
        detail = {
            "name": endpoint.name,
            "passed": result["passed"],
            "failed": [item["name"] for item in checks if not item["passed"]],
        }
        record("endpoint.checked", actor=by, subject=Subject("endpoint", str(endpoint.pk)), detail=detail)
    return result


def _signers(endpoint: Endpoint, now: datetime) -> tuple[Signer, ...]:
    try:
        return tuple(signing.opened(secret) for secret in endpoint.secrets.signing(now))
    except KeyRingError as error:
        raise ConflictError("The secret can’t be opened with the key ring.") from error


def _requests(signers: tuple[Signer, ...], now: datetime) -> list[tuple[Case, dict[str, str], bytes]]:
    """Return the requests in the order of CASES; each but the first two has one thing wrong with it."""
    good = _Request(str(uuid7()), now, _body(now), signers)
    strangers = tuple(replace(signer, key=secrets.token_bytes(32)) for signer in signers)
    altered = good.body.replace(b'"environment":', b'"environment" :')

    def anew(**values: Any) -> _Request:
        return replace(good, message_id=str(uuid7()), **values)

    other = anew()
    made: dict[str, tuple[dict[str, str], bytes]] = {
        "good": (good.headers(), good.body),
        "repeated": (good.headers(), good.body),
        "wrong-signature": (anew(signers=strangers).headers(), good.body),
        "altered-body": (anew().headers(), altered),
        "other-id": (other.headers() | {signing.ID: str(uuid7())}, good.body),
        "old": (anew(at=now - SKEW).headers(), good.body),
        "early": (anew(at=now + SKEW).headers(), good.body),
        "unsigned": (dict(HEADERS), good.body),
    }
    return [(case, *made[case.name]) for case in CASES]


def _body(now: datetime) -> bytes:
    sample = Delivery(type=TEST, occurred_at=now)
    return payload.text_of(sample).encode()


def _tried(
    endpoint: Endpoint, case: Case, headers: dict[str, str], body: bytes, ends_at: float
) -> dict[str, Any]:
    status: int | None = None
    left = min(DEADLINE, ends_at - time.monotonic())
    if left > 0:
        try:
            answer = egress.post(
                endpoint.url,
                body,
                headers=headers,
                deadline=left,
                max_bytes=_MOST_BYTES,
                cut=True,
                patient=True,  # how soon nothing came says what is behind an address
            )
            status = answer.status
        except EgressError:
            status = None  # why is not told to who chose the address
    passed = status is not None and _is_as_expected(case, status)
    return {
        "name": case.name,
        "title": case.title,
        "expected": "accepted" if case.is_taken else "refused",
        "status": status,
        "passed": passed,
        "advice": "" if passed else _advice(case, status),
    }


def _advice(case: Case, status: int | None) -> str:
    if status is None:
        return "No answer came within the time."
    if not case.is_taken and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"It broke ({status}) instead of refusing. Answer 401, so that a fault can be told from an attack."
    return case.advice


def _is_as_expected(case: Case, status: int) -> bool:
    if not case.is_taken:
        return 400 <= status < 500
    return 200 <= status < 300 or (case.name == "repeated" and status == HTTPStatus.CONFLICT)
