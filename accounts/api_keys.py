"""API keys: minting, checking, rotating and revoking them, and noting when they were used."""

import hashlib
import hmac
import re
import secrets
import string
import time
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final, cast
from uuid import UUID

import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.access import Action, Area, Principal, Resource, Scopes
from accounts.addresses import is_within
from accounts.directory import directory
from accounts.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    NotAuthenticatedError,
    Problem,
)
from accounts.granting import require_to_hold_roles
from accounts.log import Subject, record
from accounts.models.api_key import LONGEST_LIFE, ApiKey
from accounts.models.credential import Credential
from accounts.models.generation import KEYS, Generation
from accounts.models.role import PUBLIC
from accounts.models.user import User
from accounts.people import add_service
from accounts.principals import scopes_of
from accounts.valkey import valkey

DEFAULT_LIFE: Final = timedelta(days=90)
DEFAULT_OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=30)
PREFIX: Final = "qk_"

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PUBLIC_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43  # 43 characters of 62 are 256 bits
_CHECKSUM_LENGTH: Final = 6
_FORM: Final = re.compile(
    rf"qk_(?P<environment>[a-z]{{1,20}})_(?P<public_id>[0-9A-Za-z]{{{_PUBLIC_LENGTH}}})"
    rf"_(?P<secret>[0-9A-Za-z]{{{_SECRET_LENGTH}}})(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
_NO_COLLECTION: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class KeyText:
    """The parts of a key as it is sent."""

    environment: str
    public_id: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyText(qk_{self.environment}_{self.public_id}_…)"

    def __str__(self) -> str:
        body = f"{PREFIX}{self.environment}_{self.public_id}_{self.secret}"
        return body + _checksum(body)


@dataclass(frozen=True, slots=True)
class Minted:
    """A key, and the only time that its text exists outside of its holder's hands."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        return f"Minted({self.key.public_id})"


def parse(text: str) -> KeyText:
    """Take a key apart. Raises NotAuthenticatedError: a wrong form, a typing error, a key of another environment."""
    match = _FORM.fullmatch(text)
    if match is None or not hmac.compare_digest(_checksum(text[:-_CHECKSUM_LENGTH]), match["checksum"]):
        raise NotAuthenticatedError("This is not an API key: it may be cut off or mistyped.")
    environment = settings.ENVIRONMENT.name
    if match["environment"] != environment:
        raise NotAuthenticatedError(
            f"This API key is for the environment {match['environment']}, and this is {environment}."
        )
    return KeyText(match["environment"], match["public_id"], match["secret"])


def check(text: str, *, using: str, address: str, origin: str) -> Credential:
    """Return the row of a key that may be used here and now (one query). Raises NotAuthenticatedError otherwise."""
    parts = parse(text)
    row = Credential.objects.using(using).filter(public_id=parts.public_id).first()
    given = secret_hash(parts.secret)
    # Compared also when there is no such key, so that the time taken tells nothing of public ids.
    is_current = hmac.compare_digest(row.secret_hash if row else "-" * 64, given)
    is_previous = hmac.compare_digest((row.previous_secret_hash if row else "") or "-" * 64, given)
    now = timezone.now()
    if row is None or not (
        is_current
        or (is_previous and row.previous_valid_until is not None and now < row.previous_valid_until)
    ):
        raise NotAuthenticatedError("This API key is not known.")
    if row.state == ApiKey.State.REVOKED or not row.owner_is_active:
        raise NotAuthenticatedError("This API key was revoked.")
    if now >= row.expires_at:
        raise NotAuthenticatedError("This API key has expired.")
    if row.allowed_networks and not is_within(address, row.allowed_networks):
        raise NotAuthenticatedError("This API key can't be used from this address.")
    if origin and not row.browser:
        raise NotAuthenticatedError(
            "This API key is not made for browsers: whoever opens the page could read it."
        )
    return row


# --- Life -----------------------------------------------------------------------------------------------------------


@transaction.atomic
def mint(
    owner: User,
    *,
    name: str,
    scopes: Scopes,
    by: Principal,
    expires_at: datetime | None = None,
    allowed_networks: Collection[str] = (),
    browser: bool = False,
) -> Minted:
    """Make a key of `owner`, cut down to scopes that `by` holds itself. Its text is returned here and never again.

    Raises NotAllowedError (scopes or owner beyond own rights), InvalidInputError (expiry, networks, inactive owner).
    """
    by.require_area(Area.KEYS)
    by.require_step_up()
    require_to_hold_roles(by, owner.role_keys)
    require_to_hold_scopes(by, scopes)
    now = timezone.now()
    expires_at = expires_at or now + DEFAULT_LIFE
    problems = [*_expiry_problems(expires_at, now), *_network_problems(allowed_networks)]
    if not owner.is_active:
        problems.append(Problem.at(["owner"], "inactive", "The owner is switched off."))
    if browser and scopes.areas:
        problems.append(Problem.at(["browser"], "not-possible", "A key for browsers can't administer."))
    if problems:
        raise InvalidInputError(errors=problems)
    text = KeyText(settings.ENVIRONMENT.name, _random(_PUBLIC_LENGTH), _random(_SECRET_LENGTH))
    key = ApiKey.objects.create(
        public_id=text.public_id,
        secret_hash=secret_hash(text.secret),
        owner=owner,
        created_by_id=by.user_id,
        name=name,
        scopes=scopes_json(scopes),
        created_at=now,
        expires_at=expires_at,
        allowed_networks=[str(ip_network(network)) for network in allowed_networks],
        browser=browser,
    )
    detail = {"owner": str(owner.pk), "scopes": scope_texts(scopes), "expires_at": expires_at.isoformat()}
    _record("api-key.created", key, by, detail)
    return Minted(key, str(text))


@transaction.atomic
def mint_for_role(role: str, *, name: str, scopes: Scopes, by: Principal, **options: Any) -> Minted:
    """Make a key, and a service account with one role to own it. Errors and options as `mint`."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    owner = add_service(
        name, roles=[] if role == PUBLIC else [role], by=by
    )  # everybody has the public role already
    return mint(owner, name=name, scopes=scopes, by=by, **options)


@transaction.atomic
def rotate(key: ApiKey, *, overlap: timedelta = DEFAULT_OVERLAP, by: Principal) -> Minted:
    """Give a key a new secret; the old one works until the overlap ends. Raises ConflictError for a dead key."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidInputError(
            errors=[Problem.at(["overlap_hours"], "out-of-range", "From 0 to 720 hours.")]
        )
    key = ApiKey.objects.select_for_update().get(pk=key.pk)
    require_to_hold_roles(by, key.owner.role_keys)
    require_to_hold_scopes(by, scopes_of(key.scopes))
    now = timezone.now()
    if key.state == ApiKey.State.REVOKED or now >= key.expires_at:
        raise ConflictError("A revoked or expired key can't be rotated. Make a new one.")
    text = KeyText(settings.ENVIRONMENT.name, key.public_id, _random(_SECRET_LENGTH))
    key.previous_secret_hash = key.secret_hash
    key.previous_valid_until = now + overlap
    key.secret_hash = secret_hash(text.secret)
    key.state = ApiKey.State.RETIRING if overlap else ApiKey.State.ACTIVE
    key.save(force_update=True)
    _record("api-key.rotated", key, by, {"overlap_seconds": int(overlap.total_seconds())})
    return Minted(key, str(text))


@transaction.atomic
def revoke(key: ApiKey, *, by: Principal) -> None:
    """End a key at once, both secrets. Revoking twice changes nothing."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    key = ApiKey.objects.select_for_update().get(pk=key.pk)
    if key.state == ApiKey.State.REVOKED:
        return
    key.state = ApiKey.State.REVOKED
    key.revoked_at = timezone.now()
    key.previous_secret_hash = ""
    key.previous_valid_until = None
    key.save(force_update=True)
    _record("api-key.revoked", key, by, {})


def _record(type_: str, key: ApiKey, by: Principal, detail: Mapping[str, object]) -> None:
    record(
        type_,
        actor=by,
        subject=Subject("api-key", str(key.pk)),
        detail={"public_id": key.public_id, "name": key.name, **detail},
    )
    Generation.objects.bump(KEYS)


def _expiry_problems(expires_at: datetime, now: datetime) -> Iterable[Problem]:
    if not now < expires_at <= now + LONGEST_LIFE:
        yield Problem.at(["expires_at"], "out-of-range", "In the future, and at most one year ahead.")


def _network_problems(networks: Collection[str]) -> Iterable[Problem]:
    for number, network in enumerate(networks):
        try:
            ip_network(network)
        except ValueError:
            yield Problem.at(["allowed_networks", number], "invalid", "A network such as 192.0.2.0/24.")


# --- Scopes ---------------------------------------------------------------------------------------------------------


def parse_scopes(texts: Collection[str], *, path: tuple[str | int, ...] = ("scopes",)) -> Scopes:
    """Turn `articles:read`, `*:read`, `admin:keys` into scopes. Raises InvalidInputError naming each wrong one."""
    actions: set[tuple[UUID | None, Action]] = set()
    areas: set[Area] = set()
    problems: list[Problem] = []
    for number, text in enumerate(texts):
        left, _, right = text.partition(":")
        if left == "admin" and right in set(Area):
            areas.add(Area(right))
            continue
        collection_id = None if left == "*" else directory().collection_id(left)
        if right not in set(Action) or (left != "*" and collection_id is None):
            problems.append(
                Problem.at(
                    (*path, number), "unknown-scope", "A scope is collection:action, *:action or admin:area."
                )
            )
            continue
        actions.add((collection_id, Action(right)))
    if not texts:
        problems.append(Problem.at(path, "required", "Name at least one scope."))
    if problems:
        raise InvalidInputError(errors=problems)
    return Scopes(frozenset(actions), frozenset(areas))


def scope_texts(scopes: Scopes) -> list[str]:
    """Return scopes as people write them; a collection that is gone shows by its id."""
    lines = [
        f"{'*' if collection is None else directory().collection_key(collection) or collection}:{action.value}"
        for collection, action in scopes.actions
    ]
    return sorted([*lines, *(f"admin:{area.value}" for area in scopes.areas)])


def scopes_json(scopes: Scopes) -> dict[str, list[list[str]] | list[str]]:
    """Return scopes as the row keeps them."""
    return {
        "actions": sorted([str(collection or "*"), action.value] for collection, action in scopes.actions),
        "areas": sorted(area.value for area in scopes.areas),
    }


def require_to_hold_scopes(by: Principal, scopes: Scopes) -> None:
    """Raise NotAllowedError when a scope is more than `by` has itself (GHSA-pmf4-v838-29hg)."""
    for collection, action in scopes.actions:
        if not by.grant(action, on=Resource(collection or _NO_COLLECTION)):
            raise NotAllowedError(f"You can't make a key that may {action.value} what you can't.")
    for area in scopes.areas:
        if not by.administers(area):
            raise NotAllowedError(f"You can't make a key that administers {area.value}.")


# --- Use ------------------------------------------------------------------------------------------------------------

_USAGE: Final = "quillkeep:key-usage"
_NOTE_EVERY: Final = 60.0  # seconds: a busy key costs each process one note a minute
_noted: dict[str, float] = {}


def note_use(public_id: str) -> None:
    """Remember that a key was used, in Valkey, at most once a minute. Its absence breaks nothing."""
    now = time.monotonic()
    if now - _noted.get(public_id, -_NOTE_EVERY) < _NOTE_EVERY:
        return
    if len(_noted) > 10_000:
        _noted.clear()
    _noted[public_id] = now
    try:
        valkey().hset(_USAGE, public_id, str(int(time.time())))
    except redis.RedisError:
        del _noted[public_id]


def flush_usage() -> int:
    """Write the notes of `note_use` to the rows; return how many."""
    batch = f"{_USAGE}:{secrets.token_hex(8)}"
    try:
        valkey().rename(_USAGE, batch)
    except redis.ResponseError:  # there is none: no key was used
        return 0
    notes = cast("dict[bytes, bytes]", valkey().hgetall(batch))
    for public_id, stamp in notes.items():
        used_at = datetime.fromtimestamp(int(stamp), UTC)
        ApiKey.objects.filter(public_id=public_id.decode()).exclude(last_used_at__gte=used_at).update(
            last_used_at=used_at
        )
    valkey().delete(batch)
    return len(notes)


def end_overlaps() -> int:
    """Drop former secrets whose overlap is over (they stopped working by themselves); return how many."""
    return ApiKey.objects.filter(
        state=ApiKey.State.RETIRING, previous_valid_until__lte=timezone.now()
    ).update(state=ApiKey.State.ACTIVE, previous_secret_hash="", previous_valid_until=None)


def secret_hash(secret: str) -> str:
    """Return the SHA-256 of a secret in hex: it has 256 random bits, so a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    """Return the CRC-32 in base 62: secret scanners and typing errors need no look-up."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, 62)
        digits = _ALPHABET[rest] + digits
    return digits
