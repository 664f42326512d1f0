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

from django.db import DataError, transaction

from accounts.access import Principal
from accounts.errors import DomainError
from content import modeling, schema
from content.importing import inference, sources
from content.importing.front_matter import DocumentError, Value
from content.importing.languages import language
from content.importing.pages import Known, Outcome, Page, Pages
from content.importing.planning import ImportRefusedError, plan_for
from content.importing.references import Names
from content.importing.sources import LocalePattern, Source
from content.locales import create_locale
from content.models import Version
from content.writing import Writing

BATCH = 50
MAX_REASON = 500

Progress = Callable[[int, int], None]  # documents done, documents in all


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
        names = Names(
            by=self.options.by,
            known=inference.known_names(scanned),
            handles=inference.handles(scanned),
            create=self.options.create,
            publish=self.options.publish,
        )
        counts = Counter(name for group in scanned.values() for _, front in group for name in front)
        plan = plan_for(self.writing.collection, dict(counts.most_common()), self.left_out)
        self.result.ignored = dict(plan.ignored)
        self.pages = Pages(plan, names, writing=self.writing, publish=self.options.publish)
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

    # Batches

    def _batch(self, batch: Sequence[Sequence[tuple[Source, str]]]) -> None:
        groups = [group for group in map(self._read_group, batch) if group]
        with transaction.atomic():
            for group in groups:
                for page in group:
                    self.pages.prepare(page)
            known = self.pages.look_up(groups)
            for group in groups:
                self._group(group, known)

    def _read_group(self, group: Sequence[tuple[Source, str]]) -> list[Page]:
        pages: list[Page] = []
        for source, locale in group:
            try:
                pages.append(Page(source, locale, sources.read(self.options.folder, source)))
            except DocumentError as error:  # it was readable a moment ago
                self.result.failed.append((source.path, str(error)))
        return pages

    def _group(self, group: list[Page], known: Known) -> None:
        """Import one document in its locales: all at once, or one by one when one of them is bad."""
        try:
            with transaction.atomic():
                self._count(self.pages.write(group, group, known))
            return
        except (DomainError, DataError) as error:
            if len(group) == 1:
                self.result.failed.append((group[0].source.path, _reason(error)))
                return
        found = known
        for page in group:
            try:
                with transaction.atomic():
                    outcome = self.pages.write([page], group, found)
            except (DomainError, DataError) as error:
                self.result.failed.append((page.source.path, _reason(error)))
            else:
                self._count(outcome)
                found = self.pages.look_up([group])

    def _count(self, outcome: Outcome) -> None:
        self.result.created += outcome.created
        self.result.updated += outcome.updated
        self.result.unchanged += outcome.unchanged
        self.result.published += outcome.published
        self.result.notes += outcome.notes

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
