"""nginx, Varnish, two delivery nodes, a streaming replica: each dies in turn while readers ask and editors publish.

No answer is wrong: no draft, nothing older than what everybody could read some seconds before, nothing that is no
document. An error is a 503 or a broken connection, and only while something is really gone.
"""

import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from content import editing, publishing
from content.models import Entry
from tests import certificates
from tests.builders import allow, make_collection, make_entry, writing
from tests.deploy.programs import Nginx, Purging, Replica, Varnish, needs_nginx, needs_varnish, wait_until
from tests.processes import LiveServer, Process

pytestmark = [needs_nginx, needs_varnish, pytest.mark.django_db, pytest.mark.slow]
CONTENT = "content.example.com"
READERS = 6
AGREED = (
    15.0  # seconds after which no reader may see the version before; everything here shares a busy machine
)


@dataclass
class Readers:
    """Ask for documents, lists and one document that is a draft again, and note everything that is not as it must be."""

    port: int
    authority: Path
    paths: list[str]
    draft: str
    published: dict[int, float] = field(default_factory=dict)  # version → when it was published
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        context = ssl.create_default_context(cafile=str(self.authority))
        for number in range(READERS):
            thread = threading.Thread(target=self.ask, args=(number, context), name=f"reader-{number + 1}")
            thread.start()
            self.threads.append(thread)

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def ask(self, number: int, context: ssl.SSLContext) -> None:
        """Ask until it is over, by a connection that is made anew when it breaks."""
        link: http.client.HTTPSConnection | None = None
        turn = number
        while not self.stopped.is_set():
            path = self.paths[turn % len(self.paths)]
            turn += 1
            asked_at = time.monotonic()
            try:
                if link is None:
                    link = http.client.HTTPSConnection(CONTENT, self.port, timeout=20, context=context)
                    link._create_connection = to_loopback  # type: ignore[attr-defined]
                link.request("GET", path)
                answer = link.getresponse()
                self.judge(
                    path, asked_at, answer.status, answer.read(), answer.headers.get("X-Cache", "none")
                )
            except (OSError, http.client.HTTPException) as error:
                self.failed.append((asked_at, type(error).__name__))
                if link is not None:
                    link.close()
                link = None
            time.sleep(0.05)
        if link is not None:
            link.close()

    def judge(self, path: str, asked_at: float, status: int, body: bytes, cache: str) -> None:
        if b"DRAFT" in body:
            self.wrong.append(f"{path}: a draft")
        if status in (429, 502, 503, 504):
            self.failed.append((asked_at, str(status)))
            return
        self.counts[cache] += 1
        if path == self.draft:
            if status != 404:
                self.wrong.append(f"{path}: {status}")
            return
        try:
            told = json.loads(body)
            documents = told.get("data", [told])
            versions = [int(item["title"].removeprefix("v")) for item in documents]
        except (ValueError, KeyError, TypeError):
            self.wrong.append(f"{path}: {status} {body[:200]!r}")
            return
        known = max(
            number for number, at in dict(self.published).items() if at < asked_at - AGREED or number == 0
        )
        if status != 200 or min(versions) < known:
            self.wrong.append(f"{path}: {status}, {versions} where {known} was published long ago")

    def failures_since(self, moment: float) -> list[str]:
        return [text for at, text in self.failed if at >= moment]


def to_loopback(address: tuple[str, int], *_: Any) -> socket.socket:
    """Connect to nginx, which is known by another name, from an address of the reader's own: limits count by address."""
    number = threading.current_thread().name.rpartition("-")[2]
    return socket.create_connection(("127.0.0.1", address[1]), 20, source_address=(f"127.0.1.{number}", 0))


class Node(LiveServer):
    """A process of the delivery plane, at the replica, with no URL of another role."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(
            QUILLKEEP_PLANE="delivery",
            ALLOWED_HOSTS=f"localhost,127.0.0.1,{CONTENT}",
            TRUSTED_PROXIES="127.0.0.1",
            DELIVERY_DATABASE_URL=replica.url(os.environ["DELIVERY_DATABASE_URL"]),
        )
        self.environment.pop("DATABASE_URL", None)


@dataclass
class House:
    """Everything that runs."""

    replica: Replica
    nodes: list[Node]
    varnish: Varnish
    nginx: Nginx
    readers: Readers
    entries: list[Entry]
    version: int = 0

    def publish(self) -> None:
        """Publish the next version of every entry, and give the draft another word."""
        self.version += 1
        for entry in self.entries:
            entry.refresh_from_db()
            editing.save(
                entry.pk, {"title": f"v{self.version}"}, writing=writing("articles"), base=entry.latest_number
            )
            publishing.publish(entry.pk, writing=writing("articles"))
        self.readers.published[self.version] = time.monotonic()

    def go_on(self) -> None:
        """Wait until readers are answered again, from memory too."""
        before = self.readers.counts.copy()
        wait_until(lambda: self.readers.counts["hit"] >= before["hit"] + 20)
        wait_until(lambda: self.readers.counts.total() >= before.total() + 5 * READERS)

    def again(self, process: Process) -> None:
        """Start something again that has ended, and let it all go on."""
        process.__enter__()
        wait_until(lambda: self.varnish.healthy() == len(self.nodes))
        self.go_on()


def kill(process: Process) -> None:
    """End a process and all of its children at once, without a chance to say anything."""
    assert process.process is not None
    os.killpg(process.process.pid, signal.SIGKILL)
    process.process.wait()


@pytest.fixture
def house(_django_db_helper: None, tmp_path: Path) -> Iterator[House]:
    make_collection("articles", [{"key": "title", "type": "text", "required": True}])
    allow("public", collection="articles")
    entries = [make_entry(title="v0") for _ in range(3)]
    hidden = make_entry(title="DRAFT", published=False)
    made = certificates.make(tmp_path, CONTENT)
    paths = [f"/api/v1/content/articles/{item.pk}" for item in (*entries, hidden)]
    with ExitStack() as stack:
        replica = Replica()
        stack.callback(replica.remove)
        stack.enter_context(replica)
        nodes = [Node(replica), Node(replica)]
        varnish = Varnish(tmp_path / "varnish", *(node.port for node in nodes))
        with ThreadPoolExecutor() as pool:
            list(pool.map(stack.enter_context, [*nodes, varnish, Purging(varnish.purge_url)]))
        folder = tmp_path / "nginx"
        folder.mkdir()
        ports = [varnish.port, *(node.port for node in nodes)]
        nginx = stack.enter_context(Nginx(folder, made, management=ports[1], edge=ports[1], delivery=ports))
        lists = ["/api/v1/content/articles", "/api/v1/content/articles?limit=1"]
        readers = Readers(
            nginx.port, made.authority, [*paths, *lists], paths[-1], {0: time.monotonic() - 3600}
        )
        stack.callback(readers.stop)
        readers.start()
        found = House(replica, nodes, varnish, nginx, readers, entries)
        found.go_on()
        wait_until(lambda: varnish.healthy() == len(nodes))
        yield found


def test_each_is_stopped_or_killed_in_turn_and_no_answer_is_wrong(house: House) -> None:
    readers = house.readers
    told: dict[str, int] = {}

    stopped = house.nodes[0]
    moment = time.monotonic()
    assert stopped.process is not None
    stopped.process.terminate()
    assert stopped.process.wait(20) in (0, -signal.SIGTERM)
    house.publish()
    house.go_on()
    assert readers.failures_since(moment) == [], "it finishes what it began"
    house.again(stopped)

    for number, node in enumerate(house.nodes, start=1):
        moment = time.monotonic()
        kill(node)
        house.publish()
        wait_until(lambda: house.varnish.healthy() == 1)
        house.go_on()
        told[f"delivery {number}"] = len(readers.failures_since(moment))
        house.again(node)

    moment = time.monotonic()
    os.kill(house.nginx.workers()[0], signal.SIGKILL)
    house.publish()
    house.go_on()
    told["nginx worker"] = len(readers.failures_since(moment))

    moment = time.monotonic()
    kill(house.varnish)
    house.publish()
    before = readers.counts.total()
    wait_until(lambda: readers.counts["none"] > 0 and readers.counts.total() > before + 5 * READERS)
    told["Varnish"] = len(readers.failures_since(moment))
    house.again(house.varnish)

    # Without the replica nothing new can be read: errors, and what is kept, as long as it is known to be true.
    kill(house.replica)
    house.publish()
    time.sleep(3)
    (house.replica.data / "postmaster.pid").unlink(missing_ok=True)
    house.again(house.replica)
    wait_until(lambda: caught_up(house.replica))
    house.publish()
    house.go_on()

    assert readers.wrong == []
    # What was on its way to the one that died: at most one of each reader.
    assert max(told.values()) <= READERS, (told, readers.failed)
    assert set(Counter(text for _, text in readers.failed)) <= {
        "502",
        "503",
        "RemoteDisconnected",
        "ConnectionResetError",
    }


def caught_up(replica: Replica) -> bool:
    administrator = os.environ["QUILLKEEP_TEST_ADMINISTRATOR"]
    try:
        with psycopg.connect(replica.url(administrator)) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"
            ).fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and row[0] == 1
