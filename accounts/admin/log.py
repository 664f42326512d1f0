"""The log, to be read: one search, one page for each event, a badge that says whether it was proved, and its export."""

import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final, cast
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, transaction
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import Truncator

from accounts.admin.base import ReadOnlyAdmin
from accounts.alerting.rule import is_id
from accounts.audit import exporting, results
from accounts.audit.chain import is_sealed_right
from accounts.audit.searching import FILTERS, Sought, TooSlowError, in_time, newest_first, types_in_the_log
from accounts.audit.subject_links import Links
from accounts.audit.wording import LOUD, SAID, said
from accounts.errors import InvalidInputError
from accounts.log import seal_pending
from accounts.models.archive import Archive, DailyHead
from accounts.models.event import Event, EventQuerySet, Seal, Unsealed
from accounts.models.user import User
from accounts.principals import of_request

PAGE_SIZE: Final = 50
MOST_EXPORTED: Final = 50_000  # in one request; the command has no bound
MOST_SHOWN: Final = 160  # characters of an event's detail in the list
_WHOLE: Final = "log"
_LONGEST_NAME: Final = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One event as the list shows it."""

    event: Event
    said: str
    is_loud: bool
    subject: str  # the kind, and the name of a user or as much of the id as tells rows apart
    page: str | None  # of the subject
    about: str  # the search for all that happened to the subject
    by: str  # the search for all that the actor did
    detail: str


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin[Event]):
    """The log."""

    empty_text = "Nothing has happened yet. Whatever happens stands here, sealed."
    search_fields = ("subject_id",)  # for Django's own checks; the page below has a search of its own

    def get_urls(self) -> list[URLPattern]:
        """Add the export."""
        wrap = self.admin_site.admin_view
        found: list[URLPattern] = [
            path("export/", wrap(self.export_view), name="accounts_event_export"),
            *super().get_urls(),
        ]
        return found

    def log_subject(self, row: Event) -> str:
        return row.subject_id

    # The list

    def changelist_view(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 (Django's signature)
    ) -> HttpResponse:
        """Show what is sought, the newest first."""
        self._require_view(request)  # a request that is refused does nothing
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        given = _given(request, "before", "e")
        before = _position(given.get("before", "")) if given is not None else None
        if given is None or before is False:
            return HttpResponseRedirect(f"{request.path}?e=1")
        errors: dict[str, str] = {}
        sought, is_slow = Sought(), False
        lines: list[Line] = []
        older: int | None = None
        try:
            sought = Sought.parse(given, is_typed=True)
            seal_pending(wait=False)
            lines, older = _page(sought, before or None, cast("EventQuerySet", self.get_queryset(request)))
        except InvalidInputError as error:
            errors = {problem.parameter or "": problem.detail for problem in error.errors}
        except TooSlowError:
            is_slow = True
        filters = {name: value for name in FILTERS if (value := given.get(name, "").strip())}
        return self._show(
            request,
            "admin/log/list.html",
            {
                "title": "Log",
                "empty_text": self.empty_text,
                "inputs": _inputs(given, sought, errors),
                "types": sorted({*SAID, *types_in_the_log()}),
                "lines": lines,
                "errors": errors,
                "is_slow": is_slow,
                "is_filtered": bool(filters),
                "was_strange": "e" in given,
                "is_first": not before,
                "newest": f"?{urlencode(filters)}",
                "older": f"?{urlencode({**filters, 'before': older})}" if older else None,
                "export": f"{reverse('admin:accounts_event_export')}?{urlencode(filters)}",
                "most_exported": MOST_EXPORTED,
                **_badge(),
            },
            status=400 if errors else 200,
        )

    # One event

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",  # noqa: ARG002 (Django's signature)
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Show all of an event, and whether its seal is right."""
        self.require_a_look(request)
        event = Event.objects.sealed().filter(pk=self.found(request, object_id).pk).first()
        if event is None:
            raise Http404
        previous = exporting.mac_before(event.seal.position)
        ids = Seal.objects.values_list("event_id", flat=True)  # a restore leaves a gap between two neighbours
        context = {
            "title": f"Event {event.seal.position}",
            "line": _line(event, Links(), _names([event])),
            "event": event,
            "seal": event.seal,
            "is_right": is_sealed_right(previous, event.seal, event) if previous else None,
            "detail": json.dumps(event.detail, ensure_ascii=False, indent=2, sort_keys=True)
            if event.detail
            else "",
            "older": ids.filter(position__lt=event.seal.position).order_by("-position").first(),
            "newer": ids.filter(position__gt=event.seal.position).order_by("position").first(),
            "by_credential": _search(actor=event.credential) if event.credential else None,
            "from_there": _search(address=event.address) if event.address else None,
        }
        return self._show(request, "admin/log/event.html", context)

    # The export

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Deliver what is sought as a .zip of the file and its signed manifest. The filters stand in the address,

        where the guard refuses credentials before the log could note them.
        """
        self._require_view(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        of_request(request).require_step_up()
        given = _given(request)
        back = reverse("admin:accounts_event_changelist")
        kind = request.POST.get("format", "")
        if given is None or kind not in exporting.FORMATS:
            return HttpResponseRedirect(f"{back}?e=1")
        here = f"{back}?{urlencode(given)}"
        try:
            sought = Sought.parse(given, is_typed=True)
        except InvalidInputError:
            return HttpResponseRedirect(here)
        seal_pending()
        name = f"{_WHOLE}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        try:
            archive, manifest = _zipped(name, kind, sought)
        except exporting.TooManyError:
            text = f"These are more than {MOST_EXPORTED} events. Narrow the search, or use `manage.py audit export`."
            self.message_user(request, text, messages.ERROR)
            return HttpResponseRedirect(here)
        except TooSlowError:
            self.message_user(request, "That took too long. Narrow the search by time.", messages.ERROR)
            return HttpResponseRedirect(here)
        with transaction.atomic():
            exporting.note_export(manifest, format=kind, sought=sought, by=of_request(request))
        response = FileResponse(
            archive, as_attachment=True, filename=f"{name}.zip", content_type="application/zip"
        )
        response.headers["Cache-Control"] = "private, no-store"
        return response

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _show(
        self, request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        response = TemplateResponse(request, template, whole, status=status)
        response.headers["Cache-Control"] = "private, no-store"
        return response


def _given(request: HttpRequest, *more: str) -> dict[str, str] | None:
    """Return the parameters of the address; None for one that this page does not know, or that comes twice."""
    found: dict[str, str] = {}
    for name, values in request.GET.lists():
        value = str(values[0]) if values else ""
        if name not in (*FILTERS, *more) or len(values) != 1 or "\x00" in value:
            return None
        found[name] = value
    return found


def _position(text: str) -> int | bool:
    """Return the position of a page; 0 for the first one, False for what is none."""
    if not text:
        return 0
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else False


def _page(sought: Sought, before: int | None, events: EventQuerySet) -> tuple[list[Line], int | None]:
    """Return a page of lines and the position behind which the next one begins. Raises TooSlowError."""
    found = in_time(lambda: list(newest_first(sought, before=before, events=events)[: PAGE_SIZE + 1]))
    links, names = Links(), _names(found)
    lines = [_line(event, links, names) for event in found[:PAGE_SIZE]]
    return lines, lines[-1].event.seal.position if len(found) > PAGE_SIZE else None


def _names(events: Iterable[Event]) -> dict[str, str]:
    """Return how the people and programs are called that events are about, by id: nobody knows an id by heart."""
    ids = {event.subject_id for event in events if event.subject_type == "user" and is_id(event.subject_id)}
    users = User.objects.filter(pk__in=ids).only("email", "name", "is_service")
    return {
        str(user.pk): Truncator(user.name if user.is_service else user.email).chars(_LONGEST_NAME)
        for user in users
    }


def _line(event: Event, links: Links, names: Mapping[str, str]) -> Line:
    kind, subject_id = event.subject_type, event.subject_id
    short = names.get(subject_id) or (subject_id if len(subject_id) < 20 else f"…{subject_id[-6:]}")
    told = dict(event.detail) if isinstance(event.detail, dict) else {}  # a forged row may hold anything
    told.pop("sha256", None)
    text = "; ".join(f"{key.replace('_', ' ')}: {_plain(value)}" for key, value in told.items())
    return Line(
        event=event,
        said=said(event.type),
        is_loud=event.type in LOUD,
        subject="" if kind == _WHOLE else f"{kind} {short}".strip(),
        page=links.page(kind, subject_id, event.collection_id) if kind else None,
        about=_search(subject=f"{kind}:{subject_id}") if kind else "",
        by=_search(actor=str(event.actor_id) if event.actor_id else event.actor_label),
        detail=text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…",
    )


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}".strip() for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return "" if value is None else str(value)


def _search(**filters: str) -> str:
    return f"{reverse('admin:accounts_event_changelist')}?{urlencode(filters)}"


_LABELS: Final = {
    "actor": ("Who", "Name, e-mail address, id, or api-key:…"),
    "type": ("What", "entry.published or entry.*"),
    "subject": ("About", "An id, or entry:…"),
    "address": ("Address", "192.0.2.7 or 192.0.2.0/24"),
    "since": ("From (UTC)", ""),
    "until": ("Until (UTC)", ""),
}


def _inputs(given: dict[str, str], sought: Sought, errors: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield what the search form is made of."""
    for name, (label, hint) in _LABELS.items():
        value = given.get(name, "").strip()
        moment = getattr(sought, name)
        if isinstance(moment, datetime):
            value = f"{moment:%Y-%m-%dT%H:%M}"
        yield {
            "name": name,
            "label": label,
            "hint": hint,
            "value": value,
            "kind": "datetime-local" if name in ("since", "until") and name not in errors else "text",
            "is_moment": name in ("since", "until"),
            "error": errors.get(name, ""),
        }


def _badge() -> dict[str, Any]:
    """Return what the page says of the log as a whole; the check itself was made elsewhere."""
    last = Seal.objects.order_by("-position").values_list("position", flat=True).first()
    archive = Archive.objects.order_by("-last_position").first()
    return {
        "badge": results.newest(),
        "last_position": last or 0,
        "pending": Unsealed.objects.filter(refused_at__isnull=True).count(),
        "archived": archive.last_position if archive else 0,
        "head": DailyHead.objects.order_by("-day").first(),
    }


def _zipped(name: str, kind: str, sought: Sought) -> tuple[IO[bytes], exporting.Manifest]:
    """Return a temporary file: a .zip with the export and its manifest. Raises TooManyError, TooSlowError."""
    out = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115 (the response closes it)
    try:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(f"{name}.{kind}", "w") as file:
                manifest = exporting.write(
                    file, format=kind, sought=sought, name=f"{name}.{kind}", most=MOST_EXPORTED
                )
            archive.writestr(f"{name}.{kind}{exporting.SUFFIX}", manifest.text())
    except OperationalError as error:
        out.close()
        raise TooSlowError from error
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return out, manifest
