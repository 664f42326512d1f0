"""Webhooks: endpoints, signing, delivery, retries, and inbound sources."""
