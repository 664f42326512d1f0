"""The real settings, with the plain views to compare with beside the product's URLs."""

from cms_project.settings import *  # noqa: F403 (the same settings, all of them)

ROOT_URLCONF = "bench.urls"
