"""The app configuration of webhooks."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """Outgoing deliveries and inbound sources."""

    name = "webhooks"
