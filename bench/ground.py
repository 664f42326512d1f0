"""Throw-away servers, one database for each number of entries, and a measuring process on each."""

import base64
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from cms_project.environment import NAMES
from cms_project.run import HOST, READY_SECONDS, answers, web_command
from cms_project.servers import OWNER, Servers, die_with_parent, end

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "bench_template"
FILLERS = 2  # processes that copy entries side by side

Say = Callable[[str], None]


class BenchError(RuntimeError):
    """A part of the bench failed; the text holds the end of its log."""


@dataclass(frozen=True)
class Filled:
    """What loading left: keys by role, the collection's id, indexes built, bytes on disk."""

    keys: dict[str, list[str]]
    collection: str
    indexes: int
    bytes: int


class Ground:
    """Everything that the bench starts; leaving it removes all of it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="quillkeep-bench-"))
        self.folder.chmod(0o711)
        self.servers = Servers(self.folder / "servers", durable=True)
        self.probes: list[Probe] = []
        self.webs: list[subprocess.Popen[bytes]] = []
        self.prepared: dict[str, Any] = {}
        self.secrets = {
            "SECRET_KEY": secrets.token_urlsafe(64),
            "QUILLKEEP_KEY_RING": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        }
        self.log = (self.folder / "log").open("ab")

    def __enter__(self) -> Self:
        self.servers.start()
        return self

    def __exit__(self, *_: object) -> None:
        for probe in self.probes:
            probe.close()
        for web in self.webs:
            web.terminate()
            end(web)
        self.servers.stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def prepare(self, say: Say) -> None:
        """Make the template: everything but the articles."""
        say("tables, schema, authors, policies")
        self.servers.create_database(TEMPLATE)
        migrate = [str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        self.finish(self.spawn(migrate, TEMPLATE, owner=True))
        self.prepared = self.finish(self.spawn(["-m", "bench.load", "prepare"], TEMPLATE, owner=True))

    def database(self, size: int, say: Say) -> Filled:
        """Make a database with so many published articles."""
        name = name_of(size)
        self.servers.create_database(name, template=TEMPLATE)
        say(f"{size:,} entries: copying")
        bounds = [size * part // FILLERS for part in range(FILLERS + 1)]
        filling = [
            self.spawn(["-m", "bench.load", "fill", str(start), str(end)], name, owner=True)
            for start, end in itertools.pairwise(bounds)
        ]
        for process in filling:
            self.finish(process)
        say(f"{size:,} entries: indexes, comparison with the verbs, vacuum")
        done = self.finish(
            self.spawn(["-m", "bench.load", "finish"], name, owner=True), json.dumps(self.prepared["indexes"])
        )
        return Filled(self.prepared["keys"], self.prepared["collection"], done["indexes"], done["bytes"])

    def probe(self, size: int, filled: Filled) -> "Probe":
        """Start a measuring process, without the owner's URL as every web process."""
        process = self.spawn(["-m", "bench.probe"], name_of(size), owner=False)
        probe = Probe(size, process, self.fail)
        self.probes.append(probe)
        probe.ask("start", size=size, keys=filled.keys, collection=filled.collection)
        return probe

    def web(self, database: int | str, **more: str) -> str:
        """Start the web server of `make run` on a database, with more environment, and return its address."""
        with socket.socket() as free:
            free.bind((HOST, 0))
            port: int = free.getsockname()[1]
        values = {
            **self.environment(name_of(database) if isinstance(database, int) else database, owner=False),
            "DJANGO_SETTINGS_MODULE": "cms_project.settings",
            "PORT": str(port),
            **more,
        }
        web = subprocess.Popen(
            web_command(port),
            cwd=ROOT,
            env=values,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 (it only calls prctl)
        )
        self.webs.append(web)
        deadline = time.monotonic() + READY_SECONDS
        while not answers(port):
            if web.poll() is not None or time.monotonic() > deadline:
                self.fail()
            time.sleep(0.1)
        return f"http://localhost:{port}"

    def spawn(self, arguments: Sequence[str], database: str, *, owner: bool) -> subprocess.Popen[str]:
        """Start a process of ours on a database."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment(database, owner=owner),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def environment(self, database: str, *, owner: bool) -> dict[str, str]:
        """Return the environment of a process on a database."""
        values = {
            name: value
            for name, value in os.environ.items()
            if name.removesuffix("_FILE").removesuffix("_VAULT") not in NAMES
        }
        values |= {
            **self.secrets,
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "QUILLKEEP_ENVIRONMENT": "development",
            "ALLOWED_HOSTS": "localhost",
            "DATA_DIR": str(self.folder / "data"),
            "DATABASE_URL": self.servers.database_url("quillkeep_app", database),
            "DELIVERY_DATABASE_URL": self.servers.database_url("quillkeep_delivery", database),
            "VALKEY_URL": self.servers.valkey_url(1),
            "CELERY_BROKER_URL": self.servers.broker_url(2),
        }
        if owner:
            values["OWNER_DATABASE_URL"] = self.servers.database_url(OWNER, database)
        return values

    def finish(self, process: subprocess.Popen[str], given: str = "") -> dict[str, Any]:
        """Wait for a process and return its last line. Raises BenchError with the log when it fails."""
        output, _ = process.communicate(given)
        if process.returncode:
            self.fail()
        lines = output.strip().splitlines()
        return dict(json.loads(lines[-1])) if lines else {}

    def fail(self) -> None:
        """Raise BenchError with the end of the log."""
        self.log.flush()
        text = (self.folder / "log").read_text(encoding="utf-8", errors="replace")
        raise BenchError(text[-6000:])


class Probe:
    """One measuring process; asked by lines of JSON, answers with one each."""

    def __init__(self, size: int, process: subprocess.Popen[str], fail: Callable[[], None]) -> None:
        self.size = size
        self.process = process
        self.fail = fail

    def ask(self, act: str, **given: Any) -> Any:
        """Return the answer to one question."""
        if self.process.stdin is None or self.process.stdout is None:
            raise BenchError("The measuring process has no pipes.")
        stdin: IO[str] = self.process.stdin
        stdin.write(json.dumps({"act": act, **given}) + "\n")
        stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.fail()
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def name_of(size: int) -> str:
    """Return the name of the database with so many entries."""
    return f"bench_{size}"
