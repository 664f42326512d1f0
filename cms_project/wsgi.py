"""The WSGI entry point. No web process may hold the role that owns the tables."""

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.utils.module_loading import import_string

from cms_project import bodies, environment, metrics_folder
from cms_project.pooled.base import POOL

environment.current_or_exit(as_web=True)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")
# Only here: Celery closes the pool at every task, and a command needs one connection.
for _database in settings.DATABASES.values():
    _database["ENGINE"] = "cms_project.pooled"
    _database["OPTIONS"]["pool"] = POOL.copy()
metrics_folder.share(settings.DATA_DIR)
application = bodies.Bodies(get_wsgi_application())
import_string("cms_project.standing.require_or_exit")()  # it stands on the models
# The server copies os.environ into every request; there must be nothing in it that may not be shown.
for _name in environment.NAMES:
    os.environ.pop(_name, None)
