"""The app's configuration."""

from django.apps import AppConfig


class ContentConfig(AppConfig):
    """Content: the room above accounts."""

    name = "content"
    default_auto_field = "django.db.models.BigAutoField"
