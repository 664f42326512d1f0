"""Running an import: which documents are new, changed or as before; written in batches, each bad one by itself.

Everything goes through the verbs of `content.editing` and `content.publishing`, so through the same validators and the
same questions of rights as the API (what an import lets in unchecked is stored for ever: CVE-2026-70588).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import DataError, transaction

from accounts.access import Principal
from accounts.canonical import Json
from accounts.errors import DomainError, InvalidInputError
from accounts.models import Event
from content import documents, editing, fields, modeling, publishing, schema
from content.documents import SHARED, VersionData
from content.fields.base import FieldSpec
from content.fields.slug import SlugField
from content.importing import inference, sources
from content.importing.front_matter import DocumentError, MarkdownDocument, Value
from content.importing.inference import BODY, DRAFT, SOURCE_PATH, slug_source, slug_words
from content.importing.languages import language
from content.importing.references import Names
from content.importing.sources import LocalePattern, Source
from content.importing.values import REFERENCES, field_key, input_for
from content.locales import create_locale
from content.models import DraftDocument, Entry, UniqueValue, Version
from content.writing import Writing

BATCH = 50
MAX_REASON = 500

Progress = Callable[[int, int], None]  # documents done, documents in all


class ImportRefusedError(Exception):
    """The import can't start; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for."""

    folder: Path
    collection: str
    by: Principal
    create: bool = False
    publish: bool = True
    pattern: LocalePattern | None = None
    dry_run: bool = False


@dataclass(slots=True)
class Result:
    """What came of it. Documents are counted, not entries: one entry may hold a document of each locale."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    published: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)  # path, reason
    notes: list[tuple[str, str]] = field(default_factory=list)
    ignored: dict[str, tuple[int, str]] = field(default_factory=dict)  # front-matter key: documents, reason
    gone: list[str] = field(default_factory=list)  # imported earlier, no longer in the folder
    made: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        def listed(pairs: list[tuple[str, str]]) -> list[dict[str, str]]:
            return [{"path": path, "reason": reason} for path, reason in pairs]

        return {
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "published": self.published,
            "failed": listed(self.failed),
            "notes": listed(self.notes),
            "ignored": [
                {"key": key, "documents": count, "reason": reason}
                for key, (count, reason) in self.ignored.items()
            ],
            "gone": self.gone,
            "made": self.made,
            "seconds": round(self.seconds, 2),
        }


@dataclass(slots=True)
class _Page:
    """One document on its way in: its input by field key, and what was stored of it before."""

    source: Source
    locale: str
    document: MarkdownDocument
    values: dict[str, object] = field(default_factory=dict)
    imported: VersionData | None = None  # the entry as it was when this file was imported last
    is_draft: bool = False
    overruled: list[str] = field(default_factory=list)  # keys whose value another locale's file decides


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database holds of one batch."""

    entries: Mapping[str, tuple[UUID, int, bool]]  # key of a document: entry, latest version, whether trashed
    imported: Mapping[tuple[UUID, str], VersionData]  # by entry and message
    drafts: Mapping[tuple[UUID, str], DraftDocument]  # by entry and locale


@dataclass(slots=True)
class _Outcome:
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    published: int = 0
    notes: list[tuple[str, str]] = field(default_factory=list)


def run(options: Options, progress: Progress) -> Result:
    """Import a folder. Raises ImportRefusedError before anything is written; a bad document is listed, not raised."""
    started = time.monotonic()
    importer = _Import(options, progress)
    if options.dry_run:
        with transaction.atomic():  # everything is really tried, and then taken back
            importer.run()
            transaction.set_rollback(True)
    else:
        importer.run()
    importer.result.failed.sort()
    importer.result.seconds = time.monotonic() - started
    return importer.result


class _Import:
    """One run. The order is fixed by the paths, so two runs over the same files do the same."""

    def __init__(self, options: Options, progress: Progress) -> None:
        self.options = options
        self.progress = progress
        self.result = Result()
        self.seen: set[str] = set()
        self.left_out: Mapping[str, str] = {}

    def run(self) -> None:
        scanned = self._scan()
        if self.options.create:
            self._create(scanned)
        groups = self._with_locales(scanned)
        self.writing = self._start()
        self.names = Names(
            by=self.options.by,
            known=inference.known_names(scanned),
            handles=inference.handles(scanned),
            create=self.options.create,
            publish=self.options.publish,
        )
        self._plan(scanned)
        scanned.clear()
        total, done = sum(len(group) for group in groups), 0
        self.progress(0, total)
        for batch in _batches(groups):
            self._batch(batch)
            done += sum(len(group) for group in batch)
            self.progress(done, total)
        self.result.gone = self._gone()

    # What there is

    def _scan(self) -> dict[str, list[tuple[Source, Mapping[str, Value]]]]:
        """Read every file's front matter once; what can't be read is listed as failed."""
        found: dict[str, list[tuple[Source, Mapping[str, Value]]]] = {}
        places: dict[tuple[str, str], str] = {}
        for item in sources.find(self.options.folder, self.options.pattern):
            if not isinstance(item, Source):
                self.result.failed.append(item)
                continue
            self.seen.add(item.message)
            place = (item.key, (item.locale or "").lower())
            if place in places:
                self.result.failed.append((item.path, f"The same document as {places[place]}."))
                continue
            try:
                front = sources.read(self.options.folder, item).front
            except DocumentError as error:
                self.result.failed.append((item.path, str(error)))
                continue
            places[place] = item.path
            found.setdefault(item.key, []).append((item, front))
        return dict(sorted(found.items()))

    def _create(self, scanned: inference.Documents) -> None:
        """Make what is missing: the collection, the authors' collection, locales that are languages."""
        by = self.options.by
        present = schema.current()
        try:
            with transaction.atomic():
                for code in sorted({s.locale for group in scanned.values() for s, _ in group if s.locale}):
                    known = language(code)
                    if known is not None and _locale_of(code, present) is None:
                        raw = {"code": code, "name": known.name, "fallback": [], "direction": known.direction}
                        create_locale(raw, by=by)
                        self.result.made.append(f"locale {code}")
                if self.options.collection not in present.by_key:
                    localized = self.options.pattern is not None
                    design = inference.infer(self.options.collection, scanned, localized=localized)
                    if design.has_authors and inference.AUTHORS not in present.by_key:
                        modeling.create_collection(inference.authors_collection(), by=by)
                        self.result.made.append(f"collection {inference.AUTHORS}")
                    modeling.create_collection(design.collection, by=by)
                    self.result.made.append(f"collection {self.options.collection}")
                    self.left_out = design.left_out
        except DomainError as error:
            raise ImportRefusedError(f"The collection can't be created: {_reason(error)}") from error

    def _with_locales(self, scanned: inference.Documents) -> list[list[tuple[Source, str]]]:
        """Return the documents with the codes of their locales; of each, the default locale comes first."""
        present = schema.current()
        default = present.default_locale.code
        groups: list[list[tuple[Source, str]]] = []
        for group in scanned.values():
            chosen: list[tuple[Source, str]] = []
            for source, _ in group:
                code = default if source.locale is None else _locale_of(source.locale, present)
                if code is None:
                    self.result.failed.append((source.path, f"There is no locale {source.locale}."))
                else:
                    chosen.append((source, code))
            if chosen:
                groups.append(sorted(chosen, key=lambda pair: (pair[1] != default, pair[1])))
        return groups

    def _start(self) -> Writing:
        try:
            writing = Writing.on(self.options.collection, by=self.options.by)
        except DomainError as error:
            hint = "" if self.options.create else " Add --create to make it from the documents."
            raise ImportRefusedError(f"There is no collection {self.options.collection}.{hint}") from error
        if writing.collection.kind != "many":
            raise ImportRefusedError("Only a collection of many entries can be imported into.")
        return writing

    def _plan(self, scanned: inference.Documents) -> None:
        """Decide which field takes what, and by which field a document finds its entry again."""
        collection = self.writing.collection
        bodies = [
            spec for kind in ("markdown", "long_text") for spec in collection.fields if spec.type == kind
        ]
        named_body = collection.by_key.get(BODY)
        self.body = named_body if named_body in bodies else next(iter(bodies), None)
        self.title = collection.title_field
        self.slug = collection.slug_field
        path = collection.by_key.get(SOURCE_PATH)
        self.path = path if path and path.type == "text" and path.unique and not path.localized else None
        if self.body is None:
            raise ImportRefusedError("The collection has no field of type markdown for the text.")
        if self.path is None and self.slug is None:
            raise ImportRefusedError(
                f"The collection needs a slug, or a unique text field {SOURCE_PATH}, to find documents again."
            )
        self.takes: dict[str, FieldSpec] = {}
        counts = Counter(name for group in scanned.values() for _, front in group for name in front)
        special = {spec.key for spec in (self.body, self.path, self.slug) if spec is not None}
        taken: set[str] = set(special)
        for name, count in counts.most_common():
            spec = self.title if name == "title" and "title" not in collection.by_key else None
            spec = spec or collection.by_key.get(field_key(name))
            if (name == DRAFT and spec is None) or (
                name == "slug" and self.slug and spec in (None, self.slug)
            ):
                continue
            if spec is None or spec.key in taken or name in self.left_out:
                reason = self.left_out.get(name) or "The collection has no field of its own for it."
                self.result.ignored[name] = (count, reason)
                continue
            taken.add(spec.key)
            self.takes[name] = spec

    # Batches

    def _batch(self, groups: Sequence[Sequence[tuple[Source, str]]]) -> None:
        pages = [group for group in map(self._read_group, groups) if group]
        with transaction.atomic():
            for group in pages:
                for page in group:
                    for name, spec in self.takes.items():
                        if spec.type in REFERENCES and name in page.document.front:
                            self.names.prepare(spec, page.document.front[name], self.writing)
            known = self._look_up(pages)
            for group in pages:
                self._group(group, known)

    def _read_group(self, group: Sequence[tuple[Source, str]]) -> list[_Page]:
        pages: list[_Page] = []
        for source, locale in group:
            try:
                pages.append(_Page(source, locale, sources.read(self.options.folder, source)))
            except DocumentError as error:  # it was readable a moment ago
                self.result.failed.append((source.path, str(error)))
        return pages

    def _look_up(self, groups: list[list[_Page]]) -> _Known:
        """Read what the database holds of a batch: four queries."""
        spec = self.path or self.slug
        if spec is None:
            return _Known({}, {}, {})
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
        imported = {
            (entry, message): data
            for entry, message, data in versions.values_list("entry_id", "message", "data")
        }
        drafts = DraftDocument.objects.filter(entry_id__in=states).defer("data", "refs")
        return _Known(
            {key: states[entry] for key, entry in owners.items()},
            imported,
            {(draft.entry_id, draft.locale): draft for draft in drafts},
        )

    def _identity(self, group: list[_Page]) -> str | None:
        """Return the value by which the entry of a document is found: its path, or else its slug."""
        if self.path is not None:
            return group[0].source.key
        given = group[0].document.front.get("slug")
        return self._slug_of(given if isinstance(given, str) and given else group[0].source.key)

    def _group(self, group: list[_Page], known: _Known) -> None:
        """Import one document in its locales: all at once, or one by one when one of them is bad."""
        try:
            with transaction.atomic():
                self._count(self._write(group, group, known))
            return
        except (DomainError, DataError) as error:
            if len(group) == 1:
                self.result.failed.append((group[0].source.path, _reason(error)))
                return
        found = known
        for page in group:
            try:
                with transaction.atomic():
                    outcome = self._write([page], group, found)
            except (DomainError, DataError) as error:
                self.result.failed.append((page.source.path, _reason(error)))
            else:
                self._count(outcome)
                found = self._look_up([group])

    def _write(self, pages: list[_Page], group: list[_Page], known: _Known) -> _Outcome:
        """Write some pages of a document. Raises DomainError; then the caller's savepoint takes all of it back."""
        outcome = _Outcome()
        held = known.entries.get(group[0].source.key)
        if held is not None and held[2]:
            raise InvalidInputError("Its entry is in the trash. Restore it, or erase it.")
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
        if entry_id is not None and self.options.publish:
            self._publish(entry_id, pages, known, outcome)
        return outcome

    def _count(self, outcome: _Outcome) -> None:
        self.result.created += outcome.created
        self.result.updated += outcome.updated
        self.result.unchanged += outcome.unchanged
        self.result.published += outcome.published
        self.result.notes += outcome.notes

    # One document

    def _fill(self, pages: list[_Page], group: list[_Page], entry_id: UUID | None, known: _Known) -> None:
        """Put in the input of each page; what all locales share comes from the first of the group that has it."""
        collection = self.writing.collection
        slugs: set[str] = set()  # where a page has answered for the slug: in a locale, or for all of them
        for page in pages:
            page.is_draft = page.document.front.get(DRAFT) is True
            page.imported = known.imported.get((entry_id, page.source.message)) if entry_id else None
            page.values, page.overruled = {}, []
            for name, spec in self.takes.items():
                leads = next(
                    (other for other in group if other.document.front.get(name) is not None), group[0]
                )
                if leads is not page and not (spec.localized and collection.localized):
                    if page.document.front.get(name) not in (None, leads.document.front.get(name)):
                        page.overruled.append(f"{name} is the same in all locales, as in {leads.source.path}.")
                    continue
                value = self._input(spec, page.document.front.get(name))
                if value is not None or spec.default is None:
                    page.values[spec.key] = value
            if self.title is not None and page.values.get(self.title.key) is None:
                page.values[self.title.key] = _heading(page.document.body)
            if self.body is not None:
                page.values[self.body.key] = page.document.body
            if self.path is not None:
                page.values[self.path.key] = page.source.key
            self._fill_slug(page, entry_id, slugs)

    def _input(self, spec: FieldSpec, value: Value) -> object:
        return self.names.input_for(spec, value) if spec.type in REFERENCES else input_for(spec, value)

    def _fill_slug(self, page: _Page, entry_id: UUID | None, answered: set[str]) -> None:
        """Give a slug to what is new: the one in the front matter, else of the file's name, else of its path.

        One that is there already changes only when the front matter asks for another that is free.
        """
        if self.slug is None or (entry_id is not None and self.path is None):
            return
        place = editing.place_of(self.slug, self.writing.collection, page.locale)
        if place in answered:
            return
        answered.add(place)
        wanted = page.document.front.get("slug")
        words = [wanted] if isinstance(wanted, str) else []
        present = (page.imported or {}).get(place, {}).get(str(self.slug.id))
        if entry_id is None or (page.imported is None and place != SHARED):
            words += [slug_source(page.source.key)] if self.path is not None else []
            words += [page.source.key]
        elif page.imported is None:
            return
        entry = Entry(pk=entry_id) if entry_id else None
        for slug in filter(None, map(self._slug_of, words)):
            if slug == present:
                return
            if not self.writing.taken([(self.slug.id, place, documents.digest_of(slug))], entry):
                page.values[self.slug.key] = slug
                return

    def _slug_of(self, text: str) -> str | None:
        slug_type = fields.get("slug")
        if self.slug is None or not isinstance(slug_type, SlugField):
            return None
        return slug_type.suggest(slug_words(text), self.slug)

    def _is_same(self, page: _Page) -> bool:
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

    def _publish(self, entry_id: UUID, group: list[_Page], known: _Known, outcome: _Outcome) -> None:
        """Publish what the import brought. It neither brings back what people withdrew nor shows what they work on."""
        now = {
            draft.locale: draft
            for draft in DraftDocument.objects.filter(entry_id=entry_id).defer("data", "refs")
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

    def _gone(self) -> list[str]:
        """Return the paths of files that were imported into the collection and are not in the folder."""
        earlier = Version.objects.filter(
            entry__collection_id=self.writing.collection.id,
            entry__trashed_at=None,
            message__startswith=sources.MESSAGE,
        )
        messages = set(earlier.values_list("message", flat=True).distinct())
        return sorted(message.removeprefix(sources.MESSAGE) for message in messages - self.seen)


def _batches(groups: Sequence[Sequence[tuple[Source, str]]]) -> Iterator[list[Sequence[tuple[Source, str]]]]:
    """Yield groups together until they hold a batch of documents."""
    batch: list[Sequence[tuple[Source, str]]] = []
    for group in groups:
        batch.append(group)
        if sum(map(len, batch)) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _locale_of(spelled: str, present: schema.Schema) -> str | None:
    """Return the code of the locale that a path spells in its own way (`pt-br` for `pt-BR`)."""
    return next((code for code in present.locale_by_code if code.lower() == spelled.lower()), None)


def _heading(body: str) -> str | None:
    """Return the heading that a document without a title in its front matter begins with."""
    first = body.lstrip().partition("\n")[0]
    return first[2:].strip().rstrip("#").strip() or None if first.startswith("# ") else None


def _was_withdrawn(draft: DraftDocument) -> bool:
    return Event.objects.filter(
        type="entry.unpublished", subject_type="entry", subject_id=str(draft.entry_id), locale=draft.locale
    ).exists()


def _reason(error: Exception) -> str:
    """Return why a document was refused, on one line."""
    if isinstance(error, DomainError):
        said = [
            f"{(problem.pointer or problem.parameter or '').strip('/')}: {problem.detail}"
            for problem in error.errors
        ]
        text = "; ".join(said) or error.detail
    else:
        text = "The database can't keep it."  # its own words could hold the content
    return " ".join(text.split())[:MAX_REASON]
