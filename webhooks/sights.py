"""Notes who could see what is about to go, in the very transaction that takes it away (docs/decisions/0026)."""

from collections.abc import Iterable

from django.utils import timezone

from accounts.models.user import User
from content.witnesses import Vanishing
from webhooks import hearing
from webhooks.models import Delivery, Endpoint, Sight


def note(vanishing: Vanishing) -> None:
    """Write down which endpoints' owners can see it now, in place of what was noted of it before.

    What was erased is forgotten here too: bodies of deliveries hold its slug.
    """
    endpoints = list(_listening(vanishing))
    about = vanishing.entry_id or vanishing.collection.id
    Sight.objects.filter(subject_id=about, kind__in=_kinds(vanishing)).delete()
    if vanishing.is_erased:
        Delivery.objects.about(about).exclude(body="").update(body="")
    if not endpoints:
        return
    owners = User.objects.in_bulk({endpoint.owner_id for endpoint in endpoints})
    Sight.objects.bulk_create(
        (sight for endpoint in endpoints for sight in _seen(endpoint, owners[endpoint.owner_id], vanishing)),
        ignore_conflicts=True,
    )


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


def _seen(endpoint: Endpoint, owner: User, vanishing: Vanishing) -> Iterable[Sight]:
    principal = hearing.principal_of(endpoint, owner)
    now = timezone.now()
    if vanishing.entry_id is None:
        if hearing.knows(principal, vanishing.collection.resource):
            yield Sight(subject_id=vanishing.collection.id, kind=Sight.Kind.DRAFT, endpoint=endpoint, at=now)
        return
    for kind in _kinds(vanishing):
        visible = hearing.seen(kind, principal, vanishing.collection, vanishing.entry_id, vanishing.locales)
        for locale, shows_slug in visible.items():
            yield Sight(
                subject_id=vanishing.entry_id,
                locale=locale,
                kind=kind,
                shows_slug=shows_slug,
                endpoint=endpoint,
                at=now,
            )
