"""The administration of webhooks in the admin, a module for each thing that is looked after."""

from webhooks.admin import deliveries, endpoints, log_links  # each registers its own
from webhooks.incoming.admin import log_links as incoming_links
from webhooks.incoming.admin import receipts, sources

__all__ = ["deliveries", "endpoints", "incoming_links", "log_links", "receipts", "sources"]
