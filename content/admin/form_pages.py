"""Submissions of forms: a list that shows nothing, each masked until somebody says why they look, the export."""

from typing import Any, cast
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import Action
from accounts.errors import InvalidInputError
from accounts.revealing import LONGEST_REASON
from content.admin.desk import Desk
from content.admin.pages import BadAddressError, address, page, query, see, show
from content.fields.base import FieldSpec
from content.forms import reading, rights
from content.forms.bodies import Opened
from content.manage.form_views import streamed
from content.models import Submission
from content.schema import CollectionSpec

PAGE_SIZE = 50


@page
@require_safe
def submissions(request: HttpRequest, key: str) -> HttpResponse:
    """List the submissions of a form, the newest first, without anything that was sent."""
    given = query(request, "before")
    desk = Desk.of(request)
    form = rights.seen_form(key, by=desk.principal)
    rows = reading.visible_to(desk.principal, form)
    total = rows.count()
    if "before" in given:
        try:
            rows = rows.filter(pk__lt=UUID(given["before"]))
        except ValueError:
            raise BadAddressError from None
    found = list(rows.order_by("-pk").defer("body")[: PAGE_SIZE + 1])
    listed = found[:PAGE_SIZE]
    context = {
        "title": form.name,
        "form": form,
        "rows": listed,
        "total": total,
        "is_first": "before" not in given,
        "older": f"?before={listed[-1].pk}" if len(found) > PAGE_SIZE else "",
        "may_export": total and rights.may(desk.principal, Action.EXPORT, form),
        "may_model": desk.may(Action.MANAGE_SCHEMA, form),
    }
    return show(request, "admin/content/submissions.html", context)


@sensitive_variables("opened")
@page
@require_http_methods(["GET", "HEAD", "POST"])
def submission(request: HttpRequest, key: str, submission_id: UUID) -> HttpResponse:
    """Show one submission: masked, and its values to somebody who says why they look."""
    query(request)
    desk = Desk.of(request)
    form, row = _found(desk, key, submission_id)
    if request.method != "POST":
        return _show(request, desk, form, row)
    reason = request.POST.get("reason", "")
    try:
        opened = reading.reveal(row, form, reason=reason, by=desk.principal)
    except InvalidInputError as error:
        return _show(request, desk, form, row, reason=reason, fault=error.errors[0].detail)
    return _show(request, desk, form, row, opened=opened)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def erase(request: HttpRequest, key: str, submission_id: UUID) -> HttpResponse:
    """Erase a submission, after a confirmation."""
    query(request)
    desk = Desk.of(request)
    form, row = _found(desk, key, submission_id)
    rights.require(desk.principal, Action.DELETE, form)
    if request.method == "POST":
        reading.erase(row, form, by=desk.principal)
        return see(request, "The submission is erased.", address("submissions", form.key))
    context = {"title": "Erase a submission", "form": form, "row": row}
    return show(request, "admin/content/submission_erase.html", context)


@page
@require_http_methods(["GET", "HEAD", "POST"])
def export(request: HttpRequest, key: str) -> HttpResponse:
    """Ask why, and deliver all submissions of a form as a file."""
    query(request)
    desk = Desk.of(request)
    form = rights.seen_form(key, by=desk.principal)
    rights.require(desk.principal, Action.EXPORT, form)
    chosen, reason, fault = "csv", "", ""
    if request.method == "POST":
        chosen, reason = request.POST.get("format", ""), request.POST.get("reason", "")
        try:
            file = reading.export(form, format=chosen, reason=reason, by=desk.principal)
        except InvalidInputError as error:
            fault = error.errors[0].detail
        else:
            answer = streamed(file.chunks, content_type=file.content_type, name=file.name)
            return cast("HttpResponse", answer)  # `page` sets headers alone
    context = {
        "title": f"Export {form.name}",
        "form": form,
        "count": reading.visible_to(desk.principal, form).count(),
        "formats": [("csv", "CSV, for spreadsheets"), ("json", "JSON, for programs")],
        "chosen": chosen,
        "reason": reason,
        "longest": LONGEST_REASON,
        "fault": fault,
    }
    return show(request, "admin/content/submissions_export.html", context, status=400 if fault else 200)


def _found(desk: Desk, key: str, submission_id: UUID) -> tuple[CollectionSpec, Submission]:
    form = rights.seen_form(key, by=desk.principal)
    return form, reading.found(desk.principal, form, submission_id)


def _show(
    request: HttpRequest,
    desk: Desk,
    form: CollectionSpec,
    row: Submission,
    *,
    opened: Opened | None = None,
    reason: str = "",
    fault: str = "",
) -> HttpResponse:
    grant = rights.granted(desk.principal, Action.READ, form)
    context: dict[str, Any] = {
        "title": "Submission",
        "form": form,
        "row": row,
        "lines": _lines(opened) if opened else [],
        "masked": [spec for spec in form.fields if grant.allows(spec)],
        "hidden": sum(not grant.allows(spec) for spec in form.fields),
        "opened": opened,
        "reason": reason,
        "longest": LONGEST_REASON,
        "fault": fault,
        "may_erase": rights.may(desk.principal, Action.DELETE, form),
    }
    return show(request, "admin/content/submission.html", context, status=400 if fault else 200)


def _lines(opened: Opened) -> list[dict[str, Any]]:
    """Return what was sent, in plain words."""
    live = [_line(spec, opened.values.get(spec.key), is_former=False) for spec in opened.specs]
    return live + [_line(spec, value, is_former=True) for spec, value in opened.former]


def _line(spec: FieldSpec, value: object, *, is_former: bool) -> dict[str, Any]:
    return {"name": spec.name, "text": _text(value), "is_former": is_former}


def _text(value: object, depth: int = 0) -> str:
    """Return a value of the API as lines of text, parts of it set in."""
    pad = "  " * depth
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "\n".join(
            f"{pad}{_text(item, depth)}" if not isinstance(item, dict) else _text(item, depth)
            for item in value
        )
    if isinstance(value, dict):
        return "\n".join(f"{pad}{key}: {_text(item, depth + 1).lstrip()}" for key, item in value.items())
    return str(value)
