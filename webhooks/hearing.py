"""What an endpoint may hear: what its owner may read, asked anew before every attempt.

Rows decide, not types: of a draft hears who may read that draft, of what is public who may read it there. What was
taken away nobody can be asked about afterwards; of that `webhooks.sights` noted in time who could see it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from accounts.access import Action, Area, Principal, Resource
from accounts.models.user import User
from accounts.principals import of_user, scopes_of
from content import schema
from content.forms import rights
from content.models import DraftDocument, PublishedDocument
from content.rows import flag, rows_of
from content.schema import CollectionSpec
from webhooks import types
from webhooks.models import Delivery, Endpoint, Sight

KNOWING: Final = (Action.READ, Action.READ_DRAFT, Action.MANAGE_SCHEMA)
# Who administers these hears of them; no area opens content.
_AREAS: Final[Mapping[str, Area]] = {
    "security.alert": Area.AUDIT,
    "backup.completed": Area.OPERATIONS,
    "backup.failed": Area.OPERATIONS,
}
_PUBLIC: Final = frozenset({"entry.published", "entry.unpublished", "entry.deleted"})
_WHERE: Final[Mapping[Sight.Kind, tuple[type[DraftDocument | PublishedDocument], Action]]] = {
    Sight.Kind.UNPUBLISHED: (PublishedDocument, Action.READ),
    Sight.Kind.PUBLIC: (PublishedDocument, Action.READ),
    Sight.Kind.DRAFT: (DraftDocument, Action.READ_DRAFT),
}
_Place = tuple[UUID, str]  # entry and locale


@dataclass(frozen=True, slots=True)
class Heard:
    """What may be told of a delivery."""

    shows_slug: bool


@dataclass(frozen=True, slots=True)
class Listener:
    """An endpoint, as whom it listens, and what it may be about to hear."""

    endpoint: Endpoint
    principal: Principal
    deliveries: Sequence[Delivery]


def principal_of(endpoint: Endpoint, owner: User) -> Principal:
    """Return as whom an endpoint listens: its owner, cut down to what its maker's API key could do."""
    principal = of_user(owner)
    return principal if endpoint.scopes is None else replace(principal, scopes=scopes_of(endpoint.scopes))


def knows(principal: Principal, resource: Resource) -> bool:
    """Tell whether a principal may know that a collection is there."""
    return any(principal.grant(action, on=resource) for action in KNOWING)


def heard(listeners: Collection[Listener]) -> dict[UUID, Heard]:
    """Return what may be heard of deliveries, by their ids; what is missing is withheld.

    A fixed number of queries for each principal and collection, however many endpoints and deliveries there are.
    """
    found: dict[UUID, Heard] = {}
    entries: list[tuple[Listener, Delivery, _Place]] = []
    for listener in listeners:
        for delivery in listener.deliveries:
            if delivery.type.startswith("entry.") and delivery.collection_id is not None:
                place = _place(delivery)
                if place is not None:
                    entries.append((listener, delivery, place))
            elif _is_open(listener.endpoint, listener.principal, delivery):
                found[delivery.pk] = Heard(shows_slug=False)
    return found | _of_entries(entries)


def shows_slug(delivery: Delivery, by: Principal) -> bool:
    """Tell whether somebody who looks at the log may read the slug of what a delivery is about."""
    if not delivery.type.startswith("entry.") or delivery.collection_id is None:
        return True  # there is none
    collection = schema.current().by_id.get(delivery.collection_id)
    place = _place(delivery)
    if collection is None or place is None:
        return False
    if _visible(*_WHERE[Sight.Kind.DRAFT], by, collection, [place]).get(place):
        return True
    # The others tell of a draft, whose slug need not be the public one.
    public = _visible(*_WHERE[Sight.Kind.PUBLIC], by, collection, [place]) if delivery.type in _PUBLIC else {}
    return bool(_shown(delivery, public.get(place), _judged(by, collection, public)))


def shows_collection(delivery: Delivery, by: Principal) -> bool:
    """Tell whether somebody who looks at the log may know the collection that a delivery names."""
    return delivery.collection_id is None or knows(by, Resource(delivery.collection_id))


def seen(
    kind: str, principal: Principal, collection: CollectionSpec, entry_id: UUID, locales: Iterable[str]
) -> dict[str, bool]:
    """Return in which locales the principal can see an entry now, and whether with its slug."""
    places = [(entry_id, locale) for locale in locales]
    model, action = _WHERE[Sight.Kind(kind)]
    found = _visible(model, action, principal, collection, places)
    return {locale: shows_slug for (_, locale), shows_slug in found.items()}


def _is_open(endpoint: Endpoint, principal: Principal, delivery: Delivery) -> bool:
    """Answer for what is no entry."""
    if delivery.type == types.TEST:
        return True
    area = _AREAS.get(delivery.type)
    if area is not None:
        return principal.administers(area)
    if delivery.type == "form.submitted" and delivery.collection_id is not None:
        form = schema.current().by_id.get(delivery.collection_id)
        return form is not None and rights.may(principal, Action.READ, form)
    if delivery.type == "collection.changed" and delivery.collection_id is not None:
        if delivery.collection_id in schema.current().by_id:
            return knows(principal, Resource(delivery.collection_id))
        sights = Sight.objects.filter(endpoint=endpoint, subject_id=delivery.collection_id)
        return _has_any_right(principal) and sights.exists()
    return False


def _of_entries(entries: Collection[tuple[Listener, Delivery, _Place]]) -> dict[UUID, Heard]:
    if not entries:
        return {}
    by_id = schema.current().by_id
    groups: dict[tuple[int, UUID | None], tuple[Principal, set[_Place]]] = {}
    for listener, delivery, place in entries:
        name = (id(listener.principal), delivery.collection_id)
        groups.setdefault(name, (listener.principal, set()))[1].add(place)
    seen_now: dict[tuple[int, UUID | None], tuple[dict[_Place, bool], dict[_Place, bool]]] = {}
    judged: dict[tuple[int, UUID | None], dict[_Place, int]] = {}
    may_at_all: dict[tuple[int, UUID | None], bool] = {}
    for name, (principal, places) in groups.items():
        collection = by_id.get(name[1]) if name[1] is not None else None
        if collection is None:
            judged[name] = {}
            seen_now[name], may_at_all[name] = ({}, {}), _has_any_right(principal)
        else:
            drafts = _visible(*_WHERE[Sight.Kind.DRAFT], principal, collection, places)
            public = _visible(*_WHERE[Sight.Kind.PUBLIC], principal, collection, places)
            judged[name] = _judged(principal, collection, public)
            seen_now[name], may_at_all[name] = (drafts, public), knows(principal, collection.resource)
    noted = _sights([(listener.endpoint, place) for listener, _, place in entries])
    found: dict[UUID, Heard] = {}
    for listener, delivery, place in entries:
        name = (id(listener.principal), delivery.collection_id)
        drafts, public = seen_now[name]
        # What it could see when it went counts as long as it may read anything there at all.
        sights = noted.get((listener.endpoint.pk, place), {}) if may_at_all[name] else {}
        answers = [drafts.get(place), sights.get(Sight.Kind.DRAFT)]
        if delivery.type in _PUBLIC:
            answers += [_shown(delivery, public.get(place), judged[name]), sights.get(Sight.Kind.PUBLIC)]
        if delivery.type == "entry.unpublished":
            answers.append(sights.get(Sight.Kind.UNPUBLISHED))
        if any(answer is not None for answer in answers):
            found[delivery.pk] = Heard(shows_slug=any(answers))
    return found


def _visible(
    model: type[DraftDocument | PublishedDocument],
    action: Action,
    principal: Principal,
    collection: CollectionSpec,
    places: Iterable[_Place],
) -> dict[_Place, bool]:
    """Return which of the entries the principal may read there, and whether with their slug."""
    grant = principal.grant(action, on=collection.resource)
    wanted = list(places)
    if not grant or not wanted:
        return {}
    slug = collection.slug_field
    shows_slug = rows_of(grant.holding(slug) if slug is not None else (), collection)
    rows = model.objects.filter(
        rows_of(grant, collection),
        collection_id=collection.id,
        entry_id__in={entry for entry, _ in wanted},
        content_locale__in={locale for _, locale in wanted},
    ).annotate(shows_slug=flag(shows_slug))
    found: dict[_Place, bool] = {}
    for entry_id, locale, shows in rows.values_list("entry_id", "content_locale", "shows_slug"):
        found[entry_id, locale] = bool(shows) or found.get((entry_id, locale), False)
    return found


def _judged(principal: Principal, collection: CollectionSpec, places: Iterable[_Place]) -> dict[_Place, int]:
    """Return which version is public there, where the principal's right to read depends on what is in it."""
    wanted = list(places)
    if not wanted or all(
        not clause.rows for clause in principal.grant(Action.READ, on=collection.resource).clauses
    ):
        return {}
    rows = PublishedDocument.objects.filter(
        collection_id=collection.id, entry_id__in={entry for entry, _ in wanted}
    ).values_list("entry_id", "content_locale", "version_number")
    return {(entry_id, locale): number for entry_id, locale, number in rows}


def _shown(delivery: Delivery, shows_slug: bool | None, judged: Mapping[_Place, int]) -> bool | None:  # noqa: FBT001
    """Take the slug of an earlier version back from whom conditions may have kept it."""
    place = _place(delivery)
    if not shows_slug or place is None:
        return shows_slug
    return judged.get(place, delivery.version) == delivery.version


def _sights(places: Collection[tuple[Endpoint, _Place]]) -> dict[tuple[UUID, _Place], dict[str, bool]]:
    """Return what owners could see when it went, by endpoint and place, then by kind."""
    rows = Sight.objects.filter(
        endpoint__in={endpoint.pk for endpoint, _ in places},
        subject_id__in={entry for _, (entry, _) in places},
    ).values_list("endpoint_id", "subject_id", "locale", "kind", "shows_slug")
    found: dict[tuple[UUID, _Place], dict[str, bool]] = {}
    for endpoint_id, subject_id, locale, kind, shows in rows:
        found.setdefault((endpoint_id, (subject_id, locale)), {})[kind] = shows
    return found


def _has_any_right(principal: Principal) -> bool:
    """Tell whether anything is left of an owner: one who is switched off has no rules."""
    return principal.kind == "system" or principal.is_administrator or bool(principal.rules)


def _place(delivery: Delivery) -> _Place | None:
    try:
        return UUID(delivery.subject_id), delivery.locale
    except ValueError:
        return None
