"""The tables of webhooks: sources with their secrets, and receipts of what they sent."""

from webhooks.models.source import Receipt, Source, SourceSecret

__all__ = ["Receipt", "Source", "SourceSecret"]
