"""Commands in a process of their own that need not start: it is forked from the test's, which has loaded all of it.

What `manage.py` reads at its start is read anew: environment, settings, connections. Nothing that this process knows
of its database is known there. Only that a process can start by itself is not tried; other tests do.
"""

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import IO, Any, NoReturn

from asgiref.local import Local
from django.conf import Settings
from django.conf import settings as django_settings
from django.contrib.contenttypes.models import ContentType
from django.core.cache import caches
from django.db import connections

import manage
from accounts import limits, principals
from accounts.keys import usage
from accounts.outages import outage
from accounts.valkey import circuit
from content import schema
from previews.signing.table import tables
from tests.database import ROOMS

SETTINGS = ("tests.settings", "cms_project.settings")
LONGEST = 120.0  # seconds


def run(
    act: Callable[[], None],
    *,
    env: Mapping[str, str],
    given: bytes = b"",
    seconds: float = LONGEST,
) -> "subprocess.CompletedProcess[bytes]":
    """Act in a process of its own with this environment; return what it wrote and how it ended.

    Raises TimeoutExpired, as `subprocess` does.
    """
    values = dict(env)  # it may be that of this process, which is emptied there
    with tempfile.TemporaryFile() as into, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        into.write(given)
        into.seek(0)
        with warnings.catch_warnings():
            # Python says that threads of this process are missing there: none is needed.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _live(act, values, (into, out, err))
        status = _ended(pid, seconds)
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(["forked"], status, out.read(), err.read())


def command(
    *arguments: str,
    env: Mapping[str, str],
    given: bytes = b"",
    seconds: float = LONGEST,
    before: Callable[[], None] = lambda: None,
) -> "subprocess.CompletedProcess[bytes]":
    """Run `manage.py` with arguments; `before` is called there when the settings are read."""

    def act() -> None:
        before()
        sys.argv = ["manage.py", *arguments]
        manage.main()

    return run(act, env=env, given=given, seconds=seconds)


def in_text(done: "subprocess.CompletedProcess[bytes]") -> "subprocess.CompletedProcess[str]":
    """Return the same with what it wrote as text."""
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def _ended(pid: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise subprocess.TimeoutExpired("forked", seconds)
        time.sleep(0.005)


def _live(act: Callable[[], None], env: Mapping[str, str], files: tuple[IO[bytes], ...]) -> NoReturn:
    """Be the other process, to its end: nothing of pytest may run here any more."""
    status = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 (as every process has it)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        warnings.resetwarnings()
        os.environ.clear()
        os.environ.update(env)
        _begin_anew()
        act()
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            sys.stderr.write(f"{error.code}\n")
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 (the interpreter would print it)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _begin_anew() -> None:
    """Read the settings of this environment, and forget what was known of another database."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ROOMS:
            for item in list(vars(module).values()):
                if isinstance(item, functools._lru_cache_wrapper):
                    item.cache_clear()
    for name in SETTINGS:
        sys.modules.pop(name, None)
    django_settings._wrapped = Settings(os.environ["DJANGO_SETTINGS_MODULE"])
    handlers: tuple[Any, ...] = (connections, caches)
    for handler in handlers:
        handler.__dict__.pop("settings", None)
        handler._settings = None
        handler._connections = Local(handler.thread_critical)  # the former ones are the other process's
    ContentType.objects.clear_cache()
    schema._cached.clear()
    principals._cache = principals.RuleCache()
    tables.forget()
    limits.forget_failures()
    usage.forget()
    circuit.close()
    outage.is_on = False
