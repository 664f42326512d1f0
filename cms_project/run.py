"""`make run`: own servers, migrations, demo content, then web, worker and beat in the foreground."""

import base64
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import IO, Final, Never

from pyrage import x25519

from cms_project import environment
from cms_project.environment import Environment, EnvironmentFaultsError
from cms_project.environment_backups import is_identity
from cms_project.servers import OWNER, SCRATCH, ServerError, Servers, die_with_parent, end, write_private

ROOT: Final = Path(__file__).resolve().parent.parent
HOST: Final = "127.0.0.1"
READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0  # longer than what is on the wire may take
THREADS: Final = 128  # made when they are needed; most wait for bodies, few work (`bodies.MOST_WORKING`)
HEADER_READ_MILLISECONDS: Final = (
    10_000  # from the first byte of a request, or its end, to the last one of its head
)
MAX_HEAD_BYTES: Final = 64 * 1024  # request line and headers together
# Quiet: its banner would push the lines about signing in off the screen.
CELERY: Final = (sys.executable, "-m", "celery", "--quiet", "--app", "cms_project.celery")
KEEPER: Final = "keeper"  # of backups: the one process that can read them
# What only some processes hold: who owns the tables, and who reads backups.
FOR_OWNERS: Final = ("OWNER_DATABASE_URL",)
FOR_THE_KEEPER: Final = (
    "BACKUP_IDENTITY",
    "BACKUP_S3_ACCESS_KEY_ID",
    "BACKUP_S3_SECRET_ACCESS_KEY",
    "SCRATCH_DATABASE_URL",
)
# Of var/env: written anew by each start. Whatever else somebody wrote into that file is theirs, and stays.
ANEW: Final = frozenset(
    {
        "QUILLKEEP_ENVIRONMENT", "PORT", "DATA_DIR", "OWNER_DATABASE_URL", "DATABASE_URL", "DELIVERY_DATABASE_URL",
        "SCRATCH_DATABASE_URL", "VALKEY_URL", "CELERY_BROKER_URL",
    }
)  # fmt: skip
# Name, queues, processes.
WORKERS: Final = (
    ("worker", "default,index,receipts", 2),
    ("sealer", "log", 1),
    ("sender", "webhooks", 2),
    (KEEPER, "backups", 1),
)
SETUP: Final = "setup"  # what runs before the others, and ends
# Those that hold the role that owns the tables: the worker that builds indexes, and the keeper of backups.
OWNERS: Final = (SETUP, KEEPER, *(name for name, queues, _ in WORKERS if "index" in queues.split(",")))


class StoppedError(Exception):
    """Somebody asked us to stop: Ctrl-C, SIGTERM or SIGHUP."""


class Supervisor:
    """Starts everything in order and stops all of it, whatever happens in between."""

    def __init__(self, given: dict[str, str]) -> None:
        self.given = given
        self.data_dir = Path(given.get("DATA_DIR") or "var").resolve()
        self.values: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.pumps: list[threading.Thread] = []
        self.servers = Servers(
            self.data_dir / "servers",
            with_postgresql=not _has(given, "DATABASE_URL"),
            with_valkey=not _has(given, "VALKEY_URL"),
        )

    def run(self, *, servers_only: bool = False) -> int:
        """Return the exit status: 0 when asked to stop, 1 when something failed or ended by itself.

        With `servers_only` nothing but PostgreSQL and Valkey runs: what restoring a backup needs.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # who started us with nohup meant it
                signal.signal(number, _stop)
        try:
            if servers_only:
                self.prepare_servers()
                say("PostgreSQL and Valkey run; `manage.py` can be used. (Ctrl-C stops them)")
                return self.watch()
            settings = self.prepare()
            self.start_processes(settings)
            self.announce(settings)
            return self.watch()
        except StoppedError:
            say("Stopping.")
            return 0
        except EnvironmentFaultsError as error:
            say(str(error))
            return environment.STATUS_OF_FAULTS
        except (ServerError, FailedError) as error:
            say(str(error))
            return 1
        finally:
            self.stop()

    def prepare(self) -> Environment:
        """Start the servers, write the environment, migrate, and make the demo content."""
        settings = self.prepare_servers()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, settings.port))
            except OSError as error:
                raise FailedError(
                    f"Port {settings.port} is taken. Choose another: make run PORT=8001"
                ) from error
        self.manage("migrate", "--verbosity", "0")
        if settings.is_development and not self.knows_the_demo(settings):
            # Our own output is a pipe to the command, so it can't see whether anybody could scan a code.
            self.manage("demo", "--update-url", *(["--qr"] if sys.stdout.isatty() else []))
        return settings

    def prepare_servers(self) -> Environment:
        """Start the servers and write the environment."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self.servers.with_postgresql or self.servers.with_valkey:
            self.servers.start()
        self.values = self.environment()
        return environment.read(self.values)  # every fault at once, before anything else is done

    def knows_the_demo(self, settings: Environment) -> bool:
        """Say how to sign in when an earlier start made the demo at this address; that saves a start of Django."""
        file = self.data_dir / "quickstart.json"
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            url, email = str(values["url"]), str(values["admin"]["email"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if url.rstrip("/") != settings.public_url.rstrip("/"):
            return False
        say(f"Sign in at {url.rstrip('/')}/admin/ as {email}, password in {file}")
        return True

    def environment(self) -> dict[str, str]:
        """Return what all processes get, and keep it in var/env for `manage.py` in another terminal."""
        file = self.data_dir / "env"
        kept: dict[str, str] = {}
        environment.load_file(file, kept)
        values = {"QUILLKEEP_ENVIRONMENT": "development", "PORT": "8000"}
        values["SECRET_KEY"] = kept.get("SECRET_KEY") or secrets.token_urlsafe(64)
        values["QUILLKEEP_KEY_RING"] = (
            kept.get("QUILLKEEP_KEY_RING") or f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        )
        values["DATA_DIR"] = str(self.data_dir)
        if self.servers.with_postgresql:
            values["OWNER_DATABASE_URL"] = self.servers.database_url(OWNER)
            values["DATABASE_URL"] = self.servers.database_url("quillkeep_app")
            values["DELIVERY_DATABASE_URL"] = self.servers.database_url("quillkeep_delivery")
            values["SCRATCH_DATABASE_URL"] = self.servers.database_url(OWNER, SCRATCH)
        if self.servers.with_valkey:
            values["VALKEY_URL"] = self.servers.valkey_url(0)
            values["CELERY_BROKER_URL"] = self.servers.broker_url(1)
        former_place = f"file://{kept.get('DATA_DIR')}/backups"  # ours, before the folder was moved or copied
        if kept.get("BACKUP_TO") in (None, former_place):
            values["BACKUP_TO"] = f"file://{self.data_dir / 'backups'}"
        # A private key that is given has public ones that only who gave it knows: then a fault names them.
        names = ("BACKUP_RECIPIENTS", "BACKUP_IDENTITY")
        if not kept.get("BACKUP_RECIPIENTS") and not any(_has(self.given, name) for name in names):
            identity = kept.get("BACKUP_IDENTITY") or str(x25519.Identity.generate())
            values["BACKUP_IDENTITY"] = identity
            values["BACKUP_RECIPIENTS"] = str(x25519.Identity.from_str(identity).to_public())
        theirs = {name: value for name, value in kept.items() if name not in ANEW}
        ours = kept.get("BACKUP_IDENTITY", "")  # the key that we had made, if that is one
        if _has(self.given, "BACKUP_IDENTITY") and is_identity(ours):
            public = str(x25519.Identity.from_str(ours).to_public())
            if kept.get("BACKUP_RECIPIENTS") == public:
                del theirs["BACKUP_RECIPIENTS"]
        made = {name: text for name, text in {**theirs, **values}.items() if not _has(self.given, name)}
        told = {"DATA_DIR": str(self.data_dir)}
        if self.given.get("PORT", "").isdecimal():
            told["PORT"] = self.given["PORT"]  # for addresses that commands print
        # A private key stays in the file even where it is not used: without it older backups are lost.
        unused = {name: text for name, text in theirs.items() if name == "BACKUP_IDENTITY"}
        lines = {**unused, **made, **told}
        write_private(file, "".join(f"{name}={value}\n" for name, value in lines.items()))
        if _has(self.given, "BACKUP_RECIPIENTS"):
            made.pop("BACKUP_IDENTITY", None)  # it reads other backups than those that are made now
        return {**self.given, **made}

    def manage(self, *arguments: str) -> None:
        """Run a command to its end. Raises FailedError."""
        status = self.spawn(SETUP, [sys.executable, str(ROOT / "manage.py"), *arguments]).wait()
        del self.processes[SETUP]
        if status:
            raise FailedError(f"manage.py {arguments[0]} failed.")

    def start_processes(self, settings: Environment) -> None:
        """Start web, workers and beat. Only `worker` builds indexes, so only it may own tables.

        Sealing and fanning out wait neither for long work nor for receivers that hang: each has workers of its own.
        """
        self.spawn("web", web_command(settings.port))
        for name, queues, processes in WORKERS:
            self.spawn(
                name,
                worker_command(name, queues, processes),
                dies_by=signal.SIGKILL,  # any gentler end waits for the broker, which died with us
            )
        if settings.purge_urls:
            self.spawn("caches", caches_command())
        self.spawn("beat", beat_command(self.data_dir))

    def spawn(
        self,
        name: str,
        command: list[str],
        *,
        dies_by: signal.Signals = signal.SIGTERM,
    ) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, its output prefixed with its name.

        `dies_by` is what the kernel sends it when we are killed ourselves.
        """
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**allowed(name, self.values), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(dies_by),  # noqa: PLW1509 (it only calls prctl)
        )
        self.processes[name] = process
        pump = threading.Thread(target=_pump, args=(name, process.stdout), daemon=True)
        pump.start()
        self.pumps.append(pump)
        return process

    def announce(self, settings: Environment) -> None:
        """Say when it is ready to use."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and not self.ended():
            if answers(settings.port, host=own_host(settings)):
                say(f"Ready: http://localhost:{settings.port}  (Ctrl-C stops everything)")
                return
            time.sleep(0.1)
        if not self.ended():
            raise FailedError(f"The web server did not answer within {READY_SECONDS:.0f} s.")

    def watch(self) -> int:
        """Wait until a process ends by itself; nothing is restarted silently."""
        while True:
            if ended := self.ended():
                say(f"{' and '.join(ended)} ended; stopping everything.")
                return 1
            time.sleep(0.2)

    def ended(self) -> list[str]:
        """Return the processes, and servers, that are no longer there, with their exit status."""
        running = {**self.processes, **self.servers.processes}
        return [
            f"{name} (status {process.returncode})"
            for name, process in running.items()
            if process.poll() is not None
        ]

    def stop(self) -> None:
        """End all processes with everything they started, then the servers."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it behind
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.processes.values():
            end(process, seconds=max(0.1, deadline - time.monotonic()))
        for pump in self.pumps:
            pump.join(1)
        self.servers.stop()


class FailedError(Exception):
    """A step did not succeed; the text says which."""


def allowed(name: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process without what only other processes may hold."""
    values = dict(given)
    withheld = (*(() if name in OWNERS else FOR_OWNERS), *(() if name == KEEPER else FOR_THE_KEEPER))
    for item in withheld:
        for form in environment.forms_of(item):
            values.pop(form, None)
    return values


def web_command(port: int, *, host: str = HOST, workers: int = 1) -> list[str]:
    """Return the command of the web server; `bench` measures this very one."""
    return [
        sys.executable,
        "-m",
        "cms_project.web",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        str(workers),
        "--blocking-threads",
        str(THREADS),
        "--no-ws",
        "--backpressure",
        str(THREADS),
        "--http",
        "1",  # HTTP/2 without TLS is asked for by nobody, and has heads of 16 MB
        "--http1-header-read-timeout",
        str(HEADER_READ_MILLISECONDS),
        "--http1-buffer-size",
        str(MAX_HEAD_BYTES),
        "--workers-kill-timeout",
        "10",
    ]


def worker_command(name: str, queues: str, processes: int) -> list[str]:
    """Return the command of a worker; `bench` and `faults` start these very ones."""
    return [
        *CELERY,
        "worker",
        "--queues",
        queues,
        "--concurrency",
        str(processes),
        "--hostname",
        f"{name}@%h",
        "--loglevel",
        "INFO",
        "--without-gossip",
        "--without-mingle",
    ]


def beat_command(data_dir: Path) -> list[str]:
    """Return the command of the schedule."""
    schedule = str(data_dir / "beat-schedule")
    return [*CELERY, "beat", "--loglevel", "INFO", "--schedule", schedule, "--pidfile", ""]


def caches_command() -> list[str]:
    """Return the command that tells caches in front what changed."""
    return [sys.executable, str(ROOT / "manage.py"), "caches", "run"]


def say(text: str) -> None:
    """Write one line of our own."""
    sys.stdout.write("".join(f"run    | {line}\n" for line in text.splitlines()))
    sys.stdout.flush()


def _stop(_signal: int, _frame: FrameType | None) -> Never:
    raise StoppedError


def _pump(name: str, stream: IO[bytes] | None) -> None:
    for line in stream or ():
        sys.stdout.write(f"{name:<7}| {line.decode('utf-8', errors='replace').rstrip()}\n")
        sys.stdout.flush()


def own_host(settings: Environment) -> str:
    """Return a host name that the web server takes; a wildcard is none, and takes every one."""
    return next((host.lstrip(".") for host in settings.allowed_hosts if "*" not in host), "localhost")


def answers(port: int, *, host: str = "localhost") -> bool:
    """Tell whether a web server of ours is ready at a port, asked by a host name that it takes."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": host})
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _has(values: dict[str, str], name: str) -> bool:
    return environment.has(values, name)


if __name__ == "__main__":
    sys.exit(Supervisor(dict(os.environ)).run(servers_only=sys.argv[1:] == ["--servers-only"]))
