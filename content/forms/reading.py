"""Reading, revealing, exporting and erasing submissions. Each look at values is in the log before it is answered."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from accounts.access import Action, Grant, Principal
from accounts.api.shapes import moment
from accounts.audit.exporting import csv_row
from accounts.errors import InvalidInputError, NotFoundError, Problem
from accounts.log import Subject, record
from accounts.revealing import read_reason, revealed
from content.forms import rights
from content.forms.bodies import Opened, Reading
from content.models import Submission
from content.models.submission import SubmissionQuerySet
from content.schema import CollectionSpec, current

READ: Final = "submission.read"
ERASED: Final = "submission.erased"
EXPORTED: Final = "submissions.exported"
FORMATS: Final = ("csv", "json")
BROKEN_OFF: Final = "The export broke off here: this file is not whole."
_BATCH: Final = 200


def visible_to(by: Principal, form: CollectionSpec) -> SubmissionQuerySet:
    """Return the submissions of a form that the principal may read: all that are live, or none."""
    rows = Submission.objects.live().filter(form_id=form.id)
    return rows if rights.may(by, Action.READ, form) else rows.none()


def found(by: Principal, form: CollectionSpec, submission_id: UUID) -> Submission:
    """Return one submission. Raises NotFoundError, also for one of another form."""
    row = visible_to(by, form).filter(pk=submission_id).first()
    if row is None:
        raise NotFoundError
    return row


def subject_of(submission: Submission) -> Subject:
    return Subject("submission", str(submission.pk), submission.form_id)


def metadata(submission: Submission) -> dict[str, Any]:
    """Return what a list tells of a submission: nothing that somebody wrote."""
    return {
        "id": str(submission.pk),
        "received_at": moment(submission.received_at),
        "expires_at": moment(submission.expires_at),
        "size": submission.size,
    }


def _reading(form: CollectionSpec, *grants: Grant) -> Reading:
    return Reading(form, current(), grants)


@transaction.atomic
def read(submission: Submission, form: CollectionSpec, *, by: Principal) -> Opened:
    """Return what a submission says, and note in the log which fields were read."""
    opened = _reading(form, rights.require(by, Action.READ, form)).open(submission)
    record(
        READ,
        actor=by,
        subject=subject_of(submission),
        detail={"collection": form.key, "fields": opened.names},
    )
    return opened


@transaction.atomic
def reveal(submission: Submission, form: CollectionSpec, *, reason: str, by: Principal) -> Opened:
    """Return what a submission says to somebody who looks at it masked. Raises InvalidInputError without a reason."""
    opened = _reading(form, rights.require(by, Action.READ, form)).open(submission)
    revealed(by, subject=subject_of(submission), fields=opened.names, reason=reason)
    return opened


@transaction.atomic
def erase(submission: Submission, form: CollectionSpec, *, by: Principal) -> None:
    """Erase a submission for good. What is gone already is missing."""
    rights.require(by, Action.DELETE, form)
    erased, _ = Submission.objects.filter(pk=submission.pk, form_id=form.id).delete()
    if not erased:
        raise NotFoundError
    record(ERASED, actor=by, subject=subject_of(submission), detail={"collection": form.key})


# --- Taking them out ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Export:
    """What an export holds: as many submissions as there were when the log was told, streamed in batches."""

    count: int
    content_type: str
    name: str
    chunks: Iterator[bytes]


@transaction.atomic
def export(form: CollectionSpec, *, format: str, reason: str, by: Principal) -> Export:  # noqa: A002 (the word that people use)
    """Return all submissions of a form, as far as the principal may read and take them out.

    A dangerous act: it asks for a step-up. Raises InvalidInputError for another format, and without a reason.
    """
    reading, taking = rights.require(by, Action.READ, form), rights.require(by, Action.EXPORT, form)
    by.require_step_up()
    said, problems = read_reason(reason)
    if format not in FORMATS:
        problems.append(Problem.at(("format",), "invalid-choice", f"One of {', '.join(FORMATS)}."))
    if problems:
        raise InvalidInputError(errors=problems)
    reader = _reading(form, reading, taking)
    rows = visible_to(by, form)
    last = rows.order_by("-pk").values_list("pk", flat=True).first()
    count = rows.filter(pk__lte=last).count() if last else 0
    record(
        EXPORTED,
        actor=by,
        subject=Subject("collection", str(form.id), form.id),
        detail={
            "collection": form.key,
            "format": format,
            "count": count,
            "fields": [spec.key for spec in reader.specs],
            "reason": said,
        },
    )
    lines = _csv if format == "csv" else _json
    kind = "text/csv; charset=utf-8; header=present" if format == "csv" else "application/json"
    return Export(count, kind, f"{form.key}.{format}", lines(reader, _behind(form, last)))


def _behind(form: CollectionSpec, last: UUID | None) -> Iterator[Submission]:
    """Yield the submissions up to one, the oldest first, a batch at a time."""
    position: UUID | None = None
    while last is not None:
        rows = Submission.objects.live().filter(form_id=form.id, pk__lte=last).order_by("pk")
        batch = list((rows if position is None else rows.filter(pk__gt=position))[:_BATCH])
        yield from batch
        if len(batch) < _BATCH:
            return
        position = batch[-1].pk


def _json(reader: Reading, rows: Iterator[Submission]) -> Iterator[bytes]:
    """Yield one JSON array, a line for each submission."""
    before = b"[\n"
    for row in rows:
        line = json.dumps(metadata(row) | reader.open(row).as_json(), ensure_ascii=False)
        yield before + line.encode()
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _csv(reader: Reading, rows: Iterator[Submission]) -> Iterator[bytes]:
    """Yield CSV (RFC 4180), and when it breaks off a line that says so: the server ends the answer like a whole one."""
    try:
        yield from _records(reader, rows)
    except Exception:
        yield csv_row([BROKEN_OFF])
        raise


def _records(reader: Reading, rows: Iterator[Submission]) -> Iterator[bytes]:
    """Yield the lines: a column for each field, those that were removed behind the others."""
    address = ["address"] if reader.shows_address else []
    names = [*(spec.key for spec in reader.specs), *(f"{spec.key} (removed)" for spec in reader.former)]
    yield csv_row(["id", "received_at", *names, *address, "fault"])
    for row in rows:
        opened = reader.open(row)
        former = {spec.id: value for spec, value in opened.former}
        cells: list[object] = [str(row.pk), moment(row.received_at)]
        cells += [_cell(opened.values.get(spec.key)) for spec in reader.specs]
        cells += [_cell(former.get(spec.id)) for spec in reader.former]
        cells += [opened.address] if address else []
        yield csv_row([*cells, opened.fault])


def _cell(value: object) -> object:
    """Return a value as a cell: lists of texts with commas between them, what has parts and yes and no as JSON."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value
