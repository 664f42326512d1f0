"""The management API of submissions: metadata in lists, values one at a time, and all of them as an export."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import principal_of
from accounts.api.paging import PARAMETERS, about_request, page
from accounts.api.strict import StrictCharField, StrictSerializer, read_body, read_query
from content.forms import reading, rights
from content.manage.views import ManagementView
from content.openapi import list_of

_METADATA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "received_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": "string", "format": "date-time"},
        "size": {"type": "integer"},
    },
    "required": ["id", "received_at", "expires_at", "size"],
}
_WHOLE: dict[str, Any] = {
    "type": "object",
    "properties": {
        **_METADATA["properties"],
        "fields": {"type": "object", "additionalProperties": True},
        "former_fields": {"type": "array", "items": {"type": "object"}},
        "address": {"type": "string"},
        "fault": {"type": "string"},
    },
    "required": [*_METADATA["required"], "fields"],
}


class ExportBody(StrictSerializer):
    """As what, and why."""

    format = StrictCharField(max_length=10)
    reason = StrictCharField(max_length=1000)


class SubmissionsView(ManagementView):
    """`/api/v1/manage/forms/{form}/submissions`."""

    @extend_schema(
        operation_id="manage_forms_submissions_list",
        responses=OpenApiResponse(list_of(_METADATA), description="One page, the newest first."),
    )
    def get(self, request: Request, form: str) -> Response:
        """List the submissions of a form, the newest first, without anything that was sent."""
        parameters = read_query(request, PARAMETERS)
        by = principal_of(request)
        spec = rights.seen_form(form, by=by)
        return page(
            reading.visible_to(by, spec),
            parameters,
            order="-pk",
            shape=reading.metadata,
            about=about_request(request, parameters),
        )


class SubmissionView(ManagementView):
    """`/api/v1/manage/forms/{form}/submissions/{id}`."""

    @extend_schema(
        operation_id="manage_forms_submissions_get",
        responses=OpenApiResponse(_WHOLE, description="The submission, as far as you may read it."),
    )
    def get(self, request: Request, form: str, submission_id: UUID) -> Response:
        """Return what was sent, as far as your policies name its fields. The log notes who read it."""
        read_query(request, ())
        by = principal_of(request)
        spec = rights.seen_form(form, by=by)
        row = reading.found(by, spec, submission_id)
        return Response(reading.metadata(row) | reading.read(row, spec, by=by).as_json())

    @extend_schema(operation_id="manage_forms_submissions_delete", responses={204: None})
    def delete(self, request: Request, form: str, submission_id: UUID) -> Response:
        """Erase a submission for good."""
        read_query(request, ())
        by = principal_of(request)
        spec = rights.seen_form(form, by=by)
        reading.erase(reading.found(by, spec, submission_id), spec, by=by)
        return Response(status=204)


class ExportView(ManagementView):
    """`/api/v1/manage/forms/{form}/export`."""

    @extend_schema(
        operation_id="manage_forms_export",
        request=ExportBody,
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/json"): OpenApiResponse({"type": "array", "items": _WHOLE}),
        },
    )
    def post(self, request: Request, form: str) -> HttpResponseBase:
        """Take all submissions of a form out, as CSV or JSON; with a reason, after a step-up."""
        by = principal_of(request)
        spec = rights.seen_form(form, by=by)
        body = read_body(ExportBody, request)
        file = reading.export(spec, format=body["format"], reason=body["reason"], by=by)
        return streamed(file.chunks, content_type=file.content_type, name=file.name)


def streamed(chunks: Iterator[bytes], *, content_type: str, name: str) -> StreamingHttpResponse:
    """Return an export as a file to keep, which no cache does."""
    response = StreamingHttpResponse(chunks, content_type=content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-store"
    return response
