"""The app configuration of accounts."""

from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import import_string


class AccountsConfig(AppConfig):
    """Users, roles, policies, keys, sessions and the log."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks of our own settings, and what monitoring is told."""
        import_string("accounts.measuring.register")(import_string("accounts.measures.MEASURES"))
        register(
            import_string("accounts.alerting.registry.check_thresholds")
        )  # its rules stand on the models
