"""Writing a bundle: chosen entries with what they refer to, from one moment of the database."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.access import Action, Principal
from accounts.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from accounts.log import Subject, record, sync_folder
from content import schema
from content.bundles import contents, signing
from content.bundles.form import (
    MAX_ENTRIES,
    MAX_ENTRY,
    MAX_LINE,
    MAX_LINES,
    MAX_MANIFEST,
    MAX_PART,
    Manifest,
    head,
)
from content.models import Entry, Reference
from content.schema import CollectionSpec, Schema
from content.shaping import rfc3339
from content.writing import Writing

EXPORTED: Final = "content.exported"
MAX_DEPTH: Final = 10

Progress = Callable[[int, int], None]  # entries done, entries in all


@dataclass(frozen=True, slots=True)
class Choice:
    """Which entries: whole collections, single ones, and what they refer to, so many steps far."""

    collections: Collection[str] = ()
    entries: Collection[UUID] = ()
    depth: int = 0
    with_sensitive: bool = False


@dataclass(slots=True)
class Exported:
    """What a bundle holds."""

    key: str = ""
    name: str = ""
    size: int = 0
    entries: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    refers_out: int = 0  # entries outside that the bundle refers to: the other house must have them

    def as_json(self) -> dict[str, Any]:
        return {
            "bundle": self.name,
            "key": self.key,
            "bytes": self.size,
            "entries": self.entries,
            "left_out": self.left_out,
            "refers_to_entries_outside": self.refers_out,
        }


def export(path: Path, choice: Choice, *, by: Principal, progress: Progress) -> Exported:
    """Write a bundle, whole or not at all; a file that is there already is never replaced.

    Raises InvalidInputError for what is not there to export, ConflictError for a file that is, OSError.
    """
    try:
        # The name is taken first, so that nobody's file is replaced at the end.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise ConflictError(f"{path} is there already.") from error
    scratch = path
    try:
        descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)  # mode 0600
        scratch = Path(name)
        with os.fdopen(descriptor, "wb") as file, tempfile.TemporaryFile(dir=path.parent) as entries:
            result = _write_whole(file, entries, choice, by, progress)
        scratch.replace(path)
        sync_folder(path.parent)
    except BaseException:
        for made in {scratch, path}:
            made.unlink(missing_ok=True)
        raise
    return result


@transaction.atomic(durable=True)
def _write_whole(
    file: IO[bytes], entries: IO[bytes], choice: Choice, by: Principal, progress: Progress
) -> Exported:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    result, manifest = _write_entries(entries, choice, by, progress)
    _join(file, head(manifest), entries)
    result.size = file.tell()
    record(EXPORTED, actor=by, subject=Subject("bundle", result.name), detail=_told(result, choice))
    return result


def _write_entries(
    part: IO[bytes], choice: Choice, by: Principal, progress: Progress
) -> tuple[Exported, Manifest]:
    present = schema.read()
    entries = _chosen(present, choice, by)
    result = Exported(key=signing.own_keys()[0], refers_out=_outside(entries))
    digest, lines = hashlib.sha256(), 0
    writings = {spec.id: Writing(present, spec, by) for spec in present.collections}
    for number, entry_id in enumerate(_in_order(entries)):
        entry = Entry.objects.get(pk=entry_id)
        writing = writings[entry.collection_id]
        specs = contents.chosen(writing.collection, with_sensitive=choice.with_sensitive)
        size = part.tell()
        for line in contents.lines_of(entry, writing, specs):
            raw = line.as_bytes()
            if len(raw) > MAX_LINE or part.tell() + len(raw) - size > MAX_ENTRY:
                raise ConflictError(f"The entry {entry_id} is larger than a bundle takes.")
            digest.update(raw)
            part.write(raw)
            lines += 1
        if lines > MAX_LINES or part.tell() > MAX_PART:
            raise ConflictError("This is more than one bundle takes: choose fewer entries at once.")
        key = writing.collection.key
        result.entries[key] = result.entries.get(key, 0) + 1
        progress(number + 1, len(entries))
    result.entries = dict(sorted(result.entries.items()))
    used = [present.by_key[key] for key in result.entries]
    if not choice.with_sensitive:
        hidden = {
            spec.key: [item.key for item in spec.fields if contents.is_sensitive(item)] for spec in used
        }
        result.left_out = {key: keys for key, keys in hidden.items() if keys}
    manifest = Manifest(
        environment=settings.ENVIRONMENT.name,
        made_at=rfc3339(timezone.now().replace(microsecond=0)) or "",
        collections={
            spec.key: {
                item.key: item.type for item in contents.chosen(spec, with_sensitive=choice.with_sensitive)
            }
            for spec in used
        },
        left_out=result.left_out,
        size=part.tell(),
        sha256=digest.hexdigest(),
        count=len(entries),
    )
    if len(manifest.as_bytes()) > MAX_MANIFEST:
        raise ConflictError("These collections have more fields than the manifest of one bundle takes.")
    result.name = manifest.name
    return result, manifest


def _chosen(present: Schema, choice: Choice, by: Principal) -> set[UUID]:
    """Return the ids of what was asked for and what that refers to. Raises with everything that is not there."""
    problems: list[Problem] = []
    found: set[UUID] = set()
    for key in choice.collections:
        spec = present.by_key.get(key)
        if spec is None or not _is_open(spec, by):
            problems.append(
                Problem.at(("collection", key), "unknown-collection", f"There is no collection {key}.")
            )
            continue
        found.update(
            Entry.objects.filter(collection_id=spec.id, trashed_at=None).values_list("pk", flat=True)
        )
    named = dict(
        Entry.objects.filter(pk__in=choice.entries, trashed_at=None).values_list("pk", "collection_id")
    )
    for entry_id in choice.entries:
        spec = present.by_id.get(named.get(entry_id, entry_id))
        if spec is None or not _is_open(spec, by):
            problems.append(
                Problem.at(("entry", str(entry_id)), "not-found", f"There is no entry {entry_id}.")
            )
        else:
            found.add(entry_id)
    if problems:
        raise InvalidInputError(errors=problems)
    edge = set(found)
    for _ in range(choice.depth):
        edge = _targets(edge) - found
        found |= edge
    if not found:
        raise NotFoundError("There is nothing to export there.")
    if len(found) > MAX_ENTRIES:
        raise ConflictError(f"A bundle holds at most {MAX_ENTRIES:,} entries; these are {len(found):,}.")
    return found


def _is_open(spec: CollectionSpec, by: Principal) -> bool:
    return spec.has_entries and bool(by.grant(Action.EXPORT, on=spec.resource))


def _targets(sources: set[UUID]) -> set[UUID]:
    rows = Reference.objects.filter(source__in=sources, target__trashed_at=None)
    return set(rows.values_list("target_id", flat=True))


def _outside(entries: set[UUID]) -> int:
    return len(_targets(entries) - entries)


def _in_order(entries: set[UUID]) -> Iterable[UUID]:
    """Return the entries, first what others refer to, so that the other house finds it there already."""
    targets: dict[UUID, list[UUID]] = {}
    pairs = Reference.objects.filter(source__in=entries, target__in=entries).order_by(
        "source_id", "target_id"
    )
    for source, target in pairs.values_list("source_id", "target_id"):
        targets.setdefault(source, []).append(target)
    done: dict[UUID, None] = {}
    for start in sorted(entries):
        stack = [(start, False)]
        path: set[UUID] = set()
        while stack:
            here, is_left = stack.pop()
            if is_left:
                done[here] = None
            elif here not in done and here not in path:
                path.add(here)
                stack.append((here, True))
                stack += [(target, False) for target in targets.get(here, ())]
    return list(done)


def _join(whole: IO[bytes], front: bytes, part: IO[bytes]) -> None:
    whole.write(front)
    part.seek(0)
    while chunk := part.read(1024 * 1024):
        whole.write(chunk)
    whole.flush()
    os.fsync(whole.fileno())


def _told(result: Exported, choice: Choice) -> dict[str, object]:
    return {"entries": result.entries, "with_sensitive": choice.with_sensitive, "bytes": result.size}
