"""PostgreSQL dies, or can only be read (rows DB)."""

import itertools
import random
import threading
import time
from typing import Final

from bench import receiver as behaviours
from bench.fault_rows.base import WORK, Size, row
from bench.fault_rows.client import Client, told
from bench.house import Counts, Scene

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
        for number in itertools.count():
            if are_over.is_set() and (len(client.published) >= each or number > each * 20):
                return
            client.publish_one(f"Entry {name} {number}")
            if client.statuses[-1] >= 500:
                time.sleep(0.1)  # it is refused at once, and asked to come again

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
    counts.notes.append(f"{size.restarts} restarts, back after {slowest:.1f} s; answers {told(statuses)}")
    counts.expect(is_done, "something still waits")
    counts.expect(slowest <= 10, f"it took {slowest:.0f} s to work again")
    counts.expect(
        all(200 <= status < 300 or status >= 500 for status in statuses), f"answers: {told(statuses)}"
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
    counts.notes.append(f"answers meanwhile {told(statuses)}")
    counts.expect(is_done, "something still waits")
    counts.expect(set(statuses) == {503}, f"answers: {told(statuses)}")
    counts.expect(client.published, "it does not publish again")
    return counts
