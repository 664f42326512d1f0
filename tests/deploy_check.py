"""Missing migrations, and `check --deploy` under a production environment of throw-away values."""

import os
import subprocess
import sys

from cms_project.environment import NAMES
from tests import throwaway
from tests.database import ROOT


def main() -> int:
    """Run both commands as production would; return the worse status."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE").removesuffix("_VAULT") not in NAMES
    }
    # Not var/: there manage.py would find a developer's environment.
    values = {
        **clean,
        **throwaway.values(DATA_DIR="/nonexistent"),
        "PYTHONWARNINGS": "ignore::RuntimeWarning",
    }
    commands = (
        ["makemigrations", "--check", "--dry-run"],
        ["check", "--deploy", "--fail-level", "WARNING"],
    )
    statuses = [
        subprocess.run([sys.executable, str(ROOT / "manage.py"), *command], env=values, cwd=ROOT).returncode
        for command in commands
    ]
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
