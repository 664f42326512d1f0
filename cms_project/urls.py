"""The URLs of the planes that this process serves; those of other planes don't exist here."""

from django.conf import settings
from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from accounts.api import urls as accounts_api
from cms_project import environment, health, metrics_view, schema_view
from previews.api import urls as previews
from webhooks.api import urls as webhooks
from webhooks.api import urls_incoming as incoming

handler400 = "cms_project.problems.bad_request"
handler403 = "cms_project.problems.permission_denied"
handler404 = "cms_project.problems.not_found"
handler500 = "cms_project.problems.server_error"

# Lazy: in production the name of the file is known once static files are collected.
FAVICON = lazy(static, str)("quillkeep/favicon.svg")
OPERATIONS: list[URLPattern | URLResolver] = [
    path("healthz", health.alive, name="alive"),
    path("readyz", health.ready, name="ready"),
    path("metrics", metrics_view.view, name="metrics"),
]
PLANES: dict[environment.Plane, list[URLPattern | URLResolver]] = {
    "management": [
        path("", RedirectView.as_view(pattern_name="admin:index")),
        path("admin", RedirectView.as_view(pattern_name="admin:index")),
        path("admin/", admin.site.urls),
        path("favicon.ico", RedirectView.as_view(url=FAVICON)),
        path("api/v1/openapi.json", schema_view.SchemaView.as_view(), name="openapi"),
        path("api/v1/", include("accounts.api.urls")),
        path("api/v1/manage/", include("content.manage.urls")),
        path("api/v1/", include(previews.management)),
        path("api/v1/", include(webhooks.management)),
        path("api/v1/manage/webhooks/", include(incoming.management)),
        # Browsers send reports to the host that their page came from: where the admin stands alone, to this one.
        *([] if settings.ENVIRONMENT.serves("edge") else [path("api/v1/", include(accounts_api.reports))]),
    ],
    "edge": [
        path("api/v1/", include(accounts_api.reports)),
        path("api/v1/", include(previews.edge_api)),
        path(".well-known/", include(previews.well_known)),
        path("api/v1/", include("content.forms.urls")),
        path("hooks/in/", include(incoming.hooks)),
    ],
    "delivery": [
        path("api/v1/content/", include("content.delivery.urls")),
    ],
}

urlpatterns = [
    *OPERATIONS,
    *(
        pattern
        for plane, patterns in PLANES.items()
        if settings.ENVIRONMENT.serves(plane)
        for pattern in patterns
    ),
]
