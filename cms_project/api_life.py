"""The end of a version of the API: told on every answer (RFC 9745, RFC 8594), and 410 after its last day."""

from datetime import UTC, date, datetime, time
from typing import Final

from django.conf import settings
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.http import http_date

from cms_project.environment import ApiLife

PREFIX: Final = "/api/v1/"
# What goes on after the last day: signing out only takes something away, and pages of the admin send reports there.
STAYS: Final = frozenset({"/api/v1/auth/logout", "/api/v1/csp-reports"})


def current() -> ApiLife | None:
    """Return how the version ends, None while nobody has said that it does."""
    life: ApiLife | None = settings.API_V1_LIFE
    return life


def midnight(day: date) -> datetime:
    """Return when a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def has_ended() -> bool:
    """Tell whether the last day is over."""
    life = current()
    return life is not None and life.sunset_on is not None and timezone.now() >= midnight(life.sunset_on)


def tell(response: HttpResponseBase) -> None:
    """Put `Deprecation`, `Sunset` and `Link` on an answer; nothing while the version is current."""
    life = current()
    if life is None:
        return
    response.headers["Deprecation"] = f"@{int(midnight(life.deprecated_on).timestamp())}"
    links = [f'<{life.info}>; rel="deprecation"; type="text/html"'] if life.info else []
    if life.sunset_on is not None:
        response.headers["Sunset"] = http_date(midnight(life.sunset_on).timestamp())
        links += [f'<{life.info}>; rel="sunset"; type="text/html"'] if life.info else []
    links += [f'<{life.successor}>; rel="successor-version"'] if life.successor else []
    if links:
        response.headers["Link"] = ", ".join([*filter(None, [response.headers.get("Link", "")]), *links])


def sentence() -> str:
    """Return the same for people who read the schema, "" while the version is current."""
    life = current()
    if life is None:
        return ""
    said = [f"This version is deprecated since {life.deprecated_on.isoformat()}."]
    if life.sunset_on is not None:
        said.append(f"From {life.sunset_on.isoformat()} (00:00 UTC) it answers 410.")
    if life.successor:
        said.append(f"Its successor: {life.successor}")
    if life.info:
        said.append(f"More about it: {life.info}")
    return " ".join(said)


def ended() -> str:
    """Return what is said after the last day."""
    life = current()
    next_one = f" Use its successor: {life.successor}" if life is not None and life.successor else ""
    return f"This version of the API has ended.{next_one}"
