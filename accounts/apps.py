"""The app configuration of accounts."""

from operator import attrgetter

from django.apps import AppConfig
from django.core.checks import register
from django.utils.module_loading import import_string

from accounts import encrypted


class AccountsConfig(AppConfig):
    """Users, roles, policies, keys, sessions and the log."""

    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks of our own settings, what monitoring is told, and what the key ring encrypts."""
        import_string("accounts.measuring.register")(import_string("accounts.measures.MEASURES"))
        register(
            import_string("accounts.alerting.registry.check_thresholds")
        )  # its rules stand on the models
        encrypted.register("accounts.Authenticator", "secret", attrgetter("context"))
        for kind in ("accounts.keys.ring_kind.register", "accounts.keys.secret_key_kind.register"):
            import_string(kind)()
