"""Backups as ops see them in the admin: when one was last proven to restore, the last weeks drawn, and each of them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from accounts.access import Area
from accounts.admin.marks import Mark, pill
from accounts.keys.usage import ago
from content.admin.desk import Desk
from content.admin.pages import page, query, show
from content.backups import keeping
from content.models.backup import Backup

DAYS: Final = 30  # of the picture
MOST: Final = 200
_STEP, _RADIUS, _HEIGHT = 14, 4.5, 16
WHOLE: Final[dict[bool | None, Mark]] = {
    True: ("qk-published", "✓", "Whole"),
    False: ("qk-trashed", "✕", "Damaged"),
    None: ("qk-none", "–", "Not looked at"),
}
PROVEN: Final[Mark] = ("qk-published", "✓", "Restores")
FAILED: Final[Mark] = ("qk-trashed", "✕", "Does not restore")
UNPROVEN: Final[Mark] = ("qk-none", "–", "Not proven")


@page
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the backups; what makes and restores them is the command, on the machine that may."""
    Desk.of(request).principal.require_area(Area.OPERATIONS)
    query(request)
    kept = list(Backup.objects.filter(removed_at__isnull=True)[:MOST])
    plan = keeping.plan()
    proven = (
        Backup.objects.filter(removed_at__isnull=True, proven_at__isnull=False).order_by("-proven_at").first()
    )
    context: dict[str, Any] = {
        "title": "Backups",
        "lines": [_line(item) for item in kept],
        "picture": picture(Backup.objects.filter(made_at__gt=timezone.now() - timedelta(days=DAYS))),
        "days": DAYS,
        "plan": plan,
        "newest": kept[0] if kept else None,
        "newest_ago": ago(plan.newest),
        "proven": proven,
        "proven_ago": ago(plan.last_proven),
        "is_set_up": bool(settings.BACKUPS.to),
    }
    return show(request, "admin/content/backups.html", context)


def _line(item: Backup) -> dict[str, Any]:
    return {
        "backup": item,
        "ago": ago(item.made_at),
        "whole": pill(WHOLE[item.is_whole]),
        "proof": pill(_proof(item)),
        "proven_ago": ago(item.proven_at) if item.proven_at else "",
    }


def _proof(item: Backup) -> Mark:
    if item.proven_at is not None:
        return PROVEN
    return FAILED if item.tried_at is not None else UNPROVEN


def picture(backups: Iterable[Backup]) -> SafeString:
    """Draw the last days as a line of dots: a ring is a backup, a full dot one that is proven, a gap a day without."""
    today = timezone.now().date()
    by_day: dict[int, Backup] = {}
    for item in backups:
        day = (today - item.made_at.date()).days
        best = by_day.get(day)
        if best is None or (item.proven_at is not None and best.proven_at is None):
            by_day[day] = item
    width = DAYS * _STEP
    dots = format_html_join(
        "",
        '<circle cx="{}" cy="{}" r="{}" class="{}"><title>{}</title></circle>',
        (
            (
                width - _STEP / 2 - day * _STEP,
                _HEIGHT / 2,
                _RADIUS if day in by_day else 1.5,
                _class_of(by_day.get(day)),
                _words(by_day.get(day), today - timedelta(days=day)),
            )
            for day in range(DAYS - 1, -1, -1)
        ),
    )
    return format_html(
        '<svg class="qk-backup-days" viewBox="0 0 {0} {1}" aria-hidden="true" focusable="false">{2}</svg>',
        width, _HEIGHT, dots,
    )  # fmt: skip


def _class_of(item: Backup | None) -> str:
    if item is None:
        return "qk-backup-none"
    if item.is_whole is False or (item.proven_at is None and item.tried_at is not None):
        return "qk-backup-bad"
    return "qk-backup-proven" if item.proven_at is not None else "qk-backup-made"


def _words(item: Backup | None, day: Any) -> str:
    if item is None:
        return f"{day:%-d %b}: no backup"
    return f"{day:%-d %b}: {'proven to restore' if item.proven_at else 'made'}"
