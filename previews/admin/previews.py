"""The register of previews: everybody sees their own, who administers previews sees all. Each can be ended."""

from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.access import Action, Area
from accounts.admin.base import ReadOnlyAdmin
from accounts.admin.marks import Mark, pill
from accounts.errors import DomainError
from accounts.models.user import User
from accounts.principals import of_request
from content.admin.desk import Desk
from content.overview import Line, Overview
from previews import register
from previews.admin.framed import FramedAdmin
from previews.models import Preview, PreviewSite

MOST_NAMED: Final = 100  # sites and people that a filter offers
STATES: Final[dict[str, Mark]] = {
    "minted": ("qk-draft", "○", "Code waits"),
    "exchanged": ("qk-changed", "◐", "Fetched"),
    "opened": ("qk-published", "●", "Opened"),
    "expired": ("qk-none", "⌛", "Expired"),
    "revoked": ("qk-trashed", "✕", "Revoked"),
}
REASONS: Final = {
    "asked": "somebody ended it",
    "code-used": "its code came a second time, so it was taken to be stolen",
    "session-ended": "who asked for it signed out, or what they sign in with has changed",
    "key-ended": "the API key that asked for it is over",
    "site-off": "its site was switched off",
    "lockdown": "everything was locked down",
    "": "",
}


def may_look(request: HttpRequest) -> bool:
    """Tell whether there is anything for this person here: who may preview something has previews of their own."""
    desk = Desk.of(request)
    if desk.principal.administers(Area.PREVIEWS):
        return True
    collections = (item for item in desk.schema.collections if item.has_entries)
    return any(desk.may(Action.PREVIEW, item) for item in collections)


def sees_all(request: HttpRequest) -> bool:
    """Tell whether the previews of others are shown as well."""
    return of_request(request).administers(Area.PREVIEWS)


class StateFilter(admin.SimpleListFilter):
    """By what has become of a preview."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 (Django's)
        return [
            ("live", "Live"),
            ("opened", "Live and opened"),
            ("expired", "Expired"),
            ("revoked", "Revoked"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Preview]) -> QuerySet[Preview]:  # noqa: ARG002 (Django's)
        now = timezone.now()
        live = Q(revoked_at=None, expires_at__gt=now)
        wanted = {
            "live": live,
            "opened": live & Q(opened_at__isnull=False),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }.get(self.value() or "")
        return queryset.filter(wanted) if wanted is not None else queryset


class SiteFilter(admin.SimpleListFilter):
    """By site; of those that one's previews are on."""

    title, parameter_name = "site", "site"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = model_admin.get_queryset(request).values("site")
        found = PreviewSite.objects.filter(pk__in=seen).order_by("name").values_list("pk", "name")
        return [(str(pk), name) for pk, name in found[:MOST_NAMED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Preview]) -> QuerySet[Preview]:  # noqa: ARG002 (Django's)
        return _filtered(queryset, "site", self.value())


class PersonFilter(admin.SimpleListFilter):
    """By person, for those who see other people's."""

    title, parameter_name = "person", "person"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        if not sees_all(request):
            return []
        seen = model_admin.get_queryset(request).values("user")
        found = User.objects.filter(pk__in=seen).order_by("email")[:MOST_NAMED]
        return [(str(user.pk), str(user)) for user in found]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Preview]) -> QuerySet[Preview]:  # noqa: ARG002 (Django's)
        return _filtered(queryset, "user", self.value())


@admin.register(Preview)
class PreviewAdmin(FramedAdmin[Preview], ReadOnlyAdmin[Preview]):
    """Previews that were handed out."""

    empty_text = (
        "No preview yet. Open an entry and choose Preview: what you hand out stands here, and can be ended."
    )
    change_list_template = "admin/previews/register.html"
    list_display = ("minted", "entry_shown", "site", "person", "used", "state_shown")
    list_filter = (StateFilter, SiteFilter, PersonFilter)
    search_fields = ("id",)
    search_help_text = "The id of a preview or of an entry"
    ordering = ("-pk",)
    actions = ("revoke",)

    def get_urls(self) -> list[URLPattern]:
        end = path(
            "<uuid:preview_id>/revoke/", self.admin_site.admin_view(self.revoke_view), name="preview-revoke"
        )
        return [end, *super().get_urls()]

    def has_view_permission(self, request: HttpRequest, obj: Preview | None = None) -> bool:  # noqa: ARG002 (Django's)
        return may_look(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_look(request)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Tell whether previews may be ended: one's own always, all of them by who may change what they administer."""
        return request.user.has_perm("previews.change_preview") if sees_all(request) else may_look(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Preview]:
        mine = super().get_queryset(request).visible_to(of_request(request))  # type: ignore[attr-defined]  # the manager's own
        return mine.select_related("site", "user", "api_key", "session")  # type: ignore[no-any-return]

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return (
            self.list_display
            if sees_all(request)
            else tuple(name for name in self.list_display if name != "person")
        )

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 (Django's signature)
        queryset: QuerySet[Preview],
        search_term: str,
    ) -> tuple[QuerySet[Preview], bool]:
        """Find by whole ids only."""
        if not search_term.strip():
            return queryset, False
        wanted = _id(search_term)
        return (queryset.filter(Q(pk=wanted) | Q(entry_id=wanted)) if wanted else queryset.none()), False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Call entries by their titles where the viewer may read the draft."""
        shown = super().get_changelist_instance(request)
        lines = _lines(request, shown.result_list)
        for preview in shown.result_list:
            preview.line = lines.get((preview.entry_id, preview.locale))
        return shown

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = (
            {"title": "Previews" if sees_all(request) else "My previews"} if request.user.is_active else {}
        )
        return super().changelist_view(request, {**(extra_context or {}), **title})

    # The list

    @admin.display(description="entry")
    def entry_shown(self, preview: Any) -> SafeString:
        """Lead to the entry, for who may read its draft."""
        line: Line | None = preview.line
        if line is None:
            shown = format_html("<code>{}</code>", preview.entry_id)
        else:
            shown = format_html('<a href="{}" dir="auto">{}</a>', page_of(line), line.title[:90])
        return format_html('{} <span class="qk-quiet">{}</span>', shown, preview.locale)

    @admin.display(description="person", ordering="user__email")
    def person(self, preview: Preview) -> str:
        return str(preview.user)

    @admin.display(description="handed out", ordering="created_at")
    def minted(self, preview: Preview) -> Any:
        return preview.created_at

    @admin.display(description="opened", ordering="open_count")
    def used(self, preview: Preview) -> str:
        if preview.opened_at is None:
            return "fetched, not opened" if preview.exchanged_at else "not yet"
        number = max(preview.open_count, 1)
        return f"{number} time{'' if number == 1 else 's'}"

    @admin.display(description="state", ordering="expires_at")
    def state_shown(self, preview: Preview) -> SafeString:
        if preview.state in ("revoked", "expired"):
            return pill(STATES[preview.state])
        left = max(int((preview.expires_at - timezone.now()).total_seconds() // 60), 0)
        words = f"for {left} more minute{'' if left == 1 else 's'}" if left else "for less than a minute"
        if not preview.site.is_active:
            words = "the site is off"
        return format_html('{} <span class="qk-quiet">{}</span>', pill(STATES[preview.state]), words)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[Preview]) -> None:
        by = of_request(request)
        live = Preview.objects.visible_to(by).live().filter(pk__in=chosen.values("pk"))
        if not live.exists():
            self.message_user(request, "What was ticked is over already.", messages.INFO)
        self.try_each(request, live, lambda preview: register.revoke(preview.pk, by=by), "revoked")

    # One preview

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show one preview: for whom, of what, where it was opened."""
        self.require_a_look(request)
        preview = self.found(request, object_id)
        line = _lines(request, [preview]).get((preview.entry_id, preview.locale))
        context = {
            "preview": preview,
            "line": line,
            "entry_page": page_of(line) if line else "",
            "state": pill(STATES[preview.state]),
            "reason": REASONS.get(preview.because, preview.because),
            "is_live": preview.state not in ("revoked", "expired"),
            "may_end": self.has_revoke_permission(request),
        }
        title = f"A preview of {line.title}" if line else "A preview"
        return self.page(request, "admin/previews/preview.html", title, context)

    def revoke_view(self, request: HttpRequest, preview_id: UUID) -> HttpResponse:
        """End one preview."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        preview = self.found(request, str(preview_id))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            register.revoke(preview.pk, by=of_request(request))
        except DomainError as error:
            return self.refused(request, str(preview.pk), error)
        self.message_user(request, "The preview is over.", messages.SUCCESS)
        return redirect("admin:previews_preview_change", preview.pk)


def page_of(line: Line) -> str:
    """Return the address of the entry's form in the language of a draft."""
    at = reverse("admin:content-change", args=[line.collection.key, line.entry_id])
    return f"{at}?locale={line.locale}" if line.collection.localized else at


def _lines(request: HttpRequest, shown: Any) -> dict[tuple[UUID, str], Line]:
    desk = Desk.of(request)
    return Overview(desk.schema, desk.principal).drafts_of({preview.entry_id for preview in shown})


def _filtered(queryset: QuerySet[Preview], name: str, value: str | None) -> QuerySet[Preview]:
    if value is None:
        return queryset
    wanted = _id(value)
    return queryset.filter(**{f"{name}_id": wanted}) if wanted else queryset.none()


def _id(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
