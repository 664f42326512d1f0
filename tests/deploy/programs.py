"""nginx and Varnish with the files of deploy/, and `caches run`: real processes on loopback, all files in one folder."""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.database import ROOT
from tests.processes import Process, free_port

DEPLOY = ROOT / "deploy"
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
