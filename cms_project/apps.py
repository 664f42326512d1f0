"""The app configurations of the composition root."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.utils.module_loading import import_string

from cms_project.celery import app as celery_app


class ProjectConfig(AppConfig):
    """Commands, checks and the demo content of the whole installation."""

    name = "cms_project"
    default = True

    def ready(self) -> None:
        """Make ours the Celery app that the rooms' shared tasks are sent through, and let a lockdown end previews."""
        celery_app.set_default()
        endings = import_string("cms_project.lockdown.ENDINGS")  # it stands on the models
        endings.append(import_string("previews.register.end_all"))


class QuillkeepAdminConfig(admin_apps.AdminConfig):
    """Makes our AdminSite the default one, so that every registered ModelAdmin lands behind its sign-in."""

    default = False  # of this module the other one is
    default_site = "cms_project.admin_site.QuillkeepAdminSite"
