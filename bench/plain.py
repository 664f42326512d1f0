"""What the delivery API is compared with: DRF's generic views and a ModelSerializer over the same rows.

No principal, no grant, no limit, no gate for names, no ETag; DRF's own cursor pagination, and the middleware that
`startproject` gives.
"""

from typing import ClassVar
from uuid import UUID

from django.core.handlers.wsgi import WSGIHandler
from django.db.models import QuerySet
from django.test.utils import override_settings
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.serializers import ModelSerializer

from content.models import PublishedDocument

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]


class Pages(CursorPagination):
    """The same number of items, in the same order, by the same index."""

    page_size = 20
    page_size_query_param = "limit"
    max_page_size = 100
    ordering = ("-published_at", "-entry_id")


class DocumentSerializer(ModelSerializer[PublishedDocument]):
    """What a document's answer holds as well."""

    class Meta:
        model = PublishedDocument
        fields: ClassVar = [
            "entry_id",
            "content_locale",
            "version_number",
            "published_at",
            "updated_at",
            "data",
        ]


def documents(collection: UUID) -> QuerySet[PublishedDocument]:
    """Return the English documents of a collection, over the same restricted connection."""
    return PublishedDocument.objects.using("delivery").filter(collection_id=collection, locale="en")


class PlainList(ListAPIView[PublishedDocument]):
    """`/plain/{collection}`."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    serializer_class = DocumentSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[PublishedDocument]:
        """Return the collection's documents."""
        return documents(self.kwargs["collection"])


class PlainDetail(RetrieveAPIView[PublishedDocument]):
    """`/plain/{collection}/{entry}`."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    serializer_class = DocumentSerializer
    lookup_field = "entry_id"
    lookup_url_kwarg = "entry"

    def get_queryset(self) -> QuerySet[PublishedDocument]:
        """Return the collection's documents."""
        return documents(self.kwargs["collection"])


def application() -> WSGIHandler:
    """Return a WSGI application with the middleware of a new project."""
    with override_settings(MIDDLEWARE=MIDDLEWARE):
        return WSGIHandler()
