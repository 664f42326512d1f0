"""Worlds that many tests begin with: made once by each worker, and put back into the database for all the others."""

import copy
import copyreg
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts.models import Event, Session

T = TypeVar("T")
# A token of the API ends after five minutes, and some tests take long where other work goes on beside them.
GOOD_FOR = timedelta(seconds=50)
_kept: dict[str, tuple[datetime, Any]] = {}
_there = ("", 0)  # what was arranged last, and how many events the log had then


def arranged(name: str, make: Callable[[], T], *, on: str = "") -> T:
    """Return what `make` returns, with the rows that it writes, on nothing or right on what was arranged as `on`.

    Where something was written before, it is made as if this function were not there.
    """
    global _there  # noqa: PLW0603 (there is one database)
    before = Event.objects.count()
    if before and _there != (on, before):
        _there = ("", 0)
        return make()
    kept: tuple[datetime, T] | None = _kept.get(name)
    base = _kept[on][0] if before else None
    with connections["owner"].cursor() as cursor:
        if kept is None or abs(timezone.now() - kept[0]) > GOOD_FOR or (base is not None and base > kept[0]):
            kept = _kept[name] = timezone.now(), make()
            cursor.execute("SELECT baseline.keep(%s)", [name])
        else:
            cursor.execute(f'SELECT "{name}".bring()')
            Session.objects.update(last_seen_at=timezone.now())  # or a request that is counted would note it
    _there = (name, Event.objects.count())
    return copy.deepcopy(kept[1])


def _reduce(client: Client) -> tuple[Callable[[], Client], tuple[()], dict[str, Any]]:
    """Tell `copy` that of a client its cookies count, and not the middleware that it has loaded."""
    new = partial(
        Client,
        enforce_csrf_checks=client.handler.enforce_csrf_checks,
        raise_request_exception=client.raise_request_exception,
    )
    return new, (), {"cookies": client.cookies}


copyreg.pickle(Client, _reduce)
