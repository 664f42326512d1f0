"""The tables of content, a module for each concern."""

from content.models.backup import Backup
from content.models.desk import ListLayout, SavedView, Visit
from content.models.entries import DraftDocument, DraftSearch, Entry, Reference, UniqueValue, Version
from content.models.maintenance import FieldIndex, Rebuild
from content.models.published import PublishedDocument, PublishedSearch
from content.models.schema import Collection, Field, Locale
from content.models.sealing import DataKey
from content.models.submission import Submission

__all__ = [
    "Backup",
    "Collection",
    "DataKey",
    "DraftDocument",
    "DraftSearch",
    "Entry",
    "Field",
    "FieldIndex",
    "ListLayout",
    "Locale",
    "PublishedDocument",
    "PublishedSearch",
    "Rebuild",
    "Reference",
    "SavedView",
    "Submission",
    "UniqueValue",
    "Version",
    "Visit",
]
