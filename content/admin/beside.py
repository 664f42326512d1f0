"""What rooms above add to the form of an entry: a control, a note, a pane, and where these may lead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse

from content.admin.desk import Desk, OpenEntry
from content.admin.drawer import is_in_drawer
from content.writing import Writing


@dataclass(frozen=True)
class Addition:
    """Templates by place ("" for none), in which `added` is the context; static files; sources for this page alone."""

    context: Mapping[str, Any]
    tools: str = ""  # items of the list of tools in the head, drawn anew by each save
    below: str = ""  # under the head
    side: str = ""  # behind the form
    scripts: tuple[str, ...] = ()  # modules
    styles: tuple[str, ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by directive of the policy (CSP)


Adds = Callable[[HttpRequest, Desk, OpenEntry], Addition | None]
AddsToNew = Callable[[Desk, Writing, str], Addition | None]
_known: list[tuple[Adds, AddsToNew]] = []


def register(adds: Adds, to_new: AddsToNew) -> None:
    """Let functions add to the form, None where there is nothing to show to this person.

    The form of a new entry goes on as that of the entry once it is saved, without another page: `to_new` brings the
    scripts that work then. It can't lead anywhere; what needs that waits for the next page.
    """
    if (adds, to_new) not in _known:
        _known.append((adds, to_new))


def additions(request: HttpRequest, desk: Desk, entry: OpenEntry) -> list[Addition]:
    """Return what is added to this very page; nothing to one that stands in a drawer."""
    if is_in_drawer(request):
        return []
    return [found for adds, _ in _known if (found := adds(request, desk, entry)) is not None]


def for_new(request: HttpRequest, desk: Desk, writing: Writing, locale: str) -> list[Addition]:
    """Return what is added to the form of a new entry in a locale."""
    if is_in_drawer(request):
        return []
    return [found for _, to_new in _known if (found := to_new(desk, writing, locale)) is not None]


def widen(response: HttpResponse, added: list[Addition]) -> HttpResponse:
    """Let this one page lead where the additions lead."""
    update: dict[str, list[str]] = {}
    for addition in added:
        for directive, sources in addition.sources.items():
            update.setdefault(directive, []).extend(sources)
    response._csp_update = update  # type: ignore[attr-defined]  # noqa: SLF001 (django-csp reads it)
    return response
