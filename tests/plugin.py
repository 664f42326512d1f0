"""Loaded by pytest before Django's settings: starts the run's servers, points the environment at them."""

import gc
import os
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from cms_project.environment import NAMES, forms_of
from cms_project.servers import Servers
from tests import database, throwaway

_servers: Servers | None = None
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo


class NetworkBlockedError(RuntimeError):
    """A test reached for the real network; tests talk to loopback and unix sockets only."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start the servers, once a run, and give this process its own database on them."""
    global _servers  # noqa: PLW0603 (pytest ends the run in another hook)
    _block_network()
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not worker:
        # Where the shell forbids it, each of the dozens of processes of a run would compile everything anew.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False
        _servers = database.start_servers()
        for name in NAMES:  # whatever the developer's shell holds is not what we test
            for form in forms_of(name):
                os.environ.pop(form, None)
        os.environ["QUILLKEEP_TEST_RUN"] = _servers.folder.name
        os.environ["QUILLKEEP_TEST_ADMINISTRATOR"] = database.administrator_url(_servers)
        os.environ.update(
            throwaway.values(
                QUILLKEEP_ENVIRONMENT="development",
                ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
                PUBLIC_URL="http://testserver",
            )
        )
        os.environ.update(database.environment_of(_servers, 0))
        forget_the_log()
        return
    number = int(re.sub(r"\D", "", worker)) + 1
    _point_at_worker(number)


def _point_at_worker(number: int) -> None:
    """Rewrite what was inherited from the controller: same servers, other databases."""
    for name in ("OWNER_DATABASE_URL", "DATABASE_URL", "DELIVERY_DATABASE_URL"):
        os.environ[name] = os.environ[name].replace("/test_0?", f"/test_{number}?")
    os.environ["VALKEY_URL"] = os.environ["VALKEY_URL"].replace("?db=0", f"?db={number * 2}")
    os.environ["CELERY_BROKER_URL"] = os.environ["CELERY_BROKER_URL"].replace(
        "?virtual_host=1", f"?virtual_host={number * 2 + 1}"
    )
    os.environ["DATA_DIR"] = str(Path(os.environ["DATA_DIR"]).with_name(f"worker-{number}"))
    forget_the_log()


def forget_the_log() -> None:
    """Remove what a log left beside the database: of an earlier run, it is signed with another key ring."""
    for left in Path(os.environ["DATA_DIR"]).glob("audit-*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Have the collector of garbage pass over what was loaded: it stays, and looking at all of it takes long."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what this process started."""
    if _servers is not None:
        _servers.stop()


def _block_network() -> None:
    """Let sockets reach loopback and unix sockets, and names resolve only when they are local."""

    def check(address: Any) -> None:
        if isinstance(address, tuple) and not _is_local(str(address[0])):
            raise NetworkBlockedError(f"Tests may not connect to {address[0]}.")

    def connect(self: socket.socket, address: Any) -> None:
        check(address)
        _connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return _connect_ex(self, address)

    def getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        if text is not None and not _is_local(text) and not _is_address(text):
            raise NetworkBlockedError(f"Tests may not resolve {text}.")
        return _getaddrinfo(host, *arguments, **named)

    socket.socket.connect = connect  # type: ignore[method-assign, assignment]
    socket.socket.connect_ex = connect_ex  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = getaddrinfo


def _is_local(host: str) -> bool:
    return host in ("", "localhost", "::1") or host.startswith("127.")


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False
