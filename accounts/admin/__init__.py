"""The administration of accounts in the admin, a module for each thing that is looked after."""

from accounts.admin import keys, log, people, policies, roles, services  # each registers its own

__all__ = ["keys", "log", "people", "policies", "roles", "services"]
