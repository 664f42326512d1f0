"""The edge: where sources send their webhooks. A signature is the only credential; cookies and bearers mean nothing."""

import re
from typing import Any, ClassVar, Final

from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import principals
from accounts.access import Needs, Principal, principal_of
from accounts.addresses import callers_network
from accounts.api import json_body
from accounts.errors import TooManyRequestsError, UnavailableError
from accounts.limits import Policy, Throttle
from webhooks.incoming import quotas
from webhooks.incoming.receiving import MAX_BODY_BYTES, receive
from webhooks.incoming.schemes import Message
from webhooks.incoming.tasks import wake

_JSON: Final = re.compile(r"application/json(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE)


class NobodyAuthentication(BaseAuthentication):
    """Who sends a webhook is nobody, from somewhere, until its signature was checked; `Authorization` may hold that."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Principal]:
        nobody, _ = principals.anonymous()
        return AnonymousUser(), principals.at_request(nobody, request._request)  # noqa: SLF001 (DRF's wrapper)

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 (DRF's signature)
        return 'Bearer realm="quillkeep"'


class ArrivalThrottle(Throttle):
    """By address, and sooner for one that proves nothing."""

    policy: ClassVar[Policy] = quotas.ARRIVALS

    def allow_request(self, request: Request, view: APIView) -> bool:
        network = callers_network(principal_of(request).address)
        quotas.require_few_failures(str(view.kwargs.get("source", "")), network)
        return super().allow_request(request, view)


class HookView(APIView):
    """`POST /hooks/in/{source}`: verified on the raw bytes, remembered once, then answered; a worker acts on it."""

    authentication_classes = [NobodyAuthentication]
    throttle_classes = [ArrivalThrottle]
    http_method_names = ["post", "options"]
    needs = Needs("anyone")

    @extend_schema(
        operation_id="hooks_in",
        request={"application/json": {"type": "object", "description": "Whatever the source sends."}},
        responses={202: OpenApiResponse(description="`id`: the receipt.")},
    )
    def post(self, request: Request, source: str) -> Response:
        """Take a message in."""
        sent: HttpRequest = request._request  # noqa: SLF001 (DRF's wrapper: it must not parse before we have verified)
        headers = {name.lower(): value for name, value in sent.headers.items()}
        received = receive(source, Message(headers, _body(sent)), by=principal_of(request))
        if received.receipt_id is None:
            return Response({"challenge": received.challenge})
        if received.is_waiting:
            wake(received.receipt_id)
        return Response({"id": str(received.receipt_id)}, status=202)

    def handle_exception(self, exc: Exception) -> Response:
        """A database that does not answer is a 503: the source sends again."""
        if isinstance(exc, OperationalError | InterfaceError):
            exc = UnavailableError(retry_after=5)
        if isinstance(exc, TooManyRequestsError):
            # Which quota was met would tell whether a source is known here: only when to come again is said.
            asked: Any = self.request._request  # noqa: SLF001 (DRF's wrapper)
            asked.rate_limit = None
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


def _body(request: HttpRequest) -> bytes:
    """Return the raw bytes. Raises BodyTooLargeError and UnsupportedMediaType, which say nothing of any source."""
    if not _JSON.fullmatch(request.META.get("CONTENT_TYPE", "")):
        raise UnsupportedMediaType(request.content_type or "")
    return json_body.read(request, MAX_BODY_BYTES, declared=request.META.get("CONTENT_LENGTH"))
