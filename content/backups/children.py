"""Questions to a process of our own that sees another database than this one."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from content.backups import postgres
from content.backups.errors import BackupError

MANAGE: Final = Path(__file__).resolve().parents[2] / "manage.py"
_ELSEWHERE: Final = ("_FILE", "_VAULT")  # the other forms of a name: given as well, they would be a fault


class ChildError(BackupError):
    """The process failed; the text is the end of what it complained of."""


def ask(
    verb: str,
    *arguments: str,
    values: Mapping[str, str],
    without: tuple[str, ...] = (),
    given: bytes = b"",
    seconds: float,
) -> Any:
    """Return what `manage.py backup VERB` prints as JSON in an environment with other values.

    `without` are the beginnings of names that it does not get at all. Raises ChildError, and BackupError when it takes
    too long.
    """
    replaced = {name + form for name in values for form in _ELSEWHERE}
    environment = {
        name: text
        for name, text in os.environ.items()
        if name not in replaced and not (without and name.startswith(without))
    }
    try:
        done = subprocess.run(
            [sys.executable, str(MANAGE), "backup", verb, "--json", *arguments],
            input=given,
            capture_output=True,
            env={**environment, **values},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise BackupError(f"`backup {verb}` took too long and was ended.") from error
    if done.returncode:
        raise ChildError(postgres.last_words(done.stderr))
    return json.loads(done.stdout.decode().strip().splitlines()[-1])
