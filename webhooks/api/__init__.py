"""The APIs of webhooks."""
