"""The real settings, with the plain views and the stock form to compare with beside the product's URLs."""

from cms_project.settings import *  # noqa: F403 (the same settings, all of them)
from cms_project.settings import INSTALLED_APPS as PRODUCT_APPS
from cms_project.settings import TEMPLATES as PRODUCT_TEMPLATES

ROOT_URLCONF = "bench.urls"
INSTALLED_APPS = [*PRODUCT_APPS, "bench"]
TEMPLATES = [
    *PRODUCT_TEMPLATES,
    {  # as `startproject` has it: the admin as Django brings it, without our templates
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "NAME": "stock",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    },
]
