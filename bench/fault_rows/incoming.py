"""What comes in comes twice, is cut off, or meets a clock that is wrong (rows W9 and W10)."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from standardwebhooks import Webhook

from bench.fault_rows.base import WORK, Size, row
from bench.house import Counts, Scene
from cms_project.servers import SUPERUSER

AT_ONCE: Final = 50  # of the same message
PER_SECOND: Final = 18  # requests: less than the quota of a source
BURST: Final = 300  # that go beyond it
OFF: Final = 600  # seconds
MANY: Final = 10  # messages, more than the alert of a clock waits for
ALERTED: Final = 60.0  # seconds until an alert must be there

_RECEIPTS: Final = "SELECT message_id, state, attempts, entry_id::text FROM webhooks_receipt"
_HELD: Final = """
    SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE c.relname = 'content_version' AND NOT l.granted
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_TRY_NOW: Final = "UPDATE webhooks_receipt SET next_at = now() WHERE state = 'waiting' AND attempts > 0"


class Sender:
    """Somebody else's program: signs by the published library, and posts."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.secret = str(scene.act("source", key="shop"))

    def send(self, name: str, title: str, *, at: float | None = None) -> tuple[int, dict[str, Any]]:
        """Post a message; return status and answer, status 0 where no answer came."""
        signed_at = int(time.time() if at is None else at)
        body = json.dumps({"data": {"title": title}})
        when = datetime.fromtimestamp(signed_at, tz=UTC)
        headers = {
            "Content-Type": "application/json",
            "Host": f"localhost:{self.scene.port}",
            "webhook-id": name,
            "webhook-timestamp": str(signed_at),
            "webhook-signature": Webhook(self.secret).sign(name, when, body),
        }
        link = http.client.HTTPConnection("localhost", self.scene.port, timeout=60)
        try:
            link.request("POST", "/hooks/in/shop", body, headers)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            link.close()

    def send_at_once(self, name: str, title: str) -> list[tuple[int, dict[str, Any]]]:
        """Post the same message from many threads at the same moment."""
        answers: list[tuple[int, dict[str, Any]]] = []
        together = threading.Barrier(AT_ONCE)

        def send_one() -> None:
            together.wait()
            answers.append(self.send(name, title))

        threads = [threading.Thread(target=send_one) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def send_off(self, name: str, seconds: int) -> int:
        """Post a message signed so many seconds from now, and return the status.

        Times are whole seconds, so it is sent at the beginning of one; again under another name when the answer took
        longer than that second.
        """
        for number in range(10):
            time.sleep(1 - time.time() % 1)
            now = int(time.time())
            status, _ = self.send(f"{name}_{number}", "Off", at=now + seconds)
            if time.time() < now + 1:
                return status
        return 0


@contextlib.contextmanager
def held_in_the_act(scene: Scene) -> Iterator[None]:
    """Let nobody write a version meanwhile: an entry that is being made stops half way."""
    with (
        scene.house.servers.connect(SUPERUSER, scene.database) as connection,
        connection.transaction(),
    ):
        connection.execute("LOCK TABLE content_version IN SHARE MODE")
        yield


def is_alerted(scene: Scene, rule: str) -> bool:
    """Tell whether an alert is raised in time."""
    return scene.wait_until(
        lambda: scene.rows("SELECT 1 FROM accounts_alert WHERE rule = %s", [rule]), ALERTED, every=0.5
    )


@row("W9", "the same inbound id 50 times at once, another body under it, kill -9 of who acts on it")
def same_id(scene: Scene, size: Size) -> Counts:
    """It is one receipt and one entry, whoever is killed in the middle of making it."""
    sender = Sender(scene)
    scene.start("web", "worker", "sealer", "beat")
    messages = max(size.kills, size.events // 10)
    counts = Counts(sent=messages)
    statuses: list[int] = []
    began, cut_off = time.monotonic(), 0

    def is_done() -> bool:
        if size.skips_leases:
            scene.rows(_TRY_NOW)
        return not scene.rows("SELECT 1 FROM webhooks_receipt WHERE state = 'waiting'")

    for number in range(messages):
        is_killed = number % (messages // size.kills) == 0 and cut_off < size.kills
        time.sleep(max(0.0, began + (number * AT_ONCE - BURST) / PER_SECOND - time.monotonic()))
        with held_in_the_act(scene) if is_killed else contextlib.nullcontext():
            answers = sender.send_at_once(f"msg_{number}", f"Entry {number}")
            if is_killed:
                is_held = scene.wait_until(lambda: scene.rows(_HELD)[0][0], 30, every=0.02)
                counts.expect(is_held, f"nobody acted on message {number}")
                if cut_off % 2:
                    scene.kill("worker")
                else:
                    for child in range(2):
                        scene.kill_child("worker", child)
                cut_off += 1
        statuses += [status for status, _ in answers]
        ids = {answer.get("id") for _, answer in answers}
        counts.expect(len(ids) == 1 and None not in ids, f"message {number} was answered with {len(ids)} ids")
        if is_killed:
            counts.expect(scene.wait_until(is_done, size.patience), f"message {number} still waits")
    counts.expect(scene.wait_until(is_done, size.patience), "something still waits")
    counts.expect(
        all(200 <= status < 300 for status in statuses),
        f"answers: { {status: statuses.count(status) for status in sorted(set(statuses))} }",
    )
    receipts = scene.rows(_RECEIPTS)
    made = [str(item[0]) for item in scene.rows("SELECT id FROM content_entry")]
    events = [
        str(item[0])
        for item in scene.rows("SELECT subject_id FROM accounts_event WHERE type = 'entry.created'")
    ]
    public = scene.rows("SELECT count(DISTINCT entry_id), count(*) FROM content_publisheddocument")[0]
    acted = {name: entry for name, state, _, entry in receipts if state == "done" and entry in made}
    counts.received = len(acted)
    counts.lost = messages - len(acted)
    counts.duplicates = len(made) - len(set(acted.values()))
    again = sum(attempts > 1 for _, _, attempts, _ in receipts)
    counts.notes.append(f"{len(statuses)} requests, {cut_off} kills in the act, {again} acted on again")
    counts.expect(len(receipts) == messages, f"{len(receipts)} receipts of {messages} messages")
    counts.expect(not counts.lost, f"{counts.lost} are lost")
    counts.expect(not counts.duplicates, f"{counts.duplicates} entries were made twice")
    counts.expect(sorted(events) == sorted(made), "the log has other entries than there are")
    counts.expect(tuple(public) == (messages, messages), f"{public} are published")
    counts.expect(again >= cut_off, f"only {again} of {cut_off} were cut off")
    status, problem = sender.send("msg_0", "Another one")
    counts.expect(
        (status, problem.get("code")) == (409, "different-body"), f"another body is answered with {status}"
    )
    counts.expect(is_alerted(scene, "source-same-id"), "nobody is alerted of another body")
    return counts


@row("W10", "inbound replay and skew; the clock of the web process, then of the sender, ten minutes ahead")
def wrong_clocks(scene: Scene, size: Size) -> Counts:
    """What is five minutes off is refused; so is everything when the clock is ours, and that is an alert."""
    receiver = scene.receiver()
    sender = Sender(scene)
    scene.start("web", *WORK)
    counts = Counts()
    for seconds, wanted in ((-299, 202), (299, 202), (-301, 401), (301, 401), (0, 202)):
        status = sender.send_off(f"off_{seconds}", seconds)
        counts.expect(status == wanted, f"{seconds:+} s is answered with {status}")
    scene.stop("web")
    scene.clocks["web"] = OFF
    scene.start("web")
    statuses = [sender.send(f"skewed_{number}", "Skewed")[0] for number in range(MANY)]
    counts.expect(statuses == [401] * MANY, f"with a clock that is ahead: {statuses}")
    counts.expect(is_alerted(scene, "source-clock"), "nobody is alerted of the times of a source")
    # A sender ten minutes ahead; its schedule, and those who seal, have the right time.
    scene.stop("sender")
    scene.clocks["sender"] = OFF
    scene.start("sender")
    scene.act("publish", count=min(size.events, 20))
    scene.act("published")
    is_told = scene.wait_until(
        lambda: scene.rows("SELECT 1 FROM accounts_event WHERE type = 'clock.skewed'"), ALERTED
    )
    counts.expect(is_told, "clock.skewed is not recorded")
    counts.expect(is_alerted(scene, "clock-skewed"), "nobody is alerted of the clock of the sender")
    is_done = scene.wait_until_done(size.patience)
    account = scene.count()
    counts.sent, counts.received, counts.lost = account.sent, account.received, account.lost
    counts.duplicates = account.duplicates
    counts.expect(is_done and not counts.lost, f"something still waits, {counts.lost} did not come")
    # Its times are wrong, and so whoever verifies them refuses it: that is what the alert is for.
    off = [int(request.headers["webhook-timestamp"]) - request.at for request in receiver.requests]
    counts.expect(
        off and all(abs(seconds - OFF) < 30 for seconds in off), f"sent with times that are {off[:3]} off"
    )
    counts.expect(
        receiver.unverified == len(receiver.requests), "a receiver takes what is signed ten minutes ahead"
    )
    counts.notes.append(f"the sender's {len(off)} requests were dated {OFF} s ahead, and it was told")
    return counts
