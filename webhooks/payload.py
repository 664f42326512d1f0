"""The body of a delivery: ids and where to look, never content (contract, "Webhooks")."""

import json
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.urls import reverse

from accounts.access import Principal
from accounts.api.shapes import moment
from content import schema
from content.documents import SHARED
from content.models import Version
from content.schema import Schema
from webhooks import hearing
from webhooks.hearing import Heard
from webhooks.models import Delivery
from webhooks.types import TEST

_PUBLIC = frozenset({"entry.published", "entry.unpublished"})


def bodies(deliveries: Collection[Delivery], heard: Mapping[UUID, Heard]) -> dict[UUID, str]:
    """Return the body of each delivery that may be heard.

    What was sent before is sent again, byte for byte, unless the owner may read less of it by now.
    """
    wanted = [delivery for delivery in deliveries if delivery.pk in heard]
    unsent = [delivery for delivery in wanted if not _is_as_before(delivery, heard[delivery.pk])]
    if not wanted:
        return {}
    collections = schema.current()
    slugs = _slugs([delivery for delivery in unsent if heard[delivery.pk].shows_slug], collections)
    return {
        delivery.pk: delivery.body
        if _is_as_before(delivery, heard[delivery.pk])
        else text_of(delivery, slugs.get(delivery.pk), collections=collections)
        for delivery in wanted
    }


def example(type_: str, collection: str | None, locale: str | None) -> str:
    """Return what a delivery of a type looks like, for people who write a receiver."""
    about = UUID(int=0)
    sample = Delivery(
        type=type_,
        subject_id=str(about),
        locale=locale or "",
        version=3 if type_.startswith("entry.") else None,
        position=1234,
    )
    sample.occurred_at = sample.created_at
    return json.dumps(_content(sample, "an-example", collection), indent=2)


def shown(delivery: Delivery, *, by: Principal) -> str:
    """Return the body that was sent as somebody may see it; "" where nothing was sent.

    Where it is not the whole, answers are not to be shown either: receivers repeat what they were sent.
    """
    hidden = [] if hearing.shows_slug(delivery, by) else ["slug"]
    hidden += [] if hearing.shows_collection(delivery, by) else ["collection", "url"]
    if not hidden or not delivery.body:
        return delivery.body
    try:
        content = json.loads(delivery.body)
        content["data"].update(dict.fromkeys(hidden))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    return _dumped(content)


def _is_as_before(delivery: Delivery, heard: Heard) -> bool:
    return bool(delivery.body) and (heard.shows_slug or '"slug":null' in delivery.body)


def text_of(delivery: Delivery, slug: str | None = None, *, collections: Schema | None = None) -> str:
    """Return a body as it is sent. `collections` is for who has them already."""
    collections = collections or schema.current()
    collection = collections.by_id.get(delivery.collection_id) if delivery.collection_id else None
    return _dumped(_content(delivery, slug, collection.key if collection is not None else None))


def _content(delivery: Delivery, slug: str | None, collection: str | None) -> dict[str, Any]:
    return {
        "type": delivery.type,
        "timestamp": moment(delivery.occurred_at),
        "data": {
            "id": delivery.subject_id or None,
            "collection": collection,
            "locale": delivery.locale or None,
            "slug": slug,
            "version": delivery.version,
            "sequence": delivery.position or None,
            "environment": settings.ENVIRONMENT.name,
            "url": _url(delivery, collection),
        },
    }


def _url(delivery: Delivery, collection: str | None) -> str | None:
    """Return where the thing can be read, by who may; None for what is gone."""
    base = settings.PUBLIC_URL.rstrip("/")
    if delivery.type == "security.alert":
        return base + reverse("admin:accounts_alert_change", args=[delivery.subject_id])
    if collection is None or delivery.type in ("entry.deleted", TEST):
        return None
    if delivery.type == "collection.changed":
        return f"{base}/api/v1/manage/collections/{collection}"
    if delivery.type == "form.submitted":
        return f"{base}/api/v1/manage/forms/{collection}/submissions/{delivery.subject_id}"
    if not delivery.type.startswith("entry."):
        return None
    plane = "content" if delivery.type in _PUBLIC else "manage/content"
    return f"{base}/api/v1/{plane}/{collection}/{delivery.subject_id}?locale={delivery.locale}"


def _slugs(deliveries: Collection[Delivery], present: Schema) -> dict[UUID, str]:
    """Return the slugs that the versions of these deliveries hold; one query for each collection and locale."""
    groups: dict[tuple[UUID, str], list[Delivery]] = {}
    for delivery in deliveries:
        if delivery.collection_id in present.by_id and delivery.version is not None:
            groups.setdefault((delivery.collection_id, delivery.locale), []).append(delivery)
    found: dict[UUID, str] = {}
    for (collection_id, locale), about in groups.items():
        slug = present.by_id[collection_id].slug_field
        if slug is None:
            continue
        rows = Version.objects.filter(
            entry_id__in={delivery.subject_id for delivery in about},
            number__in={delivery.version for delivery in about},
        ).values_list(
            "entry_id",
            "number",
            KeyTextTransform(str(slug.id), KeyTransform(locale, "sealed")),
            KeyTextTransform(str(slug.id), KeyTransform(SHARED, "sealed")),
        )
        texts = {(str(entry_id), number): own or shared for entry_id, number, own, shared in rows}
        for delivery in about:
            text = texts.get((delivery.subject_id, delivery.version))
            if text:
                found[delivery.pk] = text
    return found


def _dumped(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
