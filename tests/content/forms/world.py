"""A form of every type that a form may hold, and ways to send it."""

import json
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from content.schema import CollectionSpec
from tests.builders import make_collection

PATH = "/api/v1/forms/contact"
MANAGE = "/api/v1/manage/forms/contact"
FIELDS: list[dict[str, Any]] = [
    {"key": "name", "type": "text", "required": True},
    {"key": "email", "type": "email", "required": True},
    {"key": "message", "type": "long_text", "options": {"max_length": 500}},
    {"key": "age", "type": "integer"},
    {"key": "news", "type": "boolean"},
    {"key": "code", "type": "text", "data_class": "secret"},
    {
        "key": "topics",
        "type": "choices",
        "options": {"choices": [{"value": v, "label": v} for v in ("a", "b")]},
    },
    {"key": "why", "type": "text", "condition": {"field": "news", "operator": "eq", "value": True}},
]
GOOD = {"name": "Visitor", "email": "visitor@example.org", "message": "Hello"}


def make_form(
    key: str = "contact", fields: list[dict[str, Any]] | None = None, **options: Any
) -> CollectionSpec:
    """Make an open form in the API's terms."""
    return make_collection(
        key, FIELDS if fields is None else fields, kind="form", form={"open": True, **options}
    )


def send(body: Any, *, path: str = PATH, address: str = "192.0.2.1", **headers: str) -> Any:
    """Send JSON as a stranger."""
    client = Client(raise_request_exception=False, REMOTE_ADDR=address)
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    return client.generic("POST", path, text, content_type="application/json", headers=headers)


def send_html(pairs: Any, *, address: str = "192.0.2.1") -> Any:
    """Send what a plain HTML form would."""
    client = Client(raise_request_exception=False, REMOTE_ADDR=address)
    body = pairs if isinstance(pairs, str) else urlencode(pairs)
    return client.generic("POST", PATH, body, content_type="application/x-www-form-urlencoded")
