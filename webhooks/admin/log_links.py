"""The pages of webhooks' things, for whoever reads about them in the log."""

from uuid import UUID

from django.urls import reverse

from accounts.audit.subject_links import PAGES


def _endpoint(subject_id: str, _: UUID | None) -> str | None:
    return reverse("admin:webhooks_endpoint_change", args=[UUID(subject_id)])


PAGES["endpoint"] = _endpoint
