"""Tells the caches in front of the delivery plane what has changed, so that they may keep answers meanwhile.

Nothing is remembered that could be lost: every look compares the generations, which each change moves in its own
transaction, with those that a cache was told last. A change that nobody could tell of is found by the next look, and a
cache that we know nothing of is told to forget everything.

A purge is numbered once its change is seen, and an answer that may be kept says by `Cache-As-Of` which purge it knew
of. A cache keeps no answer that is older than the last purge: not one that was on its way when the purge came, and not
one that a replica gave that lags behind. It uses what it keeps only as long as it hears of us
(deploy/varnish/quillkeep.vcl).
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from accounts import egress
from accounts.access import system
from accounts.log import Subject, record
from accounts.models.event import Event
from accounts.models.generation import ACCESS, Generation
from content import schema
from content.kept_answers import PURGES, TOLD, as_of, moment
from content.schema import Schema

logger = logging.getLogger("quillkeep.caches")

EVERYTHING: Final = "*"  # no collection has this key
CONTENT: Final = "content:"
NOT_TOLD: Final = "cache.not-told"
LOOK_EVERY: Final = 0.1  # seconds
TELL_EVERY: Final = 1.0  # also when nothing changed
DEADLINE: Final = 2.0
SILENT: Final = timedelta(minutes=1)
MOST_TAGS: Final = 50


def tags_of(before: Mapping[str, int] | None, now: Mapping[str, int], present: Schema) -> frozenset[str]:
    """Return the tags of all answers that may differ: `Cache-Tag` has the collection's key.

    What a document shows depends on the entries that it refers to, those on theirs; so the collections that can lead
    to a changed one change with it. Who may read what, and what collections are, changes everything.
    """
    if before is None:
        return frozenset({EVERYTHING})
    changed = {name for name in {*before, *now} if before.get(name) != now.get(name)}
    if changed & {ACCESS, schema.GENERATION}:
        return frozenset({EVERYTHING})
    ids = {UUID(name.removeprefix(CONTENT)) for name in changed if name.startswith(CONTENT)}
    if not ids:
        return frozenset()
    if not ids <= present.by_id.keys():
        return frozenset({EVERYTHING})
    keys = {item.key for item in present.collections if item.id in ids or _reached(item.id, present) & ids}
    return frozenset(keys) if len(keys) <= MOST_TAGS else frozenset({EVERYTHING})


def purge(url: str, tags: Iterable[str], *, level: int) -> bool:
    """Tell one cache what to forget; return whether it did. Nothing to forget is worth telling too: we are there."""
    headers = {"Cache-As-Of": str(level)}
    if named := " ".join(sorted(tags)):
        headers["xkey-purge"] = named
    try:
        answer = egress.purge(url, headers=headers, deadline=DEADLINE)
    except egress.EgressError:
        return False  # its own log line has the host and the cause
    if not answer.is_success:
        logger.warning("A cache refused a purge with the status %s.", answer.status)
    return answer.is_success


class Cache:
    """One cache, and what it was told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.told: dict[str, int] | None = None
        self.told_at = float("-inf")  # by `time.monotonic`
        # An answer may be on its way into the cache in the moment of a purge, behind the comparison and before it
        # can be found by its tag: what was purged is purged once more with the next word.
        self._again = frozenset[str]()

    def look(self) -> bool:
        """Tell it what has changed since the last time, or that we are there when that was long ago.

        Returns False when it could not be told.
        """
        now = Generation.objects.current()
        tags = tags_of(self.told, now, schema.current(generation=now.get(schema.GENERATION, 0)))
        if not tags and time.monotonic() - self.told_at < TELL_EVERY:
            return True
        if tags:
            Generation.objects.bump(PURGES)  # who reads this knows the change too
        level = as_of(Generation.objects.current() if tags else now)
        if not purge(self.url, tags | self._again, level=level):
            return False
        self.told, self.told_at, self._again = now, time.monotonic(), tags
        return True

    @property
    def is_told(self) -> bool:
        """Whether it heard of us lately."""
        return time.monotonic() - self.told_at < TELL_EVERY + DEADLINE


class Purger:
    """Looks at all caches until it is stopped, each in a thread of its own: one that hangs delays no other."""

    def __init__(self, urls: Iterable[str]) -> None:
        self.caches = [Cache(url) for url in urls]
        self.has_failed = False  # by a fault of ours: who started it should start it anew
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()

    def run(self) -> None:
        """Go on until `stop`."""
        threads = [
            threading.Thread(target=self._repeat, args=(cache.look, LOOK_EVERY), name=f"cache-{number}")
            for number, cache in enumerate(self.caches, start=1)
        ]
        for thread in threads:
            thread.start()
        try:
            self._repeat(self.note, TELL_EVERY)
        finally:
            self.stop()
            for thread in threads:
                thread.join()

    def note(self) -> bool:
        """Write down that all are told, which is what lets answers be kept. Returns False when they are not."""
        is_told = all(cache.is_told for cache in self.caches)
        if is_told:
            Generation.objects.bump(TOLD)
        return is_told

    def _repeat(self, act: Callable[[], bool], seconds: float) -> None:
        while not self._stopped.is_set():
            try:
                if not act():
                    self._stopped.wait(
                        TELL_EVERY
                    )  # one that is down is not asked, nor logged, ten times a second
            except DatabaseError as error:
                logger.warning("The database does not say what changed: %s.", type(error).__name__)
                connection.close()
                self._stopped.wait(TELL_EVERY)
            except Exception:
                logger.exception("Telling the caches failed; the process ends.")
                self.has_failed = True
                self.stop()
            self._stopped.wait(seconds)
        connection.close()


@transaction.atomic
def watch() -> None:
    """Write an event when caches are not told for long, once a day while it lasts."""
    told_at = moment(Generation.objects.current().get(TOLD, 0))
    now = timezone.now()
    if now - told_at < SILENT:
        return
    since = max(told_at, now - timedelta(days=1))
    if Event.objects.filter(type=NOT_TOLD, at__gt=since).exists():
        return
    known = told_at.isoformat(timespec="seconds") if told_at.year > 1970 else "never"
    record(
        NOT_TOLD,
        actor=system("watching the caches"),
        subject=Subject("cache", "cache"),
        detail={"since": known},
    )


def _reached(collection_id: UUID, present: Schema) -> set[UUID]:
    """Return every collection that references lead to from one, over however many."""
    found: set[UUID] = set()
    waiting = [collection_id]
    while waiting:
        item = present.by_id.get(waiting.pop())
        new = present.target_collections(item.fields) - found if item else ()
        found.update(new)
        waiting.extend(new)
    return found
