"""The app configuration of previews."""

from operator import attrgetter

from django.apps import AppConfig
from django.utils.module_loading import import_string

from accounts import encrypted


class PreviewsConfig(AppConfig):
    """Signing keys, preview tokens and draft reads."""

    name = "previews"

    def ready(self) -> None:
        """Bring what the rooms below know by name, and the preview beside the form of an entry. All stand on models."""
        import_string("previews.signing.kind.register")()
        import_string("previews.tables.register")()
        encrypted.register("previews.SigningKey", "private", attrgetter("context"))
        register = import_string("content.admin.beside.register")
        register(
            import_string("previews.admin.beside.preview"), import_string("previews.admin.beside.to_new")
        )
