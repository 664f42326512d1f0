"""The edge: where visitors send forms. The body is read by hand: its size is the form's, and so are its kinds."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Needs, principal_of
from accounts.api import json_body
from accounts.api.json_body import MalformedBodyError
from accounts.authentication import ManagementAuthentication
from content.forms import quotas
from content.forms.submitting import open_form, submit, typed

JSON: Final = "application/json"
HTML_FORM: Final = "application/x-www-form-urlencoded"
MAX_PAIRS: Final = 1000
_KIND: Final = re.compile(
    r"(application/json|application/x-www-form-urlencoded)(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE
)
_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class FormView(APIView):
    """`POST /api/v1/forms/{form}`: open to everybody; that the form is open is what lets them."""

    authentication_classes = [ManagementAuthentication]
    http_method_names = ["post", "options"]
    needs = Needs("anyone")
    limited_as = quotas.ARRIVALS

    @extend_schema(
        operation_id="forms_submit",
        request={JSON: {"type": "object"}, HTML_FORM: {"type": "object"}},
        responses={201: OpenApiResponse(description="`id`: of the submission.")},
    )
    def post(self, request: Request, form: str) -> Response:
        """Send a form: its fields by key, as JSON or as a plain HTML form. The answer is JSON, never a redirect."""
        spec, options = open_form(form)
        sent: HttpRequest = request._request  # noqa: SLF001 (DRF's wrapper: it must not parse by its own limits)
        kind = _KIND.fullmatch(sent.META.get("CONTENT_TYPE", ""))
        if kind is None:
            raise UnsupportedMediaType(
                request.content_type or "", detail=f"The body must be {JSON} or {HTML_FORM}, in UTF-8."
            )
        body = json_body.read(sent, options.max_bytes, declared=sent.META.get("CONTENT_LENGTH"))
        values = _of_json(body) if kind[1].lower() == JSON else typed(spec, _of_html_form(body))
        found = submit(spec.key, values, size=len(body), by=principal_of(request))
        return Response({"id": str(found)}, status=201)


def _of_json(body: bytes) -> dict[str, Any]:
    value = json_body.loads(body)
    if not isinstance(value, dict):
        raise MalformedBodyError("not-an-object", "The body must be a JSON object.")
    return value


def _of_html_form(body: bytes) -> list[tuple[str, str]]:
    """Return the pairs of a body (URL standard, `application/x-www-form-urlencoded`), strictly UTF-8.

    Raises MalformedBodyError.
    """
    if not body.isascii() or _ESCAPE.search(body):
        raise MalformedBodyError(
            "bad-escape", "Everything but ASCII is sent as % and two hexadecimal digits."
        )
    if body.count(b"&") >= MAX_PAIRS:
        raise MalformedBodyError("too-many-values", f"At most {MAX_PAIRS} values.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedBodyError("not-utf-8", "The text is not UTF-8.") from error
    for name, text in pairs:
        if "\x00" in name or "\x00" in text:
            raise MalformedBodyError(
                "bad-character", "NUL is not allowed.", (name.replace("\x00", "?")[:100],)
            )
    # HTML sends line ends as CR LF (HTML standard, "normalize newlines"); JSON sends what was typed.
    return [(name, text.replace("\r\n", "\n")) for name, text in pairs]
