"""What serves goes away, or what it leans on: Valkey, connections, a migration, the web process itself."""

import http.client
import os
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg

from bench.fault_rows.base import Size, row
from bench.fault_rows.client import Client, told
from bench.ground import ROOT
from bench.house import Counts, Scene
from cms_project.servers import OWNER

_LIST: Final = "/api/v1/content/articles"
_PREFIX: Final = b"quillkeep*"
# By then attempts to connect that are put off for twice as long each time are far apart.
_TAKEN_SECONDS: Final = 18.0
_READERS: Final = 40  # at once: five times as many as are worked on


def _get(scene: Scene, path: str, *, patience: float = 30.0) -> tuple[int, bytes, str, float]:
    """Return status, body, Retry-After and seconds; status 0 where no answer came."""
    began = time.monotonic()
    link = http.client.HTTPConnection("localhost", scene.port, timeout=patience)
    try:
        link.request("GET", path, headers={"Host": f"localhost:{scene.port}"})
        answer = link.getresponse()
        body = answer.read()
        return answer.status, body, answer.headers.get("Retry-After", ""), time.monotonic() - began
    except (OSError, http.client.HTTPException):
        return 0, b"", "", time.monotonic() - began
    finally:
        link.close()


def _by_key(scene: Scene) -> dict[str, str]:
    return {"Host": f"localhost:{scene.port}", "Authorization": f"Bearer {scene.prepared['key']}"}


def _open_to_all(scene: Scene, number: int) -> list[str]:
    """Publish, and let the public read it; return the paths."""
    client = Client(scene)
    for count in range(number):
        client.publish_one(f"Entry {count}")
    policy = {"role": "public", "collection": "articles", "actions": ["read"], "filter": {}, "fields": "*"}
    client.post("manage/policies", policy)
    return [f"{_LIST}/{entry}" for entry in client.published]


@row("CA1", "Valkey is wiped, then holds garbage, then is gone")
def cache_gone(scene: Scene, size: Size) -> Counts:
    """What the public reads is right throughout; signing in is closed while failures can't be counted."""
    scene.start("web")
    paths = _open_to_all(scene, min(size.events, 40))
    before = {path: _get(scene, path)[:2] for path in paths}
    counts = Counts(sent=len(paths) * 3)
    counts.expect(
        all(status == 200 for status, _ in before.values()), "the public reads nothing to begin with"
    )

    def compare(when: str) -> None:
        same = sum(_get(scene, path)[:2] == before[path] for path in paths)
        counts.received += same
        counts.expect(same == len(paths), f"{when}: {len(paths) - same} other answers")

    scene.valkey().flushall()
    compare("wiped")
    for key in list(scene.valkey().scan_iter(_PREFIX)):
        scene.valkey().set(key, os.urandom(200))
    compare("garbage")
    body = {"email": "ada@example.com", "password": "wrong " * 4}
    scene.house.servers.stop_valkey()
    try:
        compare("gone")
        status, _ = Client(scene).post("auth/login", body)
        counts.expect(status == 503, f"signing in without limits was answered {status}")
    finally:
        scene.house.servers.start_valkey()
    status, _ = Client(scene).post("auth/login", body)
    counts.expect(
        scene.wait_until(lambda: Client(scene).post("auth/login", body)[0] in (401, 429), 30), f"{status}"
    )
    return counts


@row("DB2", "every connection of the database is taken")
def connections_taken(scene: Scene, size: Size) -> Counts:  # noqa: ARG001 (a row like the others)
    """What needs one is refused within two seconds, many at once too, never answered with nothing; then it works."""
    scene.start("web")
    paths = _open_to_all(scene, 5)
    counts = Counts()
    with scene.house.servers.connect() as connection:
        for role in ("quillkeep_app", "quillkeep_delivery"):
            connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT 0".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename LIKE 'quillkeep%%'",
            [scene.database],
        )
    answers: list[tuple[int, bytes, str, float]] = []
    is_over = time.monotonic() + _TAKEN_SECONDS
    with ThreadPoolExecutor(_READERS) as readers:
        while time.monotonic() < is_over:
            answers += readers.map(lambda number: _get(scene, paths[number % len(paths)]), range(_READERS))
            time.sleep(1)
    with scene.house.servers.connect() as connection:
        for role in ("quillkeep_app", "quillkeep_delivery"):
            connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1".encode())
    began = time.monotonic()
    is_back = scene.wait_until(lambda: all(_get(scene, path)[0] == 200 for path in paths), 20)
    seconds = time.monotonic() - began
    statuses = [item[0] for item in answers]
    counts.expect(set(statuses) <= {503, 200}, f"answers {told(statuses)}")
    counts.expect(503 in statuses, "nothing was refused, so nothing was shown")
    counts.expect(all(item[2] for item in answers if item[0] == 503), "a refusal without Retry-After")
    counts.expect(all(b'"data":[]' not in item[1] for item in answers), "an empty answer")
    slowest = max(item[3] for item in answers)
    counts.notes.append(f"the slowest refusal took {slowest:.1f} s; works again within {seconds:.1f} s")
    counts.expect(slowest <= 2, f"a refusal took {slowest:.1f} s")
    counts.expect(is_back and seconds <= 5, f"it does not come back by itself within {seconds:.1f} s")
    counts.sent = len(answers) + len(paths)
    counts.received = sum(status in (200, 503) for status in statuses) + len(paths) * is_back
    return counts


@row("DB4", "migrating from nothing is killed again and again")
def migration_killed(scene: Scene, size: Size) -> Counts:
    """Whatever it was doing, the next one finishes, and the result is what one that nobody killed makes."""
    name = f"{scene.database}_fresh"
    scene.house.servers.create_database(name)
    values = scene.house.environment(name, owner=True)
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
    counts = Counts()
    dice = random.Random(4)
    for _ in range(size.kills):
        process = subprocess.Popen(
            command, cwd=ROOT, env=values, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(dice.uniform(1.0, 8.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        counts.sent += 1
    done = subprocess.run(command, cwd=ROOT, env=values, capture_output=True, text=True)
    counts.expect(done.returncode == 0, done.stderr[-300:])
    query = (
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    found = []
    for database in (name, scene.database):
        with psycopg.connect(scene.house.servers.database_url(OWNER, database)) as connection:
            found.append(connection.execute(query).fetchall())
    counts.expect(found[0] == found[1], "its tables are others")
    counts.received = counts.sent
    return counts


@row("PR3", "SIGTERM to the web process under load")
def web_stops(scene: Scene, size: Size) -> Counts:
    """What was on its way is answered; only what comes to a closed door is refused."""
    scene.start("web")
    paths = _open_to_all(scene, 20)
    counts = Counts()
    are_over = threading.Event()
    cut: list[str] = []
    guard = threading.Lock()

    def read(number: int) -> None:
        dice = random.Random(number)
        while not are_over.is_set():
            link = http.client.HTTPConnection("localhost", scene.port, timeout=30)
            try:
                link.connect()
                link.request("GET", dice.choice(paths), headers=_by_key(scene))  # strangers are slowed down
            except OSError:
                link.close()  # the door is closed: this one was never on its way
                time.sleep(0.02)
                continue
            try:
                answer = link.getresponse()
                answer.read()
                with guard:
                    counts.sent += 1
                    counts.received += answer.status == 200
                    if answer.status != 200:
                        cut.append(str(answer.status))
            except (OSError, http.client.HTTPException) as error:
                with guard:
                    counts.sent += 1
                    cut.append(type(error).__name__)
            finally:
                link.close()

    readers = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for reader in readers:
        reader.start()
    rounds = min(size.restarts, 5)
    try:
        for _ in range(rounds):
            time.sleep(2)
            scene.stop("web")
            scene.start("web")
    finally:
        are_over.set()
        for reader in readers:
            reader.join()
    counts.lost = len(cut)
    # Between the kernel's queue and the process there is a moment that no process sees: a proxy tries such a one again.
    counts.expect(len(cut) <= rounds, f"{len(cut)} requests were cut off: {sorted(set(cut))}")
    counts.notes.append(f"{rounds} stops, {len(cut)} cut off while the door closed")
    return counts
