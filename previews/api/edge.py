"""The edge: a site's server exchanges a code and reads a draft; anybody reads the public keys."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Never
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.http import HttpResponse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import limits
from accounts.access import Needs, principal_of
from accounts.api.shapes import moment
from accounts.api.strict import StrictCharField, StrictSerializer, read_body, read_query
from accounts.authentication import ManagementAuthentication
from accounts.errors import (
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)
from accounts.limits import Policy, Throttle
from accounts.log import Subject
from content import schema
from content.openapi import DOCUMENT_QUERY, document_response
from content.parameters import DOCUMENT_PARAMETERS, parse
from previews import handoff, opening, refusals, secrets
from previews.authentication import PreviewAuthentication
from previews.handoff import RefusedCodeError
from previews.models import SigningKey
from previews.signing.life import JWKS_LIFE
from previews.tokens import PreviewClaims

COOKIE: Final = (
    "__Host-quillkeep-preview"  # in which a site keeps the token; cleared where it is no good any more
)
PRIVATE: Final = {
    "Cache-Control": "private, no-store, max-age=0",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
EXCHANGES: Final = Policy("preview-exchanges", quota=120, overall=1200, fails_open=False)
WAITING: Final = Policy("preview-codes", quota=10, fails_open=False)  # of one code, beyond the others


class CheckedView(APIView):
    """A database that does not answer is a 503: what can't be checked is never shown."""

    needs = Needs("anyone")

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, OperationalError | InterfaceError):
            exc = UnavailableError(retry_after=5)
        return super().handle_exception(exc)


class EdgeView(CheckedView):
    """What answers of both have in common: no cache keeps them, no search engine lists them, nothing is referred to."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in PRIVATE.items():
            response.headers[name] = value
        patch_vary_headers(response, ["Authorization", "Cookie", "Origin"])
        return response


class ExchangeThrottle(Throttle):
    """By address; closed while it can't be counted, or guessing would be free.

    Whoever sends made-up codes to a site's handoff uses up the quota of that site's server. So a code that waits is let
    in beyond it, at the price of one look by an index.
    """

    policy = EXCHANGES

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return super().allow_request(request, view)
        except TooManyRequestsError:
            code = _code_in(request)
            if not handoff.is_waiting(code):
                raise
            state = limits.hit(WAITING, f"code:{secrets.digest(code)}")
            if state is not None and state.is_exceeded:
                raise
            return True


def _code_in(request: Request) -> str:
    """Return the code that was sent, "" where the body is of no use."""
    try:
        return str(read_body(ExchangeBody, request)["code"])
    except (APIException, InvalidInputError):
        return ""


class ExchangeBody(StrictSerializer):
    code = StrictCharField(max_length=200, trim_whitespace=False)
    client_secret = StrictCharField(max_length=200, trim_whitespace=False)


class TokenBody(StrictSerializer):
    token = StrictCharField()
    expires_at = StrictCharField()


class ExchangeView(EdgeView):
    """`POST /api/v1/previews/exchange`: a code and the site's secret, once, for a token."""

    authentication_classes = [ManagementAuthentication]  # of nobody; so a lockdown is asked like everywhere
    throttle_classes = [ExchangeThrottle]

    @extend_schema(operation_id="previews_exchange", request=ExchangeBody, responses={200: TokenBody})
    def post(self, request: Request) -> Response:
        """Exchange the one-time code for the token of its preview."""
        body = read_body(ExchangeBody, request)
        somebody = principal_of(request)
        try:
            done = handoff.exchange(body["code"], body["client_secret"], by=somebody)
        except RefusedCodeError as error:
            known = error.preview
            subject = Subject("preview", str(known.pk), known.collection_id) if known else None
            refusals.note(error.reason, by=somebody, subject=subject, detail={"at": "exchange"})
            raise
        return Response({"token": done.token, "expires_at": moment(done.preview.expires_at)})


class DraftView(EdgeView):
    """`GET /api/v1/preview/content/{collection}/{id}`: the draft of a live preview, and no other."""

    authentication_classes = [PreviewAuthentication]
    http_method_names = ["get", "head", "options"]

    @extend_schema(
        operation_id="preview_content_retrieve",
        parameters=DOCUMENT_QUERY,
        responses=document_response(drafts=True),
    )
    def get(self, request: Request, collection: str, name: str) -> Response:
        """Return the draft that the token is for."""
        parameters = parse(request.query_params, allowed=DOCUMENT_PARAMETERS)
        claims: PreviewClaims = request.preview  # type: ignore[attr-defined]  # set by authentication
        principal = principal_of(request)
        try:
            is_this = UUID(name) == claims.entry_id
        except ValueError:
            is_this = False
        if not is_this or parameters.locale not in (None, claims.locale):
            self._refuse(request, claims, "other-locale" if is_this else "other-entry")
        spec = schema.current().by_key.get(collection)
        if spec is None or not spec.has_entries:
            raise NotFoundError  # as for a collection that is there: which ones there are is nobody's business
        return Response(opening.read_draft(principal, spec, claims, parameters))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            # Of use where a site has this API behind its own origin; elsewhere the site clears its cookie itself.
            response.set_cookie(COOKIE, "", max_age=0, path="/", secure=True, httponly=True, samesite="Lax")
        return response

    @staticmethod
    def _refuse(request: Request, claims: PreviewClaims, reason: str) -> Never:
        subject = Subject("preview", str(claims.preview_id))
        refusals.note(reason, by=principal_of(request), subject=subject, detail={"at": "draft"})
        raise NotAllowedError("This preview is of another entry, or of another locale.")


class KeysView(CheckedView):
    """`GET /.well-known/jwks.json`: the public keys, of tokens signed now, soon and lately (RFC 7517)."""

    authentication_classes = []
    http_method_names = ["get", "head", "options"]

    @extend_schema(operation_id="jwks", responses={200: OpenApiResponse(description="A JWK Set (RFC 7517).")})
    def get(self, request: Request) -> HttpResponse:
        """Return the key set. Caches keep it for no longer than a key is published before it signs."""
        read_query(request, ())
        now = timezone.now()
        keys = list(SigningKey.objects.published(now).values_list("public", "retires_at"))
        content = json.dumps({"keys": [public for public, _ in keys]}, separators=(",", ":")).encode()
        etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == etag:
            response = HttpResponse(status=HTTPStatus.NOT_MODIFIED)
        else:
            response = HttpResponse(content, content_type="application/json")
        response.headers["ETag"] = etag
        response.headers["Cache-Control"] = f"public, max-age={_jwks_age(now, (end for _, end in keys))}"
        return response


def _jwks_age(now: datetime, ends: Iterable[datetime | None]) -> int:
    """Return for how many seconds the set may be kept: never past the end of a key that is in it."""
    left = [end - now for end in ends if end is not None]
    return max(0, int(min([JWKS_LIFE, *left]).total_seconds()))
