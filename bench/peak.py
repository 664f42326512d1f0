"""Runs a command of `manage.py` and adds to its JSON how much memory the largest of its processes held, in MiB."""

import contextlib
import io
import json
import resource
import sys

from django.core.management import execute_from_command_line


def main() -> None:
    """Run it; the last line of stdout is its JSON with `peak_mebibytes`."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        execute_from_command_line(["manage.py", *sys.argv[1:]])
    # pg_dump and pg_restore are PostgreSQL's own business, and small; processes of ours that it started count.
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    told = json.loads(out.getvalue().strip().splitlines()[-1])
    print(json.dumps({**told, "peak_mebibytes": peak // 1024}))


if __name__ == "__main__":
    main()
