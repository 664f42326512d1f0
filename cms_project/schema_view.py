"""The address of the OpenAPI schema; apart from `openapi`, which REST framework loads before it has views."""

from django.conf import settings
from drf_spectacular.views import SpectacularJSONAPIView

from accounts.access import HoldsGrant, Needs
from accounts.authentication import ManagementAuthentication
from accounts.limits import EXPORTS


class SchemaView(SpectacularJSONAPIView):
    """`/api/v1/openapi.json`: for those who are signed in; in development for everyone (threat E20)."""

    authentication_classes = [ManagementAuthentication]
    permission_classes = [HoldsGrant]  # the library's own default would let everybody in
    asks_widely = True
    limited_as = EXPORTS  # it is made anew for each caller
    needs = Needs("anyone" if settings.ENVIRONMENT.is_development else "signed_in")
