"""The app configuration of webhooks."""

from django.apps import AppConfig
from django.utils.module_loading import import_string


class WebhooksConfig(AppConfig):
    """Outgoing deliveries and inbound sources."""

    name = "webhooks"

    def ready(self) -> None:
        """Bring what the rooms below know by name. All stand on models."""
        import_string("webhooks.incoming.tables.register")()
