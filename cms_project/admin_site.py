"""The admin of Quillkeep: Django's own, with our name, behind the sign-in of accounts."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver

from accounts import urls, views
from cms_project.problems import is_script
from content.admin import home, sidebar
from content.admin.urls import urlpatterns as content_urls

# Django's redirect to "the page of any row" tells by its error whether a row exists; its form for passwords goes
# around the verb, so that the log would not know, and asks nobody for a second factor.
_CLOSED: Final = frozenset({"view_on_site", "password_change", "password_change_done"})


class QuillkeepAdminSite(admin.AdminSite):
    """The default admin site; every ModelAdmin registers here."""

    site_header = "Quillkeep"
    site_title = "Quillkeep"
    index_title = "Content and administration"
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Name the environment on every page, so that nobody takes production for a place to try things."""
        return {**super().each_context(request), "environment": settings.ENVIRONMENT.name}

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Put our doors before Django's, under Django's names."""
        doors: list[URLResolver | URLPattern] = [*urls.urlpatterns, *content_urls(self.admin_view)]
        kept = [item for item in super().get_urls() if getattr(item, "name", None) not in _CLOSED]
        return doors + kept

    def admin_view(  # type: ignore[override]  # the stubs' type of a view has no name
        self,
        view: Callable[..., Any],
        cacheable: bool = False,  # noqa: FBT001, FBT002 (Django's)
    ) -> Callable[..., Any]:
        """Answer 401 to a script of ours where people would be sent to the sign-in: it asks them to, and goes on."""
        inside = super().admin_view(view, cacheable)

        def answer(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponse:
            if is_script(request) and not self.has_permission(request):
                return HttpResponse(status=401)
            response: HttpResponse = inside(request, *args, **kwargs)
            return response

        return update_wrapper(answer, inside)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return the sidebar by use: content, each collection an entry of its own, then what it is set up with."""
        stock: list[dict[str, Any]] = super().get_app_list(request, app_label)
        if app_label is not None:
            return stock
        own = sidebar.sections(request)
        content = [section for section in own if section["app_label"] == "content"]
        rest = [section for section in [*own, *stock] if section not in content]
        if not rest:
            return content
        models = [model for section in rest for model in section["models"]]
        return [*content, {**rest[0], "app_label": "settings", "name": "Settings", "models": models}]

    def index(  # type: ignore[override]  # rendered already
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show what is each person's to see, not a list of tables."""
        return home.home(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002
        """Never Django's own form: it knows no second factor (CVE-2019-16766)."""
        return views.password_step(request)

    def logout(  # type: ignore[override]  # a redirect serves as well
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """End the session's row too, not only the cookie."""
        return views.sign_out(request)
