"""The URLs of previews in the admin. The site wraps each view, so that none can be reached without its door."""

from collections.abc import Callable
from typing import Any

from django.urls import URLPattern, path

from previews.admin import entry_register, open_page

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

_PAGES: list[tuple[str, Callable[..., Any], str]] = [
    ("previews/open/", open_page.open_preview, "open"),
    ("previews/of/<uuid:name>/", entry_register.of_entry, "of-entry"),
    ("previews/<uuid:jti>/revoke/", entry_register.revoke, "revoke"),
]


def urlpatterns(wrap: Wrap) -> list[URLPattern]:
    """Return the patterns, each view behind `wrap` (`AdminSite.admin_view`)."""
    return [path(route, wrap(view), name=f"previews-{name}") for route, view, name in _PAGES]
