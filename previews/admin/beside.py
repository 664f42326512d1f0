"""The preview beside the form of an entry: a button, what is open of this entry, and the site in a pane."""

from typing import Final

from django.conf import settings
from django.http import HttpRequest

from accounts.access import Action, Area
from content.admin.beside import Addition
from content.admin.desk import Desk, OpenEntry
from content.writing import Writing, clauses_for
from previews import handoff
from previews.addresses import AddressError, origin_of
from previews.admin.entry_register import rows_of
from previews.models import PreviewSite

# Each of them is named, so that a browser asks for all of them at once.
STYLES: Final = ("previews/admin/css/entry.css",)
SCRIPTS: Final = tuple(
    f"previews/admin/js/{name}.js" for name in ("countdown", "register", "open", "width", "pane")
)


def preview(request: HttpRequest, desk: Desk, entry: OpenEntry) -> Addition | None:
    """Add the preview for who may preview this very entry, where a site shows its collection in this locale."""
    if not may_preview(desk, entry):
        return None
    sites = handoff.sites_for(entry.writing.collection.id, entry.locale)
    if not sites:
        return None
    framed = [site for site in sites if can_be_framed(site, request)]
    posted = [site for site in framed if site.response_mode == PreviewSite.ResponseMode.FORM_POST]
    sources = {"frame-src": origins_of(framed), "form-action": origins_of(posted)}
    return Addition(
        context={
            "entry": entry,
            "sites": sites,
            "framed": framed,
            "rows": rows_of(desk, entry),
            "is_of_all": desk.principal.administers(Area.PREVIEWS),
        },
        tools="admin/previews/entry_tools.html",
        below="admin/previews/entry_register.html",
        side="admin/previews/entry_pane.html" if framed else "",
        scripts=SCRIPTS,
        styles=STYLES,
        sources={directive: found for directive, found in sources.items() if found},
    )


def to_new(desk: Desk, writing: Writing, locale: str) -> Addition | None:
    """Bring the scripts to the form of a new entry, which may be previewed once it is saved."""
    collection = writing.collection
    if not desk.may(Action.PREVIEW, collection) or not handoff.sites_for(collection.id, locale):
        return None
    return Addition(context={}, scripts=SCRIPTS, styles=STYLES)


def may_preview(desk: Desk, entry: OpenEntry) -> bool:
    """Tell whether the entry, which the principal may read as a draft, may be previewed now."""
    if entry.is_in_trash or desk.principal.is_locked_down:
        return False
    return bool(clauses_for(entry.row, Action.PREVIEW, entry.writing, [entry.locale]))


def can_be_framed(site: PreviewSite, request: HttpRequest) -> bool:
    """Tell whether a site may stand in the pane: never on our own origin, where the frame would be no border."""
    ours = {_own_origin(settings.PUBLIC_URL), _own_origin(f"{request.scheme}://{request.get_host()}")}
    return site.is_embeddable and ours.isdisjoint(site.origins)


def _own_origin(url: str) -> str:
    try:
        return origin_of(url)
    except AddressError:
        return url


def origins_of(sites: list[PreviewSite]) -> tuple[str, ...]:
    """Return what the policy of the page is widened by: origins alone, whatever a row holds."""
    stored = {origin for site in sites for origin in site.origins}
    return tuple(sorted(origin for origin in stored if _is_origin(origin)))


def _is_origin(text: object) -> bool:
    try:
        return isinstance(text, str) and origin_of(text) == text
    except AddressError:
        return False
