"""The embedded PostgreSQL and Valkey: unix sockets only, passwords always, and hard to keep from starting."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from cms_project.servers import DATABASE, Account, ServerError, Servers
from tests.database import ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own") / ("deep-" * 20) / ("deeper-" * 12)  # longer than a socket's path
    made.mkdir(parents=True)
    open_up(made)
    return made


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[Servers]:
    with Servers(folder, durable=False) as started:
        yield started


def listening(pid: int) -> list[str]:
    """Return the TCP and UDP sockets that a process has open (Linux)."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink())
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        found += [f"{table} {line.split()[1]}" for line in lines if line.split()[9] in sockets]
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_server_listens_on_the_network(servers: Servers) -> None:
    for name in ("postgresql", "valkey"):
        assert listening(servers.processes[name].pid) == []


def test_the_folder_of_the_sockets_is_closed_to_others(servers: Servers) -> None:
    assert stat.S_IMODE(servers.sockets.stat().st_mode) == 0o700
    assert len(os.fsencode(servers.sockets)) < 80
    assert stat.S_IMODE((servers.folder / "state.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("role", ["postgres", "quillkeep_owner", "quillkeep_app", "quillkeep_delivery"])
def test_every_role_needs_its_password(servers: Servers, role: str) -> None:
    servers.connect(role, DATABASE if role != "postgres" else "postgres").close()
    for password in ("", "password=wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"host={servers.sockets} user={role} dbname={DATABASE} {password}")


def test_valkey_needs_its_password(servers: Servers) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(unix_socket_path=str(servers.sockets / "valkey.sock")).ping()


def test_no_password_is_on_a_command_line(servers: Servers) -> None:
    for process in servers.processes.values():
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        environment = Path(f"/proc/{process.pid}/environ").read_bytes().decode()
        for password in servers.state.passwords.values():
            assert password not in shown
            assert password not in environment


def test_the_database_sorts_by_code_point_and_belongs_to_the_owner(servers: Servers) -> None:
    with servers.connect("quillkeep_owner", DATABASE) as connection:
        row = connection.execute(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding), pg_get_userbyid(datdba)"
            " FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("b", "C.UTF-8", "UTF8", "quillkeep_owner")


def test_a_second_process_is_told_that_the_folder_is_taken(servers: Servers) -> None:
    with pytest.raises(ServerError, match="Another process"):
        Servers(servers.folder).start()
    servers.connect().close()


def test_it_starts_again_with_the_same_data_and_passwords(folder: Path, servers: Servers) -> None:
    with servers.connect("quillkeep_owner", DATABASE) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    passwords = dict(servers.state.passwords)
    servers.stop()
    assert not servers.sockets.exists()
    servers.start()
    assert servers.state.passwords == passwords
    with servers.connect("quillkeep_owner", DATABASE) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_it_starts_after_a_crash_and_takes_over_what_was_left(servers: Servers) -> None:
    left = servers.processes["postgresql"]
    servers.processes.pop("postgresql")  # as if we had been killed: the server runs on, nobody remembers it
    servers.stop()
    servers.start()
    assert left.wait(10) is not None
    servers.connect().close()
    os.kill(servers.processes["postgresql"].pid, signal.SIGKILL)
    servers.processes["postgresql"].wait()
    servers.stop()
    servers.start()
    servers.connect().close()


def test_a_pid_file_that_names_a_stranger_neither_stops_us_nor_the_stranger(servers: Servers) -> None:
    servers.stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        data = servers.home / "postgresql" / "postmaster.pid"
        data.write_text(f"{stranger.pid}\n{data.parent}\n0\n5432\n\n\n\n")
        (servers.home / "valkey" / "valkey.pid").write_text(f"{stranger.pid}\n")
        servers.start()
        servers.connect().close()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_nothing_runs_on_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, json, time; from pathlib import Path; from cms_project.servers import Servers;"
        "s = Servers(Path(sys.argv[1]), durable=False); s.start();"
        "print(json.dumps([p.pid for p in s.processes.values()]), flush=True); time.sleep(60)"
    )
    open_up(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "servers")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = json.loads(process.stdout.readline())
        process.kill()
        process.wait()
    for _ in range(100):
        if not any(is_running(pid) for pid in pids):
            return
        time.sleep(0.1)
    pytest.fail("a server outlived us")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give up its rights")
def test_as_root_the_servers_are_somebody_else_even_below_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "servers").mkdir()
    assert not Account.choose().reaches(closed / "servers" / "data")
    monkeypatch.setattr(Account, "reaches", lambda *_: False)  # as if the packages were below it too
    servers = Servers(closed / "servers", durable=False)
    try:
        servers.start()
        for process in servers.processes.values():
            assert Path(f"/proc/{process.pid}").stat().st_uid != 0
        servers.connect("quillkeep_app", DATABASE).close()
        assert not servers.home.is_relative_to(closed)
        # Whoever removes the folder begins anew, without the data outside that nobody has a password for.
        servers.stop()
        shutil.rmtree(closed / "servers")
        servers = Servers(closed / "servers", durable=False)
        servers.start()
        servers.connect("quillkeep_app", DATABASE).close()
    finally:
        servers.stop()
        for made in servers.home.parent.glob(f"{servers.home.name}*"):
            shutil.rmtree(made)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def open_up(path: Path) -> None:
    """Let an unprivileged account through pytest's own folders, as it may through a checkout's."""
    for parent in (path, *path.parents):
        if parent.stat().st_uid == os.getuid() and parent != Path("/") and "pytest" in str(parent):
            parent.chmod(0o755)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
