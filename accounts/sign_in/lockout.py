"""Lock-out after failed sign-ins, by account, by address and by both: django-axes with a limit of its own for each.

Somebody who guesses must be stopped; somebody who only wants to lock another person out must gain nothing. So a
browser that has signed in as a person before (`accounts.sign_in.browsers`) is counted apart from strangers, and every
lock ends by itself after the cool-off, however often it is tried in between.
"""

from typing import Final

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.db import transaction
from django.db.models import Max, Q
from django.http import HttpRequest

from accounts.access import Area, Principal
from accounts.addresses import callers_network, client_address
from accounts.log import Subject, record
from accounts.models.event import Event
from accounts.models.user import User
from accounts.sign_in import browsers

FAILED: Final = "sign-in.failed"
STEP_UP_FAILED: Final = "step-up.failed"  # by whoever holds the session, who may not be the person
LOCKED_OUT: Final = "sign-in.locked-out"
LIFTED: Final = "sign-in.lock-lifted"
# How many times the limit of the settings each count may reach: (account and address), account, address.
TIMES: Final = (1, 5, 5)
MOST_IN_A_ROW: Final = (
    100  # NIST SP 800-63B-4, 3.2.2: then strangers wait until the person has signed in or reset
)
MARK: Final = "#"  # stands in no address that can be kept


class Handler(AxesDatabaseHandler):  # type: ignore[misc]  # axes is untyped
    """Scales each count to the one limit that axes knows."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, str] | None = None) -> int:
        """Return the count that is nearest to its limit, as one of the smallest limit."""
        attempts = self.get_user_attempts(request, credentials)
        found: list[int] = [sum(rows.values_list("failures_since_start", flat=True)) for rows in attempts]
        if MARK in counted_name(request, credentials):
            return found[
                1
            ]  # a known browser, wherever it is: what strangers do at its address is not its doing
        return max(count // times for count, times in zip(found, TIMES, strict=True))


def counted_address(request: HttpRequest) -> str:
    """Return under which address failures are counted: for IPv6 the first of its network, which one caller holds."""
    return callers_network(client_address(request)).partition("/")[0]


def counted_name(request: HttpRequest, credentials: dict[str, str] | None) -> str:
    """Return under which name failures are counted: the account's, or for a known browser of it one of its own."""
    username = str((credentials or {}).get("username") or "-")
    browser = browsers.known(request, username)
    return f"{browser}{MARK}{username}"[:255] if browser else username


def is_locked(request: HttpRequest, username: str) -> bool:
    """Tell whether no attempt on this account is looked at now, from where the request comes."""
    if not AxesProxyHandler.is_allowed(request, {"username": username}):
        return True
    return not browsers.known(request, username) and _is_worn_out(username)


@transaction.atomic
def lift(user: User, *, by: Principal) -> None:
    """Lift every lock of an account: its person has shown by mail who it is, or an administrator knows."""
    if user.pk != by.user_id:
        by.require_area(Area.USERS)
        by.require_step_up()
    AccessAttempt.objects.filter(
        Q(username=user.email) | Q(username__endswith=f"{MARK}{user.email}")
    ).delete()
    record(LIFTED, actor=by, subject=Subject("user", str(user.pk)))


def _is_worn_out(username: str) -> bool:
    """Tell whether there were a hundred failures in a row, however slowly they came.

    Read from the log, where they stand anyway, back to the last time that the person got in.
    """
    user = User.objects.filter(email=username).only("pk", "last_login", "password_changed_at").first()
    if user is None:
        return False
    told = Event.objects.about("user", str(user.pk))
    failures = told.filter(type=FAILED)
    lifted = told.filter(type=LIFTED).aggregate(at=Max("at"))["at"]
    moments = (user.last_login, user.password_changed_at, lifted)
    since = max((moment for moment in moments if moment), default=None)
    if since is not None:
        failures = failures.filter(at__gt=since)
    return len(failures.values_list("pk")[:MOST_IN_A_ROW]) >= MOST_IN_A_ROW
