"""The page between the form of an entry and the site: it mints a preview and sends the browser on with its code."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.api.shapes import moment
from accounts.errors import (
    ConflictError,
    DomainError,
    InvalidInputError,
    NotAllowedError,
    NotAuthenticatedError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)
from content.admin.desk import Desk, OpenEntry
from content.admin.pages import page, query
from previews import handoff
from previews.addresses import origin_in
from previews.admin.beside import can_be_framed, origins_of
from previews.admin.entry_register import entry_of, is_script
from previews.handoff import Minted
from previews.models import PreviewSite

_STATUSES: Final[Mapping[type[DomainError], int]] = {
    InvalidInputError: 400,
    NotAuthenticatedError: 401,
    NotAllowedError: 403,
    ConflictError: 409,
    TooManyRequestsError: 429,
    UnavailableError: 503,
}
_WHAT_TO_DO: Final[Mapping[int, str]] = {
    400: "Close this tab. Put it right in the entry, or ask who administers previews, then press Preview again.",
    401: "Sign in again, then press Preview again.",
    403: "Close this tab. Who administers the roles can give you the right to preview it.",
    405: "Close this tab, go to the entry, and press Preview again.",
    409: "Close this tab and look at the entry again.",
    429: "Close this tab, and press Preview again in a minute.",
    503: "Nothing is lost. Close this tab and press Preview again in a minute; if it stays so, tell who runs this.",
}


@page
def open_preview(request: HttpRequest) -> HttpResponse:
    """Hand out a preview of an entry and go on to the site with its code; a script gets both and goes on itself.

    A script is answered `{"url", "code", "response_mode", "origin", "expires_at", "seconds", "jti"}`, for the pane.
    """
    query(request)
    if request.method != "POST":
        response = _refused(request, "This page is opened by the Preview button of an entry.", 405)
        response.headers["Allow"] = "POST"
        return response
    desk = Desk.of(request)
    try:
        entry = entry_of(desk, _id_in(request, "entry"), request.POST.get("locale") or None)
        site = _site(request, entry)
        minted = handoff.mint(entry.row.pk, site=site, locale=entry.locale, ttl=None, by=desk.principal)
    except NotFoundError as error:
        raise Http404 from error
    except tuple(_STATUSES) as error:
        return _refused_by(request, error)
    return _as_json(minted) if is_script(request) else _as_page(request, minted)


def _id_in(request: HttpRequest, name: str) -> UUID:
    try:
        return UUID(request.POST.get(name, ""))
    except ValueError as error:
        raise NotFoundError from error


def _site(request: HttpRequest, entry: OpenEntry) -> PreviewSite:
    """Return the site that is asked for, one of those that show the entry; for a script one that may be framed."""
    site_id = _id_in(request, "site")
    shown = handoff.sites_for(entry.writing.collection.id, entry.locale)
    site = next((site for site in shown if site.pk == site_id), None)
    if site is None:
        raise ConflictError("This site is switched off, or does not show such entries any more.")
    if is_script(request) and not can_be_framed(site, request):
        raise ConflictError("This site is not shown beside the fields. Open its preview in a tab.")
    return site


def _as_json(minted: Minted) -> HttpResponse:
    preview = minted.preview
    told = {
        "url": minted.url,
        "code": minted.code,
        "response_mode": str(preview.site.response_mode),
        "origin": origin_in(minted.clean_url),
        "expires_at": moment(preview.expires_at),
        "seconds": int((preview.expires_at - timezone.now()).total_seconds()),
        "jti": str(preview.pk),
    }
    return JsonResponse(told)


def _as_page(request: HttpRequest, minted: Minted) -> HttpResponse:
    """Return the page that goes on to the site.

    No redirect: browsers apply `form-action` to where a form is redirected, and ours is 'self'.
    """
    site = minted.preview.site
    is_posted = site.response_mode == PreviewSite.ResponseMode.FORM_POST
    context = {
        "site": site.name,
        "origin": origin_in(minted.clean_url),
        "url": minted.url,
        "code": minted.code if is_posted else "",
    }
    response = _closed(render(request, "admin/previews/opening.html", context))
    if is_posted:
        response._csp_replace = {"form-action": list(origins_of([site]))}  # type: ignore[attr-defined]  # noqa: SLF001 (django-csp reads it)
    return response


def _refused_by(request: HttpRequest, error: DomainError) -> HttpResponse:
    status = next(status for cls, status in _STATUSES.items() if isinstance(error, cls))
    detail = " ".join(item.detail for item in error.errors) or error.detail
    response = _refused(request, detail, status)
    if "retry_after" in error.extensions:
        response.headers["Retry-After"] = str(error.extensions["retry_after"])
    return response


def _refused(request: HttpRequest, detail: str, status: int) -> HttpResponse:
    """Say why there is no preview, and what to do."""
    if is_script(request):
        return JsonResponse({"detail": detail}, status=status)
    context = {"detail": detail, "what_to_do": _WHAT_TO_DO[status]}
    return _closed(render(request, "admin/previews/not_opened.html", context, status=status))


def _closed(response: HttpResponse) -> HttpResponse:
    """Let nothing of the page's address travel on, and nobody list it."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
    return response
