"""Incoming webhooks in the admin: sources, and the receipts of what they sent."""
