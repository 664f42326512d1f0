"""Endpoints: how one is set up, changed, given a new secret, paused, switched off and removed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import egress
from accounts.access import Area, Principal
from accounts.errors import ConflictError, InvalidInputError, NotAllowedError, Problem
from accounts.keys.scopes import scopes_json
from accounts.log import Subject, record
from accounts.models.role import Role
from accounts.models.user import User
from accounts.principals import of_user
from accounts.rights.granting import require_to_hold_grants, require_to_hold_roles
from content import schema
from webhooks import keeping, signing, types
from webhooks.hearing import knows
from webhooks.models import Delivery, Endpoint, EndpointSecret, Sight
from webhooks.models.endpoint import Scheme

SETTINGS: Final = ("name", "url", "types", "collection_ids", "owner", "algorithm")
AIM: Final = frozenset({"url", "types", "collection_ids", "owner"})  # where what goes, and as whom
OVERLAP: Final = timedelta(hours=24)
LONGEST_OVERLAP: Final = timedelta(days=30)
LONGEST_NAME: Final = 100
MOST_ENDPOINTS: Final = 10_000
MOST_COLLECTIONS: Final = 200


@dataclass(frozen=True, slots=True, repr=False)
class Made:
    """An endpoint, and the only time that its secret exists outside of its own hands; "" where there is no new one.

    Of `v1a` it is the public key.
    """

    endpoint: Endpoint
    secret: str = ""


@transaction.atomic
def add(values: Mapping[str, Any], *, is_active: bool = True, by: Principal) -> Made:
    """Set up an endpoint. `values` are SETTINGS by name. Raises InvalidInputError with each fault at its place."""
    _require(by)
    endpoint = Endpoint(created_by_id=by.user_id)
    if not is_active:
        endpoint.state = Endpoint.State.PAUSED
    _put(endpoint, values, by)
    if Endpoint.objects.count() >= MOST_ENDPOINTS:
        raise ConflictError(f"There are {MOST_ENDPOINTS} endpoints already.")
    endpoint.save(force_insert=True)
    _, secret = _new_secret(endpoint)
    _record("endpoint.created", endpoint, by, _about(endpoint))
    return Made(endpoint, secret)


@transaction.atomic
def change(endpoint: Endpoint, values: Mapping[str, Any], *, by: Principal) -> Made:
    """Change what is given. Another algorithm brings a new secret; both sign for the overlap. Errors as `add`."""
    _require(by)
    endpoint = locked(endpoint)
    before = {name: getattr(endpoint, name) for name in (*SETTINGS, "scopes")}
    if AIM & values.keys():
        _require_to_hold(endpoint, by)
    _put(endpoint, values, by)
    changed = sorted(name for name in SETTINGS if getattr(endpoint, name) != before[name])
    endpoint.save()
    if "owner" in changed or endpoint.scopes != before["scopes"]:
        Sight.objects.filter(endpoint=endpoint).delete()  # somebody else saw it
    secret = ""
    if "algorithm" in changed:
        secret = _rotated(endpoint, OVERLAP)
    detail = {"changed": changed, **({"host": _host(endpoint.url)} if "url" in changed else {})}
    _record("endpoint.updated", endpoint, by, detail)
    return Made(endpoint, secret)


@transaction.atomic
def rotate_secret(endpoint: Endpoint, *, overlap: timedelta = OVERLAP, by: Principal) -> Made:
    """Give an endpoint a new secret. Deliveries are signed with both until the overlap ends."""
    _require(by)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidInputError(
            errors=[Problem.at(["overlap_hours"], "out-of-range", "From 0 to 720 hours.")]
        )
    endpoint = locked(endpoint)
    secret = _rotated(endpoint, overlap)
    detail = {"overlap_seconds": int(overlap.total_seconds())}
    _record("endpoint.secret-rotated", endpoint, by, detail)
    return Made(endpoint, secret)


@transaction.atomic
def retire_secret(endpoint: Endpoint, *, by: Principal) -> None:
    """End the overlap now. Raises ConflictError where none is running."""
    _require(by)
    endpoint = locked(endpoint)
    old = list(endpoint.secrets.select_for_update().filter(state=EndpointSecret.State.RETIRING))
    if not old:
        raise ConflictError("No former secret signs any more.")
    for secret in old:
        _end(secret)
    _record("endpoint.secret-retired", endpoint, by, {})


def end_overlaps(*, by: Principal) -> int:
    """Erase secrets whose overlap is over; return how many."""
    due = EndpointSecret.objects.filter(state=EndpointSecret.State.RETIRING, retires_at__lte=timezone.now())
    ended = 0
    for endpoint_id in set(due.values_list("endpoint_id", flat=True)):
        with transaction.atomic():
            endpoint = Endpoint.objects.select_for_update().filter(pk=endpoint_id).first()
            secrets = list(due.filter(endpoint_id=endpoint_id).select_for_update())
            for secret in secrets:
                _end(secret)
            if endpoint is not None and secrets:
                _record("endpoint.secret-retired", endpoint, by, {})
        ended += len(secrets)
    return ended


@transaction.atomic
def pause(endpoint: Endpoint, *, by: Principal) -> Endpoint:
    """Let deliveries wait until it is resumed. Raises ConflictError unless it is active."""
    by.require_area(Area.WEBHOOKS)
    by.require_no_lockdown()
    endpoint = locked(endpoint)
    if not endpoint.is_active:
        raise ConflictError("Only an active endpoint can be paused.")
    endpoint.state = Endpoint.State.PAUSED
    endpoint.save(update_fields=["state"])
    _record("endpoint.paused", endpoint, by, {})
    return endpoint


@transaction.atomic
def enable(endpoint: Endpoint, *, by: Principal) -> Endpoint:
    """Let a paused or disabled endpoint hear again, from now on. What it missed comes with `recover`."""
    by.require_area(Area.WEBHOOKS)
    by.require_no_lockdown()
    endpoint = locked(endpoint)
    if endpoint.is_active:
        raise ConflictError("It is active already.")
    was = endpoint.state
    endpoint.state, endpoint.disabled_because, endpoint.disabled_at = Endpoint.State.ACTIVE, "", None
    endpoint.failing_since = endpoint.held_until = None
    endpoint.save()
    _record("endpoint.enabled", endpoint, by, {"was": str(was)})
    return endpoint


@transaction.atomic
def disable(
    endpoint: Endpoint, *, because: Endpoint.Because = Endpoint.Because.ASKED, by: Principal
) -> Endpoint:
    """Let an endpoint hear nothing more. What waits for it is missed; the log still has it. Once is enough."""
    by.require_area(Area.WEBHOOKS)
    by.require_no_lockdown()
    endpoint = locked(endpoint)
    if endpoint.state == Endpoint.State.DISABLED:
        return endpoint
    now = timezone.now()
    endpoint.state, endpoint.disabled_because, endpoint.disabled_at = Endpoint.State.DISABLED, because, now
    endpoint.recovered_to = endpoint.recovers_to = None
    endpoint.save()
    # What is on the wire first, in the order in which its results are written: else each could wait for the other.
    flying = endpoint.deliveries.filter(leased_until__isnull=False).select_for_update(of=("self",))
    list(flying.order_by("pk").values_list("pk", flat=True))
    missed = (
        endpoint.deliveries.waiting()
        .exclude(type=types.TEST)
        .update(state=Delivery.State.MISSED, ended_at=now, next_attempt_at=None, leased_until=None)
    )
    detail = {"because": str(because), "missed": missed}
    _record("endpoint.disabled", endpoint, by, detail)
    return endpoint


@transaction.atomic
def remove(endpoint: Endpoint, *, by: Principal) -> None:
    """Remove an endpoint with its secrets and its part of the delivery log. What is in the log of the house stays."""
    _require(by)
    endpoint = locked(endpoint)
    _record("endpoint.deleted", endpoint, by, {})
    keeping.forget(endpoint.deliveries.order_by("pk"))
    endpoint.delete()


def _require(by: Principal) -> None:
    by.require_area(Area.WEBHOOKS)
    by.require_step_up()


def _require_to_hold(endpoint: Endpoint, by: Principal) -> None:
    """Refuse who is less than the owner: they would have it say elsewhere what they can't read.

    What an API key may do is no question here: its scopes cap what the endpoint hears from then on.
    """
    if by.kind == "system" or endpoint.owner_id == by.user_id:
        return
    person = replace(by, scopes=None)
    try:
        require_to_hold_roles(person, endpoint.owner.role_keys)
        require_to_hold_grants(person, of_user(endpoint.owner).object_grants)
    except NotAllowedError as error:
        raise NotAllowedError("It listens as somebody who may do more than you.") from error


def locked(endpoint: Endpoint) -> Endpoint:
    """Return the row, locked until commit. Raises ConflictError when it was removed meanwhile."""
    found = (
        Endpoint.objects.select_for_update(of=("self",), no_key=True)
        .select_related("owner")
        .filter(pk=endpoint.pk)
    )
    row = found.first()
    if row is None:
        raise ConflictError("The endpoint was removed meanwhile.")
    return row


def _record(type_: str, endpoint: Endpoint, by: Principal, detail: Mapping[str, object]) -> None:
    subject = Subject("endpoint", str(endpoint.pk))
    record(type_, actor=by, subject=subject, detail={"name": endpoint.name, **detail})


def _about(endpoint: Endpoint) -> dict[str, object]:
    """Return what the log says of a new endpoint: its host alone, since a path may hold a token."""
    return {
        "host": _host(endpoint.url),
        "types": list(endpoint.types),
        "owner": str(endpoint.owner_id),
        "algorithm": str(endpoint.algorithm),
    }


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


# --- Secrets --------------------------------------------------------------------------------------------------------


def _new_secret(endpoint: Endpoint) -> tuple[EndpointSecret, str]:
    secret = EndpointSecret(endpoint=endpoint, algorithm=endpoint.algorithm)
    text = signing.fill(secret)
    secret.save(force_insert=True)
    return secret, text


def _rotated(endpoint: Endpoint, overlap: timedelta) -> str:
    """End the present secret after the overlap, the one before it now, and make a new one. Needs the lock."""
    for secret in endpoint.secrets.select_for_update().exclude(state=EndpointSecret.State.RETIRED):
        if secret.state == EndpointSecret.State.ACTIVE and overlap:
            secret.state, secret.retires_at = EndpointSecret.State.RETIRING, timezone.now() + overlap
            secret.save(update_fields=["state", "retires_at"])
        else:
            _end(secret)
    _, text = _new_secret(endpoint)
    return text


def _end(secret: EndpointSecret) -> None:
    secret.state, secret.private, secret.ended_at = EndpointSecret.State.RETIRED, "", timezone.now()
    secret.save(update_fields=["state", "private", "ended_at"])


# --- What is given --------------------------------------------------------------------------------------------------


def _put(endpoint: Endpoint, values: Mapping[str, Any], by: Principal) -> None:
    """Put values on a row, unsaved. Raises InvalidInputError with every fault, NotAllowedError for the owner."""
    for name in SETTINGS:
        if name in values:
            setattr(endpoint, name, values[name])
    problems = [
        *_owner_problems(endpoint, by, values),
        *_name_problems(endpoint),
        *_url_problems(endpoint, values),
        *_type_problems(endpoint),
        *_collection_problems(endpoint, by, values),
    ]
    if endpoint.algorithm not in Scheme.values:
        problems.append(Problem.at(["algorithm"], "invalid-choice", f"One of {', '.join(Scheme.values)}."))
    if problems:
        raise InvalidInputError(errors=problems)
    if AIM & values.keys():
        _require_to_hold(endpoint, by)
        endpoint.scopes = None if by.scopes is None else scopes_json(by.scopes)


def _owner_problems(endpoint: Endpoint, by: Principal, values: Mapping[str, Any]) -> Iterable[Problem]:
    """Take who sets it up for the owner, where none is named."""
    if "owner" in values:
        if not endpoint.owner.is_active:
            yield Problem.at(["owner"], "inactive", "This account is switched off.")
    elif endpoint._state.adding:  # noqa: SLF001 (Django's way)
        if by.user_id is None:
            yield Problem.at(["owner"], "required", "Say as whom the endpoint listens.")
        else:
            endpoint.owner_id = by.user_id


def _name_problems(endpoint: Endpoint) -> Iterable[Problem]:
    endpoint.name = " ".join(endpoint.name.split())
    if not endpoint.name or len(endpoint.name) > LONGEST_NAME or not endpoint.name.isprintable():
        yield Problem.at(["name"], "invalid-value", "A name of at most 100 printable characters.")
    elif Endpoint.objects.filter(name=endpoint.name).exclude(pk=endpoint.pk).exists():
        yield Problem.at(["name"], "not-unique", "Another endpoint has this name.")


def _url_problems(endpoint: Endpoint, values: Mapping[str, Any]) -> Iterable[Problem]:
    if "url" in values and (problem := egress.url_problem(endpoint.url)) is not None:
        yield Problem.at(["url"], "invalid-url", problem)


def _type_problems(endpoint: Endpoint) -> Iterable[Problem]:
    endpoint.types = list(dict.fromkeys(endpoint.types))
    if not endpoint.types:
        yield Problem.at(["types"], "required", "Name at least one type.")
    for number, name in enumerate(endpoint.types):
        if name not in types.CHOICES:
            yield Problem.at(["types", number], "unknown-type", "There is no such type of event.")


def _collection_problems(endpoint: Endpoint, by: Principal, values: Mapping[str, Any]) -> Iterable[Problem]:
    """Refuse collections that are not there, and those that `by` can't see: both look the same."""
    endpoint.collection_ids = list(dict.fromkeys(endpoint.collection_ids))
    if len(endpoint.collection_ids) > MOST_COLLECTIONS:
        yield Problem.at(["collections"], "too-many", f"At most {MOST_COLLECTIONS}.")
    if "collection_ids" in values:
        known = seen_collections(by)
        for number, collection_id in enumerate(endpoint.collection_ids):
            if collection_id not in known:
                yield Problem.at(
                    ["collections", number], "unknown-collection", "There is no such collection."
                )


def seen_collections(by: Principal) -> dict[UUID, schema.CollectionSpec]:
    """Return the collections that a principal can name."""
    return {item.id: item for item in schema.current().collections if knows(by, item.resource)}


def possible_owners(by: Principal) -> list[User]:
    """Return the accounts as whom `by` may let an endpoint listen: themselves, and who is no more than they are."""
    out_of_reach = [role.pk for role in Role.objects.all() if not _holds(by, role.key)]
    reach = Q(groups__isnull=False) & ~Q(groups__in=out_of_reach) | Q(pk=by.user_id)
    return list(User.objects.filter(reach, is_active=True).distinct())


def _holds(by: Principal, role_key: str) -> bool:
    try:
        require_to_hold_roles(by, [role_key])
    except NotAllowedError:
        return False
    return True


def owner_of(user_id: UUID) -> User:
    """Return a user by id. Raises InvalidInputError at `owner`."""
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise InvalidInputError(errors=[Problem.at(["owner"], "unknown-user", "There is no such user.")])
    return user
