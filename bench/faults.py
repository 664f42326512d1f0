"""`make faults`: what is lost when something dies (threats.md, section 3.3), by real processes on servers of its own.

`python -m bench.faults [--quick] [--only W2,BR1] [--json]`. Each row is one run: events are published while the fault
happens, receivers on loopback keep what they are sent, and then the log is compared with what they took. Exits 1 when
a row fails.
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import receiver as behaviours
from bench.ground import BenchError
from bench.house import LEASE, PUBLISHED, Counts, House, Scene, delays, percentile
from bench.receiver import Exchange, Receiver, Request

SOON: Final = 5.0  # seconds within which the healthy get everything
THREADS: Final = 32  # of a process that sends
SENDERS: Final = 2  # processes
WORK: Final = ("sealer", "sender", "beat")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it: the full run, or one that is over soon."""

    events: int = 500
    endpoints: int = 3
    kills: int = 10
    outage: float = 60.0
    restarts: int = 10
    publishes: int = 200
    histories: int = 100
    skips_leases: bool = False  # free what the dead held at once, in place of waiting for a minute

    @property
    def patience(self) -> float:
        """Seconds until all must be delivered after the last fault."""
        return LEASE + 60 + self.events * 0.3


FULL: Final = Size()
QUICK: Final = Size(60, 3, 3, 5.0, 3, 40, 20, skips_leases=True)

Act = Callable[[Scene, Size], Counts]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; without `act` it says why there is none."""

    code: str
    what: str
    act: Act | None = None
    why_not: str = ""


ROWS: list[Row] = []


def row(code: str, what: str) -> Callable[[Act], Act]:
    """Put a function into the table."""

    def add(act: Act) -> Act:
        ROWS.append(Row(code, what, act))
        return act

    return add


def finish(scene: Scene, size: Size, *, but: Sequence[Receiver] = ()) -> Counts:
    """Wait until everything is published and delivered, and take stock."""
    scene.act("published")
    is_done = scene.wait_until_done(size.patience, but=but, skips_leases=size.skips_leases)
    counts = scene.count([item for item in scene.receivers if item not in but])
    counts.expect(is_done, "something still waits")
    return counts


# --- Workers --------------------------------------------------------------------------------------------------------


@row("W1", "nothing happens")
def undisturbed(scene: Scene, size: Size) -> Counts:
    """Everything arrives once, signed, within seconds of its commit."""
    for _ in range(size.endpoints):
        scene.receiver()
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    counts = finish(scene, size)
    slowest = percentile(sorted(itertools.chain(*(delays(each) for each in scene.receivers))), 0.99)
    counts.notes.append(f"p99 {slowest:.1f} s")
    counts.expect(slowest < SOON, f"p99 is {slowest:.1f} s")
    counts.expect(not counts.duplicates, "something came twice")
    return counts


@row("W2", "kill -9 of sending processes, children and main, at random times")
def killed(scene: Scene, size: Size) -> Counts:
    """Nothing is lost, and no more comes twice than was on the wire."""
    for _ in range(size.endpoints):
        scene.receiver(behaviours.slowly(0.05))
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    dice = random.Random(2)
    for number in range(size.kills):
        scene.wait_for_more(skips_leases=size.skips_leases)
        time.sleep(dice.uniform(0.05, 0.4))
        if number % 2:
            scene.kill("sender")
        else:
            scene.kill_child("sender", dice.randrange(SENDERS))
    counts = finish(scene, size)
    counts.notes.append(f"{size.kills} kills")
    counts.expect(counts.duplicates <= size.kills * SENDERS * THREADS, "more came twice than was on the wire")
    return counts


@row("W3", "kill -9 after the receiver has it, before its 200 is seen")
def killed_before_the_answer(scene: Scene, size: Size) -> Counts:
    """It comes once more, with the same id; the log of attempts shows both."""

    def kill(_request: Request) -> None:
        receiver.on_request = None
        scene.end_at_once("sender")

    receiver = scene.receiver()
    scene.start(*WORK)
    scene.wait_until(scene.is_done, 10)
    receiver.on_request = kill
    scene.act("publish", count=1)
    scene.wait_until(lambda: receiver.requests and receiver.on_request is None, 30)
    scene.processes["sender"].wait()
    scene.start("sender")
    counts = finish(scene, size)
    ids = [request.id for request in receiver.requests]
    counts.expect(len(ids) == 2 and len(set(ids)) == 1, f"{len(ids)} requests with {len(set(ids))} ids")
    attempts = scene.rows(
        "SELECT number, is_success, error FROM webhooks_attempt WHERE endpoint_id = %s ORDER BY number",
        [receiver.endpoint],
    )
    counts.expect(
        [tuple(item) for item in attempts] == [(1, False, "lost"), (2, True, "")],
        f"the log of attempts has {attempts}",
    )
    counts.duplicates = len(ids) - 1
    return counts


@row("W4", "the transaction of the change is rolled back")
def rolled_back(scene: Scene, size: Size) -> Counts:
    """Nobody hears of what did not happen."""
    receiver = scene.receiver()
    scene.start(*WORK)
    scene.act("roll_back", count=size.events)
    scene.act("publish", count=1)  # comes after them, so that it is known when they would have come
    counts = finish(scene, size)
    counts.expect(len(receiver.requests) == 1, f"{len(receiver.requests)} requests in place of 1")
    return counts


@row("W6", "a receiver fails for ever, the clock moved")
def schedule(scene: Scene, _size: Size) -> Counts:
    """Ten attempts at the times of the table, then an event and a mail, then nothing."""
    found = scene.act("schedule")
    counts = Counts(sent=1, received=0)
    counts.notes.append(f"{found['attempts']} attempts, then given up and told")
    pairs = list(zip(found["seconds"], found["wanted"], strict=False))
    counts.expect(found["attempts"] == 10, f"{found['attempts']} attempts")
    counts.expect(
        all(abs(is_ - wanted) <= wanted * 0.2 + 2 for is_, wanted in pairs), f"the times are {pairs}"
    )
    counts.expect(found["exhausted"] == 1 and found["mails"] == 1, "nobody was told")
    counts.expect(not found["after"] and found["ids"] == 1, "it was tried after that, or by another id")
    return counts


@row("W7", "a receiver fails for five days, the clock moved; then it is recovered")
def five_days(scene: Scene, size: Size) -> Counts:
    """It is disabled, its owner told; recovering brings all that it missed, in the order of the log."""
    found = scene.act("five_days", count=size.events // 4)
    counts = Counts(found["sent"], found["received"], found["lost"])
    after = found["disabled_after"]
    counts.expect(
        after is not None and 5 <= after < 5.5 and found["because"] == "failing", f"disabled: {after}"
    )
    counts.expect(found["mails"] >= 1, "nobody was told")
    counts.expect(not counts.lost, f"{counts.lost} are lost")
    # Several are on the wire at once; nothing is further from its place than that.
    counts.expect(found["out_of_place"] <= 16, f"out of place by {found['out_of_place']}")
    counts.notes.append(f"disabled after {after or 0:.1f} days; at most {found['out_of_place']} places off")
    return counts


@row("W8", "random histories; deliveries fail at random, so that they come in any order")
def histories(scene: Scene, size: Size) -> Counts:
    """A consumer that keeps the greatest sequence of each entry ends where the database is."""
    dice = random.Random(8)

    def at_random(exchange: Exchange) -> None:
        time.sleep(dice.uniform(0, 0.1))
        exchange.answer(500 if dice.random() < 0.2 else 204)

    # The second pause is five minutes: what failed twice is moved forward, so that this ends today.
    receiver = scene.receiver(at_random, types=("entry.published", "entry.unpublished"))
    scene.start(*WORK)
    public = scene.act("histories", count=size.histories)

    def is_done() -> bool:
        scene.rows(
            "UPDATE webhooks_delivery SET next_attempt_at = now() + interval '1 s' "
            "WHERE state = 'waiting' AND leased_until IS NULL AND next_attempt_at > now() + interval '20 s'"
        )
        return scene.is_done()

    is_over = scene.wait_until(is_done, size.patience * 3, every=0.5)
    kept: dict[str, tuple[int, int | None]] = {}
    for request in receiver.taken:
        data, is_public = request.data, request.type == PUBLISHED
        if data["sequence"] > kept.get(data["id"], (0, None))[0]:
            kept[data["id"]] = (data["sequence"], data["version"] if is_public else None)
    wrong = sum(kept.get(entry, (0, None))[1] != version for entry, version in public.items())
    counts = scene.count(type_=PUBLISHED)
    other = scene.count(type_="entry.unpublished")
    counts.sent, counts.received = counts.sent + other.sent, counts.received + other.received
    counts.lost += other.lost
    counts.problems = sorted({*counts.problems, *other.problems})
    counts.duplicates += other.duplicates
    order = [int(request.data["sequence"]) for request in receiver.taken]
    late = sum(later < before for before, later in itertools.pairwise(order))
    counts.expect(is_over, "something still waits")
    counts.expect(not wrong, f"{wrong} of {len(public)} histories end elsewhere")
    counts.notes.append(f"{len(public)} histories, {late} times a later one came first")
    return counts


# W9 and W10 are about what comes in.
ROWS.append(
    Row("W9", "the same inbound id many times at once", why_not="incoming is not part of this table yet")
)
ROWS.append(Row("W10", "inbound replay and skew", why_not="incoming is not part of this table yet"))


@row("W11", "the secret is rotated under load, then the old one retired")
def rotated(scene: Scene, size: Size) -> Counts:
    """During the overlap both secrets verify; after it the old one fails."""
    receiver = scene.receiver()
    old = receiver.secret
    receiver.secret = ""
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    scene.wait_until(lambda: len(receiver.requests) >= size.events // 4, size.patience)
    new = scene.act("rotate", endpoint=receiver.endpoint)
    rotated_at = time.time()
    scene.wait_until(lambda: len(receiver.requests) >= size.events // 2, size.patience)
    retiring_at = time.time()
    scene.act("retire", endpoint=receiver.endpoint)
    retired_at = time.time()
    counts = finish(scene, size)
    wrong = passed = 0
    tally = [0, 0, 0]
    for request in receiver.requests:
        by_old, by_new = request.is_signed_by(old), request.is_signed_by(new)
        # When it was signed is known to the second; in the second of a change both are right.
        signed_at = int(request.headers["webhook-timestamp"])
        if request.at < retiring_at:
            wrong += not by_old
            tally[0] += 1
        if signed_at > rotated_at:
            wrong += not by_new
            tally[1] += 1
        if signed_at > retired_at:
            passed += by_old
            tally[2] += 1
    counts.notes.append(f"verified by the old {tally[0]}, by the new {tally[1]}; the old refused {tally[2]}")
    counts.expect(not wrong, f"{wrong} failed to verify")
    counts.expect(not passed, f"{passed} verified by a secret that was retired")
    counts.expect(all(tally), "nothing came in one of the phases")
    return counts


@row("W12", "an endpoint is removed, its owner switched off, its role taken, all with a queue")
def taken_away(scene: Scene, size: Size) -> Counts:
    """Nothing more is sent once the change is committed, but for what is on the wire."""
    cases = {
        "remove": ("endpoint", scene.receiver(behaviours.slowly(0.3), name="removed")),
        "switch_off": ("owner", scene.receiver(behaviours.slowly(0.3), name="switched-off")),
        "take_role": ("owner", scene.receiver(behaviours.slowly(0.3), name="without-role")),
        "disable": ("endpoint", scene.receiver(behaviours.slowly(0.3), name="disabled")),
    }
    healthy = scene.receiver(name="beside")
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    counts = Counts()
    told = []
    for act, (of, receiver) in cases.items():
        scene.wait_until(lambda receiver=receiver: len(receiver.requests) >= 8, 20)  # type: ignore[misc]
        scene.act(act, **{of: receiver.endpoint if of == "endpoint" else receiver.owner})
        at = time.time()
        told.append((act, receiver, at))
    scene.act("published")
    scene.wait_until_done(size.patience)
    for act, receiver, at in told:
        # What was on the wire has been read by the receiver a moment later.
        late = sum(request.at > at + 0.3 for request in receiver.requests)
        counts.expect(not late, f"{late} came after {act}")
        counts.expect(receiver.requests, f"nothing came before {act}")
    beside = scene.count([healthy])
    beside.problems += counts.problems
    beside.notes.append("what the endpoint beside them got")
    return beside


@row("W13", "an owner may no longer read a field when it is sent")
def reads_less(scene: Scene, _size: Size) -> Counts:
    """The field is not in it."""
    found = scene.act("at_send_time")
    counts = Counts(sent=1, received=len(found["slugs"]))
    counts.expect(found["slugs"] == [None], f"the slug is {found['slugs']}")
    return counts


@row("W14", "SIGTERM to the sending worker with deliveries on the wire")
def stopped_gently(scene: Scene, size: Size) -> Counts:
    """What is on the wire is seen through and written down, so nothing is sent twice."""
    for _ in range(size.endpoints):
        scene.receiver(behaviours.slowly(0.2))
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    for _ in range(min(3, size.kills)):
        scene.wait_for_more()
        process = scene.processes.pop("sender")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        scene.start("sender")
    counts = finish(scene, size)
    counts.expect(not counts.duplicates, f"{counts.duplicates} were sent twice")
    counts.expect(
        not sum(not request.is_taken for each in scene.receivers for request in each.requests),
        "a request was broken off",
    )
    return counts


# --- Broker ---------------------------------------------------------------------------------------------------------


class Client:
    """Publishes over HTTP with an API key, and notes what it was answered."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.statuses: list[int] = []
        self.created: list[str] = []
        self.published: list[str] = []

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Return status and answer; status 0 where no answer came."""
        link = http.client.HTTPConnection("localhost", self.scene.port, timeout=30)
        headers = {
            "Authorization": f"Bearer {self.scene.prepared['key']}",
            "Content-Type": "application/json",
            "Host": f"localhost:{self.scene.port}",
        }
        try:
            link.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
            answer = link.getresponse()
            text = answer.read()
            self.statuses.append(answer.status)
            return answer.status, json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError):
            self.statuses.append(0)
            return 0, {}
        finally:
            link.close()

    def publish_one(self, title: str) -> None:
        """Create an entry and publish it."""
        status, answer = self.post("manage/content/articles", {"fields": {"title": title}})
        if status != 201:
            return
        entry = str(answer["_id"])
        self.created.append(entry)
        status, _ = self.post(f"manage/content/articles/{entry}/publish", {})
        if status == 200:
            self.published.append(entry)


@row("BR1", "the broker is stopped, then its data wiped, while publishing")
def broker_gone(scene: Scene, size: Size) -> Counts:
    """Publishing goes on; nothing is lost when the broker is back."""
    for _ in range(size.endpoints):
        scene.receiver()
    scene.start("web", *WORK)
    client = Client(scene)
    is_over = threading.Event()

    def publish() -> None:
        for number in range(size.events):
            client.publish_one(f"Entry {number}")
            if number > size.events // 3 and is_over.is_set():
                break

    publishing = threading.Thread(target=publish)
    publishing.start()
    scene.wait_until(lambda: len(client.published) > size.events // 10, 60)
    scene.house.servers.stop_valkey()
    try:
        time.sleep(size.outage)
    finally:
        scene.house.servers.start_valkey()
    scene.valkey().flushall()
    back_at = time.monotonic()
    publishing.join()
    is_done = scene.wait_until_done(size.patience, skips_leases=size.skips_leases)
    counts = scene.count()
    counts.notes.append(
        f"{len(client.published)} published; done {time.monotonic() - back_at:.0f} s after it was back"
    )
    counts.expect(is_done, "something still waits")
    counts.expect(
        all(200 <= status < 300 for status in client.statuses), f"answers: {_told(client.statuses)}"
    )
    counts.expect(
        len(client.published) == len(scene.positions()), "the log has other publishes than were answered"
    )
    return counts


def _told(statuses: Sequence[int]) -> dict[int, int]:
    return {status: statuses.count(status) for status in sorted(set(statuses))}


@row("BR2", "the broker is down when the web server starts")
def starts_without_broker(scene: Scene, size: Size) -> Counts:
    """It starts, says that it is not ready, publishes; when the broker comes, all is delivered."""
    for _ in range(size.endpoints):
        scene.receiver()
    scene.house.servers.stop_valkey()
    counts = Counts()
    try:
        scene.start("web")
        client = Client(scene)
        for number in range(min(size.events, 60)):
            client.publish_one(f"Entry {number}")
        link = http.client.HTTPConnection("localhost", scene.port, timeout=30)
        link.request("GET", "/readyz")
        ready = link.getresponse().status
        link.close()
    finally:
        scene.house.servers.start_valkey()
    scene.start(*WORK)
    is_done = scene.wait_until_done(size.patience)
    counts = scene.count()
    counts.expect(is_done, "something still waits")
    counts.expect(ready == 503, f"/readyz answers {ready}")
    counts.expect(
        all(200 <= status < 300 for status in client.statuses), f"answers: {_told(client.statuses)}"
    )
    counts.expect(
        len(client.published) == len(scene.positions()), "the log has other publishes than were answered"
    )
    return counts


@row("BR3", "two schedules run at once")
def two_beats(scene: Scene, size: Size) -> Counts:
    """Everything is delivered once, and its owner told once that an endpoint is gone."""
    for _ in range(size.endpoints):
        scene.receiver()
    gone = scene.receiver(behaviours.with_status(410), name="gone")
    scene.start(*WORK, "beat-2", "worker")
    scene.act("publish", count=size.events)
    counts = finish(scene, size, but=[gone])

    def mails() -> int:
        found = scene.rows(
            "SELECT count(*) FROM accounts_event WHERE type IN ('mail.sent', 'mail.refused') "
            "AND detail->>'about' = 'endpoint.disabled'"
        )
        return int(found[0][0])

    scene.wait_until(mails, 30)
    time.sleep(3)
    counts.expect(mails() == 1, f"{mails()} mails")
    counts.expect(not counts.duplicates, f"{counts.duplicates} came twice")
    disabled = scene.rows("SELECT count(*) FROM accounts_event WHERE type = 'endpoint.disabled'")[0][0]
    counts.expect(disabled == 1, f"disabled {disabled} times")
    return counts


@row("BR4", "the schedule dies, and later the sealer")
def nobody_ticks(scene: Scene, size: Size) -> Counts:
    """Without them nothing is fanned out; when they are back, all of it is delivered."""
    for _ in range(size.endpoints):
        scene.receiver()
    scene.start(*WORK)
    scene.act("publish", count=size.events)
    for name in ("beat", "sealer"):
        process = scene.processes.pop(name)
        process.kill()
        process.wait()
        time.sleep(size.outage / 10)
        scene.start(name)
    return finish(scene, size)


# --- Database -------------------------------------------------------------------------------------------------------

# What must be true of everything that was published, each of it by counting those of which it is not.
_INVARIANTS: Final = {
    "published documents without their version": """
        SELECT count(*) FROM content_publisheddocument p
        LEFT JOIN content_draftdocument d ON d.entry_id = p.entry_id AND d.published_number IS NOT NULL
        LEFT JOIN content_version v ON v.entry_id = p.entry_id AND v.number = d.published_number
        WHERE v.id IS NULL""",
    "entries without a version": """
        SELECT count(*) FROM content_entry e
        LEFT JOIN content_version v ON v.entry_id = e.id AND v.number = e.latest_number WHERE v.id IS NULL""",
    "entries that the log does not know": """
        SELECT count(*) FROM content_entry e WHERE NOT EXISTS (
            SELECT FROM accounts_event a WHERE a.type = 'entry.created' AND a.subject_id = e.id::text)""",
    "published documents that the log does not know": """
        SELECT count(*) FROM content_publisheddocument p WHERE NOT EXISTS (
            SELECT FROM accounts_event a WHERE a.type = 'entry.published' AND a.subject_id = p.entry_id::text)""",
    "events of publishing without their document": """
        SELECT count(*) FROM accounts_event a WHERE a.type = 'entry.published' AND NOT EXISTS (
            SELECT FROM content_publisheddocument p WHERE p.entry_id::text = a.subject_id)""",
    "events that are neither sealed nor waiting for it": """
        SELECT count(*) FROM accounts_event a
        WHERE NOT EXISTS (SELECT FROM accounts_seal s WHERE s.event_id = a.id)
            AND NOT EXISTS (SELECT FROM accounts_unsealed u WHERE u.event_id = a.id)""",
    "gaps in the log": "SELECT coalesce(max(position), 0) - count(*) FROM accounts_seal",
    "events without their deliveries": """
        SELECT count(*) FROM accounts_event a CROSS JOIN webhooks_endpoint e
        WHERE a.type = 'entry.published' AND NOT EXISTS (
            SELECT FROM webhooks_delivery d WHERE d.event_id = a.id AND d.endpoint_id = e.id)""",
}


@row("DB1", "PostgreSQL is restarted at once, again and again, while four clients publish")
def database_restarted(scene: Scene, size: Size) -> Counts:
    """What was answered with 2xx is there, whole; nothing is lost; it works again by itself."""
    for _ in range(size.endpoints):
        scene.receiver(behaviours.slowly(0.02))
    scene.start("web", *WORK)
    clients = [Client(scene) for _ in range(4)]
    each = size.publishes // len(clients)
    are_over = threading.Event()

    def publish(client: Client, name: int) -> None:
        number = 0
        while len(client.published) < each or not are_over.is_set():
            client.publish_one(f"Entry {name} {number}")
            number += 1
            if number > each * 20:
                return

    threads = [
        threading.Thread(target=publish, args=(client, number)) for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    slowest = 0.0
    dice = random.Random(1)
    try:
        for _ in range(size.restarts):
            time.sleep(dice.uniform(0.5, 1.5))
            scene.house.servers.restart_postgresql()
            back_at = time.monotonic()
            before = sum(len(client.published) for client in clients)
            is_back = scene.wait_until(
                lambda before=before: sum(len(client.published) for client in clients) > before,  # type: ignore[misc]
                20,
                every=0.02,
            )
            slowest = max(slowest, time.monotonic() - back_at if is_back else 99.0)
    finally:
        are_over.set()
        for thread in threads:
            thread.join()
    is_done = scene.wait_until_done(size.patience, skips_leases=size.skips_leases)
    counts = scene.count()
    statuses = [status for client in clients for status in client.statuses]
    counts.notes.append(f"{size.restarts} restarts, back after {slowest:.1f} s; answers {_told(statuses)}")
    counts.expect(is_done, "something still waits")
    counts.expect(slowest <= 10, f"it took {slowest:.0f} s to work again")
    counts.expect(
        all(200 <= status < 300 or status >= 500 for status in statuses), f"answers: {_told(statuses)}"
    )
    there = {str(item[0]) for item in scene.rows("SELECT id FROM content_entry")}
    public = {str(item[0]) for item in scene.rows("SELECT entry_id FROM content_publisheddocument")}
    created = {entry for client in clients for entry in client.created}
    published = {entry for client in clients for entry in client.published}
    counts.expect(created <= there, f"{len(created - there)} entries were answered and are gone")
    counts.expect(published <= public, f"{len(published - public)} publishes were answered and are gone")
    for what, statement in _INVARIANTS.items():
        number = int(scene.rows(statement)[0][0])
        counts.expect(number == 0, f"{number} {what}")
    return counts


@row("DB3", "the database can only be read for a while")
def read_only(scene: Scene, size: Size) -> Counts:
    """Publishing is refused with 503; what was on the wire is written down when it can be; nothing is lost."""
    for _ in range(size.endpoints):
        scene.receiver(behaviours.slowly(0.2))
    scene.start("web", *WORK)
    scene.act("publish", count=size.events // 2)
    scene.act("published")
    client = Client(scene)

    def turn(value: str) -> None:
        with scene.house.servers.connect() as connection:
            connection.execute(
                f"ALTER DATABASE {scene.database} SET default_transaction_read_only = {value}".encode()
            )
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s AND usename = 'quillkeep_app'",
                [scene.database],
            )

    turn("on")
    time.sleep(1)
    statuses = []
    for number in range(5):
        statuses.append(client.post("manage/content/articles", {"fields": {"title": f"No {number}"}})[0])
        time.sleep(size.outage / 20)
    turn("off")
    client.statuses.clear()

    def publishes() -> bool:
        client.publish_one("Yes")
        return bool(client.published)

    scene.wait_until(publishes, 10)
    is_done = scene.wait_until_done(size.patience, skips_leases=size.skips_leases)
    counts = scene.count()
    counts.notes.append(f"answers meanwhile {_told(statuses)}")
    counts.expect(is_done, "something still waits")
    counts.expect(set(statuses) == {503}, f"answers: {_told(statuses)}")
    counts.expect(client.published, "it does not publish again")
    return counts


# --- Receivers ------------------------------------------------------------------------------------------------------


def beside(
    scene: Scene, size: Size, behave: behaviours.Behaviour, expect: Callable[[Scene, Receiver, Counts], None]
) -> Counts:
    """Let one receiver misbehave beside two that don't; these get everything in time."""
    for _ in range(2):
        scene.receiver()
    bad = scene.receiver(behave, name="bad")
    scene.start(*WORK)
    scene.act("publish", count=size.events // 2)
    scene.act("published")
    healthy = scene.receivers[:2]
    is_done = scene.wait_until_done(size.patience, but=[bad])
    counts = scene.count(healthy)
    slowest = percentile(sorted(itertools.chain(*(delays(each) for each in healthy))), 0.99)
    counts.notes.append(f"the others: p99 {slowest:.1f} s")
    counts.expect(is_done, "something still waits for the others")
    counts.expect(slowest < SOON, f"the others waited: p99 is {slowest:.1f} s")
    counts.expect(not counts.duplicates, "the others were sent something twice")
    expect(scene, bad, counts)
    return counts


def attempts(scene: Scene, receiver: Receiver) -> list[tuple[Any, ...]]:
    """Return status, error and success of the attempts of an endpoint."""
    return [
        tuple(item)
        for item in scene.rows(
            "SELECT status, error, is_success, length(response_body) FROM webhooks_attempt WHERE endpoint_id = %s",
            [receiver.endpoint],
        )
    ]


def is_unreachable(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that nothing came of any attempt, and that somebody waited no longer than the deadline."""
    scene.wait_until(lambda: attempts(scene, receiver), 25)
    found = attempts(scene, receiver)
    counts.expect(found, "no attempt was written down")
    counts.expect(all(item[:3] == (None, "unreachable", False) for item in found), f"attempts: {found[:3]}")


def has_status(status: int) -> Callable[[Scene, Receiver, Counts], None]:
    """Expect attempts that failed with this status, and nothing kept of it that is long."""

    def expect(scene: Scene, receiver: Receiver, counts: Counts) -> None:
        scene.wait_until(lambda: attempts(scene, receiver), 25)
        found = attempts(scene, receiver)
        counts.expect(found, "no attempt was written down")
        counts.expect(all(item[0] == status and not item[2] for item in found), f"attempts: {found[:3]}")

    return expect


def misbehaviour(
    code: str,
    what: str,
    behave: behaviours.Behaviour,
    expect: Callable[[Scene, Receiver, Counts], None] = is_unreachable,
) -> None:
    """Put a row about a receiver into the table."""
    ROWS.append(Row(code, f"a receiver {what}", lambda scene, size: beside(scene, size, behave, expect)))


def is_bomb_kept_packed(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that it was taken as it came, unread: never unpacked, and cut."""
    scene.wait_until(lambda: attempts(scene, receiver), 25)
    for status, error, is_success, length in attempts(scene, receiver):
        is_cut = error == "unreachable" or (status == 200 and is_success and length <= 2_048)
        counts.expect(is_cut, f"kept {length} characters of a bomb")


misbehaviour("R1", "hangs", behaviours.hanging)
misbehaviour("R2", "sends a byte a second", behaviours.dripping)
misbehaviour("R3", "resets the connection", behaviours.resetting)
misbehaviour("R4", "answers with 100 MB", behaviours.flooding)
misbehaviour("R5", "answers with a gzip bomb", behaviours.bombing, is_bomb_kept_packed)


def _redirect(status: int) -> Act:
    def act(scene: Scene, size: Size) -> Counts:
        with Receiver() as inside:
            behave = behaviours.with_status(status, Location=inside.url)
            counts = beside(scene, size, behave, has_status(status))
            counts.expect(not inside.requests, "it followed the redirect")
        return counts

    return act


for number, status in enumerate((301, 302, 307, 308), start=6):
    ROWS.append(
        Row(f"R{number}", f"a receiver redirects to an internal address ({status})", _redirect(status))
    )


def is_disabled(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that it is over for the endpoint, and that nothing came after."""
    found = scene.rows(
        "SELECT state, disabled_because FROM webhooks_endpoint WHERE id = %s", [receiver.endpoint]
    )
    counts.expect([tuple(item) for item in found] == [("disabled", "gone")], f"it is {found}")
    waiting = scene.rows(
        "SELECT count(*) FROM webhooks_delivery WHERE endpoint_id = %s AND state = 'waiting'",
        [receiver.endpoint],
    )[0][0]
    counts.expect(waiting == 0, f"{waiting} still wait for it")
    counts.expect(len(receiver.requests) <= 16, f"{len(receiver.requests)} requests")


def is_held(scene: Scene, receiver: Receiver, counts: Counts) -> None:
    """Expect that it is left in peace for as long as it asked for."""
    has_status(429)(scene, receiver, counts)
    first = min((request.at for request in receiver.requests), default=0)
    # What was on the wire with the first one may still come.
    late = sum(request.at > first + 3 for request in receiver.requests)
    counts.expect(not late, f"{late} came within the pause that it asked for")
    counts.expect(len(receiver.requests) <= 16, f"{len(receiver.requests)} requests")


misbehaviour("R10", "answers 410", behaviours.with_status(410), is_disabled)
misbehaviour("R11", "answers 429 with Retry-After", behaviours.with_status(429, Retry_After="3600"), is_held)
misbehaviour("R12", "answers 500 for ever", behaviours.with_status(500), has_status(500))

ROWS.append(
    Row(
        "CK2",
        "scheduled publishing across a change of the clock",
        why_not="scheduled publishing is not built",
    )
)


# --- The table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row that was run, or was not."""

    code: str
    what: str
    seconds: float
    counts: Counts | None
    why_not: str = ""

    @property
    def is_failed(self) -> bool:
        return self.counts is not None and bool(self.counts.problems)


def run_row(house: House, item: Row, size: Size) -> Verdict:
    """Run one row in a scene of its own."""
    began = time.monotonic()
    if item.act is None:
        return Verdict(item.code, item.what, 0.0, None, item.why_not)
    try:
        with Scene(house, item.code) as scene:
            counts = item.act(scene, size)
            if counts.problems:
                counts.notes += [
                    f"{name}: {line[:200]}"
                    for name in scene.processes
                    for line in scene.log_of(name).splitlines()
                    if "Traceback" in line or '"ERROR"' in line or "CRITICAL" in line
                ][-5:]
    except (BenchError, OSError) as error:
        told = str(error).strip().splitlines() or [type(error).__name__]
        counts = Counts(problems=[f"it broke: {told[-1]}"], notes=told[-30:-1])
    return Verdict(item.code, item.what, time.monotonic() - began, counts)


def table(verdicts: Sequence[Verdict]) -> Table:
    """Return the table as it is shown."""
    shown = Table(title="What is lost when something dies")
    for name in ("row", "what was done"):
        shown.add_column(name)
    for name in ("sent", "received", "lost", "duplicates", "seconds"):
        shown.add_column(name, justify="right")
    shown.add_column("verdict")
    for verdict in verdicts:
        counts = verdict.counts
        if counts is None:
            shown.add_row(verdict.code, verdict.what, "", "", "", "", "", verdict.why_not)
            continue
        numbers = (str(item) for item in (counts.sent, counts.received, counts.lost, counts.duplicates))
        told = "; ".join(counts.problems) if counts.problems else "; ".join(["held", *counts.notes])
        style = "red" if counts.problems else ""
        shown.add_row(verdict.code, verdict.what, *numbers, f"{verdict.seconds:.0f}", told, style=style)
    return shown


def main() -> int:
    """Return 0 when every row that was run held."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few events, short outages, leases not waited for"
    )
    parser.add_argument("--only", default="", help="rows by their codes, comma separated")
    parser.add_argument("--json", action="store_true", help="repeat the table as the last line of stdout")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers and their folder go away
    chosen = {code.strip().upper() for code in arguments.only.split(",") if code.strip()}
    if unknown := chosen - {item.code for item in ROWS}:
        parser.error(f"There are no rows {', '.join(sorted(unknown))}.")
    rows = [item for item in ROWS if not chosen or item.code in chosen]
    size = QUICK if arguments.quick else FULL
    console = Console(stderr=True)
    verdicts: list[Verdict] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with House() as house, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(rows))
        for item in rows:
            progress.update(task, description=f"{item.code}: {item.what}")
            verdict = run_row(house, item, size)
            verdicts.append(verdict)
            if not verdict.is_failed:
                console.print(
                    f"{item.code}: {verdict.why_not or 'held'}, {verdict.seconds:.0f} s", markup=False
                )
            if verdict.is_failed and verdict.counts is not None:
                console.print(f"{item.code} failed: {'; '.join(verdict.counts.problems)}", markup=False)
                for note in verdict.counts.notes:
                    console.print(f"    {note}", markup=False)
            progress.advance(task)
    Console(width=max(150, Console().width)).print(table(verdicts))
    if arguments.json:
        print(json.dumps([asdict(verdict) for verdict in verdicts]))
    return 1 if any(verdict.is_failed for verdict in verdicts) else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130 if os.name == "posix" else 1)
