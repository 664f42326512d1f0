"""What the OpenAPI schema says about content: the query parameters, and the documents of each collection."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from accounts.access import Action, Principal
from content import fields
from content.fields.base import FieldSpec, nullable
from content.parameters import MAX_LIMIT, MAX_OFFSET
from content.schema import Schema, current


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


def list_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one page of documents."""
    meta = {
        "type": "object",
        "properties": {
            "limit": {"type": "integer"},
            "next_cursor": {"type": ["string", "null"]},
            "total": {"type": "integer"},
        },
        "required": ["limit", "next_cursor"],
    }
    properties = {"data": {"type": "array", "items": document}, "meta": meta}
    return {"type": "object", "properties": properties, "required": ["data", "meta"]}


def list_response(*, drafts: bool) -> OpenApiResponse:
    """Return the response of a list."""
    return OpenApiResponse(list_of(document_schema(drafts=drafts)), description="One page.")


def add_collections(result: dict[str, Any], *, request: Any = None, **_: Any) -> dict[str, Any]:
    """Add what the caller may read: a schema and the paths of each collection (a hook of drf-spectacular)."""
    principal = getattr(request, "auth", None)
    if not isinstance(principal, Principal):
        return result
    present = current()
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    for spec in present.collections:
        grant = principal.grant(Action.READ, on=spec.resource)
        if not spec.has_entries or not grant:
            continue
        properties = {
            field.key: nullable(fields.get(field.type).json_schema(field, present))
            for field in spec.fields
            if grant.allows(field)
        }
        name = "".join(part.capitalize() for part in spec.key.split("_"))
        schemas[name] = {
            "type": "object",
            "title": spec.name,
            "properties": {**_SYSTEM, **properties},
            "required": sorted(_SYSTEM),
        }
        reference = {"$ref": f"#/components/schemas/{name}"}
        answers = {"schema": reference} if spec.kind == "single" else {"schema": list_of(reference)}
        result["paths"][f"/api/v1/content/{spec.key}"] = {
            "get": _operation(spec.key, "read", spec.name, answers)
        }
        if spec.kind != "single":
            one = _operation(spec.key, "read_one", spec.name, {"schema": reference})
            one["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
            result["paths"][f"/api/v1/content/{spec.key}/{{id}}"] = {"get": one}
    return result


def add_forms(result: dict[str, Any], *, request: Any = None, **_: Any) -> dict[str, Any]:
    """Add what each open form takes (a hook of drf-spectacular); not its honeypot, which robots would read of here."""
    if request is None:
        return result  # what `check` makes asks no database
    present = current()
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    for spec in present.collections:
        if spec.form is None or not spec.form.open:
            continue
        name = f"{''.join(part.capitalize() for part in spec.key.split('_'))}Form"
        schemas[name] = {
            "type": "object",
            "title": spec.name,
            "properties": {field.key: _input(field, present) for field in spec.fields},
            "required": [field.key for field in spec.fields if _is_needed(field)],
            "additionalProperties": False,
        }
        body = {"schema": {"$ref": f"#/components/schemas/{name}"}}
        made = {"schema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}}
        result["paths"][f"/api/v1/forms/{spec.key}"] = {
            "post": {
                "operationId": f"submit_{spec.key}",
                "tags": ["forms"],
                "summary": spec.name,
                **({"description": spec.form.notice} if spec.form.notice else {}),
                "requestBody": {
                    "required": True,
                    "content": {"application/json": body, "application/x-www-form-urlencoded": body},
                },
                "responses": {"201": {"description": "Stored.", "content": {"application/json": made}}},
                "security": [{}],
            }
        }
    return result


def _is_needed(field: FieldSpec) -> bool:
    return field.required and field.condition is None


def _input(field: FieldSpec, present: Schema) -> dict[str, Any]:
    found = fields.get(field.type).json_schema(field, present)
    found = found if _is_needed(field) else nullable(found)
    return {**found, "title": field.name, **({"description": field.help} if field.help else {})}


def _operation(key: str, verb: str, title: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": f"{verb}_{key}",
        "tags": ["content"],
        "summary": title,
        "responses": {"200": {"description": "Published content.", "content": {"application/json": content}}},
    }
