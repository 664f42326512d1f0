"""The Celery application. Tasks live in each room's tasks.py; queues and schedule are in the settings."""

import os
import signal
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init
from django.conf import settings

from cms_project import logs
from cms_project.servers import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")

app = Celery("quillkeep")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_log(**_: Any) -> None:
    """Configure our log instead of Celery's, so that the scrubber sees each line."""
    logs.configure(settings.LOGGING)


@worker_process_init.connect
def _end_with_the_worker(**_: Any) -> None:
    """Let no process of the pool go on when its worker is killed: its task is given to another one."""
    hook = die_with_parent(signal.SIGKILL)
    if hook is not None:
        hook()
