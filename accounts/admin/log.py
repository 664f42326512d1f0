"""The log, for looking only."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts.admin.base import ReadOnlyAdmin
from accounts.log import seal_pending
from accounts.models.event import Event


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    """The log."""

    empty_text = "Nothing has happened yet. Whatever happens stands here, sealed."
    list_display = ("position", "at", "type", "actor_label", "subject", "address")
    list_filter = ("type", "actor_kind")
    list_select_related = ("seal",)
    search_fields = ("subject_id", "actor_label")
    date_hierarchy = "at"
    fields = (
        "position", "id", "type", "at", "actor_kind", "actor_label", "credential", "subject_type", "subject_id",
        "collection_id", "locale", "address", "request_id", "detail",
    )  # fmt: skip
    ordering = ("-seal__position",)

    def log_subject(self, row: Event) -> str:
        return row.subject_id

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        return super().get_queryset(request).filter(seal__isnull=False)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.has_view_permission(request):  # a request that is refused does nothing
            seal_pending(wait=False)
        return super().changelist_view(request, extra_context)

    @admin.display(description="position", ordering="seal__position")
    def position(self, event: Event) -> int:
        return event.seal.position

    @admin.display(description="subject")
    def subject(self, event: Event) -> str:
        """The kind, and as much of the id as tells rows apart; the event's page has all of it."""
        shown = event.subject_id if len(event.subject_id) < 20 else f"…{event.subject_id[-6:]}"
        return f"{event.subject_type} {shown}".strip()
