"""Who sits at the admin, and what of the content they may open: one principal and one schema for a whole request."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest

from accounts.access import Action, Principal
from accounts.errors import NotFoundError
from accounts.principals import of_request
from content.fields.base import FieldSpec
from content.models import DraftDocument, DraftSearch, Entry, Version
from content.query import Plane, Reader
from content.reading import note_entry
from content.schema import CollectionSpec, Schema, current
from content.writing import Writing, allowed_fields, clauses_for

DRAFTS = Plane(model=DraftDocument, words=DraftSearch, using="default", action=Action.READ_DRAFT, drafts=True)


@dataclass(frozen=True)
class Desk:
    """What every page of the admin needs to know."""

    principal: Principal
    schema: Schema

    @classmethod
    def of(cls, request: HttpRequest) -> "Desk":
        """Return the desk of a request; the principal and the schema are read once."""
        known = getattr(request, "_content_desk", None)
        if isinstance(known, cls):
            return known
        desk = cls(of_request(request), current())
        request._content_desk = desk  # type: ignore[attr-defined]  # noqa: SLF001 (ours; nobody else reads it)
        return desk

    def may(self, action: Action, collection: CollectionSpec) -> bool:
        """Tell whether the action is open for any row of the collection."""
        return bool(self.principal.grant(action, on=collection.resource))

    def opens(self, collection: CollectionSpec) -> bool:
        """Tell whether the collection is there at all for this principal."""
        return collection.has_entries and (
            self.may(Action.READ_DRAFT, collection) or self.may(Action.CREATE, collection)
        )

    def writing(self, key: str) -> Writing:
        """Start work on a collection by key, or raise `NotFoundError`, also for what is closed."""
        found = self.schema.by_key.get(key)
        if found is None or not self.opens(found):
            raise NotFoundError
        return Writing(self.schema, found, self.principal)

    def reader(self, locale: str | None) -> Reader:
        """Return the gate to drafts in a locale (default: the default locale)."""
        return Reader.of(DRAFTS, self.schema, self.principal, locale)

    def locales_of(self, collection: CollectionSpec) -> list[str]:
        """Return the codes of the locales that entries of the collection are written in, the default one first."""
        if not collection.localized:
            return [self.schema.default_locale.code]
        return [locale.code for locale in self.schema.locales]


@dataclass(frozen=True)
class OpenEntry:
    """An entry that the principal may see in a locale: its newest version, and what of it may be read and written."""

    writing: Writing
    row: Entry
    latest: Version
    locale: str
    readable: frozenset[FieldSpec]
    writable: frozenset[FieldSpec]
    drafts: tuple[DraftDocument, ...]  # the rows of the entry that may be seen, the default locale's first
    may: frozenset[Action]

    @property
    def title(self) -> str:
        """What people call the entry, as far as its title may be read."""
        return title_of(self.writing.collection, self.row.pk, list(self.drafts), self.locale, self.readable)

    @property
    def status(self) -> str:
        """The state in this locale; "" where nothing is written yet."""
        return next((state_of(draft) for draft in self.drafts if draft.locale == self.locale), "")

    @property
    def is_in_trash(self) -> bool:
        return self.row.trashed_at is not None

    def fields(self) -> list[FieldSpec]:
        """Return the fields to show, in their order."""
        shown = self.readable | self.writable
        return [spec for spec in self.writing.collection.fields if spec in shown]

    def readable_fields(self) -> list[FieldSpec]:
        """Return the fields that may be read, in their order."""
        return [spec for spec in self.writing.collection.fields if spec in self.readable]


ACTS = (Action.UPDATE, Action.DELETE, Action.PUBLISH, Action.UNPUBLISH, Action.RESTORE, Action.PURGE)


def open_entry(desk: Desk, key: str, name: UUID, locale: str | None) -> OpenEntry:
    """Return an entry for its pages, or raise `NotFoundError`: hidden, of another collection and missing are the same.

    Without a locale it is the default one, else the first that the principal may see.
    """
    writing = desk.writing(key)
    collection = writing.collection
    row = Entry.objects.filter(pk=name, collection_id=collection.id).first()
    if row is None:
        raise NotFoundError
    present = desk.locales_of(collection)
    if locale is not None and locale not in present:
        raise NotFoundError
    rank = {code: number for number, code in enumerate(present)}
    visible = desk.reader(None).in_any_locale(collection).filter(entry=row)
    drafts = tuple(sorted(visible, key=lambda draft: rank.get(draft.locale, len(rank))))
    if not drafts:
        raise NotFoundError
    locale = locale or drafts[0].locale
    held = clauses_for(row, Action.READ_DRAFT, writing, [locale])
    if not held:
        raise NotFoundError
    rights = {
        action: clauses_for(row, action, writing, [locale]) for action in ACTS if desk.may(action, collection)
    }
    return OpenEntry(
        writing=writing,
        row=row,
        latest=row.versions.get(number=row.latest_number),
        locale=locale,
        readable=frozenset(allowed_fields(held, collection)),
        writable=frozenset(allowed_fields(rights.get(Action.UPDATE, ()), collection)),
        drafts=drafts,
        may=frozenset(action for action, clauses in rights.items() if clauses),
    )


def note_read(
    desk: Desk, entry: OpenEntry, *, versions: Iterable[int] = (), specs: Iterable[FieldSpec] | None = None
) -> None:
    """Log that a page shows what is written in an entry: the newest version, or those named."""
    note_entry(
        entry.writing.collection,
        entry.row.pk,
        # Pages mask what is personal or secret: what they reveal is named.
        [spec for spec in entry.readable if not spec.is_sensitive] if specs is None else specs,
        by=desk.principal,
        locale=entry.locale,
        versions=versions,
        where="admin",
    )


def title_of(
    collection: CollectionSpec,
    entry_id: UUID,
    drafts: list[DraftDocument],
    locale: str,
    readable: frozenset[FieldSpec],
) -> str:
    """Return an entry's title in a locale, else in another one; without one that may be read, the end of its id."""
    if collection.title_field in readable:
        ordered = sorted(drafts, key=lambda draft: draft.locale != locale)
        found = next((draft.title for draft in ordered if draft.title.strip()), "")
        if found:
            return found
    return f"Untitled ({str(entry_id)[-6:]})"


def isolated(title: str) -> str:
    """Return a title that stays in one piece within a sentence of another direction (Unicode TR 9: FSI … PDI)."""
    return f"\u2068{title}\u2069"


def state_of(draft: DraftDocument) -> str:
    """Return the word for a draft's state that lists, forms and the API share."""
    return "trashed" if draft.trashed else draft.status
