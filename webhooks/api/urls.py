"""The addresses of webhooks."""

from django.urls import path

from webhooks.api import manage

_ENDPOINT = "manage/webhooks/endpoints/<uuid:endpoint_id>"
_DELIVERY = "manage/webhooks/deliveries/<uuid:delivery_id>"
management = [
    path("manage/webhooks/endpoints", manage.EndpointsView.as_view()),
    path(_ENDPOINT, manage.EndpointView.as_view()),
    path(f"{_ENDPOINT}/test", manage.EndpointTestView.as_view()),
    path(f"{_ENDPOINT}/rotate-secret", manage.EndpointRotationView.as_view()),
    path(f"{_ENDPOINT}/check", manage.EndpointCheckView.as_view()),
    path(f"{_ENDPOINT}/recover", manage.EndpointRecoveryView.as_view()),
    path("manage/webhooks/deliveries", manage.DeliveriesView.as_view()),
    path(_DELIVERY, manage.DeliveryView.as_view()),
    path(f"{_DELIVERY}/redeliver", manage.RedeliveryView.as_view()),
]
