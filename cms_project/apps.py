"""The app configurations of the composition root."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig

from cms_project.celery import app as celery_app


class ProjectConfig(AppConfig):
    """Commands, checks and the demo content of the whole installation."""

    name = "cms_project"

    def ready(self) -> None:
        """Make ours the Celery app that the rooms' shared tasks are sent through."""
        celery_app.set_default()


class QuillkeepAdminConfig(AdminConfig):
    """Makes our AdminSite the default one, so that every registered ModelAdmin lands behind its sign-in."""

    default_site = "cms_project.admin_site.QuillkeepAdminSite"
