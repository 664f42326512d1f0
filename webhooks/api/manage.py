"""The management API of webhooks: endpoints, and the log of deliveries."""

from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import Area, Needs, Principal, principal_of
from accounts.api.bodies import RotateBody
from accounts.api.manage import NO_STORE, ManagementView
from accounts.api.paging import PARAMETERS, about_request, page
from accounts.api.strict import (
    StrictBooleanField,
    StrictCharField,
    StrictDateTimeField,
    StrictListField,
    StrictSerializer,
    StrictUUIDField,
    read_body,
    read_query,
)
from accounts.errors import InvalidInputError, NotFoundError, Problem
from content import schema
from webhooks import asking, endpoints
from webhooks.api.shapes import delivery_details_json, delivery_json, endpoint_details_json, endpoint_json
from webhooks.endpoints import Made
from webhooks.models import Delivery, Endpoint
from webhooks.models.endpoint import Scheme
from webhooks.tasks import check_soon

LIST: Final = OpenApiResponse(description="A page: `data` and `meta`.")
ONE: Final = OpenApiResponse(description="The thing.")
_FILTERS: Final = ("endpoint", "state", "type")


# --- Endpoints ------------------------------------------------------------------------------------------------------


class EndpointChange(StrictSerializer):
    name = StrictCharField(max_length=100, required=False)
    url = StrictCharField(max_length=2048, required=False)
    types = StrictListField(child=StrictCharField(max_length=40), required=False, max_length=50)
    collections = StrictListField(child=StrictCharField(max_length=41), required=False, max_length=200)
    owner = StrictUUIDField(required=False)
    algorithm = StrictCharField(max_length=3, required=False)
    is_active = StrictBooleanField(required=False)


class EndpointBody(EndpointChange):
    name = StrictCharField(max_length=100)
    url = StrictCharField(max_length=2048)
    types = StrictListField(child=StrictCharField(max_length=40), max_length=50)


class RecoverBody(StrictSerializer):
    since = StrictDateTimeField()


class EndpointsView(ManagementView):
    """`/api/v1/manage/webhooks/endpoints`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_endpoints_list", responses={200: LIST})
    def get(self, request: Request) -> Response:
        """List the endpoints."""
        shape = partial(endpoint_json, by=principal_of(request))
        return self.handle_list(request, Endpoint.objects.all(), shape, order="pk")

    @extend_schema(
        operation_id="manage_webhooks_endpoints_create", request=EndpointBody, responses={201: ONE}
    )
    def post(self, request: Request) -> Response:
        """Set up an endpoint. `secret` (of `v1a`: `public_key`) is in this answer only."""
        body = read_body(EndpointBody, request)
        by = principal_of(request)
        made = endpoints.add(_settings(body, by), is_active=body.get("is_active", True), by=by)
        return Response(_made_json(made, by=by), status=201, headers=NO_STORE)


class EndpointView(ManagementView):
    """`/api/v1/manage/webhooks/endpoints/{id}`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_endpoints_retrieve", responses={200: ONE})
    def get(self, request: Request, endpoint_id: UUID) -> Response:
        """Return one endpoint, with how it is doing."""
        read_query(request, ())
        return Response(endpoint_details_json(_endpoint(endpoint_id), by=principal_of(request)))

    @extend_schema(
        operation_id="manage_webhooks_endpoints_update", request=EndpointChange, responses={200: ONE}
    )
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        """Change what is given. `is_active` false lets deliveries wait, true lets it hear again."""
        body = read_body(EndpointChange, request, partial=True)
        endpoint, by = _endpoint(endpoint_id), principal_of(request)
        made = Made(endpoint)
        if values := _settings(body, by):
            made = endpoints.change(endpoint, values, by=by)
        is_active = body.get("is_active")
        if is_active is not None and is_active != made.endpoint.is_active:
            turn = endpoints.enable if is_active else endpoints.pause
            made = Made(turn(made.endpoint, by=by), made.secret)
        return Response(_made_json(made, by=by), headers=NO_STORE)

    @extend_schema(operation_id="manage_webhooks_endpoints_delete", responses={204: None})
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        """Remove an endpoint; nothing more is sent to it."""
        endpoints.remove(_endpoint(endpoint_id), by=principal_of(request))
        return Response(status=204)


class EndpointTestView(ManagementView):
    """`POST /api/v1/manage/webhooks/endpoints/{id}/test`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_endpoints_test", request=None, responses={202: ONE})
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Send a `webhook.test`. What came of it is in the delivery that is returned, a moment later."""
        read_body(StrictSerializer, request)
        sent = asking.test(_endpoint(endpoint_id), by=principal_of(request))
        return Response(delivery_json(sent), status=202)


class EndpointRotationView(ManagementView):
    """`POST /api/v1/manage/webhooks/endpoints/{id}/rotate-secret`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(
        operation_id="manage_webhooks_endpoints_rotate_secret", request=RotateBody, responses={200: ONE}
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Make a new secret, in this answer only. Deliveries are signed with both for `overlap_hours`."""
        body = read_body(RotateBody, request)
        overlap = timedelta(hours=body["overlap_hours"]) if "overlap_hours" in body else endpoints.OVERLAP
        by = principal_of(request)
        made = endpoints.rotate_secret(_endpoint(endpoint_id), overlap=overlap, by=by)
        return Response(_made_json(made, by=by), headers=NO_STORE)


class EndpointCheckView(ManagementView):
    """`POST /api/v1/manage/webhooks/endpoints/{id}/check`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_endpoints_check", request=None, responses={202: ONE})
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Find out whether the receiver refuses what is forged or old. What came of it stands in `conformance`."""
        read_body(StrictSerializer, request)
        endpoint = _endpoint(endpoint_id)
        by = principal_of(request)
        check_soon(endpoint, by=by)
        return Response(endpoint_json(_endpoint(endpoint_id), by=by), status=202)


class EndpointRecoveryView(ManagementView):
    """`POST /api/v1/manage/webhooks/endpoints/{id}/recover`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(
        operation_id="manage_webhooks_endpoints_recover", request=RecoverBody, responses={202: ONE}
    )
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        """Queue everything since a time that the endpoint was not told of, in order."""
        body = read_body(RecoverBody, request)
        by = principal_of(request)
        endpoint = asking.recover(_endpoint(endpoint_id), since=body["since"], by=by)
        return Response(endpoint_json(endpoint, by=by), status=202)


# --- Deliveries -----------------------------------------------------------------------------------------------------


class DeliveriesView(ManagementView):
    """`/api/v1/manage/webhooks/deliveries`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_deliveries_list", responses={200: LIST})
    def get(self, request: Request) -> Response:
        """List deliveries, the newest first; `endpoint`, `state` and `type` filter."""
        parameters = read_query(request, (*PARAMETERS, *_FILTERS))
        about = about_request(request, parameters)
        return page(_wanted(parameters), parameters, order="-pk", shape=delivery_json, about=about)


class DeliveryView(ManagementView):
    """`/api/v1/manage/webhooks/deliveries/{id}`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_deliveries_retrieve", responses={200: ONE})
    def get(self, request: Request, delivery_id: UUID) -> Response:
        """Return one delivery with its attempts: what was sent and what came back, cut and masked."""
        read_query(request, ())
        return Response(delivery_details_json(_delivery(delivery_id), by=principal_of(request)))


class RedeliveryView(ManagementView):
    """`POST /api/v1/manage/webhooks/deliveries/{id}/redeliver`."""

    needs = Needs("area", Area.WEBHOOKS)

    @extend_schema(operation_id="manage_webhooks_deliveries_redeliver", request=None, responses={202: ONE})
    def post(self, request: Request, delivery_id: UUID) -> Response:
        """Send it once more, with the same id."""
        read_body(StrictSerializer, request)
        again = asking.redeliver(_delivery(delivery_id), by=principal_of(request))
        return Response(delivery_json(again), status=202)


def _endpoint(endpoint_id: UUID) -> Endpoint:
    found = Endpoint.objects.select_related("owner").filter(pk=endpoint_id).first()
    if found is None:
        raise NotFoundError
    return found


def _delivery(delivery_id: UUID) -> Delivery:
    found = Delivery.objects.filter(pk=delivery_id).first()
    if found is None:
        raise NotFoundError
    return found


def _settings(body: dict[str, Any], by: Principal) -> dict[str, Any]:
    """Return SETTINGS by name, with ids for keys. Collections that the principal can't see are not there."""
    values: dict[str, Any] = {
        name: body[name] for name in ("name", "url", "types", "algorithm") if name in body
    }
    if "collections" in body:
        values["collection_ids"] = _collection_ids(body["collections"], by)
    if "owner" in body:
        values["owner"] = endpoints.owner_of(body["owner"])
    return values


def _collection_ids(keys: list[str], by: Principal) -> list[UUID]:
    seen = endpoints.seen_collections(by)
    by_key = schema.current().by_key
    problems = []
    ids = []
    for number, key in enumerate(keys):
        collection = by_key.get(key)
        if collection is None or collection.id not in seen:
            detail = "There is no such collection."
            problems.append(Problem.at(["collections", number], "unknown-collection", detail))
        else:
            ids.append(collection.id)
    if problems:
        raise InvalidInputError(errors=problems)
    return ids


def _wanted(parameters: dict[str, str]) -> QuerySet[Delivery]:
    """Return the deliveries that the parameters ask for. Raises InvalidInputError naming the parameter."""
    rows = Delivery.objects.all()
    if "endpoint" in parameters:
        try:
            rows = rows.filter(endpoint_id=UUID(parameters["endpoint"]))
        except ValueError as error:
            raise _no_filter("endpoint", "An id.") from error
    if "state" in parameters:
        if parameters["state"] not in Delivery.State.values:
            raise _no_filter("state", f"One of {', '.join(Delivery.State.values)}.")
        rows = rows.filter(state=parameters["state"])
    return rows.filter(type=parameters["type"]) if "type" in parameters else rows


def _no_filter(parameter: str, detail: str) -> InvalidInputError:
    return InvalidInputError(errors=[Problem(code="invalid", detail=detail, parameter=parameter)])


def _made_json(made: Made, *, by: Principal) -> dict[str, Any]:
    told = endpoint_json(made.endpoint, by=by)
    if made.secret:
        told["public_key" if made.endpoint.algorithm == Scheme.V1A else "secret"] = made.secret
    return told
