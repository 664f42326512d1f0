"""The URLs of content's part of the management plane."""

from django.urls import path

from content.manage import form_views, schema_views, views

_ENTRY = "content/<str:collection>/<str:name>"

urlpatterns = [
    path("collections", schema_views.CollectionsView.as_view(), name="manage-collections"),
    path("collections/<str:key>", schema_views.CollectionView.as_view(), name="manage-collection"),
    path("locales", schema_views.LocalesView.as_view(), name="manage-locales"),
    path("locales/<str:code>", schema_views.LocaleView.as_view(), name="manage-locale"),
    path("forms/<str:form>/submissions", form_views.SubmissionsView.as_view(), name="manage-submissions"),
    path(
        "forms/<str:form>/submissions/<uuid:submission_id>",
        form_views.SubmissionView.as_view(),
        name="manage-submission",
    ),
    path("forms/<str:form>/export", form_views.ExportView.as_view(), name="manage-form-export"),
    path("content/<str:collection>", views.EntriesView.as_view(), name="manage-entries"),
    path(_ENTRY, views.EntryView.as_view(), name="manage-entry"),
    path(f"{_ENTRY}/publish", views.PublishView.as_view(), name="manage-publish"),
    path(f"{_ENTRY}/unpublish", views.UnpublishView.as_view(), name="manage-unpublish"),
    path(f"{_ENTRY}/restore", views.RestoreView.as_view(), name="manage-restore"),
    path(f"{_ENTRY}/versions", views.VersionsView.as_view(), name="manage-versions"),
    path(f"{_ENTRY}/versions/<int:number>", views.VersionView.as_view(), name="manage-version"),
    path(
        f"{_ENTRY}/versions/<int:number>/restore",
        views.VersionRestoreView.as_view(),
        name="manage-version-restore",
    ),
    path(f"{_ENTRY}/diff", views.DiffView.as_view(), name="manage-diff"),
]
