"""Receiving: is it proven, is it new, is it what the source may send? Then it is remembered, and a worker acts."""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts import refusals
from accounts.access import Principal
from accounts.addresses import callers_network
from accounts.api.json_body import MalformedBodyError, loads
from accounts.canonical import canonical_bytes
from accounts.errors import (
    ConflictError,
    InvalidInputError,
    NotAuthenticatedError,
    Problem,
    UnavailableError,
)
from accounts.keyring import KeyRingError, key_ring
from accounts.limits import Policy
from content.fields.json import against
from webhooks.incoming import actions, identity, quotas, schemes
from webhooks.incoming.options import is_dated
from webhooks.incoming.schemes import Message, Proven, UnprovenError
from webhooks.incoming.secrets import Key, new, opened, seal
from webhooks.incoming.sources import KEY, subject_of
from webhooks.models import Receipt, Source, SourceSecret
from webhooks.models.source import Scheme

logger = logging.getLogger("quillkeep.webhooks")

MAX_BODY_BYTES: Final = 256 * 1024
LONGEST_CHALLENGE: Final = 200
REFUSED: Final = "source.refused"
# What is written down of strangers, and of what was proven: the first can't crowd out the second.
_STRANGERS: Final = Policy("hook-refusals", quota=20, overall=300, fails_open=True)
_PROVEN: Final = Policy("hook-proven-refusals", quota=20, fails_open=True)
_STAND_IN: Final = secrets.token_bytes(32)


class UnprovenRequestError(NotAuthenticatedError):
    """A request that no source has proven to be its own. The same answer for whatever is wrong; the log knows."""

    code = "not-proven"
    default_detail = (
        "This is not proven to come from a source: the signature is missing or wrong, the timestamp is too far from "
        "our clock, or there is no such source, or it is switched off."
    )


class DifferentBodyError(ConflictError):
    """An id that was used already, with another body: a mistake of the sender, or somebody has its secret."""

    code = "different-body"
    default_detail = "A message with this id was received before, and its body was another one."


@dataclass(frozen=True, slots=True)
class Received:
    """What the sender is told: the id of the receipt, the same one for each repeat; or Slack's own challenge."""

    receipt_id: UUID | None
    challenge: str = ""
    is_waiting: bool = False


def receive(name: str, message: Message, *, by: Principal) -> Received:
    """Take a message in, or refuse it. `by` is who sends it: nobody, from somewhere.

    Raises UnprovenRequestError, MalformedBodyError, InvalidInputError (the schema), DifferentBodyError and
    TooManyRequestsError.
    """
    network = callers_network(by.address)
    source, proven = _believed(name, message, by)
    quotas.count_proven(source.key, source.pk, network)
    try:
        payload = _payload(message)
        challenge = _challenge(source, payload)
        if challenge:
            return Received(None, challenge)
        message_id = identity.message_id(source.scheme, source.options, message, proven, payload)
        _inspect(source, payload)
    except MalformedBodyError as error:
        _note_refused(source, "malformed-body", {"code": error.problem.code}, by)
        raise
    except InvalidInputError as error:
        _note_refused(source, "not-as-expected", {"faults": len(error.errors)}, by)
        raise
    receipt, is_new = _remembered(source, message_id, message, payload)
    if not hmac.compare_digest(receipt.sha256, identity.digest(source.scheme, message, payload)):
        _note_refused(source, "same-id-other-body", {"receipt": str(receipt.pk)}, by)
        raise DifferentBodyError
    return Received(receipt.pk, is_waiting=is_new and receipt.state == Receipt.State.WAITING)


# --- Proof ----------------------------------------------------------------------------------------------------------


def _believed(name: str, message: Message, by: Principal) -> tuple[Source, Proven]:
    """Return the source that has proven to send this, with what its signature covers."""
    now = timezone.now()
    known = name if KEY.fullmatch(name) else ""
    rows = SourceSecret.objects.verifying(now).filter(source__key=known).select_related("source")
    found = list(rows.order_by("-pk")[:2])
    source = found[0].source if found else None
    try:
        # Also for nobody, against a secret that nobody has: time must not tell which sources there are.
        checked = found or [_stand_in()]
        proof = checked[0].source
        proven = schemes.prove(proof.scheme, proof.options, message, _opened(checked), now)
        if source is None:
            raise UnprovenError("unknown-source", was_compared=True)
        if not source.is_active:
            raise UnprovenError("switched-off", was_compared=True, is_signed=True)
    except UnprovenError as error:
        reason = error.reason if source is not None else "unknown-source"
        if not error.was_compared:
            hmac.digest(_STAND_IN, message.body, hashlib.sha256)
        refusals.note(
            REFUSED,
            reason,
            within=_PROVEN if source is not None and error.is_signed else _STRANGERS,
            caller=str(source.pk) if source is not None and error.is_signed else "",
            by=by,
            subject=subject_of(source) if source is not None else None,
            detail={"key": source.key} if source is not None else {},
        )
        quotas.count_failure(callers_network(by.address))
        raise UnprovenRequestError from None
    is_due = Q(last_used_at=None) | Q(last_used_at__lt=now - timedelta(minutes=1))
    Source.objects.filter(is_due, pk=source.pk).update(last_used_at=now)
    return source, proven


@cache
def _stand_in() -> SourceSecret:
    """Return the secret of no source, made anew by each process."""
    row = SourceSecret(source=Source(key="", scheme=Scheme.STANDARD))
    seal(row, new(Scheme.STANDARD))
    return row


def _opened(rows: list[SourceSecret]) -> list[Key]:
    try:
        return [opened(row) for row in rows]
    except KeyRingError as error:
        logger.critical("The secret of a source can't be opened: its key is gone from the key ring.")
        raise UnavailableError(retry_after=60) from error


# --- Inspection -----------------------------------------------------------------------------------------------------


def _payload(message: Message) -> dict[str, Any]:
    payload = loads(message.body)
    if not isinstance(payload, dict):
        raise MalformedBodyError("not-an-object", "The body must be a JSON object.")
    return payload


def _challenge(source: Source, payload: Mapping[str, Any]) -> str:
    """Return what Slack wants to hear when an address is entered there, "" for anything else."""
    if source.scheme != Scheme.SLACK or payload.get("type") != "url_verification":
        return ""
    challenge = payload.get("challenge")
    if (
        not isinstance(challenge, str)
        or not 0 < len(challenge) <= LONGEST_CHALLENGE
        or not challenge.isascii()
    ):
        raise InvalidInputError(errors=[Problem.at(["challenge"], "invalid", "A short text.")])
    return challenge


def _inspect(source: Source, payload: dict[str, Any]) -> None:
    """Raise InvalidInputError with what the source's schema says. The sender is proven, and so may know."""
    if source.schema is not None:
        problems = list(against(canonical_bytes(source.schema).decode(), payload))
        if problems:
            raise InvalidInputError(errors=problems)


# --- Memory ---------------------------------------------------------------------------------------------------------


def _remembered(
    source: Source, message_id: str, message: Message, payload: Mapping[str, Any]
) -> tuple[Receipt, bool]:
    """Return the receipt of an id, and whether this message has made it. Of many at once the database lets one in."""
    now = timezone.now()
    new = Receipt(
        source=source,
        message_id=message_id,
        sha256=identity.digest(source.scheme, message, payload),
        size=len(message.body),
        at=now,
        next_at=now,
        is_dated=is_dated(source.scheme, source.options),
    )
    if source.action["do"] == actions.RECORD:
        new.state, new.done_at = Receipt.State.DONE, now
    new.body = key_ring().encrypt(message.body, context=new.context)
    try:
        with transaction.atomic():
            Receipt.objects.bulk_create([new], ignore_conflicts=True)
    except IntegrityError:
        raise UnprovenRequestError from None  # the source was removed at this moment
    found = Receipt.objects.filter(source=source, message_id=message_id).defer("body").first()
    if found is None:
        raise UnprovenRequestError
    return found, found.pk == new.pk


def _note_refused(source: Source, reason: str, detail: Mapping[str, object], by: Principal) -> None:
    refusals.note(
        REFUSED,
        reason,
        within=_PROVEN,
        caller=str(source.pk),
        by=by,
        subject=subject_of(source),
        detail={"key": source.key, **detail},
    )


def body_of(receipt: Receipt) -> bytes:
    """Return the bytes that were received, b"" once they are erased. Raises KeyRingError."""
    return key_ring().decrypt(receipt.body, context=receipt.context) if receipt.body else b""
