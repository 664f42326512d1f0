"""Real processes for tests: the web server and a Celery worker, on the database of their test."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import redis

from cms_project.run import answers, web_command
from cms_project.web import APPLICATION
from tests.database import ROOT

START_SECONDS = 30.0
# Below those of clients; each worker in its own order.
PORTS = iter(random.sample(range(12_000, 32_000), 20_000))


@cache
def valkey_client(url: str) -> redis.Redis:
    """Return a client for a Valkey or broker URL (unix sockets only, as in all tests)."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    number = (query.get("db") or query.get("virtual_host") or ["0"])[0]
    return redis.Redis(unix_socket_path=parts.path, password=parts.password, db=int(number))


def free_port() -> int:
    """Return a port of loopback that nobody listens at: none twice, and none that the kernel gives to clients."""
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("every port from 12,000 to 32,000 is taken")


class Process:
    """A process of ours with its log in a file; ends with its children when the test ends."""

    def __init__(self, **environment: str) -> None:
        self.environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment}
        self.output = Path(tempfile.mkstemp(prefix="qk-log-")[1])
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """Return what to run."""
        raise RuntimeError("each kind of process says what it runs")

    def is_ready(self) -> bool:
        """Return whether it answers."""
        raise RuntimeError("each kind of process says when it is ready")

    def log(self) -> str:
        """Return what it has written so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_ready():
                return self
            time.sleep(0.05)
        log = self.log()
        self.__exit__()
        raise RuntimeError(f"{type(self).__name__} did not start:\n{log[-4000:]}")

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.output.unlink(missing_ok=True)


class LiveServer(Process):
    """granian with one worker on a free port of loopback. It never gets the owner's URL."""

    def __init__(self, **environment: str) -> None:
        super().__init__(**environment)
        self.environment.pop("OWNER_DATABASE_URL", None)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Passkeys are bound to a name, and work under the public address only.
        self.public_url = self.environment["PUBLIC_URL"] = f"http://localhost:{self.port}"

    def command(self) -> list[str]:
        """Return what `make run` ends up with, at another port: the check before it has tests of its own."""
        python, _, _, *options = web_command(self.port)
        return [python, "-m", "granian", "--interface", "wsgi", *options, APPLICATION]

    def is_ready(self) -> bool:
        """Return whether /healthz answers."""
        return answers(self.port)


class NginxProcess(Process):
    """nginx with all of its files in one folder; each kind writes its own `nginx.conf` there."""

    folder: Path

    def command(self) -> list[str]:
        """Return its command line."""
        folder = str(self.folder)
        return [
            str(shutil.which("nginx")),
            "-p",
            folder,
            "-e",
            f"{folder}/error.log",
            "-c",
            f"{folder}/nginx.conf",
        ]


class CeleryWorker(Process):
    """One Celery worker with one process for all queues."""

    def command(self) -> list[str]:
        """Return the worker's command line."""
        return [
            sys.executable,
            "-m",
            "celery",
            "--app",
            "cms_project.celery",
            "worker",
            "--pool",
            "solo",
            "--loglevel",
            "INFO",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]

    def is_ready(self) -> bool:
        """Return whether it said that it is ready."""
        return " ready." in self.log()

    def wait_for(self, predicate: Any, *, seconds: float = 10.0) -> None:
        """Wait until `predicate()` is true. Raises AssertionError with the log when it never is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if predicate():
                return
            time.sleep(0.05)
        raise AssertionError(f"It did not happen in {seconds} s. The worker's log:\n{self.log()[-4000:]}")
