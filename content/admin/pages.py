"""What the pages of the admin share: the frame, refusals as pages, and addresses read strictly."""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.forms import Media
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from js_asset import Media as NoncedMedia

from accounts.errors import (
    ConflictError,
    DomainError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
)
from content.admin.desk import Desk
from content.admin.drawer import is_in_drawer

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


class BadAddressError(Exception):
    """The query string holds what this page does not know; the page is shown again without it."""


def page(view: View[P]) -> View[P]:
    """Turn refusals into pages that hold no content, and strange query strings into a redirect with `?e=1`.

    A right or a filter that an address asks for must never be tried out by way of its error (CVE-2014-0483).
    """

    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except NotFoundError as error:
            raise Http404 from error
        except NotAllowedError as error:
            response = refusal(request, error, 403)
        except BadAddressError as error:
            if request.GET.keys() == {"e"}:  # it was shown without the query already; never in circles
                raise Http404 from error
            response = HttpResponseRedirect(f"{request.path}?e=1")
        except ConflictError as error:
            response = refusal(request, error, 409)
        except InvalidInputError as error:
            response = refusal(request, error, 400)
        response.headers["Cache-Control"] = "private, no-store"
        return response

    update_wrapper(answer, view)
    return answer


def refusal(request: HttpRequest, error: DomainError, status: int) -> HttpResponse:
    """Say that something can't be done, in the error's own sentence; the page names no entry."""
    context = {"title": "This can’t be done", "detail": error.detail, "problems": error.errors}
    return show(request, "admin/content/refused.html", context, status=status)


def show(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any],
    *,
    media: Media | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render a page in the frame of the admin. Scripts of widgets get the request's nonce."""
    whole = {
        **admin.site.each_context(request),
        "media": NoncedMedia.from_media(media, nonce=str(request.csp_nonce)) if media is not None else "",  # type: ignore[attr-defined]  # set by django-csp
        "desk": Desk.of(request),
        "frame": "admin/content/bare.html" if is_in_drawer(request) else "admin/base_site.html",
        **context,
    }
    return render(request, template, whole, status=status)


def query(request: HttpRequest, *allowed: str) -> dict[str, str]:
    """Return the query string's parameters, each at most once; anything else raises `BadAddressError`."""
    return read_once(request.GET, {*allowed, "e"})


def read_once(given: QueryDict, allowed: set[str]) -> dict[str, str]:
    """Return what is given of the allowed names, each once and of a sane length, or raise `BadAddressError`."""
    found: dict[str, str] = {}
    for name, values in given.lists():
        value = str(values[0]) if values else ""
        if name not in allowed or len(values) != 1 or "\x00" in value or len(value) > 4_000:
            raise BadAddressError
        found[name] = value
    return found


def see(request: HttpRequest, text: str, url: str, *, level: int = messages.SUCCESS) -> HttpResponse:
    """Note a message and go to another page."""
    if text:
        messages.add_message(request, level, text)
    return HttpResponseRedirect(url)


def address(name: str, *args: object, **query: str) -> str:
    """Return the URL of one of our pages."""
    path = reverse(f"admin:content-{name}", args=args)
    return f"{path}?{urlencode(query)}" if query else path
