"""API keys that have grown old, are not used, or could be used from anywhere."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.utils import timezone

from accounts.models.alert import Severity
from accounts.models.api_key import ApiKey
from accounts.principals import scopes_of
from cms_project.security_check.check import Check, Found

OLD: Final = timedelta(days=180)
IDLE: Final = timedelta(days=30)
LONG: Final = timedelta(days=366)


def usable() -> list[ApiKey]:
    """Return the keys that open something."""
    return list(ApiKey.objects.usable().select_related("owner").order_by("name", "public_id"))


def age() -> Iterator[Found]:
    """Look for secrets that were not changed for half a year."""
    before = timezone.now() - OLD
    for key in usable():
        if (key.rotated_at or key.created_at) < before:
            yield Found(
                f"{_named(key)} has had its secret since {key.rotated_at or key.created_at:%-d %B %Y}."
            )


def idle() -> Iterator[Found]:
    """Look for keys that nobody would miss."""
    before = timezone.now() - IDLE
    for key in usable():
        if key.idle_since < before:
            yield Found(f"{_named(key)} was not used since {key.idle_since:%-d %B %Y}.")


def expiry() -> Iterator[Found]:
    """Look for keys that live longer than any may; the database refuses them, unless its constraint is gone."""
    for key in usable():
        if key.expires_at > key.created_at + LONG:
            yield Found(f"{_named(key)} lives for more than a year.")


def networks() -> Iterator[Found]:
    """Look for keys that administer and are bound to no network."""
    for key in usable():
        areas = sorted(scopes_of(key.scopes).areas)
        if areas and not key.allowed_networks:
            yield Found(f"{_named(key)} administers {', '.join(areas)} from anywhere.")


def browsers() -> Iterator[Found]:
    """Look for keys that every visitor of a site has, and that do more than read what is published."""
    for key in usable():
        if key.browser and not scopes_of(key.scopes).only_read_what_is_published:
            yield Found(f"{_named(key)} is for browsers, where anybody can read it, and does more than read.")


def _named(key: ApiKey) -> str:
    return f"{key.name} ({key.public_id})"


_PAGE: Final = "accounts_apikey_changelist"
CHECKS: Final = (
    Check("key-age", "API keys are rotated", Severity.WARNING,
          "Rotate it: manage.py keys rotate, with an overlap.", age, page=_PAGE),
    Check("key-idle", "API keys are used", Severity.WARNING, "Revoke keys that nobody uses.", idle, page=_PAGE),
    Check("key-expiry", "API keys end", Severity.CRITICAL,
          "Revoke the key, and run manage.py migrate: a constraint of its table is missing.", expiry, page=_PAGE),
    Check("key-networks", "API keys that administer are bound to networks", Severity.WARNING,
          "Rotate the key into one with allowed networks.", networks, page=_PAGE),
    Check("key-browser", "Keys in browsers only read", Severity.CRITICAL,
          "Revoke it and make one that only reads what is published.", browsers, page=_PAGE),
)  # fmt: skip
