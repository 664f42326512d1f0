"""One document in its locales becomes one entry: what of it is new or changed is saved, and published if it may be."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from accounts.canonical import Json
from accounts.errors import InvalidInputError
from accounts.models import Archive, Event
from content import documents, editing, publishing
from content.documents import SHARED, VersionData
from content.fields.base import FieldSpec
from content.importing import sources
from content.importing.front_matter import MarkdownDocument, Value
from content.importing.inference import DRAFT, slug_source
from content.importing.planning import Plan
from content.importing.references import Names
from content.importing.sources import Source
from content.importing.values import REFERENCES, input_for
from content.models import DraftDocument, Entry, UniqueValue, Version
from content.sealing import with_keys
from content.writing import Writing


@dataclass(slots=True)
class Page:
    """One document on its way in: its input by field key, and what was stored of it before."""

    source: Source
    locale: str
    document: MarkdownDocument
    values: dict[str, object] = field(default_factory=dict)
    imported: VersionData | None = None  # the entry as it was when this file was imported last
    is_draft: bool = False
    overruled: list[str] = field(default_factory=list)  # keys whose value another locale's file decides


@dataclass(frozen=True, slots=True)
class Known:
    """What the database holds of one batch."""

    entries: Mapping[str, tuple[UUID, int, bool]]  # key of a document: entry, latest version, whether trashed
    imported: Mapping[tuple[UUID, str], VersionData]  # by entry and message
    drafts: Mapping[tuple[UUID, str], DraftDocument]  # by entry and locale
    by_hand: frozenset[UUID] = frozenset()  # entries that happen to have the slug of a document


@dataclass(slots=True)
class Outcome:
    """What became of some pages."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    published: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)


class Pages:
    """Writes documents by a plan. The caller holds the transaction, and a savepoint for each call of `write`."""

    def __init__(self, plan: Plan, names: Names, *, writing: Writing, publish: bool) -> None:
        self.plan = plan
        self.names = names
        self.writing = writing
        self.publish = publish

    def prepare(self, page: Page) -> None:
        """Look up, or make, what the front matter refers to."""
        for name, spec in self.plan.takes.items():
            if spec.type in REFERENCES and name in page.document.front:
                self.names.prepare(spec, page.document.front[name], self.writing)

    def look_up(self, groups: list[list[Page]]) -> Known:
        """Read what the database holds of a batch: four or five queries."""
        spec = self.plan.path or self.plan.slug
        if spec is None:  # the plan has one of them
            return Known({}, {}, {})
        keys = {
            documents.digest_of(name): group[0].source.key
            for group in groups
            if (name := self._identity(group))
        }
        claims = UniqueValue.objects.filter(field_id=spec.id, digest__in=keys)
        owners = {keys[digest]: entry for digest, entry in claims.values_list("digest", "entry_id")}
        rows = Entry.objects.filter(pk__in=owners.values()).values_list("pk", "latest_number", "trashed_at")
        states = {pk: (pk, number, trashed is not None) for pk, number, trashed in rows}
        messages = {page.source.message for group in groups for page in group}
        versions = (
            Version.objects.filter(entry_id__in=states, message__in=messages)
            .order_by("entry_id", "message", "-number")
            .distinct("entry_id", "message")
        )
        imported = {(version.entry_id, version.message): version.data for version in with_keys(versions)}
        drafts = DraftDocument.objects.filter(entry_id__in=states).defer("sealed", "refs")
        return Known(
            {key: states[entry] for key, entry in owners.items()},
            imported,
            {(draft.entry_id, draft.locale): draft for draft in drafts},
            self._by_hand(states) if self.plan.path is None else frozenset(),
        )

    @staticmethod
    def _by_hand(entries: Collection[UUID]) -> frozenset[UUID]:
        """Return those of the entries that no import has written to."""
        versions = Version.objects.filter(entry_id__in=entries, message__startswith=sources.MESSAGE)
        return frozenset(entries) - set(versions.values_list("entry_id", flat=True))

    def _identity(self, group: list[Page]) -> str | None:
        """Return the value by which the entry of a document is found: its path, or else its slug."""
        if self.plan.path is not None:
            return group[0].source.key
        given = group[0].document.front.get("slug")
        return self.plan.slug_of(given if isinstance(given, str) and given else group[0].source.key)

    def write(self, pages: list[Page], group: list[Page], known: Known) -> Outcome:
        """Write some pages of a document. Raises DomainError; then the caller's savepoint takes all of it back."""
        outcome = Outcome()
        held = known.entries.get(group[0].source.key)
        if held is not None and held[2]:
            raise InvalidInputError("Its entry is in the trash. Restore it, or erase it.")
        if held is not None and held[0] in known.by_hand:
            raise InvalidInputError("Somebody has written an entry with this slug.")
        entry_id, number = (held[0], held[1]) if held else (None, 0)
        self._fill(pages, group, entry_id, known)
        for page in pages:
            outcome.notes += [(page.source.path, note) for note in page.overruled]
            draft = known.drafts.get((entry_id, page.locale)) if entry_id else None
            if entry_id is None:
                given = {key: value for key, value in page.values.items() if value is not None}
                entry = editing.create(
                    given, writing=self.writing, locale=page.locale, message=page.source.message
                )
            elif page.imported is not None and self._is_same(page):
                outcome.unchanged += 1
                continue
            else:
                entry = editing.save(
                    entry_id,
                    page.values,
                    writing=self.writing,
                    base=number,
                    locale=page.locale,
                    message=page.source.message,
                )
            changed = entry.latest_number != number
            entry_id, number = entry.pk, entry.latest_number
            outcome.created += draft is None
            outcome.updated += draft is not None and changed
            outcome.unchanged += draft is not None and not changed
        if entry_id is not None and self.publish:
            self._publish(entry_id, pages, known, outcome)
        return outcome

    def _fill(self, pages: list[Page], group: list[Page], entry_id: UUID | None, known: Known) -> None:
        """Put in the input of each page; what all locales share comes from the first of the group that has it."""
        collection = self.writing.collection
        slugs: set[str] = set()  # where a page has answered for the slug: in a locale, or for all of them
        for page in pages:
            page.is_draft = page.document.front.get(DRAFT) is True
            page.imported = known.imported.get((entry_id, page.source.message)) if entry_id else None
            page.values, page.overruled = {}, []
            for name, spec in self.plan.takes.items():
                leads = next(
                    (other for other in group if other.document.front.get(name) is not None), group[0]
                )
                if leads is not page and not (spec.localized and collection.localized):
                    if page.document.front.get(name) not in (None, leads.document.front.get(name)):
                        page.overruled.append(
                            f"{name} is the same in all locales, as in {leads.source.path}."
                        )
                    continue
                value = self._input(spec, page.document.front.get(name))
                if value is not None or spec.default is None:
                    page.values[spec.key] = value
            if self.plan.title is not None and page.values.get(self.plan.title.key) is None:
                page.values[self.plan.title.key] = _heading(page.document.body)
            page.values[self.plan.body.key] = page.document.body
            if self.plan.path is not None:
                page.values[self.plan.path.key] = page.source.key
            self._fill_slug(page, entry_id, slugs)

    def _input(self, spec: FieldSpec, value: Value) -> object:
        return self.names.input_for(spec, value) if spec.type in REFERENCES else input_for(spec, value)

    def _fill_slug(self, page: Page, entry_id: UUID | None, answered: set[str]) -> None:
        """Give a slug to what is new: the one in the front matter, else of the file's name, else of its path.

        One that is there already changes only when the front matter asks for another that is free.
        """
        if self.plan.slug is None or (entry_id is not None and self.plan.path is None):
            return
        place = editing.place_of(self.plan.slug, self.writing.collection, page.locale)
        if place in answered:
            return
        answered.add(place)
        wanted = page.document.front.get("slug")
        words = [wanted] if isinstance(wanted, str) else []
        present = (page.imported or {}).get(place, {}).get(str(self.plan.slug.id))
        if entry_id is None or (page.imported is None and place != SHARED):
            words += [slug_source(page.source.key)] if self.plan.path is not None else []
            words += [page.source.key]
        elif page.imported is None:
            return
        entry = Entry(pk=entry_id) if entry_id else None
        for slug in filter(None, map(self.plan.slug_of, words)):
            if slug == present:
                return
            if not self.writing.taken([(self.plan.slug.id, place, documents.digest_of(slug))], entry):
                page.values[self.plan.slug.key] = slug
                return

    def _is_same(self, page: Page) -> bool:
        """Tell whether the file says what it said when it was imported last; what people changed since stays."""
        collection, before = self.writing.collection, page.imported or {}

        def stored(spec: FieldSpec) -> Json:
            return before.get(editing.place_of(spec, collection, page.locale), {}).get(str(spec.id))

        # Cleaning a long text takes its time; what is stored as it stands in the file needs none.
        differing = {
            key: value for key, value in page.values.items() if stored(collection.by_key[key]) != value
        }
        cleaned = editing.clean(differing, self.writing, writable=set(collection.fields))
        return all(stored(spec) == value for spec, value in cleaned.items())

    def _publish(self, entry_id: UUID, group: list[Page], known: Known, outcome: Outcome) -> None:
        """Publish what the import brought. It neither brings back what people withdrew nor shows what they work on."""
        now = {
            draft.locale: draft
            for draft in DraftDocument.objects.filter(entry_id=entry_id).defer("sealed", "refs")
        }
        chosen: list[str] = []
        for page in group:
            draft, before = now.get(page.locale), known.drafts.get((entry_id, page.locale))
            if page.is_draft or draft is None or draft.status == DraftDocument.Status.PUBLISHED:
                continue
            if (
                before is not None
                and before.status == DraftDocument.Status.CHANGED
                and self._is_edited(before)
            ):
                outcome.notes.append((page.source.path, "Not published: the entry has changes by others."))
            elif (
                before is not None and before.status == DraftDocument.Status.DRAFT and _was_withdrawn(before)
            ):
                outcome.notes.append((page.source.path, "Not published: it was unpublished here."))
            else:
                chosen.append(page.locale)
        if chosen:
            publishing.publish(entry_id, writing=self.writing, locales=chosen)
            outcome.published += len(chosen)

    @staticmethod
    def _is_edited(draft: DraftDocument) -> bool:
        """Tell whether anything but an import saved the entry since it was published."""
        later = Version.objects.filter(entry_id=draft.entry_id, number__gt=draft.published_number or 0)
        return later.exclude(message__startswith=sources.MESSAGE).exists()


def _heading(body: str) -> str | None:
    """Return the heading that a document without a title in its front matter begins with."""
    first = body.lstrip().partition("\n")[0]
    return first[2:].strip().rstrip("#").strip() or None if first.startswith("# ") else None


def _was_withdrawn(draft: DraftDocument) -> bool:
    """Tell whether people unpublished it; where the log of that time is in an archive, in doubt they did."""
    told = Event.objects.about("entry", str(draft.entry_id))
    if told.filter(type="entry.unpublished", locale=draft.locale).exists():
        return True
    return Archive.objects.exists() and not told.filter(type="entry.created").exists()
