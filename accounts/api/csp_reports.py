"""`POST /api/v1/csp-reports`: what the policy of a page has blocked, says a browser, or anybody."""

from collections.abc import Mapping
from typing import IO, Any, ClassVar, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import browser_reports
from accounts.access import Needs
from accounts.api import json_body
from accounts.api.json_body import MalformedBodyError
from accounts.authentication import ManagementAuthentication
from accounts.limits import Policy, Throttle

MAX_BODY_BYTES: Final = 16 * 1024
# Closed while it can't be counted: each report is a write of a stranger.
REPORTS: Final = Policy("csp-reports", quota=30, overall=600, fails_open=False)


class ReportThrottle(Throttle):
    """Thirty a minute from an address; a page that is broken sends dozens, and one of each is enough."""

    policy = REPORTS


class _Parser(BaseParser):
    """Reads a body of at most 16 KiB strictly. Raises BodyTooLargeError, MalformedBodyError."""

    shape: ClassVar[type]

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,  # noqa: ARG002 (DRF's signature)
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {}).get("request")
        declared = request.META.get("CONTENT_LENGTH") if request is not None else None
        value = json_body.loads(json_body.read(stream, MAX_BODY_BYTES, declared=declared))
        if not isinstance(value, self.shape):
            raise MalformedBodyError("not-a-report", "The body is not a report of a browser.")
        return value


class CspReportParser(_Parser):
    """`application/csp-report` (CSP Level 2)."""

    media_type = "application/csp-report"
    shape = dict


class ReportsParser(_Parser):
    """`application/reports+json` (the Reporting API)."""

    media_type = "application/reports+json"
    shape = list


class ReportsView(APIView):
    """What is no report about a page of ours is answered the same and forgotten."""

    authentication_classes = [ManagementAuthentication]  # of nobody; so a lockdown is asked like everywhere
    throttle_classes = [ReportThrottle]
    parser_classes = [CspReportParser, ReportsParser]
    needs = Needs("anyone")

    @extend_schema(
        operation_id="csp_reports_post",
        request={
            "application/csp-report": OpenApiTypes.OBJECT,
            "application/reports+json": OpenApiTypes.OBJECT,
        },
        responses={204: OpenApiResponse(description="Taken.")},
    )
    def post(self, request: Request) -> Response:
        """Take a report of a browser about our Content Security Policy."""
        body: Any = request.data
        is_one = isinstance(body, dict)
        browser_reports.keep(
            browser_reports.of_csp_report(body) if is_one else browser_reports.of_reports(body)
        )
        return Response(status=204)
