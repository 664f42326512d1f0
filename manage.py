#!/usr/bin/env python
"""The command line. Names of the environment that are unset are taken from var/env if that exists."""

import os
import sys
from pathlib import Path

from django.core.management import execute_from_command_line

from cms_project import environment


def main() -> None:
    """Run one command with the environment of `make run` where none is given."""
    file = Path(os.environ.get("DATA_DIR") or "var") / "env"
    taken = environment.load_file(file)
    if taken:
        print(f"From {file}: {', '.join(taken)}", file=sys.stderr)  # noqa: T201
    try:
        environment.current()
    except environment.EnvironmentFaultsError as error:
        sys.exit(str(error))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
