"""Taking over a copy of another environment's database: whatever opened a door there opens none here."""

from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import connections, transaction
from django.utils import timezone

from accounts import environments
from accounts.access import Principal
from accounts.errors import ConflictError
from accounts.keys import api_keys
from accounts.log import Subject, record
from accounts.models import ApiKey, Installation, Session
from accounts.models.generation import ACCESS, KEYS, Generation
from accounts.models.installation import ONLY
from cms_project import lockdown
from webhooks import endpoints
from webhooks.incoming import sources
from webhooks.models import Endpoint, Source

# Not the way of `lockdown.ENDINGS`: these are changes, which a lockdown refuses.
_Step = tuple[str, Callable[[Principal], int]]


@dataclass(slots=True)
class Adopted:
    """What was done: the environment that the database was of, and how many of what ended."""

    former: str
    present: str
    ended: dict[str, int] = field(default_factory=dict)


def adopt(*, by: Principal, former: str = "") -> Adopted:
    """Make this database one of this environment. Of its own it does nothing. `former` must be right where it is given.

    API keys are revoked (with the same database their text could be written anew for this environment), sessions and
    previews end, webhook endpoints pause and sources are switched off: they belong to the receivers of the other one.
    People, roles, passwords and second factors stay. Raises ConflictError without the owner of the tables.
    """
    if "owner" not in connections.settings:
        raise ConflictError(
            "Only the owner of the tables can adopt a copy: set OWNER_DATABASE_URL for this command."
        )
    found = Installation.objects.using("owner").filter(pk=ONLY).first()
    done = Adopted(found.environment if found else "", environments.name())
    if former and former != done.former:
        raise ConflictError(
            f"This database is not of {former}, it is of {done.former or 'no environment yet'}."
        )
    if done.former == done.present:
        return done
    with transaction.atomic():
        for name, step in _STEPS:
            done.ended[name] = step(by)
        record(
            "environment.adopted",
            actor=by,
            subject=Subject("environment", done.present),
            detail={"from": done.former, "to": done.present, **done.ended},
        )
        Generation.objects.bump(ACCESS, KEYS)
    # Last: until then no process of this environment starts here, and doing it all again changes nothing.
    Installation.objects.using("owner").update_or_create(
        pk=ONLY, defaults={"environment": done.present, "since": timezone.now()}
    )
    return done


def _keys(by: Principal) -> int:
    live = list(ApiKey.objects.exclude(state=ApiKey.State.REVOKED).order_by("pk"))
    for key in live:
        api_keys.revoke(key, by=by)
    return len(live)


def _sessions(_by: Principal) -> int:
    return Session.objects.filter(ended_at__isnull=True).update(ended_at=timezone.now(), refresh_jti=None)


def _others(by: Principal) -> int:
    return sum(number for _, number in (ending(by) for ending in lockdown.ENDINGS))


def _endpoints(by: Principal) -> int:
    live = list(Endpoint.objects.filter(state=Endpoint.State.ACTIVE).order_by("pk"))
    for endpoint in live:
        endpoints.pause(endpoint, by=by)
    return len(live)


def _sources(by: Principal) -> int:
    live = list(Source.objects.filter(state=Source.State.ACTIVE).order_by("pk"))
    for source in live:
        sources.switch(source, is_on=False, by=by)
    return len(live)


_STEPS: tuple[_Step, ...] = (
    ("api_keys", _keys),
    ("sessions", _sessions),
    ("previews", _others),
    ("endpoints", _endpoints),
    ("sources", _sources),
)
