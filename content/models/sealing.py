"""The keys of entries that hold personal or secret values, and what rows with such values share."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast
from uuid import UUID

from django.db import models

from accounts.canonical import Json
from content.sealed_values import EntryKey, ValuesLostError, context_of, is_sealed, opened


class DataKey(models.Model):
    """The key of one entry's sealed values, wrapped by the key ring. Rotating the ring wraps it anew; values stay.

    Erasing the entry erases it: versions that are left somewhere else are of no use without it.
    """

    entry = models.OneToOneField(
        "content.Entry", primary_key=True, on_delete=models.CASCADE, related_name="data_key"
    )
    wrapped = models.TextField()

    def __str__(self) -> str:
        return f"key of {self.entry_id}"

    @property
    def context(self) -> str:
        """The context that `wrapped` is authenticated with."""
        return context_of(self.entry_id)

    @property
    def key(self) -> EntryKey:
        """The key itself. Raises ValuesLostError."""
        return EntryKey.unwrapped(self.entry_id, self.wrapped)


class SealedRow(models.Model):
    """A row that holds values of an entry. `sealed` is what the table holds, `data` the same opened.

    Opening asks for the entry's key, once for a row, and only where something is sealed.
    """

    sealed = models.JSONField(db_column="data", default=dict)

    class Meta:
        abstract = True

    def __getstate__(self) -> dict[str, Any]:
        """Leave the key behind: what is pickled goes somewhere else."""
        return {name: value for name, value in super().__getstate__().items() if name != "_entry_key"}

    @property
    def data(self) -> Any:
        """The values as people wrote them. Raises ValuesLostError."""
        return opened(self.sealed, self._find_key)

    @property
    def has_sealed(self) -> bool:
        """Whether opening needs the key."""
        return any(is_sealed(value) for value in self.sealed.values())

    def know(self, key: EntryKey) -> None:
        """Take the key that somebody looked up for many rows."""
        self.__dict__["_entry_key"] = key

    def _find_key(self) -> EntryKey:
        return self._entry_key

    @cached_property
    def _entry_key(self) -> EntryKey:
        row = cast("Any", self)
        entry = self._state.fields_cache.get("entry")
        if entry is not None:
            return cast("EntryKey", entry.sealing_key)
        return key_of(row.entry_id, using=self._state.db or "default")


def key_of(entry_id: UUID, *, using: str = "default") -> EntryKey:
    """Return the key of an entry's sealed values. Raises ValuesLostError when it has none (any more)."""
    found = DataKey.objects.using(using).filter(entry_id=entry_id).first()
    if found is None:
        raise ValuesLostError(entry_id)
    return found.key


def opened_places(data: Mapping[str, Mapping[str, Json]], row: SealedRow) -> dict[str, dict[str, Json]]:
    """Return a version's data with the values of every place opened."""
    return {place: opened(values, row._find_key) for place, values in data.items()}  # noqa: SLF001 (same module)
