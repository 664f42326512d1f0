"""The app configuration of previews."""

from django.apps import AppConfig


class PreviewsConfig(AppConfig):
    """Signing keys, preview tokens and draft reads."""

    name = "previews"
