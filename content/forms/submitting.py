"""Submitting: is it what the form asks for, is there room, is it a person? Then it is stored, encrypted."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Sum
from django.utils import timezone

from accounts.access import Principal
from accounts.canonical import Json
from accounts.errors import InvalidInputError, NotFoundError, Problem, UnavailableError, placed
from accounts.log import Subject, record
from content import fields
from content.conditions import asked_for
from content.fields.base import FieldError, FieldSpec
from content.forms import bodies, quotas, trap
from content.forms.options import FormOptions
from content.models import Submission
from content.schema import AsksSchema, CollectionSpec, Schema, current
from content.writing import share_schema

SUBMITTED: Final = "form.submitted"
FULL: Final = "form.full"
MAX_PROBLEMS: Final = 500


class _FullError(Exception):
    """There is no room for more submissions of this form."""


class _TrappedError(Exception):
    """A robot has filled in what people don't see."""


def open_form(key: str) -> tuple[CollectionSpec, FormOptions]:
    """Return a form that takes submissions. Raises NotFoundError: a closed one is as missing as one that is not."""
    found = current().by_key.get(key)
    if found is None or found.form is None or not found.form.open:
        raise NotFoundError
    return found, found.form


def submit(key: str, sent: Mapping[str, object], *, size: int, by: Principal) -> UUID:
    """Store what was sent and return its id; of what a robot sent an id that is nowhere else.

    A robot's is written like any other and taken back, so that neither the answer nor its time tells.

    Raises NotFoundError, InvalidInputError with each fault at its key, TooManyRequestsError, and UnavailableError
    (`form-full`).
    """
    form, _ = open_form(key)
    submission = Submission()
    try:
        with transaction.atomic():
            form, options = _held(form)
            hidden = trap.name_in(form)
            trapped = hidden is not None and sent.get(hidden) not in (None, "")
            values = cleaned(form, {name: item for name, item in sent.items() if name != hidden})
            quotas.count_kept(form.id, by=by)
            # Of what is taken back inside, the commit around it still writes, and takes its time.
            with contextlib.suppress(_TrappedError), transaction.atomic():
                _store(submission, form, options, values, size=size, by=by)
                if trapped:
                    raise _TrappedError
    except _FullError:
        _tell_full(form, by)
        raise UnavailableError(
            "This form can't take more for now. Nothing was stored.", code="form-full", retry_after=60 * 60
        ) from None
    if trapped:
        trap.note(form, by=by)
    return submission.pk


def _held(known: CollectionSpec) -> tuple[CollectionSpec, FormOptions]:
    """Return the form as it is now, and keep it from being remodelled until this transaction ends."""
    share_schema(known.id)
    found = current().by_id.get(known.id)
    if found is None or found.form is None or not found.form.open:
        raise NotFoundError
    return found, found.form


def _store(
    submission: Submission,
    form: CollectionSpec,
    options: FormOptions,
    values: Mapping[str, Json],
    *,
    size: int,
    by: Principal,
) -> None:
    stored = Submission.objects.filter(form_id=form.id).aggregate(count=Count("pk"), bytes=Sum("size"))
    if stored["count"] >= quotas.MOST_STORED or (stored["bytes"] or 0) + size > quotas.MOST_BYTES:
        raise _FullError
    now = timezone.now()
    submission.form_id = form.id
    submission.size = size
    submission.received_at, submission.expires_at = now, now + options.retention
    bodies.seal(submission, values, address=by.address if options.keep_address else "")
    submission.save(force_insert=True)
    # Without where it came from: the log is kept for longer than the form may keep that.
    sender = by if options.keep_address else replace(by, address="")
    record(
        SUBMITTED,
        actor=sender,
        subject=Subject("submission", str(submission.pk), form.id),
        detail={"collection": form.key},
    )


def _tell_full(form: CollectionSpec, by: Principal) -> None:
    """Tell the log once an hour, which makes an alert of it."""
    if quotas.is_first_in_an_hour(f"full:{form.id}"):
        about = Subject("collection", str(form.id), form.id)
        with transaction.atomic():
            record(FULL, actor=replace(by, address=""), subject=about, detail={"collection": form.key})


# --- What was sent --------------------------------------------------------------------------------------------------


def cleaned(form: CollectionSpec, sent: Mapping[str, object]) -> dict[str, Json]:
    """Return canonical values by field id, of those fields that are asked for. Raises InvalidInputError."""
    present = current()
    context = _Context(present)
    problems: list[Problem] = []
    values: dict[str, Json] = {}
    for name, item in sent.items():
        spec = form.by_key.get(name)
        if spec is None:
            problems.append(Problem.at((name[:100],), "unknown-key", "The form has no such field."))
        else:
            try:
                found = fields.get(spec.type).clean(item, spec, context)
            except FieldError as error:
                problems += error.under(spec.key).problems
            else:
                if found is not None:
                    values[str(spec.id)] = found
        if len(problems) >= MAX_PROBLEMS:
            raise InvalidInputError(errors=problems[:MAX_PROBLEMS])
    asked = asked_for(form.fields, values)
    refused = {(problem.pointer or "").split("/")[1] for problem in problems}
    for spec in form.fields:
        if spec.id in asked and spec.key not in refused:
            missing = fields.get(spec.type).missing(values.get(str(spec.id)), spec, context)
            problems += placed(missing, spec.key)
    if problems:
        raise InvalidInputError(errors=problems[:MAX_PROBLEMS])
    return {
        str(spec.id): values[str(spec.id)]
        for spec in form.fields
        if spec.id in asked and str(spec.id) in values
    }


def typed(form: CollectionSpec, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return what a plain HTML form sent as the JSON that it stands for. Raises InvalidInputError.

    An input that was left empty counts as not sent, a ticked box as true. Only a field that holds several values may
    come more than once.
    """
    found: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in pairs:
        spec = form.by_key.get(name)
        if spec is not None and spec.type in _SEVERAL:
            if text:
                found.setdefault(name, []).append(text)
            continue
        if name in found:
            problems.append(Problem.at((name[:100],), "repeated-key", "This came twice."))
            continue
        try:
            found[name] = text if spec is None or not text else _typed(spec, text)
        except FieldError as error:
            problems += error.under(name).problems
    if problems:
        raise InvalidInputError(errors=problems[:MAX_PROBLEMS])
    return found


_SEVERAL: Final = frozenset({"choices", "tags"})
_AS_TEXT: Final = frozenset(
    {"text", "long_text", "email", "url", "choice", "color", "date", "datetime", "decimal"}
)


def _typed(spec: FieldSpec, text: str) -> object:
    if spec.type == "boolean":
        return {"on": True, "true": True, "false": False}.get(text, text)
    if spec.type in _AS_TEXT:
        return text
    if spec.type == "integer":
        return fields.get(spec.type).from_text(text)
    raise FieldError.at((), "needs-json", "An HTML form can't send this: send the submission as JSON.")


@dataclass(frozen=True, slots=True)
class _Context(AsksSchema):
    """What cleaning may ask: components, and no entry."""

    schema: Schema

    def reference_problem(self, entry_id: UUID, collections: frozenset[UUID]) -> str | None:  # noqa: ARG002 (the protocol's)
        return "A form can't refer to entries."
