"""The JSON parser of the APIs: how large a body may be, and that it is an object. How it is read: `json_body`."""

import re
from collections.abc import Mapping
from typing import IO, Any, Final

from rest_framework.parsers import BaseParser

from accounts.api import json_body
from accounts.api.json_body import MalformedBodyError

MAX_BODY_BYTES: Final = 1024 * 1024
_PARAMETERS: Final = re.compile(r"^application/json(?:\s*;\s*charset=\"?utf-8\"?)?\s*$", re.IGNORECASE)


class StrictJSONParser(BaseParser):
    """Parses `application/json` (RFC 8259) as I-JSON (RFC 7493) wants it.

    A view may set `max_body_bytes` and `takes_array = True`; without the latter only an object is accepted.
    Raises BodyTooLargeError or MalformedBodyError.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body."""
        context = parser_context or {}
        view = context.get("view")
        limit = getattr(view, "max_body_bytes", MAX_BODY_BYTES)
        request = context.get("request")
        declared = request.META.get("CONTENT_LENGTH") if request is not None else None
        if media_type is not None and not _PARAMETERS.match(media_type):
            raise MalformedBodyError("wrong-charset", "JSON is UTF-8.")
        value = json_body.loads(json_body.read(stream, limit, declared=declared))
        if not isinstance(value, dict) and not (
            isinstance(value, list) and getattr(view, "takes_array", False)
        ):
            raise MalformedBodyError("not-an-object", "The body must be a JSON object.")
        return value
