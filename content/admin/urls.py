"""The URLs of content's admin. The site wraps each view, so that none can be reached without its door."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path

from content.admin import (
    acts,
    assist,
    backups,
    bulk,
    collection_pages,
    entries,
    form_pages,
    history,
    home,
    list_views,
    lists,
    locale_pages,
    log_links,
    parts,
    picker,
    publish_page,
    review,
    rights,
    view_as,
)

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

_ENTRY = "content/<str:key>/<uuid:name>/"
_PAGES: list[tuple[str, Callable[..., Any], str]] = [
    ("choices/", picker.choices, "choices"),
    ("content/", home.home, "home"),
    ("review/", review.review, "review"),
    ("view-as/", view_as.view_as, "view-as"),
    ("content/<str:key>/", lists.entry_list, "list"),
    ("content/<str:key>/add/", entries.add, "add"),
    ("content/<str:key>/trash/", lists.trash_list, "trash-list"),
    ("content/<str:key>/bulk/", bulk.bulk, "bulk"),
    ("content/<str:key>/columns/", list_views.columns, "columns"),
    ("content/<str:key>/views/", list_views.views, "views"),
    ("content/<str:key>/part/", parts.part, "part"),
    ("content/<str:key>/slug/", assist.slug, "slug"),
    ("content/<str:key>/tags/", assist.tags, "tags"),
    ("content/<str:key>/markdown/", assist.markdown, "markdown"),
    (f"{_ENTRY}change/", entries.change, "change"),
    (f"{_ENTRY}presence/", home.presence, "presence"),
    (f"{_ENTRY}field/<str:field_key>/", entries.field, "field"),
    (f"{_ENTRY}publish/", publish_page.publish, "publish"),
    (f"{_ENTRY}unpublish/", acts.unpublish, "unpublish"),
    (f"{_ENTRY}trash/", acts.trash, "trash"),
    (f"{_ENTRY}restore/", acts.restore, "restore"),
    (f"{_ENTRY}purge/", acts.purge, "purge"),
    (f"{_ENTRY}history/", history.versions, "history"),
    (f"{_ENTRY}diff/", history.compare, "diff"),
    (f"{_ENTRY}history/<int:number>/restore/", history.restore, "restore-version"),
    (f"{_ENTRY}rights/", rights.rights, "rights"),
    ("operations/backups/", backups.index, "backups"),
    ("forms/<str:key>/", form_pages.submissions, "submissions"),
    ("forms/<str:key>/export/", form_pages.export, "submissions-export"),
    ("forms/<str:key>/<uuid:submission_id>/", form_pages.submission, "submission"),
    ("forms/<str:key>/<uuid:submission_id>/erase/", form_pages.erase, "submission-erase"),
    ("modeling/collections/", collection_pages.index, "collections"),
    ("modeling/collections/add/", collection_pages.add, "collection-add"),
    ("modeling/collections/<str:key>/", collection_pages.change, "collection"),
    ("modeling/collections/<str:key>/delete/", collection_pages.delete, "collection-delete"),
    ("modeling/locales/", locale_pages.index, "locales"),
    ("modeling/locales/add/", locale_pages.add, "locale-add"),
    ("modeling/locales/<str:code>/", locale_pages.change, "locale"),
    ("modeling/locales/<str:code>/delete/", locale_pages.delete, "locale-delete"),
]


def urlpatterns(wrap: Wrap) -> list[URLPattern]:
    """Return the patterns, each view behind `wrap` (`AdminSite.admin_view`)."""
    log_links.register()
    return [path(route, wrap(view), name=f"content-{name}") for route, view, name in _PAGES]
