"""A whole house for the faults: servers that can be stopped, the real processes, and receivers to tell.

A `Scene` is one row of the table: a database of its own, the processes of `make run` on it, receivers, and an account
of what was sent and what came.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import psycopg
import redis

from bench.ground import ROOT, TEMPLATE, BenchError, Ground, Probe
from bench.receiver import Behaviour, Receiver, differing, well
from cms_project.run import CELERY, HOST, READY_SECONDS, WORKERS, answers, web_command, worker_command
from cms_project.servers import SUPERUSER, Servers, die_with_parent, end

LEASE: Final = 60.0  # seconds (webhooks.leasing)
OTHER_CLOCK: Final = ROOT / "bench" / "other_clock"
_QUIET: Final = 1.0  # seconds
PUBLISHED: Final = "entry.published"
_WAITS: Final = """
    SELECT (SELECT count(*) FROM webhooks_delivery WHERE state = 'waiting' AND NOT endpoint_id = ANY(%(but)s::uuid[])),
           (SELECT count(*) FROM accounts_unsealed WHERE refused_at IS NULL),
           (SELECT coalesce(max(position), 0) FROM accounts_seal)
               - (SELECT coalesce(max(position), 0) FROM accounts_position WHERE consumer = 'webhooks')
"""
_END_LEASES: Final = """
    UPDATE webhooks_delivery SET leased_until = now(), next_attempt_at = now()
    WHERE state = 'waiting' AND leased_until < now() + interval '57 seconds'
"""
_POSITIONS: Final = """
    SELECT s.position FROM accounts_seal s JOIN accounts_event e ON e.id = s.event_id WHERE e.type = %s
"""


class MortalServers(Servers):
    """Servers that can be killed and started again while others use them."""

    def stop_valkey(self) -> None:
        """Stop it, as if its machine were gone."""
        process = self.processes.pop("valkey")
        process.kill()
        process.wait()

    def start_valkey(self) -> None:
        """Start it again at the same place."""
        self._start_valkey()

    def restart_postgresql(self) -> None:
        """What `pg_ctl -m immediate restart` does: no goodbye to anybody, and recovery from the log."""
        process = self.processes.pop("postgresql")
        process.send_signal(signal.SIGQUIT)
        process.wait()
        self._start_postgresql()


class House(Ground):
    """The servers of a run, with one migrated template; every scene has a database of its own."""

    servers: MortalServers

    def __init__(self) -> None:
        super().__init__()
        self.servers: MortalServers = MortalServers(self.folder / "servers", durable=True)

    def __enter__(self) -> Self:
        super().__enter__()
        self.servers.create_database(TEMPLATE)
        migrate = ["manage.py", "migrate", "--verbosity", "0"]
        self.finish(self.spawn(migrate, TEMPLATE, owner=True))
        return self


@dataclass(slots=True)
class Counts:
    """What was sent and what came; a fault of its own is told in `problems`."""

    sent: int = 0
    received: int = 0  # different deliveries that were taken
    lost: int = 0
    duplicates: int = 0  # taken once more
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def expect(self, is_so: object, problem: str) -> None:
        """Note a problem unless it is so."""
        if not is_so:
            self.problems.append(problem)


class Scene:
    """One row: leave it, and its processes and its database are gone."""

    def __init__(self, house: House, name: str) -> None:
        self.house = house
        self.database = f"faults_{name.lower()}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.receivers: list[Receiver] = []
        self.prepared: dict[str, str] = {}
        self.more: dict[str, str] = {}  # of the environment
        self.clocks: dict[str, int] = {}  # seconds by which the clock of a process is ahead, by its name
        self.port = 0
        self._stack = contextlib.ExitStack()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def __enter__(self) -> Self:
        self.house.servers.create_database(self.database, template=TEMPLATE)
        self.valkey().flushall()
        self.hand = Probe(0, self._spawn_hand(), self.house.fail)
        self.prepared = self.act("prepare")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            end(process, seconds=10)
        self.hand.close()
        if self.hand.process.stdout is not None:
            self.hand.process.stdout.close()
        self._stack.close()
        if self._connection is not None:
            self._connection.close()
        with self.house.servers.connect() as connection:
            connection.execute(f"DROP DATABASE {self.database} (FORCE)".encode())

    # --- Who takes part ---

    def act(self, act: str, **given: Any) -> Any:
        """Let the hand act."""
        return self.hand.ask(act, **given)

    def receiver(self, behave: Behaviour = well, *, name: str = "", **given: Any) -> Receiver:
        """Start a receiver and set up its endpoint."""
        receiver = Receiver(behave, name or f"site-{len(self.receivers) + 1}")
        self._stack.enter_context(receiver)
        made = self.act("endpoint", name=receiver.name, url=receiver.url, **given)
        receiver.endpoint, receiver.secret = made["endpoint"], made["secret"]
        receiver.owner = made["owner"]
        self.receivers.append(receiver)
        return receiver

    def start(self, *names: str) -> None:
        """Start processes by the names that `make run` has for them, and wait until they are ready."""
        for name in names:
            self._log(name).unlink(missing_ok=True)  # or an earlier one would be taken for ready
            self.processes[name] = self._popen(name)
        for name in names:
            self._await(name)

    def kill(self, name: str) -> None:
        """End a process and all of its children without a warning, and start it anew, as who watches it would."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()
        self.processes[name] = self._popen(name)

    def stop(self, name: str) -> None:
        """Ask a process to end, and wait for it."""
        process = self.processes.pop(name)
        process.terminate()
        end(process)

    def memory(self, name: str) -> list[float]:
        """Return how many megabytes each process of a worker's pool holds (Linux)."""
        found = []
        for pid in children(self.processes[name].pid):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
                found += [
                    int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS")
                ]
        return found or [0.0]

    def end_at_once(self, name: str) -> None:
        """Kill a process, and see that its children are gone; may be called from any thread, so it starts nothing."""
        process = self.processes[name]
        left = children(process.pid)
        process.kill()
        self.wait_until(lambda: not any(Path(f"/proc/{pid}/task").is_dir() for pid in left), 10, every=0.01)

    def kill_child(self, name: str, number: int = 0) -> None:
        """End one process of a worker's pool without a warning."""
        found = children(self.processes[name].pid)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[number % len(found)], signal.SIGKILL)

    def _popen(self, name: str) -> subprocess.Popen[bytes]:
        values = {
            **self.house.environment(self.database, owner=name in ("worker", "keeper")),
            "DJANGO_SETTINGS_MODULE": "cms_project.settings",
            **self.more,
        }
        if name == "web":
            with socket.socket() as free:
                free.bind((HOST, 0))
                self.port = free.getsockname()[1]
            values["PORT"] = str(self.port)
        if name in self.clocks:
            values |= {"FAULTS_CLOCK": str(self.clocks[name]), "PYTHONPATH": str(OTHER_CLOCK)}
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                self._command(name),
                cwd=ROOT,
                env=values,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 (it only calls prctl)
            )

    def _command(self, name: str) -> list[str]:
        if name == "web":
            return web_command(self.port)
        if name.startswith("beat"):
            schedule = str(self.house.folder / f"{self.database}-{name}")
            return [*CELERY, "beat", "--loglevel", "INFO", "--schedule", schedule, "--pidfile", ""]
        found = {worker: (queues, count) for worker, queues, count in WORKERS}
        queues, count = found[name]
        return worker_command(f"{name}-{self.database}", queues, int(self.more.get("PROCESSES", count)))

    def _await(self, name: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready(name):
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"{name} did not start:\n{self.log_of(name)[-4000:]}")
            time.sleep(0.05)

    def _is_ready(self, name: str) -> bool:
        if name == "web":
            return answers(self.port)
        return True if name.startswith("beat") else " ready." in self.log_of(name)

    def _spawn_hand(self) -> subprocess.Popen[str]:
        return self.house.spawn(["-m", "bench.hand"], self.database, owner=False)

    def _log(self, name: str) -> Path:
        return self.house.folder / f"{self.database}-{name}.log"

    def log_of(self, name: str) -> str:
        """Return what a process has written."""
        path = self._log(name)
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    # --- What the database knows ---

    def rows(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Ask the database past all rights; again when it has been restarted meanwhile."""
        for _ in range(100):
            try:
                if self._connection is None:
                    self._connection = self.house.servers.connect(SUPERUSER, self.database)
                cursor = self._connection.execute(statement.encode(), parameters)
                return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                self._connection = None
                time.sleep(0.2)
        raise BenchError("The database does not come back.")

    def positions(self, type_: str = PUBLISHED) -> set[int]:
        """Return the places in the log of the events of a type."""
        return {int(row[0]) for row in self.rows(_POSITIONS, [type_])}

    def valkey(self) -> redis.Redis:
        """Return a client of the broker and the cache."""
        return redis.Redis.from_url(self.house.servers.valkey_url(0))

    # --- Waiting ---

    def wait_until(self, is_so: Callable[[], object], seconds: float, *, every: float = 0.1) -> bool:
        """Wait; tell whether it came to be so."""
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                return False
            time.sleep(every)
        return True

    def is_done(self, but: Iterable[Receiver] = ()) -> bool:
        """Tell whether nothing waits any more, endpoints that never will be done left out."""
        left = self.rows(_WAITS, {"but": [receiver.endpoint for receiver in but]})[0]
        return all(int(number) <= 0 for number in left)

    def wait_until_done(
        self, seconds: float, *, but: Sequence[Receiver] = (), skips_leases: bool = False
    ) -> bool:
        """Wait until everything is delivered.

        With `skips_leases` what dead processes held is given free when nothing comes any more, in place of waiting
        for the minute to pass.
        """

        def is_done() -> bool:
            if skips_leases:
                self._free_the_dead()
            return self.is_done(but)

        return self.wait_until(is_done, seconds)

    def wait_for_more(self, *, skips_leases: bool = False) -> bool:
        """Wait until some more requests have come, so that the next fault is in the middle of something."""
        before = self.requests

        def is_so() -> bool:
            if skips_leases:
                self._free_the_dead()
            return self.requests > before + 3

        return self.wait_until(is_so, LEASE, every=0.05)

    @property
    def requests(self) -> int:
        """How many requests came to all receivers."""
        return sum(len(receiver.requests) for receiver in self.receivers)

    def _free_the_dead(self) -> None:
        """End leases when nothing has come for longer than any of these receivers takes to answer; fresh ones stay."""
        if time.time() - max((receiver.last_at for receiver in self.receivers), default=0) > _QUIET:
            self.rows(_END_LEASES)

    # --- The account ---

    def count(self, receivers: Sequence[Receiver] | None = None, type_: str = PUBLISHED) -> Counts:
        """Compare the log with what each receiver took."""
        wanted = self.positions(type_)
        counts = Counts()
        for receiver in self.receivers if receivers is None else receivers:
            taken = [request for request in receiver.taken if request.type == type_]
            came = {int(request.data["sequence"]) for request in taken}
            ids = {request.id for request in taken}
            counts.sent += len(wanted)
            counts.received += len(came & wanted)
            counts.lost += len(wanted - came)
            counts.duplicates += len(taken) - len(came)
            counts.expect(not receiver.unverified, f"{receiver.unverified} signatures are wrong")
            counts.expect(came <= wanted, "something came that never happened")
            counts.expect(len(ids) == len(came), "an event came under two ids")
            counts.expect(not differing(receiver.requests), "an id came with two bodies")
        counts.expect(not counts.lost, f"{counts.lost} are lost")
        return counts


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still live (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(number) for number in task.read_text().split()]
    return sorted(found)


def delays(receiver: Receiver) -> list[float]:
    """Return how many seconds after its event each delivery came for the first time."""
    first: dict[str, float] = {}
    for request in receiver.requests:
        first.setdefault(request.id, request.at)
    happened = {request.id: request.happened_at for request in receiver.requests}
    return sorted(at - happened[name] for name, at in first.items())


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Return a percentile of values in their order, 0 of none."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]
