"""The management API: sources of webhooks, and the receipts of what they sent."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import Area, Needs, principal_of
from accounts.api.bodies import JsonObjectField, KeyField
from accounts.api.manage import NO_STORE, ManagementView
from accounts.api.paging import PARAMETERS, about_request, page
from accounts.api.shapes import moment
from accounts.api.strict import (
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
    StrictUUIDField,
    read_body,
    read_query,
)
from accounts.errors import InvalidInputError, NotFoundError, Problem
from webhooks.incoming import actions, processing, sources
from webhooks.incoming.showing import shown_body
from webhooks.incoming.tasks import wake
from webhooks.models import Receipt, Source, SourceSecret

LIST: Final = OpenApiResponse(description="A page: `data` and `meta`.")
ONE: Final = OpenApiResponse(description="The thing.")
_STATES: Final = (Source.State.ACTIVE.value, Source.State.DISABLED.value)


class SourceChange(StrictSerializer):
    options = JsonObjectField(required=False)
    schema = JsonObjectField(required=False, allow_null=True)
    action = JsonObjectField(required=False)
    account = StrictUUIDField(required=False, allow_null=True)
    role = StrictCharField(required=False, max_length=41)
    state = StrictCharField(required=False, max_length=8)


class SourceBody(SourceChange):
    key = KeyField()
    scheme = StrictCharField(max_length=8)
    action = JsonObjectField()
    secret = StrictCharField(required=False, max_length=300)


class RotationBody(StrictSerializer):
    secret = StrictCharField(required=False, max_length=300)
    overlap_hours = StrictIntegerField(required=False, min_value=0, max_value=720)


class SourcesView(ManagementView):
    """`/api/v1/manage/webhooks/sources`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_sources_list", responses={200: LIST})
    def get(self, request: Request) -> Response:
        """List the sources, without their secrets."""
        return self.handle_list(request, _rows(), source_json, order="key")

    @extend_schema(operation_id="manage_webhooks_sources_create", request=SourceBody, responses={201: ONE})
    def post(self, request: Request) -> Response:
        """Set up a source. A secret that we made is in this answer only."""
        body = read_body(SourceBody, request)
        by = principal_of(request)
        made = sources.add(
            body["key"], body["scheme"], _settings(body), secret=body.get("secret"), is_on=_is_on(body), by=by
        )
        return Response(_made_json(made), status=201, headers=NO_STORE)


class SourceView(ManagementView):
    """`/api/v1/manage/webhooks/sources/{key}`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_sources_retrieve", responses={200: ONE})
    def get(self, request: Request, key: str) -> Response:
        """Return one source."""
        read_query(request, ())
        return Response(source_json(_source(key)))

    @extend_schema(operation_id="manage_webhooks_sources_update", request=SourceChange, responses={200: ONE})
    def patch(self, request: Request, key: str) -> Response:
        """Change what is given; each member as a whole. The scheme stays: for another one set up another source."""
        body = read_body(SourceChange, request, partial=True)
        sources.change(_source(key), _settings(body), is_on=_is_on(body), by=principal_of(request))
        return Response(source_json(_source(key)))

    @extend_schema(operation_id="manage_webhooks_sources_delete", responses={204: None})
    def delete(self, request: Request, key: str) -> Response:
        """Remove a source with its receipts."""
        sources.remove(_source(key), by=principal_of(request))
        return Response(status=204)


class SourceRotationView(ManagementView):
    """`POST /api/v1/manage/webhooks/sources/{key}/rotate-secret`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(
        operation_id="manage_webhooks_sources_rotate_secret", request=RotationBody, responses={200: ONE}
    )
    def post(self, request: Request, key: str) -> Response:
        """Let it sign with a new secret; the former one counts for `overlap_hours` more (24)."""
        body = read_body(RotationBody, request)
        overlap = {"overlap": timedelta(hours=body["overlap_hours"])} if "overlap_hours" in body else {}
        by = principal_of(request)
        made = sources.rotate_secret(_source(key), secret=body.get("secret"), **overlap, by=by)
        return Response(_made_json(made), headers=NO_STORE)


class ReceiptsView(ManagementView):
    """`/api/v1/manage/webhooks/receipts`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_receipts_list", responses={200: LIST})
    def get(self, request: Request) -> Response:
        """List what was received, the newest first; of one `source`, or in one `state`."""
        parameters = read_query(request, (*PARAMETERS, "source", "state"))
        rows = Receipt.objects.select_related("source").defer("body")
        if "source" in parameters:
            rows = rows.filter(source__key=parameters["source"])
        if "state" in parameters:
            if parameters["state"] not in Receipt.State.values:
                detail = f"One of {', '.join(Receipt.State.values)}."
                raise InvalidInputError(errors=[Problem("invalid-choice", detail, parameter="state")])
            rows = rows.filter(state=parameters["state"])
        about = about_request(request, parameters)
        return page(rows, parameters, order="-pk", shape=receipt_json, about=about, key=lambda row: row.pk)


class ReceiptView(ManagementView):
    """`/api/v1/manage/webhooks/receipts/{id}`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_receipts_retrieve", responses={200: ONE})
    def get(self, request: Request, receipt_id: UUID) -> Response:
        """Return one receipt, with the beginning of its body; what looks secret in it is masked."""
        read_query(request, ())
        receipt = _receipt(receipt_id)
        body = shown_body(receipt, by=principal_of(request))
        return Response({**receipt_json(receipt), "body": body}, headers=NO_STORE)


class ReceiptRetryView(ManagementView):
    """`POST /api/v1/manage/webhooks/receipts/{id}/retry`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_receipts_retry", request=None, responses={202: ONE})
    def post(self, request: Request, receipt_id: UUID) -> Response:
        """Let what failed be tried again."""
        read_body(StrictSerializer, request)
        receipt = processing.retry(_receipt(receipt_id), by=principal_of(request))
        wake(receipt.pk)
        return Response(receipt_json(receipt), status=202)


def source_json(source: Source) -> dict[str, Any]:
    """Return a source without anything secret."""
    return {
        "id": str(source.pk),
        "key": source.key,
        "url": sources.address_of(source),
        "scheme": source.scheme,
        "options": source.options,
        "schema": source.schema,
        "action": actions.shown(source.action),
        "account": str(source.account_id) if source.account_id else None,
        "state": source.state,
        "secrets": [_secret_json(row) for row in source.secrets.all()],
        "created_at": moment(source.created_at),
        "changed_at": moment(source.changed_at),
        "last_used_at": moment(source.last_used_at),
    }


def receipt_json(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt without its body."""
    return {
        "id": str(receipt.pk),
        "source": receipt.source.key,
        "message_id": receipt.message_id,
        "state": receipt.state,
        "reason": receipt.reason or None,
        "detail": receipt.said or None,
        "errors": receipt.problems,
        "attempts": receipt.attempts,
        "entry_id": str(receipt.entry_id) if receipt.entry_id else None,
        "size": receipt.size,
        "received_at": moment(receipt.at),
        "next_at": moment(receipt.next_at) if receipt.state == Receipt.State.WAITING else None,
        "done_at": moment(receipt.done_at),
    }


def _secret_json(row: SourceSecret) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "state": row.state,
        "created_at": moment(row.created_at),
        "retires_at": moment(row.retires_at),
    }


def _made_json(made: sources.Made) -> dict[str, Any]:
    told = source_json(_source(made.source.key))
    return {**told, "secret": made.secret} if made.secret else told


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in sources.SETTINGS if name in body}


def _is_on(body: dict[str, Any]) -> bool | None:
    """Return whether the source is to be on, None where nothing is said."""
    if "state" not in body:
        return None
    if body["state"] not in _STATES:
        detail = f"One of {', '.join(_STATES)}."
        raise InvalidInputError(errors=[Problem.at(["state"], "invalid-choice", detail)])
    return bool(body["state"] == Source.State.ACTIVE)


def _rows() -> Any:
    return Source.objects.prefetch_related("secrets")


def _source(key: str) -> Source:
    found: Source | None = _rows().filter(key=key).first()
    if found is None:
        raise NotFoundError
    return found


def _receipt(receipt_id: UUID) -> Receipt:
    found = Receipt.objects.select_related("source").filter(pk=receipt_id).first()
    if found is None:
        raise NotFoundError
    return found
