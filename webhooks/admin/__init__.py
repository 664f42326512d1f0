"""The administration of webhooks in the admin."""

from webhooks.incoming.admin import log_links, receipts, sources  # each registers its own

__all__ = ["log_links", "receipts", "sources"]
