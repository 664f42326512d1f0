"""Deliveries as lists show them: in words, with a way to what they are about for who may see that."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from accounts.access import Action, Area
from content.admin.desk import Desk
from content.overview import Line as Draft
from content.overview import Overview
from webhooks import endpoints
from webhooks.admin.framed import pill_of, until
from webhooks.models import Delivery
from webhooks.types import TEST


@dataclass(frozen=True, slots=True)
class About:
    """What a delivery is about: how it is called, and its page where the viewer may see it."""

    name: str
    page: str = ""
    is_id: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One delivery of a list."""

    delivery: Delivery
    state: SafeString
    about: About
    next: str  # when it is tried again, "" where it is not


def lines_of(request: HttpRequest, deliveries: Sequence[Delivery]) -> list[Line]:
    """Return deliveries as a list shows them, in a fixed number of queries."""
    about = about_each(request, deliveries)
    return [
        Line(delivery, pill_of(delivery), about[delivery.pk], next_of(delivery)) for delivery in deliveries
    ]


def next_of(delivery: Delivery) -> str:
    """Return when it is tried next, in words; "" while nothing is sent to its endpoint."""
    at = delivery.next_attempt_at
    is_sent = delivery.type == TEST or delivery.endpoint.is_active
    return until(at) if at is not None and is_sent else ""


def about_each(request: HttpRequest, deliveries: Collection[Delivery]) -> dict[UUID, About]:
    """Return what deliveries are about, by their ids. Titles and pages are for who may read the draft."""
    desk = Desk.of(request)
    entries = {
        entry_id
        for delivery in deliveries
        if delivery.subject_type == "entry" and (entry_id := _id(delivery.subject_id)) is not None
    }
    drafts = Overview(desk.schema, desk.principal).drafts_of(entries) if entries else {}
    collections = endpoints.seen_collections(desk.principal)
    audits = desk.principal.administers(Area.AUDIT)
    found: dict[UUID, About] = {}
    for delivery in deliveries:
        subject = _id(delivery.subject_id)
        collection = collections.get(subject) if subject is not None else None
        if delivery.type == TEST:
            about = About("a test")
        elif (draft := _draft_of(delivery, subject, drafts)) is not None:
            about = About(draft.title, _page_of(draft))
        elif delivery.subject_type == "collection" and collection is not None:
            may = desk.may(Action.MANAGE_SCHEMA, collection)
            at = reverse("admin:content-collection", args=[collection.key]) if may else ""
            about = About(collection.name, at)
        elif delivery.type == "security.alert" and audits and subject is not None:
            about = About("an alert", reverse("admin:accounts_alert_change", args=[subject]))
        else:
            about = About(delivery.subject_id or "–", is_id=bool(delivery.subject_id))
        found[delivery.pk] = about
    return found


def _draft_of(
    delivery: Delivery, entry_id: UUID | None, drafts: dict[tuple[UUID, str], Draft]
) -> Draft | None:
    if delivery.subject_type != "entry" or entry_id is None:
        return None
    return drafts.get((entry_id, delivery.locale)) or next(
        (draft for (found, _), draft in drafts.items() if found == entry_id), None
    )


def _page_of(draft: Draft) -> str:
    at = reverse("admin:content-change", args=[draft.collection.key, draft.entry_id])
    return f"{at}?locale={draft.locale}" if draft.collection.localized else at


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
