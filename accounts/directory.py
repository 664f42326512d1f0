"""How accounts speaks of collections and fields, which live in a room above: through one object named in settings."""

from dataclasses import dataclass
from typing import Literal, Protocol, cast
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from accounts.access import DataClass, Grant, Operator
from accounts.canonical import Scalar

Input = Literal["text", "number", "date", "datetime", "boolean", "choice"]


@dataclass(frozen=True, slots=True)
class FieldLabel:
    """A field as people know it. `operators`: how conditions can compare it; none when they can't."""

    id: UUID
    key: str
    name: str
    data_class: str
    operators: tuple[Operator, ...] = ()
    input: Input = "text"
    choices: tuple[tuple[str, str], ...] = ()  # (value, label), where the values are a list


@dataclass(frozen=True, slots=True)
class CollectionLabel:
    """A collection as people know it, with its fields in their order."""

    id: UUID
    key: str
    name: str
    fields: tuple[FieldLabel, ...] = ()

    def field(self, field_id: UUID) -> FieldLabel | None:
        return next((item for item in self.fields if item.id == field_id), None)


class Directory(Protocol):
    """Translates the keys that people use into the ids that policies and scopes keep, and back."""

    def collections(self) -> tuple[CollectionLabel, ...]:
        """Return every collection that a policy can be about, by name."""
        ...

    def locales(self) -> tuple[tuple[str, str], ...]:
        """Return (code, name) of every locale, the default one first."""
        ...

    def collection_id(self, key: str) -> UUID | None: ...
    def collection_key(self, collection_id: UUID) -> str | None: ...
    def field_id(self, collection_id: UUID, key: str) -> UUID | None: ...
    def field_key(self, collection_id: UUID, field_id: UUID) -> str | None: ...
    def field_data_class(self, collection_id: UUID, field_id: UUID) -> DataClass | None: ...
    def filter_problem(self, collection_id: UUID, field_id: UUID, operator: str, value: object) -> str | None:
        """Return why this comparison makes no sense for the field, or None when it does."""
        ...

    def count_entries(
        self, collection_id: UUID, before: Grant, after: Grant, *, is_draft: bool
    ) -> tuple[tuple[int, bool], tuple[int, bool]]:
        """Return (number, whether there are more) of the entries that the second grant shows and the first does not,
        and of those that the first shows and the second does not.
        """
        ...

    def condition_value(self, collection_id: UUID, field_id: UUID, text: str) -> Scalar:
        """Return what is typed as the field is compared with. Raises ValueError with a sentence."""
        ...


def directory() -> Directory:
    """Return the directory that `settings.RESOURCE_DIRECTORY` names."""
    return cast("Directory", import_string(settings.RESOURCE_DIRECTORY)())
