"""What came of attempts, written down: the log of attempts, the next one, the endpoint that is failing or gone."""

import contextlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.access import system
from accounts.egress import Answer
from accounts.errors import ConflictError
from accounts.log import Subject, record
from accounts.masking import MASK, scrub
from webhooks import endpoints, retrying, rewriting, signing
from webhooks.leasing import LOST
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.types import TEST

EXHAUSTED: Final = "endpoint.exhausted"
UNREACHABLE: Final = "unreachable"  # whatever the reason was: it is not told to who chose the address
UNSIGNED: Final = "unsigned"  # no secret could be opened: the key ring lacks its key
MOST_BODY: Final = 2_048  # characters of an answer that are kept
_MOST_HEADER: Final = 200
_KEPT: Final = ("content-type", "content-length", "date", "retry-after", "server", "location", "x-request-id")
_SLOW_DOWN: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_TAKEN: Final = frozenset({Delivery.State.WAITING, Delivery.State.MISSED, Delivery.State.EXHAUSTED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt that was made: what was sent, and the answer, or None where none came."""

    attempt_id: UUID
    delivery_id: UUID
    endpoint_id: UUID
    fence: int
    is_test: bool
    at: datetime
    body: str
    request_headers: Mapping[str, str]
    answer: Answer | None = None
    milliseconds: int | None = None
    error: str = ""

    @property
    def is_success(self) -> bool:
        return self.answer is not None and self.answer.is_success

    @property
    def is_gone(self) -> bool:
        return self.answer is not None and self.answer.status == HTTPStatus.GONE

    def asked_pause(self, now: datetime) -> timedelta | None:
        """Return the pause that the receiver asked for."""
        if self.answer is None or self.answer.status not in _SLOW_DOWN:
            return None
        return retrying.asked_pause(self.answer.headers.get("retry-after"), now)


def settle(outcomes: Collection[Outcome], *, now: datetime) -> None:
    """Write down what came of attempts, then what that means for their endpoints. Commits on its own.

    It may be done again with the same outcomes: each attempt is written down once. A crash between the two is made up
    for by the next attempt.
    """
    _settle_deliveries(outcomes, now)
    by_endpoint: dict[UUID, list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.is_test:
            by_endpoint.setdefault(outcome.endpoint_id, []).append(outcome)
    for endpoint in Endpoint.objects.filter(pk__in=by_endpoint):
        with contextlib.suppress(ConflictError):  # one that was removed meanwhile stops no other
            _judge(endpoint, by_endpoint[endpoint.pk], now)


@transaction.atomic(durable=True)
def _settle_deliveries(outcomes: Collection[Outcome], now: datetime) -> None:
    by_id = {outcome.delivery_id: outcome for outcome in outcomes}
    deliveries = list(
        Delivery.objects.select_for_update(of=("self",))
        .select_related("endpoint")
        .filter(pk__in=by_id)
        .order_by("pk")
    )
    known = Attempt.objects.in_bulk([outcome.attempt_id for outcome in outcomes])
    fresh: list[Attempt] = []
    changed: list[Delivery] = []
    for delivery in deliveries:
        outcome = by_id[delivery.pk]
        before = known.get(outcome.attempt_id)
        if before is not None and before.error != LOST:
            continue  # it was written down, and the database went away before it could say so
        if before is None:
            delivery.attempt_count += 1
        else:  # it was taken for lost, and it was only late
            before.delete()
        fresh.append(_attempt(delivery, outcome, before.number if before else delivery.attempt_count))
        changed.append(delivery)
        if outcome.is_success:
            _succeed(delivery, outcome, now)
        elif delivery.fence == outcome.fence and delivery.state == Delivery.State.WAITING:
            _fail(delivery, outcome, now)
    Attempt.objects.bulk_create(fresh)
    rewriting.write(changed)


def _succeed(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    """Whoever held the lease, and whatever was decided meanwhile: the receiver has it."""
    if delivery.fence == outcome.fence:  # else what it is about may have been erased meanwhile
        delivery.body = delivery.body or outcome.body
    if delivery.state in _TAKEN:
        delivery.end(Delivery.State.DELIVERED, now)


def _fail(delivery: Delivery, outcome: Outcome, now: datetime) -> None:
    """Wait for the next try, or give up. Of one whose lease was taken over somebody else decides."""
    delivery.body = outcome.body or delivery.body
    delivery.tries += 1
    pause = None if delivery.type == TEST else retrying.pause_after(delivery.tries)
    if pause is None:
        delivery.end(Delivery.State.EXHAUSTED, now)
        if delivery.type != TEST:
            detail = {"name": delivery.endpoint.name, "delivery": str(delivery.pk), "type": delivery.type}
            subject = Subject("endpoint", str(delivery.endpoint_id))
            record(EXHAUSTED, actor=system("webhooks"), subject=subject, detail=detail)
        return
    delivery.leased_until = None
    delivery.next_attempt_at = now + max(pause, outcome.asked_pause(now) or timedelta(0))


def _attempt(delivery: Delivery, outcome: Outcome, number: int) -> Attempt:
    answer = outcome.answer
    return Attempt(
        id=outcome.attempt_id,
        delivery=delivery,
        endpoint_id=outcome.endpoint_id,
        number=number,
        at=outcome.at,
        milliseconds=outcome.milliseconds,
        status=answer.status if answer is not None else None,
        error=outcome.error,
        is_success=outcome.is_success,
        request_headers=_masked(outcome.request_headers),
        response_headers=dict(_kept(answer.headers)) if answer is not None else {},
        response_body=_text(answer.body) if answer is not None and delivery.fence == outcome.fence else "",
    )


def _masked(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what was sent with each signature masked: within the tolerance it could be sent again by who reads it."""
    shown = dict(headers)
    if signature := shown.get(signing.SIGNATURE):
        shown[signing.SIGNATURE] = " ".join(f"{item.partition(',')[0]},{MASK}" for item in signature.split())
    return shown


def _kept(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for name in _KEPT:
        if value := headers.get(name):
            yield name, _clean(value)[:_MOST_HEADER]


def _text(body: bytes) -> str:
    return _clean(body[: 4 * MOST_BODY].decode("utf-8", errors="replace"))[:MOST_BODY]


def _clean(text: str) -> str:
    return scrub(text).replace("\x00", "\ufffd")


# --- Endpoints ------------------------------------------------------------------------------------------------------


def _judge(endpoint: Endpoint, outcomes: Collection[Outcome], now: datetime) -> None:
    """Note that an endpoint fails, works again, asks for a pause, or is over. Mostly there is nothing to note."""
    row = Endpoint.objects.filter(pk=endpoint.pk)
    pauses = [pause for outcome in outcomes if (pause := outcome.asked_pause(now)) is not None]
    if pauses:
        row.update(held_until=now + max(pauses))
    if any(outcome.is_gone for outcome in outcomes):
        endpoints.disable(endpoint, because=Endpoint.Because.GONE, by=system("webhooks"))
    elif any(outcome.is_success for outcome in outcomes):
        if endpoint.failing_since is not None or endpoint.held_until is not None:
            row.update(failing_since=None, held_until=now + max(pauses) if pauses else None)
    elif endpoint.failing_since is None:
        row.filter(failing_since=None).update(failing_since=min(outcome.at for outcome in outcomes))
    elif now - endpoint.failing_since >= retrying.FAILS_FOR:
        endpoints.disable(endpoint, because=Endpoint.Because.FAILING, by=system("webhooks"))
