"""One database, three roles: only the owner's alias may migrate."""

from typing import Any

from django.db import models


class OwnerMigrates:
    """Refuses migrations on every alias but `owner`; all aliases see the same rows, relations may cross."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:  # noqa: ARG002 (Django's)
        """Allow DDL by the owner's role alone."""
        return db == "owner"

    def allow_relation(self, obj1: models.Model, obj2: models.Model, **hints: Any) -> bool:  # noqa: ARG002
        """Allow relations between rows that were read through different roles."""
        return True
