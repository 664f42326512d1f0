"""Pages that another page of ours may show in a drawer: bare, and framed by nobody else."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec
from urllib.parse import urlsplit, urlunsplit

from csp.constants import SELF
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import Resolver404, resolve

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

PARAMETER = "drawer"
_SHOWN = frozenset({"content-add", "content-change"})


def with_drawer(view: View[P]) -> View[P]:
    """Let a page open drawers, and be shown in one by `?drawer=1`; after a save it says `saved` there.

    A page in a drawer may be framed by our own pages and frames none itself; every other page may frame our own, and
    what is added beside its form (`beside.py`), and be framed by nobody, as all pages are (`cms_project.settings`).
    """

    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        request.in_drawer = request.GET.getlist(PARAMETER) in (["1"], ["saved"])  # type: ignore[attr-defined]  # ours
        if not is_in_drawer(request):
            response = view(request, *args, **kwargs)
            more = getattr(response, "_csp_update", {})
            frames = [SELF, *more.get("frame-src", ())]
            response._csp_update = {**more, "frame-src": frames}  # type: ignore[attr-defined]  # noqa: SLF001 (django-csp reads it)
            return response
        request.GET = _without(request.GET)  # type: ignore[assignment]  # immutable too; the page knows nothing of it
        response = view(request, *args, **kwargs)
        response._csp_replace = {"frame-ancestors": [SELF]}  # type: ignore[attr-defined]  # noqa: SLF001 (django-csp reads it)
        response.headers["X-Frame-Options"] = "SAMEORIGIN"
        if response.has_header("Location"):
            response.headers["Location"] = _kept(
                response.headers["Location"], is_saved=request.method == "POST"
            )
        return response

    update_wrapper(answer, view)
    return answer


def is_in_drawer(request: HttpRequest) -> bool:
    """Tell whether the page is to be shown bare."""
    return bool(getattr(request, "in_drawer", False))


def _without(given: QueryDict) -> QueryDict:
    rest = given.copy()
    del rest[PARAMETER]
    rest._mutable = False  # noqa: SLF001 (as Django makes it)
    return rest


def _kept(location: str, *, is_saved: bool) -> str:
    """Return where a page in a drawer goes on to: again in the drawer, when that page can be shown there."""
    parts = urlsplit(location)
    try:
        name = resolve(parts.path).url_name
    except Resolver404:
        return location
    if parts.netloc or name not in _SHOWN:
        return location
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}{PARAMETER}={'saved' if is_saved else 1}"))
