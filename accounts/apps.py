"""The app configuration of accounts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, roles, policies, keys, sessions and the log."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"
