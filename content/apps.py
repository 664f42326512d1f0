"""The app's configuration."""

from operator import attrgetter

from django.apps import AppConfig
from django.utils.module_loading import import_string

from accounts import encrypted


class ContentConfig(AppConfig):
    """Content: the room above accounts."""

    name = "content"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say what of ours the key ring encrypts, and what monitoring is told. Both stand on models."""
        encrypted.register("content.DataKey", "wrapped", attrgetter("context"))
        encrypted.register("content.Submission", "body", attrgetter("context"))
        import_string("accounts.measuring.register")(import_string("content.measures.MEASURES"))
