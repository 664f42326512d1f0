"""What acts on a database of the faults: sets up endpoints, publishes, rotates, takes rights away, moves the clock.

Run as `python -m bench.hand` by `bench.faults` and asked by lines of JSON, like `bench.probe`.
"""

import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import django

django.setup()

import time_machine  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from accounts import people  # noqa: E402
from accounts.access import Action, Area, Scopes, system  # noqa: E402
from accounts.keys import api_keys  # noqa: E402
from accounts.log import record  # noqa: E402
from accounts.models import Event, Policy, Role, User  # noqa: E402
from accounts.rights import granting  # noqa: E402
from bench.receiver import Receiver, with_status  # noqa: E402
from content import editing, modeling, publishing, schema  # noqa: E402
from content.models import DraftDocument, Entry  # noqa: E402
from content.writing import Writing, subject_of  # noqa: E402
from webhooks import asking, endpoints, fanning, mailing, retrying, sending, tasks  # noqa: E402
from webhooks.incoming import sources  # noqa: E402
from webhooks.models import Attempt, Delivery, Endpoint  # noqa: E402
from webhooks.outcomes import EXHAUSTED  # noqa: E402

ROOT: Final = system("faults")
FIELDS: Final[list[dict[str, Any]]] = [
    {"key": "title", "type": "text", "required": True, "filterable": True},
    {"key": "slug", "type": "slug", "options": {"from": "title"}},
]
READS: Final = frozenset({Action.READ, Action.READ_DRAFT})
WRITES: Final = READS | {Action.CREATE, Action.UPDATE, Action.PUBLISH}
ENTRIES: Final = 20  # that are published again and again
EVERYTHING: Final = Scopes(frozenset((None, action) for action in Action), frozenset(Area))


class Hand:
    """One process that acts; `publish` goes on beside the other acts."""

    def __init__(self) -> None:
        self._publishing: threading.Thread | None = None
        self._published = 0
        self._random = random.Random(1)

    # --- Setting up ---

    def prepare(self) -> dict[str, str]:
        """Make articles, who hears of them, and a key that may do everything."""
        modeling.create_collection({"key": "articles", "name": "Articles", "fields": FIELDS}, by=ROOT)
        role = granting.add_role("listener", "Listeners", by=ROOT)
        terms = granting.PolicyTerms(collection_id=None, actions=READS, every_field=True)
        granting.add_policy(role, terms, by=ROOT)
        people.add_person("ada@example.com", name="Ada", roles=("administrator",), by=ROOT)
        minted = api_keys.mint_for_role(
            "administrator", name="faults", scopes=EVERYTHING, by=ROOT, rate_limit=100_000
        )
        return {"key": minted.text, "collection": str(schema.current().by_key["articles"].id)}

    def endpoint(self, name: str, url: str, types: tuple[str, ...] = ("entry.published",)) -> dict[str, str]:
        """Set up an endpoint with an owner of its own."""
        owner = people.add_person(f"{name}@example.com", name=name, roles=("listener",), by=ROOT)
        values = {"name": name, "url": url, "types": list(types), "owner": owner}
        made = endpoints.add(values, by=ROOT)
        return {"endpoint": str(made.endpoint.pk), "secret": made.secret, "owner": str(owner.pk)}

    def endpoints(self, count: int, url: str) -> None:
        """Set up endpoints at one address until there are so many; every tenth has an owner of its own."""
        owner: User | None = None
        for number in range(Endpoint.objects.count(), count):
            if number % 10 == 0 or owner is None:
                owner = people.add_person(
                    f"many-{number}@example.com", name="Many", roles=("listener",), by=ROOT
                )
            values = {"name": f"many {number}", "url": url, "types": ["entry.published"], "owner": owner}
            endpoints.add(values, by=ROOT)

    def source(self, key: str) -> str:
        """Set up a source whose messages become published articles, and return its secret."""
        role = granting.add_role("importer", "Importers", by=ROOT)
        terms = granting.PolicyTerms(collection_id=None, actions=WRITES, every_field=True)
        granting.add_policy(role, terms, by=ROOT)
        action = {
            "do": "create",
            "collection": "articles",
            "mapping": {"title": "/data/title"},
            "publish": True,
        }
        return sources.add(key, "standard", {"action": action, "role": role.key}, by=ROOT).secret

    # --- Publishing ---

    def publish(self, count: int, pause: float = 0.0) -> None:
        """Publish so many times, beside what else is asked."""
        self._published = 0
        self._publishing = threading.Thread(target=self._publish, args=(count, pause))
        self._publishing.start()

    def published(self) -> int:
        """Wait until all is published."""
        if self._publishing is not None:
            self._publishing.join()
        return self._published

    def _publish(self, count: int, pause: float) -> None:
        writing = Writing.on("articles", by=ROOT)
        ids = [self._entry(writing, number) for number in range(min(count, ENTRIES))]
        for number in range(count):
            entry = ids[number % len(ids)]
            if number >= len(ids):  # publishing the same version again is nothing that happens
                base = Entry.objects.get(pk=entry).latest_number
                editing.save(entry, {"title": f"Title {number}"}, base=base, writing=writing)
            publishing.publish(entry, writing=writing)
            self._published += 1
            time.sleep(pause)
        connection.close()

    @staticmethod
    def _entry(writing: Writing, number: int) -> UUID:
        return UUID(str(editing.create({"title": f"Entry {number}"}, writing=writing).pk))

    def emit(self, count: int) -> int:
        """Record so many events of one entry at once: a queue, without the time that publishing takes."""
        writing = Writing.on("articles", by=ROOT)
        entry = self._entry(writing, self._random.randrange(1_000_000))
        publishing.publish(entry, writing=writing)
        row = Entry.objects.get(pk=entry)
        with transaction.atomic():
            for _ in range(count - 1):
                record(
                    "entry.published", actor=ROOT, subject=subject_of(row), locale="en", detail={"version": 1}
                )
        return count

    def fan_out(self) -> int:
        """Turn into deliveries what was emitted."""
        made = 0
        while new := fanning.fan_out():
            made += new
        return made

    def fan_out_times(self, times: int) -> list[float]:
        """Return how many seconds one event takes to become the deliveries of all endpoints, sealing included."""
        fanning.fan_out()
        found = []
        for _ in range(times):
            self.emit(1)
            began = time.perf_counter()
            fanning.fan_out()
            found.append(time.perf_counter() - began)
        return found

    def wake(self, times: int) -> None:
        """Wake those who send."""
        for _ in range(times):
            tasks.drain.delay()

    def roll_back(self, count: int) -> int:
        """Publish, and think better of it."""
        writing = Writing.on("articles", by=ROOT)
        entry = self._entry(writing, 0)
        for _ in range(count):
            with transaction.atomic():
                publishing.publish(entry, writing=writing)
                transaction.set_rollback(True)
        return count

    def histories(self, count: int) -> dict[str, Any]:
        """Let so many entries live at random; return the version of each that is public in the end, or None."""
        writing = Writing.on("articles", by=ROOT)
        ids = [self._entry(writing, number) for number in range(count)]
        steps = [entry for entry in ids for _ in range(self._random.randint(3, 8))]
        self._random.shuffle(steps)
        public: dict[UUID, bool] = {}
        for entry in steps:
            act = self._random.choice(("publish", "change", "unpublish"))
            if act == "unpublish" and public.get(entry):
                publishing.unpublish(entry, writing=writing)
                public[entry] = False
                continue
            if act == "change":
                title = {"title": f"Title {self._random.random()}"}
                base = Entry.objects.get(pk=entry).latest_number
                editing.save(entry, title, base=base, writing=writing)
            publishing.publish(entry, writing=writing)
            public[entry] = True
        rows = DraftDocument.objects.values_list("entry_id", "published_number")
        found = {str(entry_id): number for entry_id, number in rows}
        return {str(entry): found.get(str(entry)) for entry in ids}

    # --- Meddling ---

    def rotate(self, endpoint: str) -> str:
        """Give an endpoint a new secret and return it."""
        return endpoints.rotate_secret(_endpoint(endpoint), by=ROOT).secret

    def retire(self, endpoint: str) -> None:
        """End the overlap."""
        endpoints.retire_secret(_endpoint(endpoint), by=ROOT)

    def remove(self, endpoint: str) -> None:
        """Remove an endpoint."""
        endpoints.remove(_endpoint(endpoint), by=ROOT)

    def disable(self, endpoint: str) -> None:
        """Switch an endpoint off."""
        endpoints.disable(_endpoint(endpoint), by=ROOT)

    def switch_off(self, owner: str) -> None:
        """Switch an account off."""
        people.change_user(User.objects.get(pk=owner), is_active=False, by=ROOT)

    def take_role(self, owner: str) -> None:
        """Take all roles from an account."""
        people.change_user(User.objects.get(pk=owner), roles=(), by=ROOT)

    # --- By the clock, in this process ---

    def schedule(self) -> dict[str, Any]:
        """Let an endpoint fail until its delivery is given up; return when it was tried, and what came after."""
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        with Receiver(with_status(500)) as receiver:
            self.endpoint("schedule", receiver.url)
            self.publish(1)
            self.published()
            fanning.fan_out()
            row = Delivery.objects.get(type="entry.published")
            while row.state == Delivery.State.WAITING:
                _work_at(row.next_attempt_at or row.created_at)
                row.refresh_from_db()
            at = list(Attempt.objects.filter(delivery=row).order_by("number").values_list("at", flat=True))
            with time_machine.travel(at[-1] + timedelta(hours=1)):
                fanning.fan_out()
                mails = mailing.send_due()
            made = len(receiver.requests)
            for days in (2, 4, 8):
                _work_at(at[-1] + timedelta(days=days))
            return {
                "seconds": [(later - before).total_seconds() for before, later in itertools.pairwise(at)],
                "wanted": [pause.total_seconds() for pause in retrying.SCHEDULE[1:]],
                "attempts": len(at),
                "exhausted": Event.objects.filter(type=EXHAUSTED).count(),
                "mails": mails,
                "received": made,
                "after": len(receiver.requests) - made,
                "ids": len({request.id for request in receiver.requests}),
            }

    def five_days(self, count: int) -> dict[str, Any]:
        """Let an endpoint fail for five days, then work again, and recover what it missed."""
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
        began = datetime.now(UTC)
        with Receiver(with_status(500)) as receiver:
            endpoint = self.endpoint("five-days", receiver.url)["endpoint"]
            hours = 24 * 6
            for number in range(hours // 6):
                with time_machine.travel(began + timedelta(hours=6 * number), tick=True):
                    self.publish(max(1, count // (hours // 6)))
                    self.published()
                _work_at(began + timedelta(hours=6 * number, minutes=1))
            row = Endpoint.objects.get(pk=endpoint)
            disabled_after = (row.disabled_at - began).total_seconds() / 86_400 if row.disabled_at else None
            with time_machine.travel(began + timedelta(days=6, hours=1), tick=True):
                fanning.fan_out()
                mails = mailing.send_due()
                receiver.behave, receiver.requests = (lambda exchange: exchange.answer(204)), []
                endpoints.enable(row, by=ROOT)
                asking.recover(row, since=began, by=ROOT)
                while fanning.fan_out() or Endpoint.objects.filter(recovers_to__isnull=False).exists():
                    pass
                while sending.drain(is_stopping=lambda: False):
                    pass
            sequences = [int(request.data["sequence"]) for request in receiver.requests]
            wanted = list(
                Event.objects.sealed().filter(type="entry.published").values_list("seal__position", flat=True)
            )
            place = {sequence: number for number, sequence in enumerate(sorted(sequences))}
            return {
                "disabled_after": disabled_after,
                "because": row.disabled_because,
                "mails": mails,
                "sent": len(wanted),
                "received": len(sequences),
                "lost": len(set(wanted) - set(sequences)),
                "out_of_place": max(
                    (abs(place[sequence] - number) for number, sequence in enumerate(sequences)), default=0
                ),
            }

    def at_send_time(self) -> dict[str, Any]:
        """Queue a delivery while its owner may read the slug; send it when they no longer may."""
        with Receiver() as receiver:
            made = self.endpoint("reads-less", receiver.url)
            endpoint = _endpoint(made["endpoint"])
            endpoints.pause(endpoint, by=ROOT)
            self.publish(1)
            self.published()
            fanning.fan_out()
            policy = Policy.objects.get(role__key="listener")
            title = schema.current().by_key["articles"].by_key["title"].id
            terms = granting.PolicyTerms(
                collection_id=schema.current().by_key["articles"].id,
                actions=READS,
                every_field=False,
                field_ids=frozenset({title}),
            )
            granting.add_policy(Role.objects.get(key="listener"), terms, by=ROOT)
            granting.remove_policy(policy, by=ROOT)
            endpoints.enable(endpoint, by=ROOT)
            _work_at(datetime.now(UTC))
            return {"slugs": [request.data["slug"] for request in receiver.requests]}


def _endpoint(endpoint_id: str) -> Endpoint:
    return Endpoint.objects.get(pk=endpoint_id)


def _work_at(at: datetime) -> None:
    """Do what the workers do, at a moment."""
    with time_machine.travel(at, tick=True):
        fanning.fan_out()
        sending.drain(is_stopping=lambda: False)


def main() -> None:
    """Answer until nobody asks any more."""
    hand = Hand()
    for line in sys.stdin:
        asked = json.loads(line)
        act: Callable[..., Any] = getattr(hand, asked.pop("act"))
        sys.stdout.write(json.dumps(partial(act, **asked)()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
