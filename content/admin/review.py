"""What waits to be published, in all collections that a person may publish in."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.access import Action
from accounts.errors import NotAllowedError
from content.admin.desk import Desk
from content.admin.pages import page, query, show
from content.overview import MOST_WAITING, Overview


def may_review(desk: Desk) -> bool:
    """Tell whether there is any collection that the person sees drafts of and may publish in."""
    return any(
        desk.may(Action.PUBLISH, item) and desk.may(Action.READ_DRAFT, item)
        for item in desk.schema.collections
        if item.has_entries
    )


@page
@require_safe
def review(request: HttpRequest) -> HttpResponse:
    """List drafts and changes that are not public yet, newest first."""
    query(request)
    desk = Desk.of(request)
    if not may_review(desk):
        raise NotAllowedError("You may not publish anything.")
    lines = Overview(desk.schema, desk.principal).waiting()
    context = {"title": "To publish", "lines": lines, "is_cut": len(lines) >= MOST_WAITING}
    return show(request, "admin/content/review.html", context)
