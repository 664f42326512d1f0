"""How accounts speaks of collections and fields, which live in a room above: through one object named in settings."""

from typing import Protocol, cast
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.access import DataClass


class Directory(Protocol):
    """Translates the keys that people use into the ids that policies and scopes keep, and back."""

    def collections(self) -> list[tuple[UUID, str, str]]:
        """Return (id, key, name) of every collection that has entries of its own, in the order of names."""
        ...

    def collection_id(self, key: str) -> UUID | None: ...
    def collection_key(self, collection_id: UUID) -> str | None: ...
    def field_id(self, collection_id: UUID, key: str) -> UUID | None: ...
    def field_key(self, collection_id: UUID, field_id: UUID) -> str | None: ...
    def field_data_class(self, collection_id: UUID, field_id: UUID) -> DataClass | None: ...
    def filter_problem(self, collection_id: UUID, field_id: UUID, operator: str, value: object) -> str | None:
        """Return why this comparison makes no sense for the field, or None when it does."""
        ...


def directory() -> Directory:
    """Return the directory that `settings.RESOURCE_DIRECTORY` names."""
    return cast("Directory", import_string(settings.RESOURCE_DIRECTORY)())
