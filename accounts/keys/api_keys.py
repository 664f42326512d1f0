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
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import environments
from accounts.access import Area, Principal, Scopes
from accounts.addresses import is_within
from accounts.errors import (
    ConflictError,
    InvalidInputError,
    NotAuthenticatedError,
    Problem,
    RetiredSecretError,
)
from accounts.keys.scopes import require_to_hold_scopes, scope_texts, scopes_json
from accounts.log import Subject, record
from accounts.models.api_key import LONGEST_LIFE, MOST_REQUESTS, ApiKey
from accounts.models.credential import Credential
from accounts.models.generation import KEY_USE, KEYS, Generation
from accounts.models.role import PUBLIC
from accounts.models.user import User
from accounts.people import add_service
from accounts.principals import scopes_of
from accounts.rights.granting import require_to_hold_roles

DEFAULT_LIFE: Final = timedelta(days=90)
DEFAULT_OVERLAP: Final = timedelta(hours=24)
FLAGGED_AFTER: Final = timedelta(days=30)  # without use
USE_IS_KNOWN_FOR: Final = timedelta(hours=1)  # after the notes of use were written down
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
    environments.require_own("API key", match["environment"])
    if match["environment"] != environments.name():
        raise NotAuthenticatedError("This API key is of an environment that there is not.")
    return KeyText(match["environment"], match["public_id"], match["secret"])


def check(text: str, *, using: str, address: str, origin: str) -> tuple[Credential, str]:
    """Return the row of a key that may be used here and now (one query), and the hash of the secret that was sent.

    Raises NotAuthenticatedError otherwise.
    """
    parts = parse(text)
    # Not `first()`, which sorts: there is one or none.
    row = next(iter(Credential.objects.using(using).filter(public_id=parts.public_id)), None)
    given = secret_hash(parts.secret)
    # Compared also when there is no such key, so that the time taken tells nothing of public ids.
    is_current = hmac.compare_digest(row.secret_hash if row else "-" * 64, given)
    is_previous = hmac.compare_digest((row.previous_secret_hash if row else "") or "-" * 64, given)
    now = timezone.now()
    if row is None or not (is_current or is_previous):
        raise NotAuthenticatedError("This API key is not known.")
    why_dead = refusal(row, now)
    if why_dead:
        raise NotAuthenticatedError(why_dead)
    if not is_current and (row.previous_valid_until is None or now >= row.previous_valid_until):
        raise RetiredSecretError(row.public_id, given)
    if row.allowed_networks and not is_within(address, row.allowed_networks):
        raise NotAuthenticatedError("This API key can't be used from this address.")
    if origin and not row.browser:
        raise NotAuthenticatedError(
            "This API key is not made for browsers: whoever opens the page could read it."
        )
    return row, given


def refusal(row: Credential, now: datetime) -> str:
    """Return why a key is refused whoever sends it, and from wherever; "" for one that works."""
    if row.state == ApiKey.State.REVOKED or not row.owner_is_active:
        return "This API key was revoked."
    if row.state == ApiKey.State.DISABLED:
        return "This API key is switched off."
    if now >= row.expires_at:
        return "This API key has expired."
    if is_idle(row.idle_since, row.generations, now):
        return "This API key was not used for so long that it is switched off."
    return ""


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
    rate_limit: int | None = None,
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
    if rate_limit is not None and not 1 <= rate_limit <= MOST_REQUESTS:
        problems.append(Problem.at(["rate_limit"], "out-of-range", "From 1 to 1,000,000 requests a minute."))
    if not owner.is_active:
        problems.append(Problem.at(["owner"], "inactive", "The owner is switched off."))
    if browser and scopes.areas:
        problems.append(Problem.at(["browser"], "not-possible", "A key for browsers can't administer."))
    if problems:
        raise InvalidInputError(errors=problems)
    text = KeyText(environments.name(), _random(_PUBLIC_LENGTH), _random(_SECRET_LENGTH))
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
        rate_limit=rate_limit,
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
    key = _locked(key)
    require_to_hold_roles(by, key.owner.role_keys)
    require_to_hold_scopes(by, scopes_of(key.scopes))
    now = timezone.now()
    if key.state == ApiKey.State.REVOKED or key.is_expired:
        raise ConflictError("A revoked or expired key can't be rotated. Make a new one.")
    if key.state == ApiKey.State.DISABLED:
        raise ConflictError("This key is switched off. Enable it first.")
    text = KeyText(environments.name(), key.public_id, _random(_SECRET_LENGTH))
    key.previous_secret_hash = key.secret_hash
    key.previous_valid_until = now + overlap
    key.secret_hash = secret_hash(text.secret)
    key.state = ApiKey.State.RETIRING if overlap else ApiKey.State.ACTIVE
    key.rotated_at = now
    key.new_used_at = key.old_used_at = key.old_refused_at = None
    key.old_use_count = key.old_refused_count = 0
    key.old_address = ""
    key.save(force_update=True)
    _record("api-key.rotated", key, by, {"overlap_seconds": int(overlap.total_seconds())})
    return Minted(key, str(text))


@transaction.atomic
def retire(key: ApiKey, *, by: Principal) -> ApiKey:
    """End the overlap of a rotated key now: its former secret is dead. Raises ConflictError when there is none."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    key = _locked(key)
    if key.state != ApiKey.State.RETIRING:
        raise ConflictError("This key has no former secret that still works.")
    key.previous_valid_until = timezone.now()
    return _retired(key, by, "asked")


def end_overlaps(*, by: Principal) -> int:
    """Retire former secrets whose overlap is over (they stopped working by themselves); return how many."""
    number = 0
    due = ApiKey.objects.filter(state=ApiKey.State.RETIRING, previous_valid_until__lte=timezone.now())
    for pk in due.values_list("pk", flat=True):
        with transaction.atomic():
            key = due.select_for_update().filter(pk=pk).first()
            if key is not None:
                _retired(key, by, "time")
                number += 1
    return number


def _retired(key: ApiKey, by: Principal, because: str) -> ApiKey:
    key.state = ApiKey.State.ACTIVE
    key.save(force_update=True)
    _record("api-key.old-secret-retired", key, by, {"because": because, "calls_with_it": key.old_use_count})
    return key


@transaction.atomic
def disable(key: ApiKey, *, by: Principal, because: str = "asked") -> ApiKey:
    """Switch a key off until somebody enables it. Raises ConflictError for one that is dead or off already."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    key = _locked(key)
    if key.state not in (ApiKey.State.ACTIVE, ApiKey.State.RETIRING) or key.is_expired:
        raise ConflictError("Only a key that works can be switched off.")
    key.state = ApiKey.State.DISABLED
    key.disabled_at = timezone.now()
    key.save(force_update=True)
    _record("api-key.disabled", key, by, {"because": because})
    return key


@transaction.atomic
def enable(key: ApiKey, *, by: Principal) -> ApiKey:
    """Switch a key on again; its idle time starts anew. Who may is who could make it now. Raises ConflictError."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    key = _locked(key)
    require_to_hold_roles(by, key.owner.role_keys)
    require_to_hold_scopes(by, scopes_of(key.scopes))
    now = timezone.now()
    if key.state != ApiKey.State.DISABLED:
        raise ConflictError("This key is not switched off.")
    if key.is_expired or not key.owner.is_active:
        raise ConflictError("The key has expired, or its owner is switched off. Make a new one.")
    overlaps = key.previous_valid_until is not None and now < key.previous_valid_until
    key.state = ApiKey.State.RETIRING if overlaps else ApiKey.State.ACTIVE
    key.enabled_at, key.disabled_at = now, None
    key.save(force_update=True)
    _record("api-key.enabled", key, by, {})
    return key


def disable_idle(*, by: Principal) -> int:
    """Switch off keys that nobody used for the time that is set; return how many.

    Nothing is switched off while it is not known what was used: the notes may wait in Valkey, or be lost with it.
    """
    days = settings.IDLE_KEYS_DISABLED_AFTER_DAYS
    if not days or not is_use_known(Generation.objects.current()):
        return 0
    number = 0
    for pk in ApiKey.objects.usable().idle_for(timedelta(days=days)).values_list("pk", flat=True):
        with transaction.atomic():
            key = ApiKey.objects.select_for_update().get(pk=pk)
            if timezone.now() - key.idle_since < timedelta(days=days):
                continue  # used in between
            disable(key, by=by, because="idle")
            number += 1
    return number


def is_idle(idle_since: datetime, generations: Mapping[str, int], now: datetime) -> bool:
    """Tell whether a key was idle for too long, also where the daily task did not run; False when that isn't known."""
    days = settings.IDLE_KEYS_DISABLED_AFTER_DAYS
    return bool(days) and now - idle_since >= timedelta(days=days) and is_use_known(generations)


def is_flagged_idle(key: ApiKey) -> bool:
    """Tell whether a key that works should be looked at, since nobody has used it for a month."""
    return (
        key.state in (ApiKey.State.ACTIVE, ApiKey.State.RETIRING)
        and not key.is_expired
        and timezone.now() - key.idle_since >= FLAGGED_AFTER
    )


def is_use_known(generations: Mapping[str, int]) -> bool:
    """Tell whether what was used is written down up to a while ago; the generation's value is microseconds."""
    return time.time() - generations.get(KEY_USE, 0) / 1_000_000 < USE_IS_KNOWN_FOR.total_seconds()


@transaction.atomic
def revoke(key: ApiKey, *, by: Principal) -> None:
    """End a key at once, both secrets. Revoking twice changes nothing."""
    by.require_area(Area.KEYS)
    by.require_step_up()
    key = _locked(key)
    if key.state == ApiKey.State.REVOKED:
        return
    key.state = ApiKey.State.REVOKED
    key.revoked_at = timezone.now()
    key.previous_secret_hash = ""
    key.previous_valid_until = None
    key.save(force_update=True)
    _record("api-key.revoked", key, by, {})


def _locked(key: ApiKey) -> ApiKey:
    return ApiKey.objects.select_for_update(of=("self",)).select_related("owner").get(pk=key.pk)


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
