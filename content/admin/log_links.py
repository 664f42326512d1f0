"""The pages of content's things, for whoever reads about them in the log."""

from uuid import UUID

from django.urls import reverse

from accounts.audit.subject_links import PAGES
from content.schema import current


def _entry(subject_id: str, collection_id: UUID | None) -> str | None:
    found = current().by_id.get(collection_id) if collection_id else None
    return reverse("admin:content-change", args=[found.key, subject_id]) if found else None


def _collection(subject_id: str, _: UUID | None) -> str | None:
    found = current().by_id.get(UUID(subject_id))
    return reverse("admin:content-collection", args=[found.key]) if found else None


def _locale(subject_id: str, _: UUID | None) -> str | None:
    return reverse("admin:content-locale", args=[subject_id])


def register() -> None:
    """Add the pages."""
    PAGES.update({"entry": _entry, "collection": _collection, "locale": _locale})
