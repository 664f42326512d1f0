"""The administration of previews in the admin, a module for each thing that is looked after."""

from previews.admin import keys, log_links, previews, sites  # each registers its own

__all__ = ["keys", "log_links", "previews", "sites"]
