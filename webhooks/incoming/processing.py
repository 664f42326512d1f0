"""Acting on what was received: each receipt once, whoever is woken up, and whatever is killed in between.

A try is counted in a transaction of its own, which also says when the next one may begin; that is its lease. The act,
and that it was done, are one transaction: a worker that dies leaves nothing half done. `attempts` is the fence.
"""

import logging
import traceback
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.api.json_body import loads
from accounts.errors import (
    ConflictError,
    DomainError,
    LockedDownError,
    NotFoundError,
    Problem,
    StaleVersionError,
    TooManyRequestsError,
    UnavailableError,
)
from accounts.log import Subject, record
from webhooks.incoming import acting, receiving
from webhooks.incoming.sources import require_to_hold, subject_of
from webhooks.models import Receipt, Source
from webhooks.models.source import MOST_TRIES

logger = logging.getLogger("quillkeep.webhooks")

# Until the next try, after each of them: long enough for the try itself, which is over within seconds.
PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 600, 3600, 3600))
BODY_KEPT: Final = timedelta(days=30)  # in the log of receipts
ROW_KEPT: Final = timedelta(days=90)  # of messages with a signed time: far longer than they could be replayed
_PASSES: Final = (LockedDownError, StaleVersionError, TooManyRequestsError, UnavailableError)
_PASSING_CODES: Final = frozenset({"schema-changed"})
_MOST_PROBLEMS: Final = 50
_MOST_AT_ONCE: Final = 100


def carry_out(receipt_id: UUID) -> None:
    """Try to act on a receipt, if it waits and is due. Never raises for what the message or the source did wrong."""
    tried = _begin(receipt_id)
    if tried is None:
        return
    try:
        _finish(tried)
    except DomainError as error:
        if isinstance(error, _PASSES) or error.code in _PASSING_CODES:
            _put_off(tried, error.code)
        else:
            _fail(tried, error)
    except Exception as error:  # noqa: BLE001 (said below)
        # A database that restarts, a bug: the receipt waits and is tried again. The words of the error stay out of the
        # log, for they may quote what was sent.
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("Receipt %s could not be acted on: %s.\n%s", tried.pk, type(error).__name__, where)
        _put_off(tried, type(error).__name__)


@transaction.atomic
def _begin(receipt_id: UUID) -> Receipt | None:
    """Count a try and return the receipt, None when there is nothing to do for this caller."""
    now = timezone.now()
    rows = Receipt.objects.due(now).filter(pk=receipt_id, source__state=Source.State.ACTIVE)
    receipt = rows.select_for_update(of=("self",), skip_locked=True).select_related("source").first()
    if receipt is None:
        return None
    if receipt.attempts >= receipt.most_attempts:  # the last try was cut off
        _end(receipt, Receipt.State.FAILED, reason="gave-up", said="The last try did not end.")
        return None
    pause = PAUSES[min(max(receipt.attempts - receipt.most_attempts + MOST_TRIES, 0), len(PAUSES) - 1)]
    receipt.attempts += 1
    receipt.next_at = now + pause
    receipt.save(update_fields=["attempts", "next_at"])
    return receipt


@transaction.atomic
def _finish(tried: Receipt) -> None:
    receipt = _still(tried)
    if receipt is None:
        return
    payload: dict[str, Any] = loads(receiving.body_of(receipt))
    if not acting.is_meant(receipt.source.action, payload):
        _end(receipt, Receipt.State.DONE, reason="not-meant", said="The action is not about such messages.")
        return
    receipt.entry_id = acting.act(receipt, payload)
    _end(receipt, Receipt.State.DONE)


def _still(tried: Receipt) -> Receipt | None:
    """Return the receipt, locked, if this try is the newest one of it."""
    rows = Receipt.objects.filter(pk=tried.pk, state=Receipt.State.WAITING, attempts=tried.attempts)
    return rows.select_for_update(of=("self",)).select_related("source__account").first()


@transaction.atomic
def _fail(tried: Receipt, error: DomainError) -> None:
    receipt = _still(tried)
    if receipt is not None:
        said = "" if isinstance(error, NotFoundError) else error.detail
        _end(receipt, Receipt.State.FAILED, reason=error.code, said=said, problems=error.errors)


@transaction.atomic
def _put_off(tried: Receipt, reason: str) -> None:
    receipt = _still(tried)
    if receipt is None:
        return
    if receipt.attempts >= receipt.most_attempts:
        _end(
            receipt, Receipt.State.FAILED, reason="gave-up", said=f"Tried {receipt.attempts} times: {reason}."
        )
        return
    receipt.reason = reason[:60]
    receipt.save(update_fields=["reason"])


def _end(
    receipt: Receipt,
    state: Receipt.State,
    *,
    reason: str = "",
    said: str = "",
    problems: Iterable[Problem] = (),
) -> None:
    """Write what became of a receipt. Of problems the places and codes are kept: a sentence could hold a value."""
    listed = list(problems)[:_MOST_PROBLEMS]
    receipt.state, receipt.reason, receipt.said = state, reason[:60], said[:300]
    receipt.problems = [{"pointer": item.pointer or "", "code": item.code} for item in listed]
    receipt.done_at = timezone.now()
    receipt.save(update_fields=["state", "reason", "said", "problems", "done_at", "entry_id"])
    if state == Receipt.State.FAILED:
        detail = {"key": receipt.source.key, "receipt": str(receipt.pk), "reason": reason}
        by = replace(_NOBODY, label=f"webhook source {receipt.source.key}")
        record("source.action-failed", actor=by, subject=subject_of(receipt.source), detail=detail)


_NOBODY: Final = Principal(kind="service")  # of no rights at all: it only signs what is written down


def due() -> list[UUID]:
    """Return receipts that wait for a try: of each source in turn the oldest, so that none fills it with its own."""
    rows = Receipt.objects.due(timezone.now()).filter(source__state=Source.State.ACTIVE)
    turn = Window(RowNumber(), partition_by=F("source"), order_by=F("next_at").asc())
    ordered = rows.annotate(turn=turn).order_by("turn", "next_at")
    return list(ordered.values_list("pk", flat=True)[:_MOST_AT_ONCE])


@transaction.atomic
def retry(receipt: Receipt, *, by: Principal) -> Receipt:
    """Let a receipt that failed be tried again, by the source's action and rights of now.

    Raises ConflictError for one that did not fail or has no body any more, NotAllowedError for an account that is more
    than `by`.
    """
    by.require_area(Area.WEBHOOKS)
    by.require_no_lockdown()
    locked = Receipt.objects.select_for_update(of=("self",)).select_related("source__account")
    found = locked.filter(pk=receipt.pk).first()
    if found is None:
        raise NotFoundError
    require_to_hold(found.source, by)
    if found.state != Receipt.State.FAILED:
        raise ConflictError("Only what failed can be tried again.")
    if not found.body:
        raise ConflictError("The body was erased after 30 days: let the source send it again.")
    found.state, found.reason, found.said, found.problems = Receipt.State.WAITING, "", "", []
    found.most_attempts = found.attempts + MOST_TRIES
    found.next_at, found.done_at = timezone.now(), None
    found.save()
    subject = Subject("receipt", str(found.pk))
    record("receipt.retried", actor=by, subject=subject, detail={"key": found.source.key})
    return found


def forget_old() -> tuple[int, int]:
    """Erase old bodies, and old rows whose messages can't be replayed. Returns how many of each.

    Where no time is signed (GitHub) a message could come again after years: its row is remembered for good.
    """
    now = timezone.now()
    over = Receipt.objects.exclude(state=Receipt.State.WAITING)
    bodies = over.filter(at__lt=now - BODY_KEPT).exclude(body="").update(body="")
    rows, _ = over.filter(at__lt=now - ROW_KEPT, is_dated=True).delete()
    return bodies, rows
