"""An export of all that is held about one e-mail address (GDPR, article 15); the log never holds its values."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.access import Area, Principal
from accounts.api.shapes import moment
from accounts.errors import InvalidInputError, Problem
from accounts.keyring import key_ring
from accounts.log import Subject, record
from accounts.person import Part, Person, in_batches
from accounts.person import parts as of_accounts
from accounts.revealing import read_reason
from content.person import parts as of_content
from previews.models import Preview, PreviewSite
from webhooks.models import Endpoint, Source

EXPORTED: Final = "person.exported"
PURPOSE: Final = "person-export"
# What the file says of itself: who reads it must not take it for more than it is.
NOT_SEARCHED: Final = (
    "archives of the log",
    "backups",
    "bodies of received webhooks",
    "fields that are neither personal nor secret nor for e-mail",
    "fields of entries that were removed",
    "log files",
)
Progress = Callable[[str, int], None]  # the name of a part, and how much of it was found


@dataclass(frozen=True, slots=True)
class Export:
    """The file to be, and the names of the parts that who asked may not read."""

    chunks: Iterator[bytes]
    left_out: list[str]


@transaction.atomic
def export(typed: str, *, reason: str, by: Principal, progress: Progress | None = None) -> Export:
    """Return what is held about an address. A dangerous act: it asks for the area `users`, a step-up and a reason.

    What the caller may not read is left out whole, and named. Raises InvalidInputError.
    """
    by.require_area(Area.USERS)
    by.require_step_up()
    person: Person | None = None
    said, problems = read_reason(reason)
    try:
        person = Person.of(typed)
    except InvalidInputError as error:
        problems += error.errors
    if person is not None and person.is_in(said):
        problems.append(
            Problem.at(("reason",), "invalid-value", "The log keeps this: leave the address out.")
        )
    if person is None or problems:
        raise InvalidInputError(errors=problems)
    found = [*of_accounts(person, by=by), *of_content(person, by=by), *_of_the_rest(person, by)]
    left_out = sorted({part.told or part.name for part in found if not part.is_open})
    detail = {"reason": said, "parts": [part.name for part in found if part.is_open], "left_out": left_out}
    record(EXPORTED, actor=by, subject=subject_of(person), detail=detail)
    return Export(_lines(person, found, left_out, progress), left_out)


def subject_of(person: Person) -> Subject:
    """Return who it is about: the account, else a MAC of the address, by which who knows it can find the event."""
    if person.user_ids:
        return Subject("user", str(person.user_ids[0]))
    return Subject("address", key_ring().mac(person.email.encode(), purpose=PURPOSE)[1][:32])


def _of_the_rest(person: Person, by: Principal) -> list[Part]:
    ids = person.user_ids
    previews = Preview.objects.filter(user__in=ids)
    sites = PreviewSite.objects.filter(created_by__in=ids)
    endpoints = Endpoint.objects.filter(Q(owner__in=ids) | Q(created_by__in=ids))
    sources = Source.objects.filter(Q(account__in=ids) | Q(created_by__in=ids))
    sees_previews, sees_webhooks = by.administers(Area.PREVIEWS), by.administers(Area.WEBHOOKS)
    return [
        Part("previews", partial(_rows, previews, _preview), sees_previews),
        Part("preview_sites", partial(_rows, sites, _named), sees_previews),
        Part("webhook_endpoints", partial(_rows, endpoints, _named), sees_webhooks),
        Part("webhook_sources", partial(_rows, sources, _named), sees_webhooks),
    ]


def _rows(rows: Any, shape: Callable[[Any], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return map(shape, in_batches(rows))


def _preview(preview: Preview) -> dict[str, Any]:
    return {
        "id": str(preview.pk),
        "entry": str(preview.entry_id),
        "created_at": moment(preview.created_at),
        "opened_at": moment(preview.opened_at),
        "opened_from": preview.opened_from,
        "opened_agent": preview.opened_agent,
    }


def _named(row: PreviewSite | Endpoint | Source) -> dict[str, Any]:
    return {"id": str(row.pk), "name": str(row)}


def _lines(
    person: Person, found: list[Part], left_out: list[str], progress: Progress | None
) -> Iterator[bytes]:
    """Yield one JSON object, a line for each thing that was found: nothing is held in memory but a batch."""
    head = {
        "email": person.email,
        "made_at": moment(timezone.now()),
        "environment": settings.ENVIRONMENT.name,
        "left_out": left_out,
        "not_searched": NOT_SEARCHED,
    }
    yield json.dumps(head, ensure_ascii=False)[:-1].encode()
    for part in found:
        if not part.is_open:
            continue
        yield f",\n{json.dumps(part.name)}: [".encode()
        count = 0
        for row in part.rows():
            line = json.dumps(row, ensure_ascii=False, default=str)
            yield f"{',' if count else ''}\n  {line}".encode()
            count += 1
            if progress is not None and count % 100 == 0:
                progress(part.name, count)
        yield b"]"
        if progress is not None:
            progress(part.name, count)
    yield b"}\n"
