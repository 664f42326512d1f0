"""The views of the delivery plane. They parse, ask the reader, and answer bytes."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.access import Action, Needs, Principal, principal_of
from accounts.authentication import DeliveryAuthentication
from accounts.canonical import Json
from content import kept_answers, schema
from content.models.published import PublishedDocument, PublishedSearch
from content.openapi import DOCUMENT_QUERY, LIST_QUERY, document_response, list_response
from content.parameters import DOCUMENT_PARAMETERS, Parameters, parse
from content.query import Plane, Reader
from content.reading import note_documents
from content.schema import CollectionSpec
from content.shaping import Shaper

PUBLISHED = Plane(
    model=PublishedDocument, words=PublishedSearch, using="delivery", action=Action.READ, drafts=False
)
ASK_FIRST = "public, no-cache"
KEEP = "public, max-age=0, s-maxage=60, stale-while-revalidate=30"  # for caches that are told of changes
MAX_TAGS = 200  # entries named in Cache-Tag; a page of 100 with expanded references stays below


class DeliveryView(APIView):
    """What both views share. GET and HEAD only; a credential makes the answer private."""

    authentication_classes = [DeliveryAuthentication]
    http_method_names = ["get", "head", "options"]
    needs = Needs("anyone")

    def reader(self, request: Request, parameters: Parameters) -> Reader:
        """Return the reader for this principal, over the restricted connection."""
        generation = request.generations.get(schema.GENERATION, 0)  # type: ignore[attr-defined]  # set by authentication
        present = schema.current("delivery", generation=generation)
        return Reader.of(PUBLISHED, present, principal_of(request), parameters.locale)


class CollectionView(DeliveryView):
    """`/api/v1/content/{collection}`: a list, or the document of a single."""

    @extend_schema(operation_id="content_list", parameters=LIST_QUERY, responses=list_response(drafts=False))
    def get(self, request: Request, collection: str) -> HttpResponse:
        """List the published documents of a collection; for kind `single`, return its document."""
        parameters = parse(request.query_params)
        reader = self.reader(request, parameters)
        spec = reader.collection(collection)
        shaper = Shaper(reader)
        body: dict[str, Json]
        if spec.kind == "single":
            parameters = parse(request.query_params, allowed=DOCUMENT_PARAMETERS)
            row, selection = reader.single(spec, parameters)
            body = shaper.document(spec, row, selection)
            is_noted = note_documents(shaper, spec, [row])
        else:
            page = reader.page(spec, parameters)
            meta: dict[str, Json] = {"limit": parameters.limit, "next_cursor": page.next_cursor}
            if page.total is not None:
                meta["total"] = page.total
            body = {"data": [shaper.document(spec, row, page.selection) for row in page.rows], "meta": meta}
            is_noted = note_documents(shaper, spec, page.rows, is_list=True)
        return answer(request, body, spec, shaper.entries, is_noted=is_noted)


class DocumentView(DeliveryView):
    """`/api/v1/content/{collection}/{id or slug}`."""

    @extend_schema(
        operation_id="content_retrieve", parameters=DOCUMENT_QUERY, responses=document_response(drafts=False)
    )
    def get(self, request: Request, collection: str, name: str) -> HttpResponse:
        """Return one published document, by id or by slug."""
        parameters = parse(request.query_params, allowed=DOCUMENT_PARAMETERS)
        reader = self.reader(request, parameters)
        spec, row, shaper, body = read_document(reader, collection, name, parameters)
        is_noted = note_documents(shaper, spec, [row])
        return answer(request, body, spec, shaper.entries, is_noted=is_noted)


def read_document(
    reader: Reader, collection: str, name: str, parameters: Parameters
) -> tuple[CollectionSpec, dict[str, Any], Shaper, dict[str, Json]]:
    """Return a document by id or slug: collection, row, who shaped it, and what it is. Raises NotFoundError."""
    spec = reader.collection(collection)
    row, selection = reader.one(spec, name, parameters)
    shaper = Shaper(reader)
    return spec, row, shaper, shaper.document(spec, row, selection)


def json_bytes(body: dict[str, Json]) -> bytes:
    """Return what is sent of a document or a list."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def answer(
    request: Request, body: dict[str, Json], spec: CollectionSpec, entries: Iterable[str], *, is_noted: bool
) -> HttpResponse:
    """Return the bytes with a strong ETag over them, or 304; caching as the principal's kind allows (RFC 9111).

    A read that is noted in the log is never kept: those of whom a cache answers would be missing there.
    """
    content = json_bytes(body)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if _matches(request.headers.get("If-None-Match", ""), etag):
        response = HttpResponse(status=304)
        del response["Content-Type"]
    else:
        response = HttpResponse(content, content_type="application/json")
    response["ETag"] = etag
    response["Cache-Control"] = cache_control(principal_of(request), request._request)  # noqa: SLF001  # DRF wraps it
    generations: dict[str, int] = request.generations  # type: ignore[attr-defined]  # set by authentication
    if response["Cache-Control"] == ASK_FIRST and not is_noted and kept_answers.may_be_kept(generations):
        response["Cache-Control"] = KEEP
        response["Cache-As-Of"] = str(kept_answers.as_of(generations))
    response["Cache-Tag"] = ",".join([spec.key, *list(entries)[:MAX_TAGS]])
    response["Vary"] = "Accept, Accept-Encoding, Authorization, Origin"
    return response


def cache_control(principal: Principal, request: HttpRequest) -> str:
    """Public for anonymous readers, revalidated each time; never stored when there is a credential or cookie."""
    if principal.kind != "anonymous" or request.COOKIES:
        return "private, no-store"
    return ASK_FIRST


def _matches(header: str, etag: str) -> bool:
    return header.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in header.split(","))
