"""Housekeeping of what Django itself stores."""

from celery import shared_task
from django.core.management import call_command


@shared_task(name="cms_project.clear_ended_sessions")
def clear_ended_sessions() -> None:
    """Delete sessions that ended; they hold who signed in when."""
    call_command("clearsessions")
