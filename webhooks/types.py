"""The types of events that endpoints hear of (contract, "Webhooks"), and how an endpoint names them."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from accounts.models.event import Event
from webhooks.models import Endpoint

TEST: Final = "webhook.test"
TYPES: Final = (
    "entry.created",
    "entry.updated",
    "entry.published",
    "entry.unpublished",
    "entry.trashed",
    "entry.restored",
    "entry.deleted",
    "collection.changed",
    "asset.created",
    "asset.deleted",
    "form.submitted",
    "backup.completed",
    "backup.failed",
    "security.alert",
    TEST,
)
# `entry.*` stands for every type of its kind, those of later versions too.
GROUPS: Final = ("entry.*", "asset.*", "backup.*")
CHOICES: Final = frozenset((*TYPES, *GROUPS))


def covers(types: Iterable[str], type_: str) -> bool:
    """Tell whether a list of types names this one."""
    group = f"{type_.partition('.')[0]}.*"
    return any(item in (type_, group) for item in types)


def collection_of(event: Event) -> UUID | None:
    """Return which collection an event is about; one that is deleted stands in the subject alone."""
    if event.collection_id is None and event.subject_type == "collection":
        try:
            return UUID(event.subject_id)
        except ValueError:
            return None
    return event.collection_id


def wants(endpoint: Endpoint, event: Event) -> bool:
    """Tell whether an endpoint asked to hear of an event. Whether it may is asked when it is sent."""
    if event.type == TEST:
        return event.subject_id == str(endpoint.pk)
    if not covers(endpoint.types, event.type):
        return False
    collection_id = collection_of(event)
    return not endpoint.collection_ids or collection_id is None or collection_id in endpoint.collection_ids
