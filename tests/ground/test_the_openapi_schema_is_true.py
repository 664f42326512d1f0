"""The OpenAPI schema names every endpoint, and of the collections what the caller may read."""

import json

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests.builders import administrator, allow, anonymous, make_collection, make_key, make_role

pytestmark = pytest.mark.django_db


def paths(patterns, prefix=""):
    for item in patterns:
        route = prefix + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from paths(item.url_patterns, route)
        elif isinstance(item, URLPattern):
            yield route


def test_every_api_endpoint_is_in_it():
    schema = administrator().get("/api/v1/openapi.json").json()
    named = {path.replace("{", "<").replace("}", ">") for path in schema["paths"]}
    for route in paths(get_resolver().url_patterns):
        if route.startswith("api/v1/") and route != "api/v1/openapi.json":
            plain = "/" + "".join(
                part.split(":", 1)[-1] if i else part for i, part in enumerate(route.split("<"))
            )
            shape = "/" + "<".join(
                p if i == 0 else p.split(":", 1)[-1] for i, p in enumerate(route.split("<"))
            )
            assert shape in named, (plain, shape)
    assert schema["openapi"].startswith("3.1")


def test_what_changes_something_is_described_on_its_own():
    schema = administrator().get("/api/v1/openapi.json").json()
    for path, operations in schema["paths"].items():
        told = [operation.get("description") for operation in operations.values()]
        assert len(set(told)) == len(told), path


def test_it_shows_collections_and_fields_only_to_those_who_read_them():
    make_collection("open", [{"key": "title", "type": "text"}, {"key": "hidden", "type": "text"}])
    make_collection("closed", [{"key": "title", "type": "text"}])
    make_role("reader", {"collection": "open", "fields": ("title",)})
    seen = make_key(role="reader").get("/api/v1/openapi.json").json()
    assert "/api/v1/content/open" in seen["paths"]
    assert "title" in seen["components"]["schemas"]["Open"]["properties"]
    assert "hidden" not in json.dumps(seen)
    assert "losed" not in json.dumps(seen)
    allow("public", collection="closed")
    assert "Closed" in anonymous().get("/api/v1/openapi.json").json()["components"]["schemas"]
