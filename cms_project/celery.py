"""The Celery application. Tasks live in each room's tasks.py; queues and schedule are in the settings."""

import logging
import os
import signal
from typing import Any

import celery
from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging, worker_process_init
from django.apps import apps
from django.conf import settings
from django.utils.module_loading import import_string

from cms_project import logs
from cms_project.servers import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")

logger = logging.getLogger("quillkeep.tasks")


class Task(celery.Task):  # type: ignore[misc]
    """A task of ours: while the system is locked down it does nothing, unless it says `goes_on_in_lockdown`.

    Nor does it on a database that could not be asked at start whether it is ours, and is not. Nothing is lost by that:
    the database says what waits, and a task is only a wake-up.
    """

    Request = "cms_project.wakeups:Request"  # by name: it asks the database, and the models are not there yet
    goes_on_in_lockdown = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run, or let it be."""
        if import_string("cms_project.standing.is_refused")():  # the models are there by now
            logger.error("The database is not known to be ours: %s does nothing.", self.name)
            return None
        if not self.goes_on_in_lockdown and apps.get_model("accounts", "Lockdown").objects.is_on():
            logger.info("Locked down: %s does nothing.", self.name)
            return None
        return self.run(*args, **kwargs)


app = Celery("quillkeep", task_cls=Task)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["webhooks.incoming"])


@setup_logging.connect
def _keep_our_log(**_: Any) -> None:
    """Configure our log instead of Celery's, so that the scrubber sees each line."""
    logs.configure(settings.LOGGING)


@celeryd_init.connect
@beat_init.connect
def _stand_on_our_own(**_: Any) -> None:
    """End with status 2 on the database of another environment, or without a key that values need."""
    import_string("cms_project.standing.require_or_exit")()  # the models are there by now


@worker_process_init.connect
def _end_with_the_worker(**_: Any) -> None:
    """Let no process of the pool go on when its worker is killed: its task is given to another one."""
    hook = die_with_parent(signal.SIGKILL)
    if hook is not None:
        hook()
