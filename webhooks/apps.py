"""The app configuration of webhooks."""

from operator import attrgetter

from django.apps import AppConfig
from django.utils.module_loading import import_string

from accounts import encrypted


class WebhooksConfig(AppConfig):
    """Outgoing deliveries and inbound sources."""

    name = "webhooks"

    def ready(self) -> None:
        """Bring what the rooms below know by name. All of it stands on models."""
        import_string("webhooks.kind.register")()
        import_string("webhooks.incoming.kind.register")()
        encrypted.register("webhooks.EndpointSecret", "private", attrgetter("context"))
        encrypted.register("webhooks.SourceSecret", "secret", attrgetter("context"))
        encrypted.register("webhooks.Receipt", "body", attrgetter("context"))
        import_string("webhooks.tables.register")()
        import_string("webhooks.incoming.tables.register")()
        import_string("accounts.measuring.register")(import_string("webhooks.measures.MEASURES"))
        import_string("content.witnesses.register")(import_string("webhooks.sights.note"))
        import_string("webhooks.stopping.is_asked")  # its memory is shared by what forks after this
