"""How API keys are used: noted along with the limit of each request, written down each minute, and judged."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import redis
from django.db import connection, transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts.access import Principal
from accounts.buckets import Notes
from accounts.log import Subject, record
from accounts.models.api_key import ApiKey, ScopeUse
from accounts.models.generation import KEY_USE, Generation
from accounts.valkey import circuit, valkey

logger = logging.getLogger("quillkeep.keys")

USE: Final = "quillkeep:key-use"
SCOPES: Final = "quillkeep:scope-use"
_TAKEN: Final = ":taken"
_LOCK_ID: Final = 0x71_6B_75_73_65  # "qkuse": the advisory lock of whoever writes notes down
_TAG_LENGTH: Final = (
    12  # of the secret's hash: which of a key's secrets it was, also when it is rotated meanwhile
)


# --- Noting ----------------------------------------------------------------------------------------------------------


def call(public_id: str, secret_hash: str, address: str) -> Notes:
    """Return what to note of a call with a key. It rides on the count of the request's limit and costs nothing."""
    at = f"{public_id}:{secret_hash[:_TAG_LENGTH]}"
    now = int(time.time())
    return Notes(
        USE, (("hincrby", f"{at}:calls", 1), ("hset", f"{at}:at", now), ("hset", f"{at}:address", address))
    )


def refusal(public_id: str, secret_hash: str) -> Notes:
    """Return what to note of a call with a former secret that has been retired."""
    at = f"{public_id}:{secret_hash[:_TAG_LENGTH]}"
    return Notes(USE, (("hincrby", f"{at}:refused", 1), ("hset", f"{at}:refused-at", int(time.time()))))


_NOTE_EVERY: Final = 3600.0  # seconds: a scope in use costs each process one round trip an hour
_MOST_NOTED: Final = 50_000
_noted: dict[tuple[str, str], float] = {}


def watch(request: HttpRequest, principal: Principal) -> None:
    """Let the scopes that this request makes use of be noted when it has been answered."""
    request.key_principal = principal  # type: ignore[attr-defined]  # read by ScopeUseMiddleware


def forget() -> None:
    """Let this process have noted nothing."""
    _noted.clear()


class ScopeUseMiddleware:
    """Notes which scopes of its key a request needed. One that was refused needed none.

    A view that asks for every right there is, to tell what a caller may, says `asks_widely`: its reads are passed by.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        principal: Principal | None = getattr(request, "key_principal", None)
        if principal is None or principal.scopes is None or response.status_code >= 400:
            return response
        view = getattr(getattr(request.resolver_match, "func", None), "cls", None)
        if not (getattr(view, "asks_widely", False) and request.method in ("GET", "HEAD")):
            _note_scopes(principal.credential_id, principal.scopes.used or ())
        return response


def _note_scopes(public_id: str, scopes: Iterable[str]) -> None:
    now = time.monotonic()
    fresh = [scope for scope in scopes if now - _noted.get((public_id, scope), -_NOTE_EVERY) >= _NOTE_EVERY]
    if not fresh:
        return
    stamp = str(int(time.time()))
    mapping: dict[Any, Any] = {f"{public_id} {scope}": stamp for scope in fresh}
    try:
        circuit.call(lambda: valkey().hset(SCOPES, mapping=mapping))
    except redis.RedisError:
        return  # the next request tries again
    if len(_noted) > _MOST_NOTED:
        _noted.clear()
    _noted.update({(public_id, scope): now for scope in fresh})


# --- Writing down ----------------------------------------------------------------------------------------------------


@dataclass
class _Calls:
    """What was noted of one secret of a key."""

    calls: int = 0
    at: datetime | None = None
    address: str = ""
    refused: int = 0
    refused_at: datetime | None = None


@dataclass
class _Noted:
    """What was noted of one key, by the first letters of its secrets' hashes."""

    secrets: dict[str, _Calls] = field(default_factory=dict)


@transaction.atomic
def flush(*, by: Principal) -> int:
    """Write the notes to the rows; return of how many keys. Raises redis.RedisError, and nothing is known then.

    What was taken stays in Valkey until it is written: whatever dies in between, the next flush has it. A call on an
    old secret that was lost would make retiring it look safe.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s)", [_LOCK_ID]
        )  # one at a time, or it would count twice
    noted: dict[str, _Noted] = {}
    for name, value in _taken(USE).items():
        public_id, tag, what = name.split(":")
        calls = noted.setdefault(public_id, _Noted()).secrets.setdefault(tag, _Calls())
        if what in ("at", "refused-at"):
            setattr(calls, what.replace("-", "_"), datetime.fromtimestamp(int(value), UTC))
        else:
            setattr(calls, what, value if what == "address" else int(value))
    for public_id, found in sorted(noted.items()):
        _write(public_id, found, by)
    _write_scopes(_taken(SCOPES))
    Generation.objects.bump(KEY_USE)
    valkey().delete(f"{USE}{_TAKEN}", f"{SCOPES}{_TAKEN}")
    return len(noted)


def _taken(name: str) -> dict[str, str]:
    """Take what was noted so far out of the way of those who note, or what an earlier flush took and did not write."""
    if not valkey().exists(name + _TAKEN):
        try:
            valkey().rename(name, name + _TAKEN)
        except redis.ResponseError:  # nothing was noted
            return {}
    found = cast("dict[bytes, bytes]", valkey().hgetall(name + _TAKEN))
    return {key.decode(): value.decode() for key, value in found.items()}


def _write(public_id: str, noted: _Noted, by: Principal) -> None:
    key = ApiKey.objects.select_for_update().filter(public_id=public_id).first()
    if key is None:
        return
    for tag, calls in noted.secrets.items():
        is_new = key.secret_hash.startswith(tag)
        is_old = bool(key.previous_secret_hash) and key.previous_secret_hash.startswith(tag)
        key.use_count += calls.calls
        if calls.at is not None and (key.last_used_at is None or calls.at > key.last_used_at):
            key.last_used_at, key.last_address = calls.at, calls.address
        if is_new and calls.at is not None and key.rotated_at is not None:
            key.new_used_at = calls.at
        if is_old and calls.at is not None:
            key.old_use_count += calls.calls
            key.old_used_at, key.old_address = calls.at, calls.address
        if is_old and calls.refused:
            if key.old_refused_at is None:
                _record_refusal(key, by)  # once a rotation: the rest is counted
            key.old_refused_count += calls.refused
            key.old_refused_at = calls.refused_at
    key.save(force_update=True)


def _record_refusal(key: ApiKey, by: Principal) -> None:
    record(
        "api-key.old-secret-refused",
        actor=by,
        subject=Subject("api-key", str(key.pk)),
        detail={"public_id": key.public_id, "name": key.name},
    )


def _write_scopes(notes: Mapping[str, str]) -> None:
    keys = dict(
        ApiKey.objects.filter(public_id__in={name.split(" ")[0] for name in notes}).values_list(
            "public_id", "pk"
        )
    )
    rows = [
        ScopeUse(key_id=keys[public_id], scope=scope, last_used_at=datetime.fromtimestamp(int(stamp), UTC))
        for public_id, scope, stamp in ((*name.split(" ", 1), stamp) for name, stamp in sorted(notes.items()))
        if public_id in keys and len(scope) <= 100
    ]
    ScopeUse.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["key", "scope"], update_fields=["last_used_at"]
    )


# --- Judging: the former secret ---------------------------------------------------------------------------------------

QUIET: Final = timedelta(hours=4)  # without a call on the old secret


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the former secret of a rotated key can be retired, and what that is known from."""

    is_safe: bool
    sentence: str


def verdict(key: ApiKey, *, is_known: bool) -> Verdict | None:
    """Judge a key whose overlap is running, None for others. `is_known`: the notes were written down lately."""
    if key.state != ApiKey.State.RETIRING or key.rotated_at is None:
        return None
    if not is_known:
        return Verdict(
            False, "Not known: calls were not written down lately, so look whether the worker runs."
        )
    number = f"{key.old_use_count} call{'' if key.old_use_count == 1 else 's'}"
    old = (
        f"{number} on the old secret since the rotation, the last {ago(key.old_used_at)} from {key.old_address}"
        if key.old_used_at
        else "no call on the old secret since the rotation"
    )
    if key.new_used_at is None:
        return Verdict(False, f"Not yet: nobody has used the new secret; {old}.")
    new = f"the new one was used {ago(key.new_used_at)}"
    quiet_since = max(key.rotated_at, key.old_used_at or key.rotated_at)
    if timezone.now() - quiet_since < QUIET or key.new_used_at <= quiet_since:
        return Verdict(False, f"Not yet: {old}; {new}.")
    return Verdict(True, f"Safe to retire: {old}; {new}.")


def ago(moment: datetime | None) -> str:
    """Return how long ago something was, in words."""
    if moment is None:
        return "never"
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    for length, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            number = seconds // length
            return f"{number} {word}{'' if number == 1 else 's'} ago"
    return "less than a minute ago"
