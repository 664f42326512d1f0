"""The broker and the schedule go away (rows BR)."""

import http.client
import threading
import time

from bench import receiver as behaviours
from bench.fault_rows.base import WORK, Size, finish, row
from bench.fault_rows.client import Client, told
from bench.house import Counts, Scene


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
    counts.expect(all(200 <= status < 300 for status in client.statuses), f"answers: {told(client.statuses)}")
    counts.expect(
        len(client.published) == len(scene.positions()), "the log has other publishes than were answered"
    )
    return counts


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
    counts.expect(all(200 <= status < 300 for status in client.statuses), f"answers: {told(client.statuses)}")
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
