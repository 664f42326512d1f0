"""The WSGI entry point. No web process may hold the role that owns the tables."""

import os
import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from cms_project import bodies, environment, metrics_folder

POOL = {"min_size": 1, "max_size": 16, "timeout": 5, "max_lifetime": 1800}


class OwnerInWebProcessError(RuntimeError):
    """OWNER_DATABASE_URL reached a web process; a hole in a view would then own the database."""


def _check() -> None:
    if os.environ.get("OWNER_DATABASE_URL") or os.environ.get("OWNER_DATABASE_URL_FILE"):
        raise OwnerInWebProcessError(
            "OWNER_DATABASE_URL must not be set in a web process; unset it and start again."
        )
    try:
        environment.current()
    except environment.EnvironmentFaultsError as error:
        sys.exit(str(error))


_check()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")
# Only here: Celery closes the pool at every task, and a command needs one connection.
for _database in settings.DATABASES.values():
    _database["OPTIONS"]["pool"] = POOL.copy()
metrics_folder.share(settings.DATA_DIR)
application = bodies.Bodies(get_wsgi_application())
# The server copies os.environ into every request; there must be nothing in it that may not be shown.
for _name in environment.NAMES:
    os.environ.pop(_name, None)
