"""The admin of Quillkeep: Django's own, with our name, behind the sign-in of accounts."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Final

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path, reverse

from accounts import urls
from accounts.access import Area
from accounts.alerting.counting import open_count
from accounts.errors import DomainError, StepUpRequiredError
from accounts.models import Lockdown
from accounts.pages import sign_in, step_up
from accounts.principals import of_request
from accounts.sign_in import session_store
from cms_project import csp_page, keys_page, lockdown_page, person_page, security_page
from cms_project.problems import is_script
from content.admin import home, sidebar
from content.admin.pages import address
from content.admin.urls import urlpatterns as content_urls
from previews.admin.urls import urlpatterns as previews_urls

# Django's redirect to "the page of any row" tells by its error whether a row exists; its form for passwords goes
# around the verb, so that the log would not know, and asks nobody for a second factor.
_CLOSED: Final = frozenset({"view_on_site", "password_change", "password_change_done"})


_USES: Final = {
    "content": "Content",
    "forms": "Forms",
    "review": "Review",
    "previews": "Previews",
    "webhooks": "Webhooks",
}


class QuillkeepAdminSite(admin.AdminSite):
    """The default admin site; every ModelAdmin registers here."""

    site_header = "Quillkeep"
    site_title = "Quillkeep"
    index_title = "Content and administration"
    enable_nav_sidebar = True

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Tell of a lockdown on every page, so that nobody wonders why nothing can be changed."""
        is_locked = self.has_permission(request) and of_request(request).is_locked_down
        return {
            **super().each_context(request),
            "lockdown": Lockdown.objects.current() if is_locked else None,
        }

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Put our doors before Django's, under Django's names."""
        doors: list[URLResolver | URLPattern] = [
            *urls.urlpatterns(self.admin_view),
            *content_urls(self.admin_view),
            *previews_urls(self.admin_view),
            path("keys/", self.admin_view(keys_page.page), name="keys"),
            path("person/", self.admin_view(person_page.page), name="person"),
            path("lockdown/", self.admin_view(lockdown_page.page), name="lockdown"),
            path("security/", self.admin_view(security_page.page), name="security"),
            path("csp-reports/", self.admin_view(csp_page.page), name="csp-reports"),
        ]
        kept = [item for item in super().get_urls() if getattr(item, "name", None) not in _CLOSED]
        return doors + kept

    def admin_view(  # type: ignore[override]  # the stubs' type of a view has no name
        self,
        view: Callable[..., Any],
        cacheable: bool = False,  # noqa: FBT001, FBT002 (Django's)
    ) -> Callable[..., Any]:
        """Answer 401 to a script of ours where people would be sent to the sign-in: it asks them to, and goes on.

        A dangerous act asks people to show again who they are; what they give comes with the form itself.
        """
        inside = super().admin_view(view, cacheable)

        def answer(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponse:
            if is_script(request) and not self.has_permission(request):
                return HttpResponse(status=401)
            stranger = session_store.elsewhere(request)
            if stranger:  # the next page says so: with this answer the cookie is gone
                messages.info(request, f"{stranger} Sign in to this one.")
            try:
                if step_up.is_answer(request) and self.has_permission(request):
                    confirmed = step_up.confirm(request)
                    if confirmed is not None:
                        return confirmed
            except DomainError as problem:
                return step_up.ask(request, StepUpRequiredError(), problem)
            try:
                response: HttpResponse = inside(request, *args, **kwargs)
            except StepUpRequiredError as error:
                return step_up.ask(request, error)
            return response

        return update_wrapper(answer, inside)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """Return the sidebar by use: content, what waits for review with the record of it all, and settings last."""
        stock: list[dict[str, Any]] = super().get_app_list(request, app_label)
        if app_label is not None:
            return stock
        found: dict[str, dict[str, Any]] = {}
        for section in [*sidebar.sections(request), *stock]:
            for model in section["models"]:
                use = _USES.get(section["app_label"], "Settings")
                use = "Review" if model["object_name"] in ("Alert", "Event") else use
                shown = found.setdefault(
                    use, {**section, "app_label": use.lower(), "name": use, "models": []}
                )
                if model["object_name"] == "Alert":
                    model["badge"] = open_count()
                if model["object_name"] == "Preview" and not of_request(request).administers(Area.PREVIEWS):
                    model["name"] = "My previews"
                shown["models"].append(model)
        if "Settings" in found and of_request(request).administers(Area.USERS):
            found["Settings"]["models"].append(
                sidebar.link("person", "Data about a person", reverse("admin:person"))
            )
        if "Settings" in found and of_request(request).administers(Area.OPERATIONS):
            found["Settings"]["models"].append(sidebar.link("backups", "Backups", address("backups")))
            found["Settings"]["models"].append(
                sidebar.link("keys", "Keys and secrets", reverse("admin:keys"))
            )
            pages = {"security": "Security check", "csp-reports": "Browser reports", "lockdown": "Lock down"}
            found["Settings"]["models"] += [
                sidebar.link(name, label, reverse(f"admin:{name}")) for name, label in pages.items()
            ]
        order = ("Content", "Forms", "Review", "Previews", "Webhooks", "Settings")
        return [found[use] for use in order if use in found]

    def index(  # type: ignore[override]  # rendered already
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show what is each person's to see, not a list of tables."""
        return home.home(request)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # noqa: ARG002
        """Never Django's own form: it knows no second factor (CVE-2019-16766)."""
        return sign_in.password_step(request)

    def logout(  # type: ignore[override]  # a redirect serves as well
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """End the session's row too, not only the cookie."""
        return sign_in.sign_out(request)
