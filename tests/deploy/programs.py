"""nginx and Varnish with the files of deploy/, and `caches run`: real processes on loopback, all files in one folder."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

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
    """A streaming replica of the test's own PostgreSQL, made with pg_basebackup; as docs/operations/scale-out.md has it."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account.choose()
        self.folder = Path(tempfile.mkdtemp(prefix="qk-replica-", dir="/tmp"))
        self.account.own(self.folder)
        self.data = self.folder / "data"
        administrator = os.environ["QUILLKEEP_TEST_ADMINISTRATOR"]
        with psycopg.connect(administrator, autocommit=True) as connection:
            folder = str(connection.execute("SHOW data_directory").fetchone()[0])  # type: ignore[index]
        postmaster = int((Path(folder) / "postmaster.pid").read_text(encoding="ascii").split()[0])
        self.programs = Path(f"/proc/{postmaster}/exe").resolve().parent
        self.as_account(
            "pg_basebackup", "-d", administrator, "-D", str(self.data), "-R", "-X", "stream", "-c", "fast"
        )

    def as_account(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs to its end."""
        subprocess.run(
            [str(self.programs / program), *arguments],
            check=True,
            capture_output=True,
            cwd=self.folder,
            timeout=120,
            **self.account.popen_options(),
        )

    def url(self, url: str) -> str:
        """Return the URL of a database of the primary as one of the replica."""
        return re.sub(r"host=[^&]+", f"host={quote(str(self.folder), safe='')}", url)

    def command(self) -> list[str]:
        """Return its command line."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "hot_standby": "on",
            "hot_standby_feedback": "on",
            "max_standby_streaming_delay": "2s",
            "fsync": "off",
        }
        settings = [item for name, value in options.items() for item in ("-c", f"{name}={value}")]
        return [*self.drop(), str(self.programs / "postgres"), "-D", str(self.data), *settings]

    def drop(self) -> list[str]:
        """Return what a command begins with so that it does not run as root, which PostgreSQL refuses."""
        if self.account.user is None:
            return []
        return ["setpriv", f"--reuid={self.account.user}", f"--regid={self.account.group}", "--clear-groups"]

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
        """Delete its files."""
        shutil.rmtree(self.folder, ignore_errors=True)


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


def listens(port: int) -> bool:
    """Return whether somebody listens at a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it said."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
