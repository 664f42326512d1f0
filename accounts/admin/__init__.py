"""The administration of accounts in the admin, a module for each thing that is looked after."""

from accounts.admin import alerts, keys, log, people, policies, roles, services  # each registers its own

__all__ = ["alerts", "keys", "log", "people", "policies", "roles", "services"]
