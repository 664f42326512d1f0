"""`make run`: complete when it says so, quick the second time, and gone without a trace when told to stop."""

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from django.http.request import split_domain_port, validate_host

from cms_project.environment import NAMES, Environment
from cms_project.run import Supervisor, own_host
from tests.database import ROOT
from tests.ground.test_our_own_servers import is_running

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


class Run:
    """One `make run` in a folder of its own; knows every process that it started."""

    def __init__(self, folder: Path, **given: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        clean = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in NAMES}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cms_project.run"],
            cwd=ROOT,
            env={**clean, "DATA_DIR": str(folder), "PORT": str(self.port), **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # Tests that run in the background have it ignored, and so would everything that they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
        self.lines: list[str] = []

    def wait_until_ready(self, sign: str = "Ready: ") -> float:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if sign in line:
                return time.monotonic() - self.started
        pytest.fail("".join(self.lines))

    def descendants(self) -> dict[int, str]:
        """Return the processes that have ours as an ancestor, with their command lines."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    parents[int(entry.name)] = int(fields[1])
                except OSError:
                    continue
        found: dict[int, str] = {}
        todo = [self.process.pid]
        while todo:
            parent = todo.pop()
            for pid, its_parent in parents.items():
                if its_parent == parent:
                    with contextlib.suppress(OSError):  # it has ended meanwhile
                        found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                        todo.append(pid)
        return found

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        output, _ = self.process.communicate(timeout=90)  # the supervisor itself gives each part its time
        self.lines.append(output)
        return self.process.returncode


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One for all of it: the first start takes the longest, and what was cut off is where the next one begins.

    Outside of pytest's own folders, which each run that starts beside this one closes to other accounts.
    """
    with tempfile.TemporaryDirectory(prefix="qk-run-") as made:
        Path(made).chmod(0o755)  # as a checkout is
        yield Path(made) / "var"


@pytest.fixture
def runs() -> Iterator[list[Run]]:
    started: list[Run] = []
    yield started
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
        if run.process.stdout is not None:
            run.process.stdout.close()


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_it_starts_serves_and_leaves_nothing_behind(folder: Path, runs: list[Run]) -> None:
    first_start = float("inf")
    for how in (signal.SIGTERM, signal.SIGINT):
        runs.append(Run(folder))
        seconds = runs[-1].wait_until_ready()
        # The contract's 10 seconds are for a quiet machine; that it reuses what the first start made shows here.
        assert seconds < first_start
        first_start = seconds
        assert get(runs[-1].port, "/readyz") == (200, b'{"status": "ready"}')

        processes = runs[-1].descendants()
        for expected in ("postgres -D", "valkey-server", "granian", "celery", "beat"):
            assert any(expected in command for command in processes.values()), expected
        for pid, command in processes.items():
            if "granian" in command or " beat " in command:
                assert b"OWNER_DATABASE_URL" not in Path(f"/proc/{pid}/environ").read_bytes()

        file = folder / "env"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        sockets = json.loads((folder / "servers" / "state.json").read_text())["sockets"]
        assert runs[-1].stop(how) == 0
        assert [command for pid, command in processes.items() if is_running(pid)] == []
        assert not Path(sockets).exists()


def test_whatever_dies_nothing_stays_behind(folder: Path, runs: list[Run]) -> None:
    """What was cut off is also what the next start has to begin with."""
    _is_killed_itself(folder, runs, "Spawning worker")  # in the middle of its start
    _is_killed_itself(folder, runs, "sender@")  # and when all is there
    _one_process_dies(folder, runs)


def _one_process_dies(folder: Path, runs: list[Run]) -> None:
    runs.append(Run(folder, ALLOWED_HOSTS="cms.test"))  # it asks itself by that name whether it is ready
    runs[-1].wait_until_ready()
    processes = runs[-1].descendants()
    beat = next(pid for pid, command in processes.items() if " beat " in command)
    os.kill(beat, signal.SIGKILL)
    output, _ = runs[-1].process.communicate(timeout=90)  # the supervisor itself gives each part its time
    assert "beat (status -9) ended" in output
    assert runs[-1].process.returncode == 1
    assert [command for pid, command in processes.items() if is_running(pid)] == []


def _is_killed_itself(folder: Path, runs: list[Run], sign: str) -> None:
    """The kernel cleans up."""
    runs.append(Run(folder))
    runs[-1].wait_until_ready(sign)
    processes = runs[-1].descendants()
    runs[-1].process.kill()
    runs[-1].process.wait()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(is_running(pid) for pid in processes):
        time.sleep(0.1)
    assert [command for pid, command in processes.items() if is_running(pid)] == []


def test_no_public_key_is_made_up_where_a_private_one_is_given(tmp_path: Path) -> None:
    """It would be of another pair: nobody could ever read those backups."""
    given = {"DATA_DIR": str(tmp_path), "DATABASE_URL": "x", "VALKEY_URL": "x"}
    assert "BACKUP_RECIPIENTS" in Supervisor(given).environment()
    for form in ("BACKUP_IDENTITY", "BACKUP_IDENTITY_FILE"):
        assert "BACKUP_RECIPIENTS" not in Supervisor({**given, form: "x"}).environment()


@pytest.mark.parametrize(
    "hosts", [("*",), ("*", "cms.test"), (".cms.test",), ("cms.test", "localhost"), ("[::1]",)]
)
def test_it_asks_itself_by_a_name_that_it_takes(hosts: tuple[str, ...]) -> None:
    name, _ = split_domain_port(own_host(cast("Environment", SimpleNamespace(allowed_hosts=hosts))))
    assert validate_host(name, hosts)


def test_a_taken_port_and_a_faulty_environment_are_said_plainly(folder: Path, runs: list[Run]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        runs.append(Run(folder, PORT=str(taken.getsockname()[1])))
        assert runs[-1].process.wait(40) == 1
    assert runs[-1].process.stdout is not None
    output = runs[-1].process.stdout.read()
    assert "is taken" in output
    assert "Traceback" not in output

    runs.append(Run(folder, PORT="many", TRUSTED_PROXIES="canary"))
    output, _ = runs[-1].process.communicate(timeout=90)  # the supervisor itself gives each part its time
    assert runs[-1].process.returncode == 2
    assert "PORT: must be" in output
    assert "TRUSTED_PROXIES: must be" in output
    assert "canary" not in output
