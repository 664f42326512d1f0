"""The pages of sources and receipts, for whoever reads about them in the log."""

from uuid import UUID

from django.urls import reverse

from accounts.audit.subject_links import PAGES, Page


def _row(model: str) -> Page:
    def page(subject_id: str, _: UUID | None) -> str | None:
        return reverse(f"admin:webhooks_{model}_change", args=[UUID(subject_id)])

    return page


PAGES.update({"source": _row("source"), "receipt": _row("receipt")})
