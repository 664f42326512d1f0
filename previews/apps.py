"""The app configuration of previews."""

from django.apps import AppConfig
from django.utils.module_loading import import_string


class PreviewsConfig(AppConfig):
    """Signing keys, preview tokens and draft reads."""

    name = "previews"

    def ready(self) -> None:
        """Add the preview to the form of an entry."""
        register = import_string("content.admin.beside.register")  # both stand on the models
        register(
            import_string("previews.admin.beside.preview"), import_string("previews.admin.beside.to_new")
        )
