"""`GET /metrics`: for a network that ops trust, or a credential that administers operations; nobody else."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.access import Area, Needs
from accounts.addresses import client_address, is_within
from accounts.authentication import DeliveryAuthentication, ManagementAuthentication
from cms_project import metrics

READS_THE_HOUSE = settings.ENVIRONMENT.plane != "delivery"  # whose role may read none of it


class AnyNegotiation(BaseContentNegotiation):
    """There is one form, whatever is asked for: scrapers send long lists."""

    def select_parser(self, request: Request, parsers: Any) -> Any:  # noqa: ARG002 (DRF's signature)
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:  # noqa: ARG002
        return renderers[0], renderers[0].media_type


class MetricsView(APIView):
    """For who sends a credential, from wherever."""

    authentication_classes = [ManagementAuthentication if READS_THE_HOUSE else DeliveryAuthentication]
    content_negotiation_class = AnyNegotiation
    needs = Needs("area", Area.OPERATIONS)

    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002
        """Answer in the text format of Prometheus."""
        return answer()


def is_inside(request: HttpRequest) -> bool:
    """Tell whether the client is of a trusted network, as far as we know who that is.

    Behind a proxy that is not one of `TRUSTED_PROXIES` everybody has the proxy's own address, so nobody is.
    """
    if getattr(request, "is_from_a_stranger_proxy", True):
        return False
    return is_within(client_address(request), settings.METRICS_ALLOWED_NETWORKS)


def answer() -> HttpResponse:
    """Return the numbers."""
    body = metrics.exposition(of_the_house=READS_THE_HOUSE)
    return HttpResponse(body, content_type=metrics.CONTENT_TYPE)


_by_credential = MetricsView.as_view()


@csrf_exempt  # so that a wrong method is a 405
@never_cache
@require_safe
def view(request: HttpRequest) -> HttpResponseBase:
    """Answer at once inside, also while the database is away; a credential is looked at wherever it is sent from."""
    if "HTTP_AUTHORIZATION" not in request.META and is_inside(request):
        return answer()
    return _by_credential(request)
