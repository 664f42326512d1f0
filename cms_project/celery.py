"""The Celery application. Tasks live in each room's tasks.py; queues and schedule are in the settings."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from cms_project import logs

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")

app = Celery("quillkeep")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_our_log(**_: Any) -> None:
    """Configure our log instead of Celery's, so that the scrubber sees each line."""
    logs.configure(settings.LOGGING)
