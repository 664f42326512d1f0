"""The tables of content, a module for each concern."""

from content.models.entries import DraftDocument, DraftSearch, Entry, Reference, UniqueValue, Version
from content.models.maintenance import FieldIndex, Rebuild
from content.models.published import PublishedDocument, PublishedSearch
from content.models.schema import Collection, Field, Locale

__all__ = [
    "Collection",
    "DraftDocument",
    "DraftSearch",
    "Entry",
    "Field",
    "FieldIndex",
    "Locale",
    "PublishedDocument",
    "PublishedSearch",
    "Rebuild",
    "Reference",
    "UniqueValue",
    "Version",
]
