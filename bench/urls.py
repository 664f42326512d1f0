"""The product's URLs, and beside them the plain views and the stock form that they are compared with."""

from django.urls import path

from bench import plain, stock
from cms_project.urls import (  # noqa: F401 (Django looks for the handlers here)
    handler400,
    handler403,
    handler404,
    handler500,
)
from cms_project.urls import (
    urlpatterns as product,
)

urlpatterns = [
    path("plain/<uuid:collection>", plain.PlainList.as_view()),
    path("plain/<uuid:collection>/<uuid:entry>", plain.PlainDetail.as_view()),
    path("stock/", stock.site.urls),
    *product,
]
