"""The web process: checks its environment and its database, then becomes granian with the arguments it was given.

`python -m cms_project.web --host 0.0.0.0 --port 8000 --workers 2`. Granian starts too where something is wrong, and
ends with status 1 after its workers have; here everything that is wrong is said first, with status 2.
"""

import os
import sys
from importlib import import_module

import django

from cms_project import environment

GRANIAN = (sys.executable, "-m", "granian", "--interface", "wsgi")
APPLICATION = "cms_project.wsgi:application"


def main() -> None:
    """Check, and let granian take the place of this process."""
    environment.current_or_exit(as_web=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")
    django.setup()
    import_module("cms_project.standing").require_or_exit()
    os.execv(sys.executable, [*GRANIAN, *sys.argv[1:], APPLICATION])  # noqa: S606 (our own interpreter)


if __name__ == "__main__":
    main()
