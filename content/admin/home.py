"""The first page: what is mine, what has changed, what is new, who is writing; and what needs an administrator."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts import outages
from accounts.access import Action, Area
from accounts.alerting import attention
from accounts.audit import results
from accounts.models import ApiKey, Unsealed
from accounts.rights.warnings import AccessWarning, access_warnings, seen_by
from content import visits
from content.admin.desk import Desk, open_entry
from content.admin.pages import address, page, query, show
from content.models import FieldIndex
from content.overview import Line, Overview

SOON = timedelta(days=14)
BACKLOG = 1_000
MOST_WORRIES = 8


@dataclass(frozen=True)
class Section:
    """One list of the page: its lines, or what to say when there are none."""

    key: str
    title: str
    lines: list[Line]
    empty: str


@page
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show each person what is theirs to see."""
    query(request)
    desk = Desk.of(request)
    overview = Overview(desk.schema, desk.principal)
    opened = [item for item in desk.schema.collections if desk.opens(item)]
    writes = [item for item in opened if desk.may(Action.CREATE, item) and item.kind == "many"]
    sections = []
    if opened:
        sections = [
            Section("drafts", "My drafts", overview.my_drafts(), "Nothing of yours waits to be published."),
            Section(
                "changed",
                "Changed since I looked",
                overview.changed_since(),
                "Nobody has changed what you looked at.",
            ),
            Section(
                "published",
                "Recently published",
                overview.recently_published(),
                "Nothing of what you may open is public yet.",
            ),
            Section(
                "writing", "Being written now", overview.being_written(), "Nobody else is typing just now."
            ),
        ]
    context = {
        "title": "Home",
        "sections": sections,
        "writes": [(item.name, address("add", item.key)) for item in writes[:6]],
        "attention": _attention(desk),
        "has_collections": bool(opened),
        "reads_log": desk.principal.administers(Area.AUDIT),
        "may_model": any(desk.may(Action.MANAGE_SCHEMA, item) for item in desk.schema.collections)
        or desk.principal.administers(Area.LOCALES),
    }
    return show(request, "admin/content/home.html", context)


def _attention(desk: Desk) -> list[tuple[str, str]]:
    """Return (sentence, address) of what an administrator should look at."""
    found: list[tuple[str, str]] = []
    for item in desk.schema.collections:
        if desk.may(Action.MANAGE_SCHEMA, item):
            failed = FieldIndex.objects.filter(state=FieldIndex.State.FAILED, collection__isnull=False)
            names = sorted(
                {desk.schema.by_id[row].name for row in failed.values_list("collection_id", flat=True)}
            )
            found += [(f"An index of {name} could not be built.", address("collections")) for name in names]
            break
    if desk.principal.administers(Area.KEYS):
        ending = ApiKey.objects.filter(
            revoked_at=None, expires_at__range=(timezone.now(), timezone.now() + SOON)
        )
        found += [
            (
                f"The API key “{name}” ends on {ends:%-d %B}.",
                reverse("admin:accounts_apikey_change", args=[pk]),
            )
            for pk, name, ends in ending.order_by("expires_at").values_list("pk", "name", "expires_at")[:5]
        ]
        missed = ApiKey.objects.filter(
            revoked_at=None, old_refused_at__gte=timezone.now() - timedelta(days=1)
        )
        found += [
            (
                f"Somebody still sends the retired secret of the API key “{name}”.",
                reverse("admin:accounts_apikey_change", args=[pk]),
            )
            for pk, name in missed.order_by("pk").values_list("pk", "name")[:5]
        ]
    if desk.principal.administers(Area.OPERATIONS) and outages.is_ongoing():
        found.append(
            (
                "Limits can’t be counted: Valkey does not answer. Sign-in is closed until it does.",
                f"{reverse('admin:accounts_event_changelist')}?type={outages.GONE}",
            )
        )
    if any(desk.principal.administers(area) for area in (Area.USERS, Area.ROLES, Area.POLICIES)):
        worries = seen_by(desk.principal, access_warnings())
        found += [(item.text, _place_of(item)) for item in worries if not item.is_note][:MOST_WORRIES]
    if desk.principal.administers(Area.AUDIT):
        found += attention.attention()
        log = reverse("admin:accounts_event_changelist")
        if Unsealed.objects.filter(refused_at__isnull=False).exists():
            found.append(
                ("The log holds an event that Quillkeep did not write. Run “manage.py audit verify”.", log)
            )
        badge = results.newest()
        if badge is not None and not badge.is_good:
            found.append(
                ("The log is not intact. Look at what was found, and keep a copy of the database.", log)
            )
        if Unsealed.objects.filter(refused_at=None).count() > BACKLOG:
            found.append(("Many events wait for their seal: is the worker running?", log))
    return found


def _place_of(item: AccessWarning) -> str:
    table = f"admin:accounts_{item.kind}"
    return reverse(f"{table}_change", args=[item.id]) if item.id else reverse(f"{table}_changelist")


@page
@require_POST
def presence(request: HttpRequest, key: str, name: UUID) -> HttpResponse:
    """Note that somebody's form is open, and tell who else has it open: `{"others": [{"name", "typing", "since"}]}`."""
    query(request)
    desk = Desk.of(request)
    entry = open_entry(desk, key, name, None)
    user_id = desk.principal.user_id
    if user_id is None:
        return JsonResponse({"others": []})
    visits.is_here(entry.row, user_id=user_id, is_typing=request.POST.get("typing") == "1")
    others = visits.others_at(entry.row, user_id=user_id)
    return JsonResponse(
        {
            "others": [
                {"name": item.name, "typing": item.is_typing, "since": item.since.isoformat()}
                for item in others
            ]
        }
    )
