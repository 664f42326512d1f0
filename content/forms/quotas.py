"""How much visitors may send: a little by address and form, and so much in all that no form fills the disk.

No stranger can use up a form for others: what is counted by form is only what is stored, and that is a lot.
"""

from typing import Final

import redis

from accounts.access import Principal
from accounts.addresses import callers_network
from accounts.buckets import Window, buckets
from accounts.errors import TooManyRequestsError
from accounts.limits import Policy
from accounts.outages import outage

# Whatever is sent, good or not. A message of a visitor is worth more than a limit: without Valkey they are taken.
ARRIVALS: Final = Policy("forms", quota=30, burst=10, fails_open=True)
# What is kept of one network in one form: (requests, seconds).
KEPT: Final = ((40, 60 * 60), (100, 24 * 60 * 60))
MOST_STORED: Final = 20_000  # submissions of one form
MOST_BYTES: Final = 256 * 1024 * 1024


def count_kept(form_id: object, *, by: Principal) -> None:
    """Count a submission that would be kept, by the network of a stranger. Raises TooManyRequestsError.

    Who sends with a credential is none: a site's server speaks for many people.
    """
    if by.credential:
        return
    caller = f"{form_id}:{callers_network(by.address)}"
    windows = [Window(f"form-kept-{seconds}", quota, seconds, caller, shown=False) for quota, seconds in KEPT]
    try:
        levels = buckets().take(windows)
    except redis.RedisError as error:
        outage.note(error)
        return
    full = [level.resets_in for level in levels if level.is_full]
    if full:
        raise TooManyRequestsError(
            "That is a lot from one place. Nothing was stored; try again later.", retry_after=max(full)
        )


def is_first_in_an_hour(about: str) -> bool:
    """Tell whether something is to be told now: once an hour. Without Valkey it is told each time."""
    try:
        (level,) = buckets().take([Window("form-told", 1, 60 * 60, about, shown=False)])
    except redis.RedisError as error:
        outage.note(error)
        return True
    return not level.is_full
