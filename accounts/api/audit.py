"""The log, for those who audit: `GET /api/v1/manage/audit`."""

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Area, Needs
from accounts.api.paging import PARAMETERS, about_request, page
from accounts.api.strict import read_query
from accounts.audit.lines import event_json
from accounts.audit.searching import FILTERS, Sought, TooSlowError, in_time, newest_first
from accounts.authentication import ManagementAuthentication
from accounts.errors import InvalidInputError
from accounts.log import seal_pending
from accounts.models.event import Event

_SHOWN: Final = (
    "position", "id", "type", "at", "actor", "subject", "locale", "address", "request_id", "detail",
)  # fmt: skip
_MEANINGS: Final = {
    "type": "`entry.published`, all that begin alike (`entry.*`), or several with commas.",
    "actor": "A user's id or e-mail address, the beginning of a name, or a credential: `api-key:<public id>`.",
    "subject": "The id of a thing, `entry:<id>`, or `entry:` for all of a kind.",
    "since": "From this moment on (RFC 3339).",
    "until": "Before this moment (RFC 3339).",
    "address": "An address or a network: `192.0.2.0/24`.",
}


class AuditView(APIView):
    """The log, newest first. What was committed before the request is in it."""

    authentication_classes = [ManagementAuthentication]
    needs = Needs("area", Area.AUDIT)

    @extend_schema(
        parameters=[
            *(
                OpenApiParameter(
                    name,
                    OpenApiTypes.DATETIME if name in ("since", "until") else OpenApiTypes.STR,
                    description=meaning,
                )
                for name, meaning in _MEANINGS.items()
            ),
            *(OpenApiParameter(name, str) for name in PARAMETERS),
        ],
        responses={200: OpenApiResponse(description="A page: `data` and `meta`.")},
    )
    def get(self, request: Request) -> Response:
        parameters = read_query(request, (*FILTERS, *PARAMETERS))
        events = newest_first(Sought.parse(parameters))
        seal_pending()
        try:
            return in_time(
                lambda: page(
                    events,
                    parameters,
                    order="-seal__position",
                    shape=_shape,
                    about=about_request(request, parameters),
                    key=lambda event: event.seal.position,
                )
            )
        except TooSlowError as error:
            raise InvalidInputError(
                "This search reads too much of the log. Narrow it with `since`.", code="search-too-slow"
            ) from error


def _shape(event: Event) -> dict[str, Any]:
    shown = event_json(event)
    return {name: shown[name] for name in _SHOWN}
