#!/usr/bin/env python
"""The command line. Names of the environment that are unset are taken from var/env if that exists."""

import os
import sys
from importlib import import_module
from pathlib import Path

import django
from django.core.management import execute_from_command_line
from django.db import DatabaseError, OperationalError

from cms_project import environment


def main() -> None:
    """Run one command with the environment of `make run` where none is given."""
    file = Path(os.environ.get("DATA_DIR") or "var") / "env"
    taken = environment.load_file(file)
    if taken:
        print(f"From {file}: {', '.join(taken)}", file=sys.stderr)  # noqa: T201
    environment.current_or_exit()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")
    if asks_the_database(sys.argv[1:]):
        django.setup()
        standing = import_module("cms_project.standing")
        if sys.argv[1] not in standing.ANYWHERE:
            standing.require_or_exit(notes=False)
        elif sys.argv[1] == "migrate":  # a restore that is on its way migrates as well, from inside
            standing.require_whole_or_exit()
    try:
        execute_from_command_line(sys.argv)
    except EOFError:
        sys.exit("Nobody answered: nothing was done.")
    except DatabaseError as error:
        # What it takes to tell needs Django, which is set up by now.
        if import_module("cms_project.lockdown").is_refusal(error):
            sys.exit("Locked down: nothing was done. `manage.py lockdown status` says since when, and why.")
        if "--traceback" in sys.argv:
            raise
        if import_module("cms_project.standing").is_no_table(error):
            sys.exit(
                "The database holds no tables of this version: `manage.py migrate` makes them, `manage.py backup "
                "restore` brings back those of a backup."
            )
        if not isinstance(error, OperationalError):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        sys.exit(f"The database is away or busy, and what was begun is taken back. Try again. ({reason})")


def asks_the_database(arguments: list[str]) -> bool:
    """Tell whether a command was named that does more than to say how it is used."""
    return bool(arguments) and not arguments[0].startswith("-") and not {"-h", "--help"} & set(arguments)


if __name__ == "__main__":
    main()
