"""The administration of webhooks in the admin, a module for each thing that is looked after."""

from webhooks.admin import deliveries, endpoints, log_links  # each registers its own

__all__ = ["deliveries", "endpoints", "log_links"]
