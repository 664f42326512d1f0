"""Receipts in the admin: what sources sent, what became of it, and another try of what failed."""

from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.marks import Mark, pill
from accounts.errors import DomainError
from accounts.principals import of_request
from content.models import Entry
from content.schema import current
from webhooks.incoming import processing
from webhooks.incoming.admin.framed import FramedAdmin
from webhooks.incoming.showing import shown_body
from webhooks.incoming.tasks import wake
from webhooks.models import Receipt, Source

STATES: Final[dict[str, Mark]] = {
    "waiting": ("qk-changed", "◐", "Waits"),
    "done": ("qk-published", "●", "Done"),
    "failed": ("qk-trashed", "✕", "Failed"),
}
REASONS: Final = {
    "account-off": "The service account of the source is switched off.",
    "collection-gone": "The collection is gone. Change the action of the source.",
    "entry-incomplete": "The entry is not complete enough to be published.",
    "field-gone": "A field that the action names is gone. Change the action of the source.",
    "gave-up": "It was tried as often as it may be.",
    "invalid-input": "The payload holds values that the fields don’t take.",
    "no-match": "No entry has the value that was looked for.",
    "not-allowed": "The account has no right to it.",
    "not-found": "The account sees no such entry or collection.",
}


class SourceFilter(admin.SimpleListFilter):
    """By source."""

    title, parameter_name = "source", "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 (Django's)
        return [(key, key) for key in Source.objects.order_by("key").values_list("key", flat=True)[:100]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Receipt]) -> QuerySet[Receipt]:  # noqa: ARG002 (Django's)
        return queryset.filter(source__key=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    """By what became of it."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 (Django's)
        return [(state, words) for state, (_, _, words) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Receipt]) -> QuerySet[Receipt]:  # noqa: ARG002 (Django's)
        return queryset.filter(state=self.value()) if self.value() in STATES else queryset


@admin.register(Receipt)
class ReceiptAdmin(FramedAdmin[Receipt], ReadOnlyAdmin[Receipt]):
    """What sources sent, the newest first."""

    empty_text = "Nothing was received yet. What a source sends stands here, with what became of it."
    list_display = ("received", "source", "message", "state_shown", "told", "size_shown")
    list_filter = (StateFilter, SourceFilter)
    search_fields = ("id",)
    search_help_text = "The id of a message, of a receipt, or of an entry"
    ordering = ("-pk",)
    actions = ("retry",)

    def get_urls(self) -> list[URLPattern]:
        again = path(
            "<uuid:receipt_id>/retry/", self.admin_site.admin_view(self.retry_view), name="receipt-retry"
        )
        return [again, *super().get_urls()]

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Tell whether this person may let things be tried again."""
        return request.user.has_perm("webhooks.change_receipt")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Receipt]:
        return super().get_queryset(request).select_related("source").defer("body")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 (Django's signature)
        queryset: QuerySet[Receipt],
        search_term: str,
    ) -> tuple[QuerySet[Receipt], bool]:
        """Find by whole ids only."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = Q(message_id=term) if "\x00" not in term else Q(pk=None)
        with suppress(ValueError):
            wanted |= Q(pk=UUID(term)) | Q(entry_id=UUID(term))
        return queryset.filter(wanted), False

    @admin.display(description="received", ordering="at")
    def received(self, receipt: Receipt) -> Any:
        return receipt.at

    @admin.display(description="message")
    def message(self, receipt: Receipt) -> SafeString:
        return format_html("<code>{}</code>", receipt.message_id[:40])

    @admin.display(description="state", ordering="state")
    def state_shown(self, receipt: Receipt) -> SafeString:
        return pill(STATES[receipt.state])

    @admin.display(description="what became of it")
    def told(self, receipt: Receipt) -> str:
        return why(receipt)

    @admin.display(description="size", ordering="size")
    def size_shown(self, receipt: Receipt) -> str:
        return f"{receipt.size} B" if receipt.size < 1024 else f"{receipt.size / 1024:.1f} KB"

    @admin.action(description="Try again", permissions=["retry"])
    def retry(self, request: HttpRequest, chosen: QuerySet[Receipt]) -> None:
        by = of_request(request)
        rows = Receipt.objects.filter(pk__in=chosen.values("pk")).select_related("source")
        self.try_each(request, rows, lambda receipt: wake(processing.retry(receipt, by=by).pk), "tried again")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show one receipt: what came, and what became of it."""
        self.require_a_look(request)
        receipt = self.found(request, object_id)
        context = {
            "receipt": receipt,
            "state": pill(STATES[receipt.state]),
            "why": why(receipt),
            "body": shown_body(receipt, by=of_request(request)),
            "entry_page": _page_of(receipt.entry_id),
            "may_retry": receipt.state == Receipt.State.FAILED and self.has_retry_permission(request),
        }
        return self.page(request, "admin/webhooks/receipt.html", f"From {receipt.source.key}", context)

    def retry_view(self, request: HttpRequest, receipt_id: UUID) -> HttpResponse:
        """Let one receipt be tried again."""
        if not self.has_retry_permission(request):
            raise PermissionDenied
        receipt = self.found(request, str(receipt_id))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            wake(processing.retry(receipt, by=of_request(request)).pk)
        except DomainError as error:
            return self.refused(request, str(receipt.pk), error)
        self.message_user(request, "It is tried again.", messages.SUCCESS)
        return redirect("admin:webhooks_receipt_change", receipt.pk)


def why(receipt: Receipt) -> str:
    """Return in a sentence why something failed, or waits."""
    if receipt.state == Receipt.State.DONE:
        return "Recorded" if receipt.entry_id is None else "An entry was written"
    if not receipt.reason:
        return (
            f"Tried {receipt.attempts} time{'' if receipt.attempts == 1 else 's'}" if receipt.attempts else ""
        )
    return REASONS.get(receipt.reason, receipt.said or receipt.reason)


def _page_of(entry_id: UUID | None) -> str:
    """Return the address of an entry's page, which asks for its own rights; "" for one that is gone."""
    entry = Entry.objects.filter(pk=entry_id).first() if entry_id is not None else None
    collection = current().by_id.get(entry.collection_id) if entry is not None else None
    if entry is None or collection is None:
        return ""
    return reverse("admin:content-change", args=[collection.key, entry.pk])
