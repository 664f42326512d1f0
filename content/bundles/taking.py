"""Taking a bundle in: through the verbs and validators of everybody, all of it or nothing (CVE-2026-70588).

An entry that is here already and says something else is a conflict, unless its newest version came by a bundle: then
nobody here has touched it since, and it follows.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Literal
from uuid import UUID

from django.db import DataError, transaction

from accounts.access import Principal
from accounts.errors import DomainError, InvalidInputError, Problem, placed
from accounts.log import Subject, record
from content import editing, publishing, schema
from content.bundles import contents
from content.bundles.contents import EVERYWHERE
from content.bundles.form import Bundle, BundleError, Line
from content.fields.base import FieldSpec
from content.models import DraftDocument, Entry
from content.schema import CollectionSpec
from content.writing import Writing

IMPORTED: Final = "content.imported"
FROM: Final = "Imported from"
MAX_TOLD: Final = 500
OnConflict = Literal["fail", "skip", "update"]
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Progress = Callable[[int, int], None]  # entries done, entries in all


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator asked for."""

    on_conflict: OnConflict = "fail"
    publish: bool = False
    with_sensitive: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class Taken:
    """What came of it, or would. With `faults` or, unless told otherwise, `conflicts` nothing was written."""

    bundle: str = ""
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    published: int = 0
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, str]] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(
        default_factory=dict
    )  # sensitive fields in the bundle, not asked for
    is_written: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "bundle": self.bundle,
            "written": self.is_written,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "skipped": self.skipped,
            "published": self.published,
            "conflicts": self.conflicts,
            "faults": self.faults,
            "ignored": self.ignored,
        }


class _TakenBackError(Exception):
    """Ends the transaction without keeping it."""


def take(bundle: Bundle, terms: Terms, *, by: Principal, progress: Progress) -> Taken:
    """Take a bundle in, and return what came of it. Raises BundleError when the file breaks its own form."""
    taking = _Taking(bundle, terms, by, progress)
    try:
        with transaction.atomic(durable=True):
            taking.run()
            if (
                terms.dry_run
                or taking.result.faults
                or (taking.result.conflicts and terms.on_conflict == "fail")
            ):
                raise _TakenBackError
            record(
                IMPORTED,
                actor=by,
                subject=Subject("bundle", bundle.manifest.name),
                detail=_told(taking, terms),
            )
        taking.result.is_written = True
    except _TakenBackError:
        pass
    return taking.result


def _told(taking: "_Taking", terms: Terms) -> dict[str, object]:
    result = taking.result
    return {
        "from": taking.bundle.manifest.environment,
        "key": taking.bundle.key,
        "created": result.created,
        "updated": result.updated,
        "published": result.published,
        "with_sensitive": terms.with_sensitive,
    }


class _Taking:
    """One run. The lines of an entry stand together, and what others refer to stands before them."""

    def __init__(self, bundle: Bundle, terms: Terms, by: Principal, progress: Progress) -> None:
        self.bundle = bundle
        self.terms = terms
        self.by = by
        self.progress = progress
        self.result = Taken(bundle=bundle.manifest.name)
        self.schema = schema.current()
        self.message = f"{FROM} {bundle.manifest.environment} (bundle {bundle.manifest.name})"
        self.writings: dict[str, Writing] = {}
        self.specs: dict[str, list[FieldSpec]] = {}
        self.pending: set[str] = set()  # ids of the bundle that are not here yet

    def run(self) -> None:
        self._match_collections()
        if self.result.faults:
            return
        self._list_ids()
        later: set[UUID] = set()
        for number, group in enumerate(self._groups()):
            if self._is_full():
                return
            with self._noting(group[0]):
                if self._entry(group):
                    later.add(group[0].id)
            self.pending.discard(str(group[0].id))
            self.progress(number + 1, self.bundle.manifest.count)
        for group in self._groups() if later else ():
            if group[0].id in later and not self._is_full():
                with self._noting(group[0]):  # now everything that it refers to is here
                    self._write(group, Entry.objects.get(pk=group[0].id))

    # What is there to take it

    def _match_collections(self) -> None:
        """See that every collection and field is here, as the same type."""
        for key, listed in sorted(self.bundle.manifest.collections.items()):
            spec = self.schema.by_key.get(key)
            if spec is None or not spec.has_entries:
                self._fault(
                    key, "", "", "There is no such collection here. Bring it with `schema apply` first."
                )
                continue
            self._match_fields(key, spec, listed)

    def _match_fields(self, key: str, spec: CollectionSpec, listed: Mapping[str, str]) -> None:
        kept: list[FieldSpec] = []
        for name, type_ in sorted(listed.items()):
            here = spec.by_key.get(name)
            if here is None or here.type != type_:
                is_told = (
                    "There is no such field here."
                    if here is None
                    else f"Here this is a field of type {here.type}."
                )
                self._fault(key, "", f"/{name}", f"{is_told} Bring the schema with `schema apply` first.")
            elif contents.is_sensitive(here) and not self.terms.with_sensitive:
                self.result.ignored.setdefault(key, []).append(name)
            else:
                kept.append(here)
        self.specs[key] = kept
        self.writings[key] = Writing.on(key, by=self.by)

    def _list_ids(self) -> None:
        """Note which entries the bundle has, and that each stands in one place."""
        ids: set[UUID] = set()
        for group in self._groups():
            first = group[0]
            if first.id in ids:
                raise BundleError(f"The entry {first.id} stands in the bundle twice.")
            if len({(line.step, line.locale) for line in group}) < len(group) or any(
                line.collection != first.collection for line in group
            ):
                raise BundleError(f"The entry {first.id} has a locale twice, or more than one collection.")
            if first.collection not in self.writings:
                raise BundleError(f"The entry {first.id} is of a collection that the manifest does not name.")
            ids.add(first.id)
        if len(ids) != self.bundle.manifest.count:
            raise BundleError("The bundle has more or fewer entries than its manifest says.")
        texts = {str(item) for item in ids}
        here = Entry.objects.filter(pk__in=ids).values_list("pk", flat=True)
        self.pending = texts - {str(item) for item in here}

    def _groups(self) -> Iterator[list[Line]]:
        for _, group in groupby(self.bundle.lines(), key=lambda line: line.id):
            yield list(group)

    # One entry

    def _entry(self, group: list[Line]) -> bool:
        """Take one entry; True when it must be written once more, because it refers to one that is still to come."""
        first = group[0]
        entry = Entry.objects.filter(pk=first.id).first()
        writing = self.writings[first.collection]
        if entry is None:
            done = self._create(group)
            self.result.created += 1
            self.pending.discard(str(first.id))  # it may refer to itself, now that it is here
            waits = self._waits(group)
            if not waits:
                self._write(group, Entry.objects.get(pk=first.id), done=done)
            return waits
        if entry.collection_id != writing.collection.id or entry.trashed_at is not None:
            why = "is in the trash here" if entry.trashed_at is not None else "is in another collection here"
            self._conflict(first, [], f"It {why}.")
            if self.terms.on_conflict == "update":
                raise InvalidInputError(f"The entry {why}, so it can't be updated.")
            self.result.skipped += 1
            return False
        differing = self._differing(group, entry)
        if differing and not self._came_by_a_bundle(entry):
            for locale, keys in differing.items():
                self._conflict(first, keys, "It was changed here as well.", locale=locale)
            if self.terms.on_conflict != "update":
                self.result.skipped += 1
                return False
        if not differing:
            self.result.unchanged += 1
            if self.terms.publish:
                self._publish(group, entry, max(line.step for line in group))
            return False
        self.result.updated += 1
        if self._waits(group):
            return True
        self._write(group, entry)
        return False

    def _create(self, group: list[Line]) -> Line | None:
        """Create an entry without the fields that refer to what is still to come; return the line that is done by that.

        None where it is not: something of it was left out.
        """
        newest = [line for line in group if line.step == max(item.step for item in group)]
        steps = self._steps(group)
        start = next(line for line in (newest if self._waits(group) else group) if line.step in steps)
        values = {
            name: value for name, value in self._values(start).items() if not self._mentions_pending(value)
        }
        with _inside(start):
            editing.create(
                values,
                writing=self.writings[start.collection],
                locale=_locale(start),
                message=self.message,
                entry_id=start.id,
            )
        return start if values.keys() == self._values(start).keys() else None

    def _write(self, group: list[Line], entry: Entry, *, done: Line | None = None) -> None:
        """Save an entry's steps one after the other, each published before the next where that is asked for."""
        writing = self.writings[group[0].collection]
        for step in self._steps(group):
            for line in (line for line in group if line.step == step and line is not done):
                with _inside(line):
                    entry.refresh_from_db()
                    editing.save(
                        entry.pk,
                        self._values(line),
                        writing=writing,
                        base=entry.latest_number,
                        locale=_locale(line),
                        message=self.message,
                    )
            if self.terms.publish:
                self._publish(group, entry, step)

    def _publish(self, group: list[Line], entry: Entry, step: int) -> None:
        default = self.schema.default_locale.code
        locales = [_locale(line) or default for line in group if line.step == step and line.public]
        if not locales:
            return
        number = Entry.objects.values_list("latest_number", flat=True).get(pk=entry.pk)
        drafts = DraftDocument.objects.filter(entry=entry, locale__in=locales)
        done = drafts.filter(status=DraftDocument.Status.PUBLISHED, published_number=number)
        # What is public as it stands stays so, also where the schema has become stricter since.
        left = sorted(set(locales) - set(done.values_list("locale", flat=True)))
        if left:
            publishing.publish(entry.pk, writing=self.writings[group[0].collection], locales=left)
            self.result.published += 1

    def _steps(self, group: list[Line]) -> list[int]:
        """Return which steps are taken: what was public before the newest version only if it is to be public here."""
        steps = sorted({line.step for line in group})
        return steps if self.terms.publish else steps[-1:]

    def _values(self, line: Line) -> dict[str, Any]:
        kept = {spec.key for spec in self.specs[line.collection]}
        unknown = line.fields.keys() - self.bundle.manifest.collections[line.collection].keys()
        if unknown:
            raise BundleError(f"The entry {line.id} has a field that the manifest does not name.")
        return {name: value for name, value in line.fields.items() if name in kept}

    def _differing(self, group: list[Line], entry: Entry) -> dict[str, list[str]]:
        """Return the keys of the fields that are not as in the newest step of the bundle, by locale."""
        collection = group[0].collection
        here = contents.newest_of(entry, self.writings[collection], self.specs[collection])
        last = max(line.step for line in group)
        found: dict[str, list[str]] = {}
        for line in (line for line in group if line.step == last):
            present = here[line.locale].fields if line.locale in here else {}
            keys = [key for key, value in self._values(line).items() if not _is_same(value, present.get(key))]
            if keys or line.locale not in here:
                found[line.locale] = sorted(keys)
        return found

    def _came_by_a_bundle(self, entry: Entry) -> bool:
        """Tell whether the newest version is one that a bundle brought, so that nobody here has written since."""
        newest = entry.versions.get(number=entry.latest_number)
        is_ours = newest.author_id == self.by.user_id and newest.author_label == self.by.label[:200]
        return is_ours and newest.message.startswith(f"{FROM} ")

    def _waits(self, group: list[Line]) -> bool:
        return any(self._mentions_pending(value) for line in group for value in self._values(line).values())

    def _mentions_pending(self, value: Any) -> bool:
        if not self.pending or value is None or isinstance(value, bool | int):
            return False
        return bool(self.pending & set(_ID.findall(json.dumps(value))))

    # What is told

    @contextmanager
    def _noting(self, line: Line) -> Iterator[None]:
        """Take one entry back when it is refused, and note why; the others are tried all the same."""
        try:
            with transaction.atomic():
                yield
        except DataError:  # its own words could hold the content
            self._fault(line.collection, str(line.id), "", "The database can't keep it.")
        except DomainError as error:
            for problem in error.errors or [Problem(error.code, error.detail)]:
                self._fault(line.collection, str(line.id), problem.pointer or "", problem.detail)

    def _conflict(self, line: Line, keys: list[str], detail: str, *, locale: str = "") -> None:
        if len(self.result.conflicts) < MAX_TOLD:
            self.result.conflicts.append(
                {
                    "entry": str(line.id),
                    "collection": line.collection,
                    "locale": "" if locale == EVERYWHERE else locale,
                    "fields": keys,
                    "detail": detail,
                }
            )

    def _fault(self, collection: str, entry: str, pointer: str, detail: str) -> None:
        self.result.faults.append(
            {"collection": collection, "entry": entry, "pointer": pointer, "detail": detail}
        )

    def _is_full(self) -> bool:
        return len(self.result.faults) >= MAX_TOLD


@contextmanager
def _inside(line: Line) -> Iterator[None]:
    """Put the locale in front of where a refusal stands."""
    try:
        yield
    except InvalidInputError as error:
        place = () if line.locale == EVERYWHERE else (line.locale,)
        raise InvalidInputError(error.detail, errors=placed(error.errors, *place), code=error.code) from error


def _locale(line: Line) -> str | None:
    return None if line.locale == EVERYWHERE else line.locale


def _is_same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 is not true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
