"""The addresses of incoming webhooks, by plane."""

from django.urls import path

from webhooks.api import edge, sources

management = [
    path("sources", sources.SourcesView.as_view()),
    path("sources/<str:key>", sources.SourceView.as_view()),
    path("sources/<str:key>/rotate-secret", sources.SourceRotationView.as_view()),
    path("receipts", sources.ReceiptsView.as_view()),
    path("receipts/<uuid:receipt_id>", sources.ReceiptView.as_view()),
    path("receipts/<uuid:receipt_id>/retry", sources.ReceiptRetryView.as_view()),
]
hooks = [path("<str:source>", edge.HookView.as_view(), name="hook")]
