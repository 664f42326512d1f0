"""How the process was set up: debugging, secrets, mail, its data folder."""

import stat
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from accounts.keyring import key_ring
from accounts.models.alert import Severity
from accounts.models.event import Seal
from cms_project.security_check.check import Check, Found, strict

OLD: Final = timedelta(days=365)
OTHERS: Final = stat.S_IRWXO  # anybody on the machine
CONSOLE: Final = "django.core.mail.backends.console.EmailBackend"


def debug() -> Iterator[Found]:
    """Look at what errors show."""
    if settings.DEBUG:
        yield Found("DEBUG is on: error pages show settings and variables.")


def environment() -> Iterator[Found]:
    """Look at whether a developer's leniency serves the world."""
    is_local = urlsplit(settings.PUBLIC_URL).hostname in ("localhost", "127.0.0.1", "::1")
    if settings.ENVIRONMENT.is_development:
        yield Found(
            "QUILLKEEP_ENVIRONMENT is development: no TLS, demo passwords, loopback may be sent to.",
            Severity.NOTICE if is_local else Severity.CRITICAL,
        )


def owner() -> Iterator[Found]:
    """Look at whether a web process holds the role that owns the tables."""
    if "cms_project.wsgi" in sys.modules and "owner" in settings.DATABASES:
        yield Found("This web process holds OWNER_DATABASE_URL.")


def secret_key() -> Iterator[Found]:
    """Look at the key that Django signs with."""
    if len(settings.SECRET_KEY) < 50 or len(set(settings.SECRET_KEY)) < 10:
        yield Found("SECRET_KEY is too weak.")
    number = len(settings.SECRET_KEY_FALLBACKS)
    if number:
        yield Found(f"{number} former SECRET_KEY still verify: end the overlap.", Severity.NOTICE)


def ring() -> Iterator[Found]:
    """Look at how long the active key of the ring has sealed the log."""
    first = Seal.objects.filter(key_id=key_ring().active_id).order_by("position").first()
    if first is not None and first.sealed_at < timezone.now() - OLD:
        yield Found(f"The active key {key_ring().active_id} is in use since {first.sealed_at:%-d %B %Y}.")


def mail() -> Iterator[Found]:
    """Look at where mails go: their links let people in."""
    if CONSOLE == settings.EMAIL_BACKEND:
        yield Found(
            "Mails, with the links that let people in, are printed into the worker's log.",
            strict(Severity.CRITICAL),
        )
    elif settings.EMAIL_BACKEND.endswith("smtp.EmailBackend") and not (
        settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    ):
        yield Found("Mails leave without TLS.", strict(Severity.WARNING))


def folder() -> Iterator[Found]:
    """Look at who can read what is kept beside the database."""
    place = Path(settings.DATA_DIR)
    if place.is_dir() and place.stat().st_mode & OTHERS:
        yield Found("Everybody on this machine can look into DATA_DIR.", strict(Severity.WARNING))
    if (place / "quickstart.json").exists():
        yield Found("DATA_DIR holds quickstart.json, with passwords of the demo.", strict(Severity.CRITICAL))


def alarms() -> Iterator[Found]:
    """Look at rules for alerts that ops have switched off."""
    off = sorted(key for key, number in settings.SECURITY_ALERT_THRESHOLDS.items() if number == 0)
    if off:
        yield Found(f"Switched off: {', '.join(off)}.")


CHECKS: Final = (
    Check("debug", "Errors show nothing", Severity.CRITICAL, "Switch DEBUG off.", debug),
    Check("environment", "The environment is what it serves", Severity.CRITICAL,
          "Unset QUILLKEEP_ENVIRONMENT, or set staging or production.", environment),
    Check("owner-in-web", "No web process owns the tables", Severity.CRITICAL,
          "Unset OWNER_DATABASE_URL for the web process; only migrating and index building need it.", owner),
    Check("secret-key", "SECRET_KEY is strong", Severity.CRITICAL,
          "Make a new random one of 50 characters.", secret_key),
    Check("key-ring", "The key ring is turned over", Severity.WARNING,
          "Put a new key first in QUILLKEEP_KEY_RING and keep the old one behind it.", ring),
    Check("mail", "Mails reach people alone", Severity.CRITICAL, "Set EMAIL_URL to smtp+tls://.", mail),
    Check("data-folder", "The data folder is closed", Severity.WARNING,
          "chmod 700 DATA_DIR, and delete quickstart.json.", folder),
    Check("alert-rules", "Every rule for alerts is on", Severity.NOTICE,
          "Take the rule out of SECURITY_ALERT_THRESHOLDS, or raise its number.", alarms,
          page="accounts_alert_changelist"),
)  # fmt: skip
