"""`manage.py`, whose restores look only for a moment whether others use the database: nobody else does here."""

import os
from datetime import timedelta

import django

from cms_project import environment
from manage import main

environment.current_or_exit()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cms_project.settings")
django.setup()

from cms_project import restoring  # noqa: E402 (it stands on the models)

restoring.WATCHED = timedelta(milliseconds=200)  # type: ignore[misc]  # final for everybody else

if __name__ == "__main__":
    main()
