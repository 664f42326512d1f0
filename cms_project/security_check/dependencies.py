"""Whether what is installed is new enough: floors from published vulnerabilities, and what must not be there at all."""

from collections.abc import Iterator
from importlib import metadata
from typing import Final

from packaging.version import InvalidVersion, Version

from accounts.models.alert import Severity
from cms_project.security_check.check import Check, Found

# The first version without a vulnerability that would matter here.
FLOORS: Final = {
    "django": "5.2.16",
    "djangorestframework": "3.17.2",
    "djangorestframework-simplejwt": "5.4.0",
    "pyjwt": "2.13.0",
    "strawberry-graphql": "0.315.7",
    "urllib3": "2.7.0",
    "pillow": "12.3.0",
    "celery": "5.2.2",
    "bleach": "6.4.0",
    "django-allauth": "65.14.1",
    "djoser": "2.3.0",
    "django-filter": "2.4.0",
    "django-two-factor-auth": "1.12",
    "sqlparse": "0.4.4",
}
# Abandoned, or an open door by default.
ABSENT: Final = {
    "python-jwt": "it takes forged tokens",
    "svglib": "it reads files that an SVG names",
    "cairosvg": "it fetches what an SVG names",
    "flower": "it shows and steers tasks",
    "django-celery-results": "it keeps arguments of tasks readable",
    "graphene-django": "it brings a console that asks anything",
}


def floors() -> Iterator[Found]:
    """Compare what is installed."""
    for name, floor in FLOORS.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if _is_below(version, floor):
            yield Found(f"{name} is {version}; {floor} is the oldest that is safe.")


def absent() -> Iterator[Found]:
    """Look for what must not be installed beside us."""
    for name, why in ABSENT.items():
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        yield Found(f"{name} is installed: {why}.")


def _is_below(version: str, floor: str) -> bool:
    try:
        return Version(version) < Version(floor)
    except InvalidVersion:
        return True


CHECKS: Final = (
    Check("dependency-floors", "Dependencies are new enough", Severity.CRITICAL,
          "Install requirements.txt of this version again, with --require-hashes.", floors),
    Check("dependency-absent", "Nothing dangerous is installed", Severity.WARNING,
          "Uninstall it: nothing here needs it.", absent),
)  # fmt: skip
