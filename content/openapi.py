"""What the OpenAPI schema says about content: the query parameters, and the documents of each collection."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from content.parameters import MAX_LIMIT, MAX_OFFSET


def _query(name: str, description: str, type_: Any = OpenApiTypes.STR) -> OpenApiParameter:
    return OpenApiParameter(name, type_, OpenApiParameter.QUERY, description=description)


DOCUMENT_QUERY = [
    _query("locale", "Locale code; falls back as configured, and `_locale` says which it is."),
    _query("fields", "Only these fields: `title,slug,author.name`."),
    _query("expand", "References to put in whole, up to two levels: `author,author.company`."),
]
LIST_QUERY = [
    *DOCUMENT_QUERY,
    _query(
        "filter",
        "`filter[field][op]=value`, op one of eq ne in nin lt lte gt gte contains starts_with exists;"
        " through one reference `filter[author.slug][eq]`. Also `_published_at` and `_updated_at`.",
    ),
    _query("sort", "Filterable fields, `-` for descending: `-_published_at,title`."),
    _query("limit", f"1 to {MAX_LIMIT}, default 20.", OpenApiTypes.INT),
    _query("cursor", "`meta.next_cursor` of the page before."),
    _query("offset", f"0 to {MAX_OFFSET}.", OpenApiTypes.INT),
    _query("search", "Full text over the fields that you may read."),
    _query("count", "`exact` adds `meta.total`."),
]

_SYSTEM = {
    "_id": {"type": "string", "format": "uuid"},
    "_collection": {"type": "string"},
    "_locale": {"type": "string"},
    "_version": {"type": "integer"},
    "_published_at": {"type": ["string", "null"], "format": "date-time"},
    "_updated_at": {"type": "string", "format": "date-time"},
}
_STATUS = {
    "_status": {
        "type": "object",
        "additionalProperties": {"enum": ["draft", "changed", "scheduled", "published", "trashed"]},
    }
}


def document_schema(*, drafts: bool) -> dict[str, Any]:
    """Return the schema of any document; the fields follow from the collection."""
    properties = {**_SYSTEM, **(_STATUS if drafts else {})}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": True,
    }


def document_response(*, drafts: bool) -> OpenApiResponse:
    """Return the response of one document."""
    return OpenApiResponse(document_schema(drafts=drafts), description="The document.")


def list_response(*, drafts: bool) -> OpenApiResponse:
    """Return the response of a list."""
    meta = {
        "type": "object",
        "properties": {
            "limit": {"type": "integer"},
            "next_cursor": {"type": ["string", "null"]},
            "total": {"type": "integer"},
        },
        "required": ["limit", "next_cursor"],
    }
    return OpenApiResponse(
        {
            "type": "object",
            "properties": {"data": {"type": "array", "items": document_schema(drafts=drafts)}, "meta": meta},
            "required": ["data", "meta"],
        },
        description="One page.",
    )
