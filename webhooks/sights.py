"""Notes who could see what is about to go, in the very transaction that takes it away (docs/decisions/0026)."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from accounts.access import Principal
from accounts.models.user import User
from content.witnesses import Vanishing
from webhooks import hearing
from webhooks.models import Attempt, Delivery, Endpoint, Sight

_ROWS: Final = 1_000  # in one statement


def note(vanishing: Vanishing) -> None:
    """Write down which endpoints' owners can see it now, in place of what was noted of it before.

    What was erased is forgotten here too.
    """
    endpoints, now = list(_listening(vanishing)), timezone.now()
    about = vanishing.entry_id or vanishing.collection.id
    former = Sight.objects.filter(subject_id=about, kind__in=_kinds(vanishing))
    if vanishing.is_erased:
        former.delete()
        _forget(vanishing)
    else:  # of another locale, taken back a moment ago, it may still have to be told
        former.filter(locale__in=vanishing.locales).delete()
    if not endpoints:
        return
    owners = User.objects.in_bulk({endpoint.owner_id for endpoint in endpoints})
    sights: list[Sight] = []
    for alike in _alike(
        endpoints
    ):  # asked once for all of them, or who adds endpoints could hold up every editor
        principal = hearing.principal_of(alike[0], owners[alike[0].owner_id])
        seen = list(_seen(principal, vanishing))
        sights += (
            Sight(
                subject_id=about, locale=locale, kind=kind, shows_slug=shows_slug, endpoint=endpoint, at=now
            )
            for endpoint in alike
            for locale, kind, shows_slug in seen
        )
    Sight.objects.bulk_create(sights, ignore_conflicts=True, batch_size=_ROWS)


def _alike(endpoints: Iterable[Endpoint]) -> Iterable[list[Endpoint]]:
    """Return endpoints that listen as one and the same together."""
    groups: dict[tuple[UUID, str], list[Endpoint]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.listens_as, []).append(endpoint)
    return groups.values()


def _forget(vanishing: Vanishing) -> None:
    """Take it out of the log of deliveries: bodies hold its slug, and answers may repeat it.

    What is on the wire loses its lease, or its body would be written back when the answer comes.
    """
    if vanishing.entry_id is None:
        told = Delivery.objects.filter(collection_id=vanishing.collection.id)
    else:
        told = Delivery.objects.about(vanishing.entry_id)
    for _ in told.order_by("pk").select_for_update().values_list("pk").iterator():
        pass  # in the order of those who write down what came of attempts, or the two could wait for each other
    answered = Attempt.objects.filter(delivery__in=told).exclude(response_body="")
    while attempts := list(answered[:_ROWS]):
        Attempt.objects.filter(pk__in=[attempt.pk for attempt in attempts]).delete()
        for attempt in attempts:
            attempt.response_body = ""
        Attempt.objects.bulk_create(attempts)  # nobody may change a row of it
    told.filter(~Q(body="") | Q(leased_until__isnull=False)).update(body="", fence=F("fence") + 1)


def _kinds(vanishing: Vanishing) -> Iterable[str]:
    if vanishing.is_erased:
        return (Sight.Kind.PUBLIC, Sight.Kind.DRAFT)
    return (Sight.Kind.UNPUBLISHED,)


def _listening(vanishing: Vanishing) -> Iterable[Endpoint]:
    """Yield the endpoints that asked to hear of such a thing; a disabled one may recover it later."""
    kind = "collection." if vanishing.entry_id is None else "entry."
    for endpoint in Endpoint.objects.order_by("pk"):
        is_about = not endpoint.collection_ids or vanishing.collection.id in endpoint.collection_ids
        if is_about and any(name.startswith(kind) for name in endpoint.types):
            yield endpoint


def _seen(principal: Principal, vanishing: Vanishing) -> Iterable[tuple[str, str, bool]]:
    """Yield what can be seen of it: the locale, the kind of sight, and whether with its slug."""
    if vanishing.entry_id is None:
        if hearing.knows(principal, vanishing.collection.resource):
            yield "", Sight.Kind.DRAFT, False
        return
    for kind in _kinds(vanishing):
        visible = hearing.seen(kind, principal, vanishing.collection, vanishing.entry_id, vanishing.locales)
        for locale, shows_slug in visible.items():
            yield locale, kind, shows_slug
