"""nginx and Varnish with the files of deploy/, and `caches run`: real processes on loopback, all files in one folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cms_project.servers import Account
from tests.certificates import Certificates
from tests.database import ROOT
from tests.processes import NginxProcess, Process, free_port

DEPLOY = ROOT / "deploy"
# What Debian's nginx.conf, and that of the image, say in the http block: ours must neither clash with it nor fall back to it.
OF_DEBIAN = """
sendfile on; tcp_nopush on; types_hash_max_size 2048; default_type application/octet-stream; keepalive_timeout 65;
ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3; ssl_prefer_server_ciphers on; access_log off; gzip on;
"""
DROP_SLOT = (
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
)
VMODS = ("libvmod_xkey.so", "libvmod_var.so")


def has_varnish() -> bool:
    """Return whether Varnish is installed, with the modules that our VCL imports."""
    folders = [*Path("/usr/lib").glob("*/varnish/vmods"), *Path("/usr/lib").glob("varnish/vmods")]
    return shutil.which("varnishd") is not None and any(
        all((folder / name).is_file() for name in VMODS) for folder in folders
    )


needs_varnish = pytest.mark.skipif(
    not has_varnish(), reason="Varnish is not installed (apt install varnish varnish-modules)"
)
needs_nginx = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="nginx is not installed (apt install nginx-light)"
)


class Varnish(Process):
    """varnishd with our VCL before delivery nodes on some ports."""

    def __init__(self, folder: Path, *nodes: int, port: int | None = None, host: str = "localhost") -> None:
        super().__init__()
        self.folder = folder
        self.port, self.purge_port = port or free_port(), free_port()
        folder.mkdir(exist_ok=True)
        shutil.copy(DEPLOY / "varnish/quillkeep.vcl", folder)
        text = (DEPLOY / "varnish/backends.vcl").read_text(encoding="utf-8")
        places = re.findall(r'\.host = "[^"]+";\n    \.port = "\d+";', text)
        assert len(places) == 2
        for place, node in zip(places, (nodes * 2)[:2], strict=True):
            text = text.replace(place, f'.host = "127.0.0.1";\n    .port = "{node}";')
        (folder / "backends.vcl").write_text(text.replace("content.example.com", host), encoding="utf-8")

    def command(self) -> list[str]:
        """Return its command line; `-F` keeps it in the foreground."""
        return [
            str(shutil.which("varnishd")),
            "-F",
            *("-n", str(self.folder / "work")),
            *("-a", f"http=127.0.0.1:{self.port},HTTP"),
            *("-a", f"purge=127.0.0.1:{self.purge_port},HTTP"),
            *("-f", str(self.folder / "quillkeep.vcl")),
            *("-p", f"vcl_path={self.folder}"),
            *("-s", "malloc,32m"),
            *("-j", "none"),
            *("-p", "thread_pool_min=5"),
            *("-p", "thread_pools=1"),
        ]

    @property
    def purge_url(self) -> str:
        """Where it takes purges."""
        return f"http://127.0.0.1:{self.purge_port}/"

    def is_ready(self) -> bool:
        """Return whether it listens."""
        return listens(self.port) and listens(self.purge_port)

    def healthy(self) -> int:
        """Return how many nodes its probes find ready."""
        told = run("varnishadm", "-n", str(self.folder / "work"), "backend.list")
        return len(re.findall(r"delivery_\d.*\bhealthy\b", told.stdout))


class Nginx(NginxProcess):
    """nginx with our configuration, on ports of loopback and with a certificate of the test's own."""

    def __init__(
        self, folder: Path, certificates: Certificates, *, management: int, edge: int, delivery: list[int]
    ) -> None:
        super().__init__()
        self.folder, self.port, self.plain_port = folder, free_port(), free_port()
        shutil.copytree(DEPLOY / "nginx", folder / "quillkeep")
        (folder / "quillkeep/tls").mkdir()
        shutil.copy(certificates.certificate, folder / "quillkeep/tls/certificate.pem")
        shutil.copy(certificates.key, folder / "quillkeep/tls/key.pem")
        ports = iter([management, edge, *(delivery * 3)[:3]])
        upstreams = (DEPLOY / "nginx/upstreams.conf").read_text(encoding="utf-8")
        upstreams = re.sub(r"server [\d.]+:\d+", lambda _: f"server 127.0.0.1:{next(ports)}", upstreams)
        upstreams = upstreams.replace("203.0.113.0/24 1;", "127.0.0.3 1;")
        (folder / "quillkeep/upstreams.conf").write_text(upstreams, encoding="utf-8")
        text = (DEPLOY / "nginx/quillkeep.conf").read_text(encoding="utf-8")
        text = re.sub(r" *listen \[::\].*\n", "", text)
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.port} ")
        text = re.sub(r"listen 80\b", f"listen 127.0.0.1:{self.plain_port}", text)
        common = folder / "quillkeep/server.conf"
        lines = common.read_text(encoding="utf-8")
        lines = lines.replace("/etc/nginx/", f"{folder}/").replace("/var/log/nginx/", f"{folder}/")
        common.write_text(lines, encoding="utf-8")
        (folder / "quillkeep.conf").write_text(text, encoding="utf-8")
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''}\ndaemon off;\nworker_processes 2;\npid {folder}/nginx.pid;\n"
            f"error_log {folder}/error.log warn;\nevents {{ worker_connections 512; }}\n"
            f"http {{\n{temporary}{OF_DEBIAN}include {folder}/quillkeep.conf;\n}}\n",
            encoding="utf-8",
        )

    def is_ready(self) -> bool:
        """Return whether it listens."""
        return listens(self.port)

    def workers(self) -> list[int]:
        """Return the numbers of its worker processes."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(number) for number in children.read_text(encoding="ascii").split()]


class Replica(Process):
    """A streaming replica of the test's own PostgreSQL, made and started by the script of deploy/compose/."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account.choose()
        self.folder = Path(tempfile.mkdtemp(prefix="qk-replica-", dir="/tmp"))
        self.data, password, script = (self.folder / name for name in ("data", "password", "replica.sh"))
        administrator = conninfo_to_dict(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"])
        self.slot = f"replica_{os.getpid()}"
        self.data.mkdir()
        self.data.chmod(0o1777)  # as the image leaves a new volume
        (self.data / "PG_VERSION").write_text("15\n", encoding="utf-8")  # and a copy that was cut off
        password.write_text(str(administrator["password"]), encoding="utf-8")
        sockets = str(administrator["host"])
        text = (DEPLOY / "compose/replica.sh").read_text(encoding="utf-8")
        for ours, here in (
            ("/var/lib/postgresql/data", str(self.data)),
            ("/run/secrets/replica-password", str(password)),
            ("/tmp/pgpass", str(self.folder / "pgpass")),  # noqa: S108 (in a container that is the replica's alone)
            ("postgres:5432", f"{sockets}:5432"),
            ("--host postgres", f"--host {sockets}"),
            ("quillkeep_replica", str(administrator["user"])),
            ("replica_1", self.slot),
            ("--wal-method", "--no-sync --wal-method"),
        ):
            assert ours in text
            text = text.replace(ours, here)
        options = f" -c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off\n"
        script.write_text(text.rstrip() + options, encoding="utf-8")
        for path in (self.folder, self.data, self.data / "PG_VERSION", password, script):
            self.account.own(path)
        with psycopg.connect(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"]) as connection:
            folder = str(connection.execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]
        postmaster = int((Path(folder) / "postmaster.pid").read_text(encoding="ascii").split()[0])
        programs = Path(f"/proc/{postmaster}/exe").resolve().parent
        self.environment["PATH"] = f"{programs}:{self.environment['PATH']}"

    def url(self, url: str) -> str:
        """Return the URL of a database of the primary as one of the replica."""
        return re.sub(r"host=[^&]+", f"host={quote(str(self.folder), safe='')}", url)

    def command(self) -> list[str]:
        """Return its command line; PostgreSQL refuses to run as root."""
        account = self.account
        drop = ["setpriv", f"--reuid={account.user}", f"--regid={account.group}", "--clear-groups"]
        return [*(drop if account.user is not None else []), "sh", str(self.folder / "replica.sh")]

    def is_ready(self) -> bool:
        """Return whether it answers."""
        try:
            psycopg.connect(self.url(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"]), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def __exit__(self, *arguments: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # fast: SIGTERM would wait for connections
        super().__exit__(*arguments)

    def remove(self) -> None:
        """Delete its files, and its slot, which would keep what it misses."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with psycopg.connect(os.environ["QUILLKEEP_TEST_ADMINISTRATOR"], autocommit=True) as connection:
            wait_until(lambda: connection.execute(DROP_SLOT, [self.slot]).rowcount == 1, seconds=10)


class Purging(Process):
    """`manage.py caches run`, with what a process beside the web server gets."""

    def __init__(self, *urls: str, **environment: str) -> None:
        super().__init__(**environment)
        self.environment |= {"PURGE_URLS": ",".join(urls)}
        self.environment.pop("OWNER_DATABASE_URL", None)

    def command(self) -> list[str]:
        """Return what the unit starts."""
        return [sys.executable, str(ROOT / "manage.py"), "caches", "run"]

    def is_ready(self) -> bool:
        """Return whether it started; what it tells is for tests to wait for."""
        return True


def wait_until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    """Wait for a condition. Raises AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Return whether somebody listens at a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
