"""The page of the admin with the security check: the grade, what to do first, and where."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.access import Area
from accounts.pages.frame import show
from accounts.principals import of_request
from cms_project.security_check import registry


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Look at everything anew, and show it."""
    if not of_request(request).administers(Area.OPERATIONS):
        raise PermissionDenied
    return show(request, "admin/security.html", {"title": "Security check", "report": registry.report()})
