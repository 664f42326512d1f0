"""The page of the admin with what browsers reported of our Content Security Policy, and forgetting of it."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_http_methods

from accounts import browser_reports
from accounts.access import Area
from accounts.errors import NotFoundError
from accounts.models import CspReport
from accounts.pages.frame import show
from accounts.principals import of_request

MOST_SHOWN = 200


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """Show them, the newest first; by POST, forget one or all."""
    by = of_request(request)
    if not by.administers(Area.OPERATIONS):
        raise PermissionDenied
    if request.method == "POST":
        return _forget(request)
    number = CspReport.objects.count()
    listed = CspReport.objects.order_by("-last_seen_at", "-pk")[:MOST_SHOWN]
    context: dict[str, Any] = {"title": "Browser reports", "reports": listed, "number": number}
    return show(request, "admin/csp_reports.html", {**context, "more": max(0, number - MOST_SHOWN)})


def _forget(request: HttpRequest) -> HttpResponse:
    by, which = of_request(request), request.POST.get("report", "")
    if which == "all":
        number = browser_reports.forget_all(by=by)
        messages.success(request, f"{number} forgotten.")
        return HttpResponseRedirect(request.path)
    if not (which.isascii() and which.isdecimal() and len(which) <= 18):
        raise Http404
    try:
        browser_reports.forget(int(which), by=by)
    except NotFoundError:
        messages.info(request, "It was forgotten already.")
    else:
        messages.success(request, "Forgotten. If it happens again, it is listed again.")
    return HttpResponseRedirect(request.path)
