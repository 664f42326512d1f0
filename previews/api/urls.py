"""The addresses of previews, by plane."""

from django.urls import path

from previews.api import edge, manage

management = [
    path("previews", manage.PreviewsView.as_view()),
    path("previews/<uuid:jti>", manage.PreviewView.as_view()),
    path("manage/preview-sites", manage.SitesView.as_view()),
    path("manage/preview-sites/<uuid:site_id>", manage.SiteView.as_view()),
    path("manage/preview-sites/<uuid:site_id>/rotate-secret", manage.SiteRotationView.as_view()),
    path(
        "manage/preview-sites/<uuid:site_id>/rotate-shared-secret",
        manage.SharedSecretRotationView.as_view(),
    ),
    path("manage/preview-sites/<uuid:site_id>/probe", manage.SiteProbeView.as_view()),
]
edge_api = [
    path("previews/exchange", edge.ExchangeView.as_view()),
    path("preview/content/<str:collection>/<str:name>", edge.DraftView.as_view()),
]
well_known = [path("jwks.json", edge.KeysView.as_view(), name="jwks")]
