"""`python -m cms_project.process NAME`: one process of an installation, with no more secrets than it needs.

The files of `deploy/` start these; `make run` starts the same commands.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Final, NoReturn

from cms_project import environment
from cms_project.environment import Environment, EnvironmentFaultsError
from cms_project.run import (
    CELERY,
    HOST,
    ROOT,
    WORKERS,
    allowed,
    answers,
    beat_command,
    caches_command,
    name_of,
    web_command,
    worker_command,
)

NAMES: Final = ("web", *(name for name, _, _ in WORKERS), "caches", "beat")


def main(arguments: list[str], given: Mapping[str, str]) -> int:
    """Become the process, or check one. Returns 2 for a wrong environment; every fault is named on stderr."""
    parser = argparse.ArgumentParser(prog="python -m cms_project.process", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--host", default=HOST, help="where the web server listens (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes of the web server (%(default)s)")
    parser.add_argument("--concurrency", type=int, help="processes of a Celery worker")
    parser.add_argument("--check", action="store_true", help="ask whether it lives; exits 1 when it does not")
    asked = parser.parse_args(arguments)
    values = allowed(asked.name, given)
    try:
        settings = environment.read(values)
    except EnvironmentFaultsError as error:
        sys.stderr.write(f"{error}\n")
        return environment.STATUS_OF_FAULTS
    if asked.check and asked.name == "web":
        return 0 if answers(settings.port, host=name_of(settings)) else 1
    return become(command_of(asked.name, settings, asked), values)


def become(command: list[str], values: Mapping[str, str]) -> NoReturn:
    """Go on as another program, under the same number: who sends SIGTERM reaches it."""
    os.chdir(ROOT)
    os.execve(command[0], command, {**values, "PYTHONUNBUFFERED": "1"})  # noqa: S606 (no shell: a list of our own)


def command_of(name: str, settings: Environment, asked: argparse.Namespace) -> list[str]:
    """Return the command line of a process, or of the question whether a Celery worker lives."""
    if asked.check:
        target = f"{name}@{os.uname().nodename}"
        return [*CELERY, "inspect", "--timeout", "5", "--destination", target, "ping"]
    if name == "web":
        return web_command(settings.port, host=asked.host, workers=asked.workers)
    if name == "caches":
        return caches_command()
    if name == "beat":
        settings.data_dir.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # it remembers there what it did last
        return beat_command(settings.data_dir)
    queues, processes = next((queues, number) for known, queues, number in WORKERS if known == name)
    return worker_command(name, queues, asked.concurrency or processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
