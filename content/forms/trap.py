"""The honeypot: who fills in what people don't see is a robot. It is told that all is well, and nothing is kept."""

import contextlib
from dataclasses import replace
from typing import Any, Final, cast

import redis
from django.db import transaction

from accounts.access import Principal
from accounts.log import Subject, record
from accounts.valkey import valkey
from content.forms import quotas
from content.schema import CollectionSpec

TRAPPED: Final = "form.trapped"
_COUNT: Final = "quillkeep:form-trapped:"


def name_in(form: CollectionSpec) -> str | None:
    """Return the name of the input that is a trap, if one: a field of the form is none."""
    name = form.form.honeypot if form.form is not None else ""
    return name if name and name not in form.by_key else None


def note(form: CollectionSpec, *, by: Principal) -> None:
    """Count it, and tell the log once an hour how many it were."""
    key = f"{_COUNT}{form.id}"
    count = 1
    with contextlib.suppress(redis.RedisError):
        valkey().incr(key)
    if not quotas.is_first_in_an_hour(f"trapped:{form.id}"):
        return
    with contextlib.suppress(redis.RedisError):
        count = int(cast("Any", valkey().getdel(key)) or 1)
    with transaction.atomic():
        about = Subject("collection", str(form.id), form.id)
        record(
            TRAPPED,
            actor=replace(by, address=""),
            subject=about,
            detail={"collection": form.key, "count": count},
        )
